/* What a pointer to a pointer holds, one level down. */
int *f(void)
{
    int x = 1, *p = &x, **q = &p;
    return *q;
}
