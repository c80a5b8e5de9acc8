/* One of two. */
int *f(int c)
{
    int x = 1, y = 2, z = 3;
    z += x;
    return c ? &x : &y;
}
