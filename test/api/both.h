/* both.h: tests that run with both promises of barriers, and garbage.
 *
 * BOTH(name) makes two TESTs, name_none and name_explicit.  The heap fills
 * what it reclaims with 0xdeadbeef and verifies itself, so that an object that
 * was freed too early shows.
 *
 * Whatever must die is made in a thread of its own (apart()): this thread's
 * stack and registers may hold stale words, that one's are gone.
 */
#ifndef SC_TEST_BOTH_H
#define SC_TEST_BOTH_H

#include "../check.h"

#include <pthread.h>
#include <stdbool.h>

#include "../../include/sancai.h"

#define CLOBBERED 0xdeadbeefdeadbeefull

#define BOTH(name) BOTH_T(name, TEST_SECONDS)
#define BOTH_T(id, secs)                                              \
    static void body_##id(void);                                      \
    TEST_T(id##_none, secs) { heap_with(SC_BARRIERS_NONE); body_##id(); }    \
    TEST_T(id##_explicit, secs)                                       \
    {                                                                 \
        heap_with(SC_BARRIERS_EXPLICIT);                              \
        body_##id();                                                  \
    }                                                                 \
    static void body_##id(void)

TEST_UNUSED static void heap_with(int barriers)
{
    struct sc_config c = {.barriers = barriers};
    setenv("SANCAI_DEBUG", "clobberfree=1,verify=1", 0);
    CHECK_EQ(sc_init(&c), 0);
}

struct apart {
    void (*fn)(void *);
    void *arg;
};

static inline void *apart_main(void *p)
{
    struct apart *a = p;
    a->fn(a->arg);
    return 0;
}

/* fn(arg) in a thread of its own, which has ended on return. */
TEST_UNUSED static void apart(void (*fn)(void *), void *arg)
{
    struct apart a = {fn, arg};
    pthread_t t;
    CHECK_EQ(pthread_create(&t, 0, apart_main, &a), 0);
    CHECK_EQ(pthread_join(t, 0), 0);
}

static inline void just_collect(void *unused)
{
    sc_collect();
}

/* Cycles; and the callbacks that they queued have run. */
TEST_UNUSED static void collect(int cycles)
{
    struct sc_stats s;
    while (cycles-- > 0)
        apart(just_collect, 0);
    for (int i = 0; i < 20000; i++) {
        sc_stats(&s);
        if (s.cleanups_run == s.cleanups_queued &&
            s.finalizers_run == s.finalizers_queued)
            return;
        usleep(1000);
    }
    test_fail(__FILE__, __LINE__, "callbacks do not come to their end");
}

/* Random numbers from the test's seed. */
static _Thread_local uint64_t rnd_state;
TEST_UNUSED static uint32_t rnd(uint32_t below)
{
    if (!rnd_state)
        rnd_state = (test_seed() ^ (uint64_t)(uintptr_t)&rnd_state) | 1;
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return (uint32_t)((rnd_state >> 20) % below);
}

/* CPU seconds of this process: what else runs here does not count. */
TEST_UNUSED static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
