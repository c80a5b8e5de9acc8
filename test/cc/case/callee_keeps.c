/* Leaks in the callee, moves in the caller. */
static int *kept;
static void keep(int *p)
{
    kept = p;
}
int f(void)
{
    int x = 1;
    keep(&x);
    return *kept;
}
