/* Another definition may take its place. */
__attribute__((weak)) void hook(int *p)
{
    (void)p;
}
void f(void)
{
    int x = 1;
    hook(&x);
}
