/* A member of a global, an element of one. */
static struct { int *p; } one;
static int *many[10];
void f(int i)
{
    int x = 1, y = 2;
    one.p = &x;
    many[i] = &y;
}
int g(int i)
{
    return *one.p + *many[i];
}
