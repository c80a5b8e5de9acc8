/* links: os base
 *
 * Mutual exclusion under contention, no lost wake-up, and the rank check that
 * debug builds make.
 */
#include "../check.h"
#include <pthread.h>

#include "../../src/base/base.h"

#define THREADS 4
#define ROUNDS 50000

static struct lock shared = LOCK_INIT(RANK_WORK);
static uint64_t plain; /* neither atomic nor volatile: the lock's job */
static _Atomic int inside;

static void *add(void *arg)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        lock_take(&shared);
        CHECK(atomic_fetch_add(&inside, 1) == 0);
        plain++;
        if (arg && i % 500 == 0)
            os_sleep(20000); /* makes the others sleep in the kernel */
        atomic_fetch_sub(&inside, 1);
        lock_drop(&shared);
    }
    return NULL;
}

static void run_adders(void *arg)
{
    pthread_t t[THREADS];
    int i;

    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, add, arg) == 0);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    CHECK_EQ(plain, THREADS * ROUNDS);
    CHECK(!lock_held(&shared));
}

TEST(excludes)
{
    run_adders(NULL);
}

TEST(excludes_with_sleepers)
{
    run_adders(&shared);
}

/* With lock_try only: it must fail while taken and never wait. */
static void *try_add(void *arg)
{
    int i;

    for (i = 0; i < ROUNDS;) {
        if (!lock_try(&shared)) {
            os_yield();
            continue;
        }
        plain++;
        i++;
        lock_drop(&shared);
    }
    return arg;
}

TEST(try_excludes)
{
    pthread_t t[2];
    int i;

    for (i = 0; i < 2; i++)
        CHECK(pthread_create(&t[i], NULL, try_add, NULL) == 0);
    for (i = 0; i < 2; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    CHECK_EQ(plain, 2 * ROUNDS);
}

TEST(states)
{
    struct lock l = LOCK_INIT(RANK_LEAF);

    CHECK(!lock_held(&l));
    lock_take(&l);
    CHECK(lock_held(&l) && !lock_try(&l));
    lock_drop(&l);
    CHECK(lock_try(&l));
    lock_reset(&l);
    CHECK(!lock_held(&l) && lock_try(&l));
    lock_drop(&l);
}

static void *take_and_drop(void *l)
{
    lock_take(l);
    lock_drop(l);
    return NULL;
}

/* A thread that sleeps on the lock costs no CPU time and does wake up. */
TEST(waiter_sleeps)
{
    pthread_t t;
    uint64_t cpu;

    lock_take(&shared);
    CHECK(pthread_create(&t, NULL, take_and_drop, &shared) == 0);
    os_sleep(20000000);
    cpu = os_process_cpu();
    os_sleep(200000000);
    CHECK(os_process_cpu() - cpu < 50000000);
    lock_drop(&shared);
    CHECK(pthread_join(t, NULL) == 0);
}

/* The child of a fork frees a lock that a thread of the parent holds. */
TEST(reset_after_fork)
{
    struct lock low = LOCK_INIT(RANK_CYCLE);
    int status;
    pid_t pid;

    lock_take(&shared);
    pid = fork();
    if (pid == 0) {
        lock_reset(&shared);
        lock_take(&low); /* of lower rank: nothing may count as held */
        lock_take(&shared);
        _exit(lock_held(&shared) ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    lock_drop(&shared);
}

static bool dies(enum lock_rank first, enum lock_rank second)
{
    struct lock a = LOCK_INIT(first), b = LOCK_INIT(second);
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        lock_take(&a);
        lock_take(&b);
        lock_drop(&a);
        lock_drop(&b);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(status == 0 ||
          (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
    return status != 0;
}

TEST(ranks)
{
#ifndef SC_DEBUG
    SKIP("ranks are checked in debug builds only");
#endif
    CHECK(dies(RANK_PAGES, RANK_CENTRAL));
    CHECK(dies(RANK_LEAF, RANK_CYCLE));
    CHECK(!dies(RANK_CENTRAL, RANK_PAGES));
    CHECK(!dies(RANK_CYCLE, RANK_LEAF));
    CHECK(!dies(RANK_CENTRAL, RANK_CENTRAL)); /* fork takes all of them */
}

/* Dropped in any order, a rank is free again only when all its locks are. */
TEST(equal_ranks_are_counted)
{
    struct lock a = LOCK_INIT(RANK_CENTRAL), b = LOCK_INIT(RANK_CENTRAL);
    struct lock low = LOCK_INIT(RANK_CYCLE);
    int status;
    pid_t pid;

#ifndef SC_DEBUG
    SKIP("ranks are checked in debug builds only");
#endif
    lock_take(&a);
    lock_take(&b);
    lock_drop(&a);
    pid = fork();
    if (pid == 0) {
        lock_take(&low);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    lock_drop(&b);
    lock_take(&low);
    lock_drop(&low);
}
