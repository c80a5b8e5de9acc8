/* Stored as one member, read as another. */
union word { int *p; long n; };
long f(void)
{
    int x = 1;
    union word w;
    w.p = &x;
    return w.n;
}
