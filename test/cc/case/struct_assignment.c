/* Struct assignment to a global. */
struct box { int *p; int n; } kept;
void f(void)
{
    int x = 1;
    struct box b = {&x, 1};
    kept = b;
}
