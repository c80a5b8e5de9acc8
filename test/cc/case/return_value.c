/* The value is returned, not the address. */
int f(void)
{
    int x = 1, *p = &x;
    return *p;
}
