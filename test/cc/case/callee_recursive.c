/* Recursion: a leak deep down. */
static int *kept;
static void down(int *p, int n)
{
    int x = n;
    if (n == 0)
        kept = p;
    else
        down(n % 2 ? p : &x, n - 1);
}
void f(void)
{
    int y = 1;
    down(&y, 3);
}
