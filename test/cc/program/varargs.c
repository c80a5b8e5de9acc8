/* Addresses behind the dots, kept by the callee. */
#include <stdarg.h>
#include <stdio.h>
static int *kept[100], n;
static void keep(int count, ...)
{
    va_list list;
    va_start(list, count);
    while (count-- > 0)
        kept[n++] = va_arg(list, int *);
    va_end(list);
}
static void make(int i)
{
    int a = i, b = i * i;
    keep(2, &a, &b);
}
int main(void)
{
    long sum = 0;
    for (int i = 0; i < 50; i++)
        make(i);
    for (int i = 0; i < 100; i++)
        sum += *kept[i];
    printf("%ld\n", sum);
    return 0;
}
