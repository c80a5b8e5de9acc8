/* alloca lives as long as the function. */
#include <alloca.h>
char *f(int n)
{
    char *p = alloca(n);
    p[0] = 1;
    return p;
}
int g(int n)
{
    char *p = alloca(n);
    p[0] = 1;
    return p[0];
}
