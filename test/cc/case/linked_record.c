/* A record on the stack, linked from its caller's. */
struct record { struct record *up; int depth; };
static int depth_of(const struct record *r)
{
    return r ? 1 + depth_of(r->up) : 0;
}
static int down(struct record *up, int n)
{
    struct record r = {up, n};
    return n ? down(&r, n - 1) : depth_of(&r);
}
int f(void)
{
    return down(0, 5);
}
