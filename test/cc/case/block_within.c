/* Both are in the block: nothing to tell. */
int f(int c)
{
    int s = 0;
    {
        int x = c, *v[2] = {&x, &x};
        s = *v[c & 1];
    }
    return s;
}
