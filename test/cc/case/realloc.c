/* What was in the object is in the new one. */
#include <stdlib.h>
int *f(void)
{
    int x = 1, **v = malloc(sizeof *v), **w;
    v[0] = &x;
    w = realloc(v, 2 * sizeof *v);
    return w[0];
}
