/* Addresses of locals, parameters, literals and arrays, all returned. */
#include <stdio.h>
#include <string.h>
struct large { long v[8]; };
struct pair { int *a, *b; };
static int *local(int a) { int m = a; return &m; }
static int *param(int a) { return &a; }
static long *by_value(struct large l) { return &l.v[3]; }
static struct pair in_struct(int a, int b) { return (struct pair){&a, &b}; }
static int *literal(int a) { return (int[]){a, a + 1, a + 2}; }
static char *text(const char *s)
{
    char room[32];
    strcpy(room, s);
    return room;
}
static void out(int **p, int v)
{
    int x = v;
    *p = &x;
}
int main(void)
{
    int *all[1000], *o, sum = 0;
    for (int i = 0; i < 1000; i++)
        all[i] = i % 2 ? local(i) : param(i);
    for (int i = 0; i < 1000; i++)
        sum += *all[i];
    struct pair p = in_struct(3, 4), q = in_struct(5, 6);
    int *l = literal(7), *m = literal(17);
    char *s = text("one"), *t = text("two");
    long *b = by_value((struct large){{1, 2, 3, 4}});
    out(&o, 9);
    printf("%d %d %d %d %d\n", sum, *p.a, *p.b, *q.a, *q.b);
    printf("%d %d %s %s %ld %d\n", l[2], m[1], s, t, *b, *o);
    return 0;
}
