/* options: */
/* Without -m only what dangles is told. */
int *f(int *p)
{
    int x = *p;
    return &x;
}
