/* An array of variable length. */
static int sum(const int *v, int n)
{
    return n > 0 ? v[0] : 0;
}
int *f(int n)
{
    int v[n];
    v[0] = 1;
    return v;
}
int g(int n)
{
    int v[n];
    v[0] = 1;
    return sum(v, n);
}
