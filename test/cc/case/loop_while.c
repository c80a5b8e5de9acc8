/* while and do; a variable outside the loop is one. */
static int *v[8];
static int local(int n)
{
    int *p[8], out = 0, i = 0;
    while (i < n) {
        int k = i;
        p[i++] = &k;
        p[0] = &out;
    }
    return *p[n - 1];
}
int f(int n)
{
    return local(n) + (v[0] != 0);
}
