/* memcpy of what holds a pointer; of what is too short for one. */
#include <string.h>
static int *kept, numbers[1];
void f(void)
{
    int x = 1, *p = &x;
    memcpy(&kept, &p, sizeof p);
}
void g(void)
{
    int x = 1;
    memcpy(numbers, &x, sizeof x);
}
