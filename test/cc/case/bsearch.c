/* What bsearch returns lies in the array. */
#include <stdlib.h>
static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}
int *f(int key)
{
    int v[3] = {1, 2, 3};
    return bsearch(&key, v, 3, sizeof *v, compare);
}
