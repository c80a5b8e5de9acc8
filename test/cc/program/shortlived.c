/* Objects that become variables, and those that must not. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct pair { long a; struct pair *next; };
static struct pair *kept;

__attribute__((noinline)) static long sum(const struct pair *p)
{
    long s = 0;
    for (; p; p = p->next)
        s += p->a;
    return s;
}
__attribute__((noinline)) static void done(struct pair *p) { free(p); }
__attribute__((noinline)) static struct pair *same(struct pair *p)
{
    return p;
}
__attribute__((noinline)) static void put(struct pair **to, struct pair *p)
{
    *to = p;
}
/* Variables: two linked, one of zeros, one that is compared. */
__attribute__((noinline)) static long stays(long x)
{
    struct pair *p = malloc(sizeof *p), *q = calloc(1, sizeof *q);
    char *text = malloc(32);
    long s;
    if (!p || !q || !text)
        return -1;
    p->a = x;
    p->next = NULL;
    s = sum(p) + sum(q) + q->a;
    snprintf(text, 32, "%ld", x);
    s += (long)strlen(text);
    free(p);
    free(q);
    free(text);
    return s;
}
/* Each iteration has its own. */
__attribute__((noinline)) static long loops(int n)
{
    struct pair *all = NULL;
    long s;
    for (int i = 0; i < n; i++) {
        struct pair *p = malloc(sizeof *p);
        p->a = i;
        p->next = all;
        all = p;
    }
    s = sum(all);
    while (all) {
        struct pair *p = all->next;
        free(all);
        all = p;
    }
    return s;
}
/* Freed elsewhere, by a result, through memory, one of two, kept. */
__attribute__((noinline)) static long elsewhere(long x)
{
    struct pair *p = malloc(sizeof *p), *q = malloc(sizeof *q), *r;
    struct pair *v = malloc(sizeof *v), *w = malloc(sizeof *w), *k;
    long s;
    p->a = q->a = v->a = w->a = x;
    s = p->a + q->a;
    done(p);
    free(same(q));
    put(&r, v);
    free(r);
    k = x & 1 ? w : kept;
    s += k ? k->a : 0;
    if (k == w)
        free(k);
    kept = malloc(sizeof *kept);
    kept->a = x;
    kept->next = NULL;
    return s;
}
__attribute__((noinline)) static char *grown(void)
{
    char *p = malloc(4);
    strcpy(p, "abc");
    p = realloc(p, 5000);
    strcat(p, "def");
    return p;
}
static jmp_buf again;
__attribute__((noinline)) static long jumps(void)
{
    long *volatile p;
    volatile int n = 0;
    setjmp(again);
    p = malloc(sizeof *p);
    *p = n;
    if (n++ < 3)
        longjmp(again, 1);
    return *p;
}
int main(void)
{
    long s = 0;
    for (long i = 0; i < 20000; i++) {
        s += stays(i) + elsewhere(i);
        if (i % 100 == 0)
            s += loops(50);
    }
    printf("%ld %s %ld %ld\n", s, grown(), jumps(), sum(kept));
    return 0;
}
