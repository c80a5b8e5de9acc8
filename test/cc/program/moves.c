/* modes: gctrace=0 clobberfree=1 gccheckmark=1 gcstress=200,clobberfree=1 */
/* Threads take the only pointer to an object out of one slot and put it into
 * another, while a timer's handler interrupts them anywhere, in their stores
 * too, and the collector begins to mark at any moment of all that. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
enum { THREADS = 3, SLOTS = 4000, CANARY = 0x5afe, ROUNDS = 1500000 };
struct item { struct item *twin; long canary, filler[4]; };
static struct item **slots[THREADS];

/* Stays for a while, as the collector is to come meanwhile. */
static void on_timer(int sig)
{
    for (volatile int i = 0; i < 100000; i++)
        ;
}

static struct item *make(void)
{
    struct item *i = malloc(sizeof *i);
    i->canary = CANARY;
    i->twin = malloc(sizeof *i);
    i->twin->canary = CANARY;
    return i;
}

static long is_bad(const struct item *i)
{
    return i->canary != CANARY || i->twin->canary != CANARY;
}

static void *work(void *arg)
{
    struct item **at = slots[(long)arg];
    unsigned seed = (unsigned)(long)arg + 1;
    long bad = 0;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned from = (seed = seed * 1664525 + 1013904223) >> 8;
        struct item *i = at[from % SLOTS], *j;
        at[from % SLOTS] = NULL;
        if (round % 16 == 0)
            free(make());
        j = at[(from >> 12) % SLOTS];
        at[(from >> 12) % SLOTS] = i ? i : make();
        at[from % SLOTS] = j;
        bad += (i && is_bad(i)) + (j && is_bad(j));
    }
    return (void *)bad;
}

int main(void)
{
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    struct sigaction a = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    pthread_t thread[THREADS];
    long bad = 0;
    for (long t = 0; t < THREADS; t++) {
        slots[t] = calloc(SLOTS, sizeof *slots[t]);
        for (int i = 0; i < SLOTS; i++)
            slots[t][i] = make();
    }
    sigaction(SIGPROF, &a, NULL);
    setitimer(ITIMER_PROF, &often, NULL);
    for (long t = 0; t < THREADS; t++)
        pthread_create(&thread[t], NULL, work, (void *)t);
    for (long t = 0; t < THREADS; t++) {
        void *r;
        pthread_join(thread[t], &r);
        bad += (long)r;
    }
    setitimer(ITIMER_PROF, &never, NULL);
    for (long t = 0; t < THREADS; t++)
        for (int i = 0; i < SLOTS; i++)
            bad += slots[t][i] && is_bad(slots[t][i]);
    printf("%ld\n", bad);
    return 0;
}
