/* strtol stores its first argument in its second. */
#include <stdlib.h>
long f(char **end)
{
    char digits[] = "12x";
    return strtol(digits, end, 10);
}
long g(void)
{
    char digits[] = "12x", *end;
    return strtol(digits, &end, 10) + *end;
}
