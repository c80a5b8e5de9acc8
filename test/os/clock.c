/* links: os
 * Clocks run forward, sleeps last, wakes wake. */
#include "../check.h"
#include "../../src/os/os.h"
#include "help.h"
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#define MS 1000000u

TEST(now_is_monotonic_time)
{
    struct timespec t;
    uint64_t last = os_now();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = os_now();
        CHECK(now >= last);
        last = now;
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t told = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    CHECK(told >= last && told - last < 1000 * MS);
}

TEST(start_time_stays)
{
    uint64_t before = os_now(), start = os_start_time();
    CHECK(start >= before && start <= os_now());
    os_sleep(2 * MS);
    CHECK_EQ(os_start_time(), start);
}

TEST(sleep_lasts)
{
    for (uint64_t ns = 1000; ns <= 20 * MS; ns *= 20) {
        uint64_t before = os_now();
        os_sleep(ns);
        CHECK(os_now() - before >= ns);
    }
}

static void nothing(int sig)
{
    (void)sig;
}

TEST(sleep_lasts_through_signals)
{
    struct itimerval often = {{0, 2000}, {0, 2000}};
    signal(SIGALRM, nothing);
    setitimer(ITIMER_REAL, &often, NULL);
    uint64_t before = os_now();
    os_sleep(50 * MS);
    CHECK(os_now() - before >= 50 * MS);
}

TEST(cpu_time_is_spent)
{
    uint64_t process = os_process_cpu(), thread = os_thread_cpu();
    for (uint64_t t = os_now(); os_now() - t < 30 * MS;)
        ;
    uint64_t spent = os_thread_cpu() - thread;
    CHECK(spent > 0);
    CHECK(os_process_cpu() - process >= spent);
    thread = os_thread_cpu();
    os_sleep(50 * MS);
    CHECK(os_thread_cpu() - thread < 25 * MS);
}

TEST(cpus_follow_affinity)
{
    cpu_set_t set, one;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK_EQ(os_cpus(), CPU_COUNT(&set));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &set))
            CPU_SET(i, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(os_cpus(), 1);
}

/* Each bit of 64 draws comes out both ways (fails once in 2^57 runs). */
static void both_ways(void)
{
    uint64_t ones = 0, zeros = 0;
    for (int i = 0; i < 64; i++) {
        uint64_t x = os_random();
        ones |= x;
        zeros |= ~x;
    }
    CHECK_EQ(ones, UINT64_MAX);
    CHECK_EQ(zeros, UINT64_MAX);
}

TEST(random_varies)
{
    both_ways();
}

TEST(random_varies_in_sandbox)
{
    refuse(SYS_getrandom, ENOSYS);
    both_ways();
}

/* ---- Waiting ----------------------------------------------------------- */

static _Atomic uint32_t word, woken;

TEST(wait_ends)
{
    errno = 77;
    CHECK_EQ(os_wait(&word, 1, UINT64_MAX), 0); /* differs */
    uint64_t before = os_now();
    CHECK_EQ(os_wait(&word, 0, 20 * MS), ETIMEDOUT);
    CHECK(os_now() - before >= 20 * MS);
    CHECK_EQ(os_wait(&word, 0, 0), ETIMEDOUT);
    CHECK_EQ(errno, 77);
}

TEST(wait_tells_of_signals)
{
    struct itimerval soon = {{0, 0}, {0, 20000}};
    struct sigaction a = {.sa_handler = nothing}; /* no SA_RESTART */
    sigaction(SIGALRM, &a, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_EQ(os_wait(&word, 0, 10000ull * MS), EINTR);
}

static void *sleeper(void *p)
{
    while (word == 0)
        os_wait(&word, 0, UINT64_MAX);
    woken++;
    return p;
}

TEST(wake_wakes)
{
    pthread_t t[4];
    for (size_t i = 0; i < COUNT(t); i++)
        pthread_create(&t[i], NULL, sleeper, NULL);
    os_sleep(20 * MS);
    CHECK_EQ(woken, 0);
    word = 1;
    os_wake(&word, 4);
    for (size_t i = 0; i < COUNT(t); i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(woken, 4);
}

TEST(wake_counts)
{
    pthread_t t[2];
    for (size_t i = 0; i < COUNT(t); i++)
        pthread_create(&t[i], NULL, sleeper, NULL);
    os_sleep(50 * MS); /* both asleep by now, or they see word at once */
    os_wake(&word, 1);
    os_sleep(5 * MS);
    CHECK_EQ(woken, 0); /* the woken one saw 0 and slept again */
    word = 1;
    os_wake(&word, 2);
    for (size_t i = 0; i < COUNT(t); i++)
        pthread_join(t[i], NULL);
}
