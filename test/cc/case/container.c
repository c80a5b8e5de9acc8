/* From a member back to its struct. */
#include <stddef.h>
struct link { struct link *next; };
struct item { int v; struct link link; };
static struct link *list;
static void add(struct link *l)
{
    l->next = list;
    list = l;
}
int f(void)
{
    struct item i = {1, {0}};
    add(&i.link);
    return ((struct item *)((char *)list - offsetof(struct item, link)))->v;
}
