/* Functions with variables, in structs that outlive their maker. */
#include <stdio.h>
struct closure { int (*run)(struct closure *, int); int *n; };
static int add(struct closure *c, int x) { return *c->n += x; }
static int multiply(struct closure *c, int x) { return *c->n *= x; }
static void make(struct closure *a, struct closure *m)
{
    int n = 1;
    *a = (struct closure){add, &n};
    *m = (struct closure){multiply, &n};
}
int main(void)
{
    struct closure a[100], m[100];
    long sum = 0;
    for (int i = 0; i < 100; i++)
        make(&a[i], &m[i]);
    for (int i = 0; i < 100; i++) {
        a[i].run(&a[i], i);
        m[i].run(&m[i], 2);
    }
    for (int i = 0; i < 100; i++)
        sum += a[i].run(&a[i], 1);
    printf("%ld\n", sum);
    return 0;
}
