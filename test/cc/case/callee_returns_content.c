/* The callee returns what its argument points to. */
static int *first(int **v)
{
    return v[0];
}
int *f(void)
{
    int x = 1, *v[1] = {&x};
    return first(v);
}
