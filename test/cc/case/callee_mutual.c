/* Mutual recursion without a leak. */
static int odd(const int *p, int n);
static int even(const int *p, int n)
{
    return n == 0 ? *p : odd(p, n - 1);
}
static int odd(const int *p, int n)
{
    return n == 0 ? -*p : even(p, n - 1);
}
int f(void)
{
    int x = 1;
    return even(&x, 9);
}
