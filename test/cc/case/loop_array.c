/* Each iteration has a variable of its own. */
int f(void)
{
    int *p[8], s = 0;
    for (int i = 0; i < 8; i++) {
        int k = i * i;
        p[i] = &k;
    }
    for (int i = 0; i < 8; i++)
        s += *p[i];
    return s;
}
