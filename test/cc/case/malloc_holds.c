/* A local in an object: it is as safe as the object. */
#include <stdlib.h>
struct box { int *p; };
int f(void)
{
    int x = 1, y;
    struct box *b = malloc(sizeof *b);
    b->p = &x;
    y = *b->p;
    free(b);
    return y;
}
struct box *g(void)
{
    int x = 1;
    struct box *b = malloc(sizeof *b);
    b->p = &x;
    return b;
}
