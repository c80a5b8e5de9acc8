/* Arguments of threads, on the stack of one that has returned. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
struct job { int from, to; long result; struct job *next; };
static void *work(void *arg)
{
    struct job *j = arg;
    for (int i = j->from; i < j->to; i++) {
        int *p = malloc(sizeof *p);
        *p = i;
        j->result += *p;
        if (i % 3 == 0)
            free(p);
    }
    return j;
}
static pthread_t start(int from, int to)
{
    struct job j = {from, to, 0, 0};
    pthread_t t;
    if (pthread_create(&t, 0, work, &j))
        abort();
    return t;
}
int main(void)
{
    long sum = 0;
    for (int round = 0; round < 10; round++) {
        pthread_t t[4];
        for (int i = 0; i < 4; i++)
            t[i] = start(i * 1000, i * 1000 + 1000);
        for (int i = 0; i < 4; i++) {
            void *r;
            pthread_join(t[i], &r);
            sum += ((struct job *)r)->result;
        }
    }
    printf("%ld\n", sum);
    return 0;
}
