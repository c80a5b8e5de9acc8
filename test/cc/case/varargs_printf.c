/* printf and scanf look; a program's own handed on to vprintf too. */
#include <stdarg.h>
#include <stdio.h>
static void say(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    vprintf(fmt, list);
    va_end(list);
}
int f(const char *s)
{
    int x = 0;
    char word[20];
    if (sscanf(s, "%d %19s", &x, word) == 2)
        printf("%d %s\n", x, word);
    say("%p\n", (void *)&x);
    return x;
}
