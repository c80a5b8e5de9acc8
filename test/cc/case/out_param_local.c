/* A local's address goes out by a parameter. */
void f(int **p)
{
    int x = 1;
    *p = &x;
}
