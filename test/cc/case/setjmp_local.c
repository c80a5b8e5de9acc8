/* A jmp_buf on the stack, linked from a global: it must move. */
#include <setjmp.h>
struct handler { struct handler *up; jmp_buf back; };
static struct handler *top;
int f(void (*body)(void))
{
    struct handler h;
    h.up = top;
    top = &h;
    if (setjmp(h.back) == 0)
        body();
    top = h.up;
    return 0;
}
