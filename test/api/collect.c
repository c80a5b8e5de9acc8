/* links: lib
 *
 * sc_collect where it is not expected: by many threads at once, from the
 * callbacks that it starts itself, while others fork.
 */
#include "told.h"

#include <stdbool.h>

static _Atomic int stop, ran;
static void *keep[256]; /* a root */

typedef struct Chain {
    struct Chain *next;
    uint64_t id, sum;
} Chain;
SC_LAYOUT(Chain, next)

static void *in_thread(void *(*fn)(void *), void *arg, pthread_t *t)
{
    CHECK_EQ(pthread_create(t, NULL, fn, arg), 0);
    return NULL;
}

/* A list that says itself whether it is whole. */
static Chain *chain_new(uint64_t id, int n)
{
    Chain *first = NULL;
    for (int i = 0; i < n; i++) {
        Chain *c = sc_new(Chain);
        CHECK(c);
        c->id = id;
        c->sum = id * 31 + (uint64_t)i;
        sc_store(&c->next, first);
        first = c;
    }
    return first;
}

static void chain_check(const Chain *c, uint64_t id, int n)
{
    while (n-- > 0) {
        CHECK(c && c->id == id && c->sum == id * 31 + (uint64_t)n);
        c = c->next;
    }
    CHECK(!c);
}

/* ---- Many at once ------------------------------------------------------ */

#define CROWD 12

static void *collect_main(void *number)
{
    uint64_t id = (uintptr_t)number;
    for (int i = 0; i < 15; i++) {
        Chain *c = chain_new(id, 50);
        uint64_t before = stats().num_gc;
        sc_collect();
        CHECK(stats().num_gc > before); /* one that began after the call */
        chain_check(c, id, 50);
    }
    return NULL;
}

BOTH_T(many_threads_at_once, 180)
{
    pthread_t t[CROWD];
    for (uintptr_t i = 0; i < CROWD; i++)
        in_thread(collect_main, (void *)i, &t[i]);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    struct sc_stats s = stats();
    CHECK(s.num_forced_gc >= 15);
    /* Those who come together are served together. */
    CHECK(s.num_forced_gc <= CROWD * 15);
}

/* When it returns, what was garbage before is reclaimed and swept. */
static void make_garbage(void *unused)
{
    for (int i = 0; i < 20000; i++)
        chain_new(1, 1);
}

BOTH(finished_and_swept_on_return)
{
    for (int i = 0; i < 5; i++) {
        apart(make_garbage, NULL);
        sc_collect();
        struct sc_stats s = stats();
        CHECK(s.heap_objects < 1000);
        CHECK(s.heap_live < MB(1));
    }
}

/* ---- From callbacks ---------------------------------------------------- */

static void collecting_cleanup(void *left)
{
    Chain *c = chain_new((uintptr_t)left, 20);
    sc_collect();
    sc_release_memory();
    chain_check(c, (uintptr_t)left, 20);
    if (left)
        CHECK(sc_cleanup(sc_alloc(10), collecting_cleanup, (char *)left - 1));
    ran++;
}

static void collecting_finalizer(void *obj, void *unused)
{
    sc_collect();
    CHECK_EQ(*(int *)obj, 77);
    ran++;
}

static void set_callbacks(void *unused)
{
    int *p = sc_new(int);
    *p = 77;
    CHECK_EQ(sc_finalizer(p, collecting_finalizer, NULL), 0);
    CHECK(sc_cleanup(sc_alloc(10), collecting_cleanup, (void *)5));
}

BOTH(from_a_cleanup)
{
    apart(set_callbacks, NULL);
    for (int i = 0; i < 200 && ran < 7; i++) {
        sc_collect();
        usleep(1000);
    }
    CHECK_EQ(ran, 7);
}

/* ---- While others fork ------------------------------------------------- */

static void *restless_main(void *number)
{
    uint64_t id = (uintptr_t)number;
    Chain *c = chain_new(id, 500);
    void *ranges[4] = {0};
    while (!stop) {
        switch (rnd(8)) {
        case 0: sc_collect(); break;
        case 1: CHECK(sc_weak_new(c)); break;
        case 2: CHECK(!sc_pin(c) && !sc_unpin(c)); break;
        case 3: CHECK(!sc_root_add(ranges, sizeof ranges));
                CHECK(!sc_root_remove(ranges)); break;
        case 4: sc_free(sc_alloc(rnd(100000))); break;
        case 5: stats(); break;
        default: chain_new(id, 100); break;
        }
        chain_check(c, id, 500);
    }
    return NULL;
}

/* The child has the heap as it was, and a collector of its own. */
static void child_life(Chain *c)
{
    chain_check(c, 99, 1000);
    CHECK_EQ(stats().num_threads, 1);
    for (int i = 0; i < 2; i++) {
        Chain *mine = chain_new(7, 2000);
        for (int k = 0; k < 300; k++)
            CHECK(sc_alloc(rnd(20000)));
        sc_collect();
        chain_check(mine, 7, 2000);
        chain_check(c, 99, 1000);
    }
    CHECK(sc_weak_get(sc_weak_new(c)) == c);
    apart(make_garbage, NULL);
    sc_collect();
}

/* A child that hangs ends itself. */
static void fork_once(Chain *c)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        child_life(c);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

BOTH_T(while_another_forks, 240)
{
    pthread_t t[4];
    FORK_NOT_SANITIZED();
    Chain *c = chain_new(99, 1000);
    sc_store(&keep[0], c);
    for (uintptr_t i = 0; i < 4; i++)
        in_thread(restless_main, (void *)i, &t[i]);
    for (int i = 0; i < 20; i++)
        fork_once(c);
    stop = 1;
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    sc_collect();
    chain_check(c, 99, 1000);
}

/* A fork in the cleanup itself, by the library's own thread. */
static void forking_cleanup(void *unused)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        sc_collect();
        CHECK(sc_alloc(1000));
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    ran++;
}

static void set_forking(void *unused)
{
    CHECK(sc_cleanup(sc_alloc(10), forking_cleanup, NULL));
}

BOTH(a_cleanup_forks)
{
    FORK_NOT_SANITIZED();
    apart(set_forking, NULL);
    collect(2);
    CHECK_EQ(ran, 1);
}
