/* The source promises, or forbids. */
#define SC_STACK __attribute__((annotate("sancai.stack")))
static int *kept;
int f(void)
{
    SC_STACK int x = 1;
    int y;
    kept = &x;
    y = *kept;
    kept = 0;
    return y;
}
