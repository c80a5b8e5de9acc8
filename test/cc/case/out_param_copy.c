/* A struct is copied from one parameter to another. */
struct pair { int *a, *b; };
static void copy(struct pair *to, const struct pair *from)
{
    *to = *from;
}
struct pair *kept;
int f(void)
{
    int x = 1;
    struct pair p = {&x, &x}, q;
    copy(&q, &p);
    return *q.a;
}
void g(void)
{
    int x = 1;
    struct pair p = {&x, &x};
    copy(kept, &p);
}
