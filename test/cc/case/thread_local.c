/* A thread-local variable outlives the function. */
static _Thread_local int *last;
int *f(void)
{
    int x = 1, *before = last;
    last = &x;
    return before;
}
