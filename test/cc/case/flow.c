/* options: -m=2 */
/* The way from the local to the heap. */
#include <string.h>
struct box { int *p; };
static struct box *kept;
static int *same(int *p)
{
    return p;
}
static void keep(struct box *b)
{
    kept = b;
}
void f(int c)
{
    int x = 1;
    struct box b;
    b.p = c ? same(&x) : 0;
    keep(&b);
}
int *g(int **v)
{
    return v[1];
}
