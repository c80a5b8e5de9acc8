/* Through three functions. */
static int *kept;
static void three(int *p) { kept = p; }
static void two(int *p) { three(p); }
static void one(int *p) { two(p); }
void f(void)
{
    int x = 1;
    one(&x);
}
