/* A pointer goes out by a parameter: a leak to *p, not to the heap. */
static void set(int **p, int *to)
{
    *p = to;
}
int f(void)
{
    int x = 1, *p;
    set(&p, &x);
    return *p;
}
int *g(void)
{
    int x = 1, *p;
    set(&p, &x);
    return p;
}
