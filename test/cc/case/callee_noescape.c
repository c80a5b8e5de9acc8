/* A declaration that promises. */
void elsewhere(__attribute__((noescape)) int *p);
int f(void)
{
    int x = 1;
    elsewhere(&x);
    return x;
}
