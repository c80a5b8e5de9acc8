/* Which function it is, nobody knows. */
int f(int (*look)(const int *))
{
    int x = 1;
    return look(&x);
}
