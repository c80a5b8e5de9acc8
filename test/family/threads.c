/* threads.c: threads that begin, end, free for others, and are cancelled. */
#define _GNU_SOURCE
#include "case.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

static void run_threads(int many, void *(*fn)(void *), size_t stack)
{
    pthread_t t[16];
    pthread_attr_t a;
    pthread_attr_init(&a);
    if (stack)
        EXPECT(!pthread_attr_setstacksize(&a, stack), "stack %zu", stack);
    for (int i = 0; i < many; i++)
        EXPECT(!pthread_create(&t[i], &a, fn, (void *)(uintptr_t)i), "thread");
    for (int i = 0; i < many; i++)
        pthread_join(t[i], NULL);
}

/* After ten batches as many again must not need more. */
static void no_growth(int batches, int many, void *(*fn)(void *), size_t stack)
{
    for (int i = 0; i < 10; i++)
        run_threads(many, fn, stack);
    size_t before = resident();
    for (int i = 0; i < batches; i++)
        run_threads(many, fn, stack);
    size_t after = resident();
    EXPECT(after < before + MIB(4), "%zu KiB more", (after - before) >> 10);
}

static void take_and_give(unsigned seed, int many)
{
    void *p[16];
    for (int i = 0; i < many; i++) {
        for (unsigned k = 0; k < 16; k++) {
            seed = seed * 1103515245 + 12345;
            p[k] = hide(malloc((seed >> 16) % 3000));
            EXPECT(p[k], "no memory");
        }
        for (unsigned k = 0; k < 16; k++)
            free(p[k]);
    }
}

static void *brief(void *arg)
{
    take_and_give((unsigned)(uintptr_t)arg, 5);
    return arg;
}

CASE(ten_thousand_short_threads) { no_growth(1250, 8, brief, 0); }

/* ---- Keys whose destructors allocate, in all four rounds --------------- */

static pthread_key_t key[3];
static atomic_int rounds_run;

static void key_end(void *arg)
{
    unsigned *count = arg;
    unsigned left = *count;
    free(count);
    take_and_give(left, 3);
    void *p = hide(malloc(KIB(50)));
    free(p);
    rounds_run++;
    if (left > 1) {
        unsigned *again = malloc(sizeof *again);
        *again = left - 1;
        pthread_setspecific(key[left % 3], again);
    }
}

static void *with_keys(void *arg)
{
    for (int i = 0; i < 3; i++) {
        unsigned *count = malloc(sizeof *count);
        *count = PTHREAD_DESTRUCTOR_ITERATIONS;
        pthread_setspecific(key[i], count);
    }
    take_and_give(1, 10);
    return arg;
}

CASE(keys_whose_destructors_allocate)
{
    for (int i = 0; i < 3; i++)
        EXPECT(!pthread_key_create(&key[i], key_end), "key");
    no_growth(230, 8, with_keys, 0);
    EXPECT(rounds_run > 1900 * 4, "%d rounds", rounds_run);
}

/* ---- Who frees is another ---------------------------------------------- */

#define SLOTS 512
static _Atomic(void *) slot[SLOTS];

static void *only_takes(void *arg)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        void *p = hide(malloc(16 + i * 5));
        fill(p, 16 + i * 5, i);
        free(atomic_exchange(&slot[i], p));
    }
    return arg;
}

static void *only_frees(void *arg)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned char *p = atomic_exchange(&slot[i], NULL);
        if (!p)
            continue;
        EXPECT(filled(p, 16 + i * 5, i) == 16 + i * 5, "slot %u", i);
        free(p);
    }
    return arg;
}

CASE(threads_that_only_free)
{
    for (int i = 0; i < 400; i++) {
        run_threads(1, only_takes, 0);
        run_threads(1, only_frees, 0);
    }
    size_t before = resident();
    for (int i = 0; i < 1600; i++) {
        run_threads(1, only_takes, 0);
        run_threads(1, only_frees, 0);
    }
    EXPECT(resident() < before + MIB(4), "%zu KiB more",
           (resident() - before) >> 10);
}

CASE(a_thread_that_only_frees_does_not_hoard)
{
    for (int i = 0; i < 3; i++) {
        only_takes(NULL);
        run_threads(1, only_frees, 0);
    }
    size_t before = resident();
    for (int i = 0; i < 1000; i++) {
        only_takes(NULL);
        run_threads(2, only_frees, 0);
    }
    EXPECT(resident() < before + MIB(8), "%zu KiB more",
           (resident() - before) >> 10);
}

CASE(blocks_of_dead_threads)
{
    for (int i = 0; i < 200; i++) {
        run_threads(1, only_takes, 0);
        for (unsigned k = 0; k < SLOTS; k++) {
            unsigned char *p = slot[k];
            size_t n = 16 + k * 5;
            EXPECT(malloc_usable_size(p) >= n, "slot %u", k);
            EXPECT(filled(p, n, k) == n, "slot %u", k);
            slot[k] = NULL;
            free(k % 2 ? realloc(p, n * 2) : p);
        }
    }
}

static _Atomic(char *) baton;

static void *hands_over(void *arg)
{
    int me = (int)(uintptr_t)arg;
    for (int i = 0; i < 50000; i++) {
        char *p = hide(malloc((size_t)(i % 500) + 8));
        *(int *)p = me;
        p = atomic_exchange(&baton, p);
        free(p);
    }
    return NULL;
}

CASE(blocks_from_hand_to_hand)
{
    run_threads(4, hands_over, 0);
    free(baton);
}

/* ---- Small stacks, and cancellation ------------------------------------ */

static void *all_kinds(void *arg)
{
    for (size_t n = 1; n < MIB(4); n = n * 3 + 1) {
        free(hide(malloc(n)));
        free(hide(calloc(2, n)));
        free(hide(realloc(malloc(n), n * 2)));
        free(hide(aligned_alloc(128, n)));
        free(hide(memalign(KIB(64), n)));
    }
    malloc_trim(0);
    return arg;
}

CASE(threads_of_the_smallest_stack)
{
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    if (least < (size_t)PTHREAD_STACK_MIN)
        least = PTHREAD_STACK_MIN;
    for (int i = 0; i < 20; i++)
        run_threads(8, all_kinds, least);
}

static void *forever(void *arg)
{
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    for (unsigned i = 0;; i++) {
        void *p = hide(malloc(i % 5000));
        free(p);
        p = hide(malloc(i % 16 ? 100 : MIB(1)));
        free(p);
        pthread_testcancel();
    }
    return arg;
}

CASE(threads_that_are_cancelled)
{
    size_t before = 0;
    for (int i = 0; i < 300; i++) {
        pthread_t t[4];
        for (int k = 0; k < 4; k++)
            EXPECT(!pthread_create(&t[k], NULL, forever, NULL), "thread");
        for (int k = 0; k < 4; k++)
            pthread_cancel(t[k]);
        for (int k = 0; k < 4; k++)
            pthread_join(t[k], NULL);
        if (i == 50)
            before = resident();
    }
    EXPECT(resident() < before + MIB(8), "%zu KiB more",
           (resident() - before) >> 10);
}

static void *is_detached(void *arg)
{
    take_and_give((unsigned)(uintptr_t)arg, 3);
    pthread_exit(NULL);
}

CASE(detached_threads)
{
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    for (uintptr_t i = 0; i < 2000; i++) {
        pthread_t t;
        while (pthread_create(&t, &a, is_detached, (void *)i))
            usleep(1000);
        take_and_give((unsigned)i, 1);
    }
}

CASE(main_ends_before_the_others)
{
    pthread_t t;
    for (int i = 0; i < 4; i++)
        EXPECT(!pthread_create(&t, NULL, brief, NULL), "thread");
    pthread_exit(NULL);
}

/* What a burst of blocks in many threads left is used by the next. */
static void *burst(void *arg)
{
    void *p[200];
    for (size_t i = 0; i < 200; i++)
        memset(p[i] = hide(malloc(i * 40 + 1)), 1, i * 40 + 1);
    for (size_t i = 0; i < 200; i++)
        free(p[i]);
    return arg;
}

CASE(bursts_in_threads_that_die) { no_growth(200, 8, burst, 0); }
