/* A stack without locks, between threads. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
struct node { struct node *next; long v; };
static _Atomic(struct node *) top;
static _Atomic long total;
static void push(long v)
{
    struct node *n = malloc(sizeof *n), *old = atomic_load(&top);
    n->v = v;
    do
        n->next = old;
    while (!atomic_compare_exchange_weak(&top, &old, n));
}
static void *work(void *arg)
{
    for (int i = 0; i < 3000; i++) {
        push(i);
        if (i % 50 == 49)
            for (struct node *n = atomic_exchange(&top, NULL); n; n = n->next)
                total += n->v;
    }
    return arg;
}
int main(void)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], 0, work, 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], 0);
    for (struct node *n = top; n; n = n->next)
        total += n->v;
    printf("%ld\n", (long)total);
    return 0;
}
