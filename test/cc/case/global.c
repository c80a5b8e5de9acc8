/* A global keeps the address. */
int *kept;
void f(void)
{
    int x = 1;
    kept = &x;
}
void g(int *p)
{
    kept = p;
}
