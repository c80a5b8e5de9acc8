/* The callee returns what it got; what then? */
static int *same(int *p)
{
    return p;
}
int *f(void)
{
    int x = 1;
    return same(&x);
}
int g(void)
{
    int x = 1;
    return *same(&x);
}
