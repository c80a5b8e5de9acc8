/* A pointer as a number is one still. */
#include <stdint.h>
static uintptr_t kept;
void f(void)
{
    int x = 1;
    kept = (uintptr_t)&x | 1;
}
int g(void)
{
    int x = 1;
    return (int)((uintptr_t)&x & 7);
}
long h(void)
{
    char v[8], *end = v + 3;
    return end - v;
}
