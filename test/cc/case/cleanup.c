/* A cleanup function looks at its variable at the block's end. */
static void done(int *p)
{
    *p = 0;
}
int f(void)
{
    __attribute__((cleanup(done))) int x = 1;
    return x;
}
