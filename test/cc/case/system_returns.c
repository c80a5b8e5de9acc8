/* A result that lies in the argument. */
#include <string.h>
char *f(void)
{
    char s[] = "a=b";
    return strchr(s, '=');
}
char *g(const char *from)
{
    char s[20];
    return strdup(strcpy(s, from));
}
