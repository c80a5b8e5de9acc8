/* A callback of the system that looks, and one that keeps. */
#include <stdlib.h>
static const int *kept;
static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}
static int keeps(const void *a, const void *b)
{
    kept = a;
    return compare(a, b);
}
int f(void)
{
    int v[3] = {3, 1, 2}, w[3] = {3, 1, 2};
    qsort(v, 3, sizeof *v, compare);
    qsort(w, 3, sizeof *w, keeps);
    return v[0] + w[0];
}
