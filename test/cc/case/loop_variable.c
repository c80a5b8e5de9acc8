/* The variable of the loop itself is one for all iterations, as in C. */
int f(int n)
{
    int *v[8], s = 0;
    for (int i = 0; i < 8; i++)
        v[i] = &i;
    (void)n;
    (void)v;
    return s;
}
