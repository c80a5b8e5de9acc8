/* setjmp and longjmp, with handlers on the stack that are linked from a global
 * and so have moved. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
struct handler { struct handler *up; jmp_buf back; int *count; };
static struct handler *top;
static void fail(int code)
{
    struct handler *h = top;
    top = h->up;
    ++*h->count;
    longjmp(h->back, code);
}
static int guarded(int depth, int *count)
{
    struct handler h;
    volatile int level = depth;
    h.up = top;
    h.count = count;
    top = &h;
    int code = setjmp(h.back);
    if (code == 0) {
        for (int i = 0; i < 20; i++)
            malloc(64);
        if (depth == 0)
            fail(1);
        guarded(depth - 1, count);
        if (depth % 2)
            fail(depth);
        top = h.up;
        return 0;
    }
    return code * 100 + level;
}
int main(void)
{
    int count = 0;
    long sum = 0;
    for (int i = 0; i < 300; i++)
        sum += guarded(i % 8, &count);
    printf("%ld %d %d\n", sum, count, top == NULL);
    return 0;
}
