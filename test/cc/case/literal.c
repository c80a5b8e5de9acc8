/* Compound literals live as long as their block. */
struct node { struct node *next; int v; };
struct node *f(int v)
{
    return &(struct node){.v = v};
}
int g(int v)
{
    const struct node *n = &(struct node){.v = v};
    return n->v;
}
int *h(void)
{
    return (int[]){1, 2, 3};
}
