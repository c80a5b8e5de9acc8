/* The same through an array. */
int f(int c)
{
    int *v[2] = {0};
    {
        int x = c;
        v[0] = &x;
    }
    return *v[0];
}
