/* A loop made of goto. */
int f(void)
{
    int *p[4], i = 0;
again:;
    {
        int k = i;
        p[i] = &k;
    }
    if (++i < 4)
        goto again;
    return *p[0];
}
