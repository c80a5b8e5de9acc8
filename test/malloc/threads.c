/* threads.c: blocks that go from thread to thread, threads that end, fork.
 * links: malloc
 */
#include "../check.h"
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>

static long resident(void)
{
    long all, now = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%ld %ld", &all, &now) == 2);
    fclose(f);
    return now * sysconf(_SC_PAGESIZE);
}

static pthread_t spawn(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
    return t;
}

/* ---- Everything at once, and what is in blocks is looked at ------------ */

enum { BLOCKS = 500, SHELF = 256, THREADS = 6 };

struct item { /* at the start of each block */
    size_t n;
    unsigned char mark;
};
static struct item *_Atomic shelf[SHELF];

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

static void look(const struct item *b)
{
    const unsigned char *p = (const unsigned char *)(b + 1);
    size_t n = b->n - sizeof(*b);
    for (size_t i = 0; i < n; i += n / 16 + 1)
        CHECK_EQ(p[i], b->mark);
    CHECK(!n || p[n - 1] == b->mark);
}

static struct item *dress(void *p, size_t n, uint64_t r)
{
    struct item *b = p;
    CHECK(p && (uintptr_t)p % 16 == 0);
    *b = (struct item){n, (unsigned char)r};
    memset(b + 1, b->mark, n - sizeof(*b));
    return b;
}

static struct item *fresh(uint64_t r)
{
    size_t n = sizeof(struct item) + (r >> 8 & 63 ? r >> 14 & 1023
                                                  : r >> 14 & 0x1ffff);
    void *p;
    switch (r >> 40 & 7) {
    case 0:
        p = calloc(1, n);
        for (size_t i = 0; i < n; i++)
            CHECK(!((char *)p)[i]);
        return dress(p, n, r);
    case 1:
        CHECK_EQ(posix_memalign(&p, 64u << (r >> 50 & 7), n), 0);
        return dress(p, n, r);
    default:
        return dress(malloc(n), n, r);
    }
}

static struct item *changed(struct item *b, uint64_t r)
{
    size_t n = sizeof(*b) + (r >> 14 & 4095);
    unsigned char mark = b->mark;
    size_t both = n < b->n ? n : b->n;
    b = realloc(b, n);
    CHECK(b && b->mark == mark);
    b->n = both;
    look(b);
    return dress(b, n, mark);
}

static void *churn(void *seed)
{
    uint64_t s = (uintptr_t)seed * 0x9e3779b97f4a7c15ull + test_seed() + 1;
    struct item *mine[BLOCKS] = {NULL};
    for (int i = 0; i < 200000; i++) {
        uint64_t r = next(&s);
        struct item **slot = &mine[r % BLOCKS];
        if (!*slot)
            *slot = fresh(next(&s));
        look(*slot);
        if (r >> 32 & 1)
            *slot = atomic_exchange(&shelf[r >> 33 & (SHELF - 1)], *slot);
        else if (r >> 41 & 1)
            *slot = changed(*slot, next(&s));
        else {
            free(*slot);
            *slot = NULL;
        }
    }
    for (int i = 0; i < BLOCKS; i++)
        free(mine[i]);
    return NULL;
}

TEST_T(churn_on_many_threads, 120)
{
    pthread_t t[THREADS];
    for (uintptr_t round = 0; round < 2; round++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            t[i] = spawn(churn, (void *)(round * THREADS + i + 1));
        for (int i = 0; i < THREADS; i++)
            pthread_join(t[i], NULL);
    }
    for (int i = 0; i < SHELF; i++)
        free(shelf[i]);
}

/* ---- Threads that end -------------------------------------------------- */

static void *some(void *kept)
{
    void *p[200];
    for (int i = 0; i < 200; i++)
        p[i] = malloc((size_t)i * 40 + 1);
    for (int i = kept ? 1 : 0; i < 200; i++)
        free(p[i]);
    return kept ? p[0] : NULL;
}

TEST(short_threads_leave_nothing)
{
    long after_first = 0;
    for (int i = 0; i < 3000; i++) {
        pthread_join(spawn(some, NULL), NULL);
        if (i == 500)
            after_first = resident();
    }
    CHECK(resident() - after_first < 2l << 20);
}

TEST(blocks_outlive_their_thread)
{
    void *p;
    for (int i = 0; i < 2000; i++) {
        pthread_join(spawn(some, &p), &p);
        CHECK(p);
        free(p);
    }
}

static void *free_them(void *blocks)
{
    void **p = blocks;
    for (int i = 0; i < 10000; i++)
        free(p[i]);
    return NULL;
}

/* One thread allocates, others only free: nothing gathers. */
TEST(threads_that_only_free)
{
    static void *p[10000];
    long after_first = 0;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 10000; i++)
            memset(p[i] = malloc(300), 1, 300);
        pthread_join(spawn(free_them, p), NULL);
        if (round == 10)
            after_first = resident();
    }
    CHECK(resident() - after_first < 3l << 20);
}

static pthread_key_t keys[8];
static _Atomic int rounds;

static void again(void *value)
{
    uintptr_t left = (uintptr_t)value & 7;
    void *p = malloc(100 * left + 10);
    CHECK(p);
    memset(p, 1, 100 * left + 10);
    free(p);
    rounds++;
    if (left > 1)
        for (int i = 0; i < 8; i++)
            pthread_setspecific(keys[i], (void *)(left - 1));
}

static void *with_keys(void *unused)
{
    for (int i = 0; i < 8; i++)
        pthread_setspecific(keys[i], (void *)3);
    return some(NULL);
}

TEST(destructors_of_threads_allocate)
{
    for (int i = 0; i < 8; i++)
        CHECK_EQ(pthread_key_create(&keys[i], again), 0);
    for (int i = 0; i < 300; i++)
        pthread_join(spawn(with_keys, NULL), NULL);
    CHECK(rounds >= 300 * 8);
}

TEST(the_smallest_stack)
{
    pthread_attr_t a;
    pthread_t t;
    pthread_attr_init(&a);
    CHECK_EQ(pthread_attr_setstacksize(&a, PTHREAD_STACK_MIN), 0);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(pthread_create(&t, &a, some, NULL), 0);
        pthread_join(t, NULL);
    }
}

static void *until_cancelled(void *unused)
{
    for (;;) {
        some(NULL);
        pthread_testcancel();
    }
    return NULL;
}

TEST(threads_are_cancelled)
{
    for (int i = 0; i < 100; i++) {
        pthread_t t = spawn(until_cancelled, NULL);
        usleep(500);
        pthread_cancel(t);
        pthread_join(t, NULL);
    }
    free(malloc(100));
}

/* ---- fork -------------------------------------------------------------- */

static _Atomic int stop;

static void *busy(void *seed)
{
    uint64_t s = (uintptr_t)seed + 77;
    void *p[64] = {NULL};
    while (!stop) {
        uint64_t r = next(&s);
        free(p[r & 63]);
        p[r & 63] = malloc(r >> 6 & (r >> 40 & 15 ? 1023 : 0xfffff));
    }
    for (int i = 0; i < 64; i++)
        free(p[i]);
    return NULL;
}

/* Ends the process. */
static void child(int nested)
{
    some(NULL);
    pthread_join(spawn(some, NULL), NULL);
    free(malloc(1000000));
    if (nested) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            some(NULL);
            _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    _exit(0);
}

TEST_T(fork_while_others_allocate, 120)
{
    pthread_t t[3];
    for (uintptr_t i = 0; i < 3; i++)
        t[i] = spawn(busy, (void *)i);
    for (int i = 0; i < 150; i++) {
        int status;
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            alarm(30);
            child(i % 2);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

TEST(spawn_while_others_allocate)
{
    char *const argv[] = {"true", NULL};
    pthread_t t = spawn(busy, NULL);
    for (int i = 0; i < 30; i++) {
        int status;
        pid_t pid;
        CHECK_EQ(posix_spawnp(&pid, "true", NULL, NULL, argv, environ), 0);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    stop = 1;
    pthread_join(t, NULL);
}
