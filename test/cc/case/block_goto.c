/* Jumped past by goto. */
int *f(int c)
{
    if (c)
        goto in;
    {
        int x = 1;
    in:
        x = 2;
        return &x;
    }
}
