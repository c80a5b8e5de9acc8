/* A parameter is a local too. */
int *f(int a)
{
    return &a;
}
