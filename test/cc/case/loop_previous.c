/* This iteration looks at the one before. */
int f(int n)
{
    int *last = 0, s = 0;
    for (int i = 0; i < n; i++) {
        int k = i;
        if (last)
            s += *last;
        last = &k;
    }
    return s;
}
