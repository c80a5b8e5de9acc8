/* Each iteration has a variable of its own, however the loop is written. */
#include <stdio.h>
static int sum(int **p, int n)
{
    int s = 0;
    for (int i = 0; i < n; i++)
        s = s * 3 + *p[i];
    return s;
}
static int by_for(void)
{
    int *p[8];
    for (int i = 0; i < 8; i++) {
        int k = i;
        p[i] = &k;
    }
    return sum(p, 8);
}
static int by_goto(void)
{
    int *p[8], i = 0;
again:;
    {
        int k = i;
        p[i] = &k;
    }
    if (++i < 8)
        goto again;
    return sum(p, 8);
}
static int by_literal(void)
{
    struct node { struct node *next; int v; } *list = 0;
    int s = 0;
    for (int i = 0; i < 8; i++)
        list = &(struct node){list, i};
    for (; list; list = list->next)
        s = s * 3 + list->v;
    return s;
}
static int by_vla(int n)
{
    int *p[8];
    for (int i = 0; i < 8; i++) {
        int k[n];
        k[n - 1] = i;
        p[i] = &k[n - 1];
    }
    return sum(p, 8);
}
static int previous(int n)
{
    int *last = 0, s = 0;
    for (int i = 0; i < n; i++) {
        int k = i;
        s = s * 3 + (last ? *last : 0);
        last = &k;
    }
    return s;
}
int main(void)
{
    int s = 0;
    for (int i = 0; i < 1000; i++)
        s += by_for() + by_goto() + by_vla(1 + i % 50);
    printf("%d %d %d %d %d %d\n", by_for(), by_goto(), by_literal(),
           by_vla(100), previous(8), s);
    return 0;
}
