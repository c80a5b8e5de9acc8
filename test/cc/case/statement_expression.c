/* A block that has a value, and no block in the debug information. */
static int look(const int *p)
{
    return *p;
}
int f(int a)
{
    int *p = ({ int x = a; &x; });
    return look(p);
}
/* This is seen through: no variable is left that could dangle. */
int g(int a)
{
    int *p = ({ int x = a; &x; });
    return *p;
}
