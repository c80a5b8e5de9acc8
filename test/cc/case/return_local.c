/* The address of a local is returned. */
int *f(void)
{
    int x = 1;
    return &x;
}
