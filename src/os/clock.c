/* clock.c: time, processors, chance, and sleeping.
 *
 * os_now is the monotonic clock through the kernel's shared page: no system
 * call, fit for a handler.  os_wait is the kernel's futex, private to the
 * process; a wait may end early for any reason and the caller looks again.
 *
 *   os_wait:  *w == v ? sleep : return 0        os_wake: up to n sleepers
 */
#include "os_private.h"
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#define SECOND 1000000000u

/* Fails only for a clock that doesn't exist, and all of ours do. */
static uint64_t clock_read(clockid_t id)
{
    struct timespec t = {0, 0};
    int saved = errno;
    clock_gettime(id, &t);
    errno = saved;
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

uint64_t os_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t os_thread_cpu(void)
{
    return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t os_process_cpu(void)
{
    return clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

/* Whoever is first decides; all others get the same answer. */
uint64_t os_start_time(void)
{
    static _Atomic uint64_t start;
    uint64_t seen = load_relaxed(&start);
    if (unlikely(seen == 0)) {
        uint64_t now = os_now();
        if (cas_seq(&start, &seen, now))
            seen = now;
    }
    return seen;
}

/* ---- Processors -------------------------------------------------------- */

/* Asked each time: a container's share may change while we run.  The kernel
 * says how much of the mask it wrote. */
int os_cpus(void)
{
    unsigned long mask[OS_BUFFER / sizeof(long)]; /* 8192 processors */
    long n = OS_CALL3(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int cpus = 0;
    for (long i = 0; i < n / (long)sizeof(long); i++)
        cpus += __builtin_popcountl(mask[i]);
    return cpus > 0 ? cpus : 1;
}

void os_yield(void)
{
    OS_CALL1(SYS_sched_yield, 0);
}

/* Until a point in time, so that handlers in between don't prolong it. */
void os_sleep(uint64_t ns)
{
    uint64_t until = os_now() + ns;
    struct timespec t = {(time_t)(until / SECOND), (long)(until % SECOND)};
    while (OS_CALL4(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t,
                    0) == -EINTR)
        ;
}

/* ---- Chance ------------------------------------------------------------ */

/* Where getrandom is refused: the 16 random bytes that the kernel hands each
 * program, stirred with the time and a count (splitmix64's constants). */
static uint64_t random_stirred(void)
{
    static _Atomic uint64_t count;
    const void *bytes = (const void *)getauxval(AT_RANDOM);
    uint64_t seed[2] = {0, 0};
    if (bytes != NULL)
        memcpy(seed, bytes, sizeof seed);
    uint64_t x = seed[0] ^ seed[1] ^ os_now();
    x += (add_relaxed(&count, 1) + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t os_random(void)
{
    uint64_t x;
    /* 1 is GRND_NONBLOCK: early in boot an answer matters more than its
     * quality, since only addresses and victims depend on it. */
    if (OS_CALL3(SYS_getrandom, &x, sizeof x, 1) == (long)sizeof x)
        return x;
    return random_stirred();
}

/* ---- Waiting ----------------------------------------------------------- */

/* EAGAIN (the word differs) is as good as being woken. */
int os_wait(_Atomic uint32_t *w, uint32_t v, uint64_t ns)
{
    struct timespec t = {(time_t)(ns / SECOND), (long)(ns % SECOND)};
    long r = OS_CALL4(SYS_futex, w, FUTEX_WAIT_PRIVATE, v,
                      ns == UINT64_MAX ? 0 : &t);
    return r == -ETIMEDOUT || r == -EINTR ? (int)-r : 0;
}

/* The word may be gone by now, if its owner saw the change and left: the
 * kernel then wakes nobody, or somebody for nothing. */
void os_wake(_Atomic uint32_t *w, int n)
{
    OS_CALL3(SYS_futex, w, FUTEX_WAKE_PRIVATE, n);
}
