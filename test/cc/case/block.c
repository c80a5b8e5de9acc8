/* The address is used after its block, but not after the function. */
int f(int c)
{
    int *p = 0;
    if (c) {
        int x = c;
        p = &x;
    }
    return p ? *p : 0;
}
int g(int c)
{
    int y = 0;
    if (c) {
        int x = c, *p = &x;
        y = *p;
    }
    return y;
}
