/* Objects: returned, kept, only used. */
#include <stdlib.h>
struct node { struct node *next; int v; };
static struct node *kept;
struct node *f(void)
{
    struct node *n = malloc(sizeof *n);
    n->v = 1;
    return n;
}
void g(void)
{
    kept = calloc(1, sizeof *kept);
}
int h(void)
{
    struct node *n = malloc(sizeof *n);
    int v;
    n->v = 1;
    v = n->v;
    free(n);
    return v;
}
