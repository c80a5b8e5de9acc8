/* A static local is a global. */
int *f(void)
{
    static int x;
    return &x;
}
