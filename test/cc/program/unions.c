/* Values with a tag, whose pointers are overwritten by numbers. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct value {
    union { long n; double d; void *p; struct list *l; } u;
    int tag;
};
struct list { struct value head, tail; };
static struct value nil;
static struct value cons(struct value a, struct value b)
{
    struct list *l = calloc(1, sizeof *l);
    struct value v;
    l->head = a;
    l->tail = b;
    v.u.l = l;
    v.tag = 2;
    return v;
}
static struct value number(long n)
{
    struct value v;
    v.u.n = n;
    v.tag = 1;
    return v;
}
static long sum(struct value v)
{
    return v.tag == 2 ? sum(v.u.l->head) + sum(v.u.l->tail)
         : v.tag == 1 ? v.u.n : 0;
}
int main(void)
{
    struct value *table = calloc(100, sizeof *table);
    uintptr_t *tagged = calloc(100, sizeof *tagged);
    long s = 0;
    for (int i = 0; i < 20000; i++) {
        int at = (i * 7919) % 100;
        if (i % 5 == 0)
            table[at] = number(i);
        else if (i % 5 == 1)
            table[at] = nil;
        else if (i % 5 == 2)
            table[at].u.d = 1.5, table[at].tag = 3;
        else
            table[at] = cons(number(i), table[(at + 1) % 100].tag == 2
                                            ? nil : table[(at + 1) % 100]);
        long *p = malloc(sizeof *p);
        *p = i;
        tagged[at] = (uintptr_t)p | 1;
    }
    for (int i = 0; i < 100; i++)
        s += sum(table[i]) + *(long *)(tagged[i] & ~(uintptr_t)1);
    printf("%ld\n", s);
    return 0;
}
