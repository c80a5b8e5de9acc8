/* Records on the stack, linked from a global, found long after. */
#include <stdio.h>
#include <stdlib.h>
struct record { struct record *next; const char *name; long v[6]; };
static struct record *list;
static void note(const char *name, int depth)
{
    struct record r = {list, name, {depth}};
    list = &r;
    if (depth > 0)
        note(name, depth - 1);
}
int main(void)
{
    long n = 0, sum = 0;
    for (int i = 0; i < 200; i++) {
        note("a", 20);
        for (int k = 0; k < 200; k++)
            malloc(100);
    }
    for (struct record *r = list; r; r = r->next)
        n++, sum += r->v[0] + (r->name[0] == 'a');
    printf("%ld %ld\n", n, sum);
    return 0;
}
