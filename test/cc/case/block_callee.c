/* A callee hands the address out of the block. */
static int *same(int *p)
{
    return p;
}
int f(int c)
{
    int *p;
    {
        int x = c;
        p = same(&x);
    }
    return *p;
}
