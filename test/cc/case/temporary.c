/* A member array of a struct that is only a value. */
struct box { int v[4]; };
static int *kept;
static struct box make(void)
{
    return (struct box){{1, 2, 3, 4}};
}
static void keep(int *p)
{
    kept = p;
}
void f(void)
{
    keep(make().v);
}
