/* The same with a struct that is passed in memory. */
struct large { int *p; long v[8]; };
static int *kept;
static void keep(struct large b)
{
    kept = b.p;
}
static int look(struct large b)
{
    return *b.p;
}
int f(void)
{
    int x = 1, y = 2;
    struct large a = {&x, {0}}, b = {&y, {0}};
    keep(a);
    return look(b);
}
