/* What is behind the dots, and what the callee does with it. */
#include <stdarg.h>
static int *kept;
static void keep(int n, ...)
{
    va_list list;
    va_start(list, n);
    kept = va_arg(list, int *);
    va_end(list);
}
static int look(int n, ...)
{
    va_list list;
    int s;
    va_start(list, n);
    s = *va_arg(list, int *);
    va_end(list);
    return s;
}
int f(void)
{
    int x = 1, y = 2;
    keep(1, &x);
    return look(1, &y);
}
