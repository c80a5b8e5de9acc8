/* The address goes in by value, within a struct. */
struct box { int *p; };
static int *kept;
static void keep(struct box b)
{
    kept = b.p;
}
static int look(struct box b)
{
    return *b.p;
}
int f(void)
{
    int x = 1, y = 2;
    keep((struct box){&x});
    return look((struct box){&y});
}
