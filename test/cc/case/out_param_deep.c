/* Two levels down it is the heap, as in Go. */
struct node { struct node *next; int *p; };
static void set(struct node *n, int *p)
{
    n->next->p = p;
}
int f(void)
{
    int x = 1;
    struct node b = {0, 0}, a = {&b, 0};
    set(&a, &x);
    return *b.p;
}
