/* The callee only looks. */
static int sum(const int *v, int n)
{
    int s = 0;
    for (int i = 0; i < n; i++)
        s += v[i];
    return s;
}
int f(void)
{
    int v[3] = {1, 2, 3};
    return sum(v, 3);
}
