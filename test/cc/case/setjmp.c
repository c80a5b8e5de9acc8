/* setjmp: the variable is volatile, and its address goes out. */
#include <setjmp.h>
static jmp_buf back;
static volatile int *kept;
int f(void)
{
    volatile int n = 0;
    kept = &n;
    if (setjmp(back) == 0)
        n = 1;
    return n;
}
