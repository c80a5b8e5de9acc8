/* A function and its variables in a struct. */
#include <stdlib.h>
struct closure { int (*run)(struct closure *); int *n; };
static int count(struct closure *c)
{
    return ++*c->n;
}
struct closure f(void)
{
    int n = 0;
    return (struct closure){count, &n};
}
int g(void)
{
    int n = 0;
    struct closure c = {count, &n};
    return count(&c) + count(&c);
}
