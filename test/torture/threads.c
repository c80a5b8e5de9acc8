/* threads.c: threads by the thousand, small and large stacks, threads that
 * sleep in the kernel and never delay a cycle.  links: lib
 */
#include "torture.h"
#include <limits.h>
#include <poll.h>
#include <signal.h>

static Canary *handed[64];

/* Allocates, hands one object on, ends. */
static void *short_life(void *arg)
{
    uintptr_t k = (uintptr_t)arg;
    Canary *c = canary_new(k), *d = canary_new(~k);

    STORE(&c->next, d);
    litter(50);
    STORE(&handed[k % 64], c);
    return c;
}

static void returned_is(void *p, uintptr_t k)
{
    Canary *c = p;

    canary_is(c, k);
    canary_is(c->next, ~k);
}

TEST_BOTH(by_the_thousand, 100)
{
    pthread_t t[8];
    void *r;

    driver_start();
    for (uintptr_t i = 0; i < (uintptr_t)scaled(250); i++) {
        for (uintptr_t k = 0; k < 8; k++)
            t[k] = spawn(short_life, (void *)(i * 8 + k));
        for (uintptr_t k = 0; k < 8; k++) {
            pthread_join(t[k], &r);
            returned_is(r, i * 8 + k);
        }
    }
    driver_end();
    struct sc_stats s;
    sc_stats(&s);
    CHECK(s.num_threads < 20);
}

static void *on_stack_of(size_t bytes, void *(*fn)(void *), void *arg)
{
    pthread_attr_t a;
    pthread_t t;
    void *r = NULL;

    pthread_attr_init(&a);
    CHECK_EQ(pthread_attr_setstacksize(&a, bytes), 0);
    CHECK_EQ(pthread_create(&t, &a, fn, arg), 0);
    pthread_join(t, &r);
    pthread_attr_destroy(&a);
    return r;
}

static void *steady(void *arg)
{
    Canary *mine = canary_new(7);

    for (int i = 0; i < 3000; i++) {
        litter(20);
        canary_is(mine, 7);
    }
    return NULL;
}

static size_t depth_of(unsigned n, Canary *c)
{
    volatile char frame[1000];

    frame[0] = (char)n;
    canary_is(c, n);
    size_t d = n ? depth_of(n - 1, canary_new(n - 1)) : 0;
    canary_is(c, n);
    return d + sizeof(frame) + (size_t)(frame[0] & 0);
}

static void *deep(void *arg)
{
    depth_of(45000, canary_new(45000)); /* some 50 MB of frames */
    return NULL;
}

TEST_BOTH(stacks, 100)
{
    driver_start();
    on_stack_of(PTHREAD_STACK_MIN, steady, NULL);
    on_stack_of(64u << 20, deep, NULL);
    driver_end();
}

/* ---- Asleep in the kernel ---------------------------------------------- */

static _Atomic int asleep;
static int pipe_ends[2];

static void *sleeper(void *arg)
{
    char c;
    struct pollfd p = {pipe_ends[0], POLLIN, 0};
    Canary *mine = canary_new((uintptr_t)arg);

    asleep++;
    while (SIGNALS_LATE && poll(&p, 1, -1) < 0) /* read is not known there */
        continue;
    while (read(pipe_ends[0], &c, 1) < 0)
        continue; /* EINTR: our signal */
    canary_is(mine, (uintptr_t)arg);
    return NULL;
}

#define SLEEPERS 100
TEST_BOTH(asleep, 100)
{
    pthread_t t[SLEEPERS];
    double worst = 0;

    CHECK_EQ(pipe(pipe_ends), 0);
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        t[i] = spawn(sleeper, (void *)i);
    while (asleep < SLEEPERS)
        usleep(1000);
    for (int i = 0; i < 10; i++) {
        double begin = test_clock();
        litter(10000);
        sc_collect();
        if (test_clock() - begin > worst)
            worst = test_clock() - begin;
    }
    /* They sleep for ever; a cycle takes milliseconds.  Seconds would mean
     * that it waited for one (the machine may be slow). */
    CHECK(worst < 20);
    close(pipe_ends[1]);
    for (int i = 0; i < SLEEPERS; i++)
        pthread_join(t[i], NULL);
}
