/* Its memory is given back at the end of the block. */
int f(int n)
{
    int *p;
    {
        int v[n];
        v[0] = n;
        p = v;
    }
    return *p;
}
