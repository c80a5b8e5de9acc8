/* links: lib
 *
 * Cleanups, finalizers, pins and registered roots, as sancai.h promises them,
 * with and without barriers.
 */
#include "both.h"

#define MANY 1000
static void *keep[MANY]; /* a root */
static _Atomic int ran[100000];
static _Atomic int runs;

static void count(void *i)
{
    ran[(uintptr_t)i]++;
    runs++;
}

/* ---- Cleanups ---------------------------------------------------------- */

/* A cleanup on each of MANY objects of all sizes. */
static void make_counted(void *unused)
{
    for (uintptr_t i = 0; i < MANY; i++) {
        size_t n = i % 50 == 0 ? 40000 + i * 10 : i * 3;
        void *p = i % 3 ? sc_alloc(n + 16) : sc_alloc_noscan(n + 16);
        CHECK(sc_cleanup(p, count, (void *)i));
        sc_store(&keep[i], p);
    }
}

BOTH(cleanups_run_once)
{
    apart(make_counted, 0);
    collect(2);
    CHECK_EQ(runs, 0);
    for (int i = 0; i < MANY; i += 2)
        sc_store(&keep[i], 0);
    collect(2);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(ran[i], i % 2 == 0);
    sc_clear(keep, sizeof keep);
    collect(3);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(ran[i], 1);
}

#define CROWD 100000
static struct sc_cleanup_handle *stopped[20];

static void crowd(void *unused)
{
    void *p = sc_alloc(100);
    for (uintptr_t i = 0; i < CROWD; i++) {
        struct sc_cleanup_handle *h = sc_cleanup(p, count, (void *)i);
        CHECK(h);
        if (i % 5000 == 0)
            sc_store(&stopped[i / 5000], h);
    }
    for (int i = 0; i < 20; i++)
        CHECK_EQ(sc_cleanup_stop(stopped[i]), 1);
    sc_store(&keep[0], p);
}

/* Many on one object, in a time that a square would not need by far. */
BOTH(a_crowd_of_cleanups_on_one_object)
{
    apart(crowd, 0);
    collect(1);
    CHECK_EQ(runs, 0);
    sc_store(&keep[0], 0);
    collect(2);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(ran[i], i % 5000 != 0);
}

static void interior(void *unused)
{
    char *p = sc_alloc(500);
    CHECK(sc_cleanup(p + 17, count, 0));
    sc_store(&keep[0], p + 499);
}

BOTH(cleanup_by_a_pointer_inside)
{
    apart(interior, 0);
    collect(2);
    CHECK_EQ(runs, 0);
    sc_store(&keep[0], 0);
    collect(2);
    CHECK_EQ(runs, 1);
}

static void make_one(void *unused)
{
    void *p = sc_alloc(50);
    struct sc_cleanup_handle *h = sc_cleanup(p, count, 0);
    CHECK(h);
    sc_store(&keep[0], p);
    sc_store(&keep[1], h);
}

BOTH(stopped_cleanups_do_not_run)
{
    apart(make_one, 0);
    CHECK_EQ(sc_cleanup_stop(keep[1]), 1);
    CHECK_EQ(sc_cleanup_stop(keep[1]), 0);
    CHECK_EQ(sc_cleanup_stop(0), 0);
    sc_store(&keep[0], 0);
    collect(2);
    CHECK_EQ(runs, 0);
    CHECK_EQ(sc_cleanup_stop(keep[1]), 0);
}

BOTH(stopping_after_it_ran)
{
    apart(make_one, 0);
    sc_store(&keep[0], 0);
    collect(2);
    CHECK_EQ(runs, 1);
    CHECK_EQ(sc_cleanup_stop(keep[1]), 0);
}

/* The handle is not the object: dropping it changes nothing. */
BOTH(handles_may_be_dropped)
{
    apart(make_one, 0);
    sc_store(&keep[1], 0);
    collect(2);
    CHECK_EQ(runs, 0);
    sc_store(&keep[0], 0);
    collect(2);
    CHECK_EQ(runs, 1);
}

BOTH(arguments_that_would_keep_it_are_refused)
{
    char *p = sc_alloc(100);
    errno = 0;
    CHECK(!sc_cleanup(p, count, p));
    CHECK_EQ(errno, EINVAL);
    CHECK(!sc_cleanup(p, count, p + 99));
    CHECK(!sc_cleanup(p + 50, count, p));
    int local;
    errno = 0;
    CHECK(!sc_cleanup(&local, count, 0));
    CHECK_EQ(errno, EINVAL);
    CHECK(!sc_cleanup(0, count, 0));
    CHECK(sc_cleanup(p, count, keep));
    sc_keep_alive(p);
}

static _Atomic uint64_t found;
static void look(void *arg)
{
    uint64_t **a = arg;
    found = **a;
    runs++;
}

/* The argument has no other friend in the world. */
static void with_argument(void *unused)
{
    void *p = sc_alloc(10);
    uint64_t **a = sc_alloc(sizeof *a), *b = sc_alloc_noscan(sizeof *b);
    sc_store(a, b);
    *b = 4711;
    CHECK(sc_cleanup(p, look, a));
    sc_store(&keep[0], p);
}

BOTH(arguments_live_until_it_ran)
{
    apart(with_argument, 0);
    collect(3);
    sc_store(&keep[0], 0);
    collect(2);
    CHECK_EQ(runs, 1);
    CHECK_EQ(found, 4711);
}

static void busy_callback(void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    void *p = sc_alloc(n * 100);
    if (n < 5)
        CHECK(sc_cleanup(p, busy_callback, (void *)(n + 1)));
    sc_collect(); /* does not wait for itself */
    runs++;
}

/* Callbacks are the program's code: they allocate, set cleanups, collect. */
static void start_callbacks(void *unused)
{
    CHECK(sc_cleanup(sc_alloc(1), busy_callback, (void *)1));
}

BOTH(callbacks_may_use_the_heap)
{
    apart(start_callbacks, 0);
    for (int i = 0; i < 50 && runs < 5; i++)
        collect(1);
    CHECK_EQ(runs, 5);
}

BOTH(statistics_of_callbacks)
{
    struct sc_stats s;
    apart(make_counted, 0);
    sc_clear(keep, sizeof keep);
    collect(2);
    sc_stats(&s);
    CHECK_EQ(s.cleanups_queued, MANY);
    CHECK_EQ(s.cleanups_run, MANY);
    CHECK_EQ(s.finalizers_queued, 0);
}

/* ---- Finalizers -------------------------------------------------------- */

typedef struct node {
    struct node *next;
    struct sc_weak *weak;
    uint64_t stamp;
} node;
SC_LAYOUT(node, next, weak)

#define STAMP 0x1234567890abcdefull
static struct node *saved[10]; /* roots */
static _Atomic int order[10], turn;
static struct sc_weak *weak[10];

static struct node *make_node(struct node *next)
{
    struct node *n = sc_new(node);
    CHECK(n);
    n->stamp = STAMP;
    sc_store(&n->next, next);
    return n;
}

/* The object and what it leads to are as they were. */
static void last_words(void *obj, void *arg)
{
    struct node *n = obj;
    CHECK_EQ(n->stamp, STAMP);
    CHECK_EQ(n->next->stamp, STAMP);
    order[(uintptr_t)arg] = ++turn;
    runs++;
}

static void *wanted_object;
static _Atomic bool was_wanted;
static void with_interior(void *obj, void *arg)
{
    was_wanted = (uintptr_t)obj == ~(uintptr_t)wanted_object;
    runs++;
}

static void make_finalizable(void *unused)
{
    struct node *n = make_node(make_node(0));
    CHECK_EQ(sc_finalizer(n, last_words, (void *)0), 0);
    CHECK(sc_cleanup(n, count, (void *)5));
    sc_store(&saved[0], n);
}

/* One cycle finds it unreachable, the next one takes it. */
BOTH(finalizers_run_once)
{
    apart(make_finalizable, 0);
    collect(2);
    CHECK_EQ(runs, 0);
    sc_store(&saved[0], 0);
    collect(1);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(ran[5], 0); /* it was alive for the finalizer */
    collect(3);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(ran[5], 1);
    CHECK_EQ(runs, 2);
}

/* The same if the cleanup is older than the finalizer. */
static void cleanup_first(void *unused)
{
    struct node *n = make_node(make_node(0));
    CHECK(sc_cleanup(n, count, (void *)5));
    CHECK_EQ(sc_finalizer(n, last_words, (void *)0), 0);
    CHECK(sc_cleanup(n, count, (void *)6));
}

BOTH(cleanups_wait_for_the_finalizer)
{
    apart(cleanup_first, 0);
    collect(1);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(ran[5] + ran[6], 0);
    collect(2);
    CHECK_EQ(ran[5], 1);
    CHECK_EQ(ran[6], 1);
}

static void finalize_interior(void *unused)
{
    char *p = sc_alloc(200);
    wanted_object = (void *)~(uintptr_t)(p + 24);
    CHECK_EQ(sc_finalizer(p + 24, with_interior, 0), 0);
}

BOTH(finalizer_gets_the_pointer_it_was_set_with)
{
    apart(finalize_interior, 0);
    collect(1);
    CHECK_EQ(runs, 1);
    CHECK(was_wanted);
}

static void resurrect(void *obj, void *arg)
{
    sc_store(&saved[1], (struct node *)obj);
    runs++;
}

static void make_resurrected(void *unused)
{
    struct node *n = make_node(make_node(0));
    CHECK_EQ(sc_finalizer(n, resurrect, 0), 0);
    CHECK(sc_cleanup(n, count, (void *)5));
}

static void check_resurrected(void *unused)
{
    CHECK_EQ(saved[1]->stamp, STAMP);
    CHECK_EQ(saved[1]->next->stamp, STAMP);
}

BOTH(finalizers_may_resurrect)
{
    apart(make_resurrected, 0);
    collect(1);
    CHECK_EQ(runs, 1);
    collect(3);
    apart(check_resurrected, 0);
    CHECK_EQ(ran[5], 0);
    sc_store(&saved[1], 0);
    collect(2);
    CHECK_EQ(ran[5], 1);
    CHECK_EQ(runs, 2); /* the finalizer was gone */
}

static void again(void *obj, void *arg)
{
    CHECK_EQ(((struct node *)obj)->stamp, STAMP);
    if (++runs < 5)
        CHECK_EQ(sc_finalizer(obj, again, 0), 0);
}

static void make_again(void *unused)
{
    CHECK_EQ(sc_finalizer(make_node(0), again, 0), 0);
}

BOTH(finalizers_may_set_themselves_again)
{
    apart(make_again, 0);
    for (int i = 1; i <= 5; i++) {
        collect(1);
        CHECK_EQ(runs, i);
    }
    collect(2);
    CHECK_EQ(runs, 5);
}

static void make_replaced(void *unused)
{
    struct node *n = make_node(make_node(0));
    CHECK_EQ(sc_finalizer(n, last_words, (void *)1), 0);
    CHECK_EQ(sc_finalizer(n, last_words, (void *)2), 0);
    n = make_node(make_node(0));
    CHECK_EQ(sc_finalizer(n, last_words, (void *)3), 0);
    CHECK_EQ(sc_finalizer(n, 0, 0), 0);
    CHECK_EQ(sc_finalizer(n, 0, 0), 0);
}

BOTH(finalizers_are_replaced_and_removed)
{
    apart(make_replaced, 0);
    collect(3);
    CHECK_EQ(order[1], 0);
    CHECK_EQ(order[2], 1);
    CHECK_EQ(order[3], 0);
    CHECK_EQ(runs, 1);
}

BOTH(finalizers_of_nothing_are_refused)
{
    int local;
    CHECK_EQ(sc_finalizer(&local, last_words, 0), EINVAL);
    CHECK_EQ(sc_finalizer(0, last_words, 0), EINVAL);
}

/* a -> b -> c, all finalizable: who leads to others goes first, one a cycle. */
static void make_chain(void *unused)
{
    struct node *c = make_node(make_node(0)), *b = make_node(c);
    struct node *a = make_node(b);
    CHECK_EQ(sc_finalizer(a, last_words, (void *)1), 0);
    CHECK_EQ(sc_finalizer(b, last_words, (void *)2), 0);
    CHECK_EQ(sc_finalizer(c, last_words, (void *)3), 0);
}

BOTH(finalizers_in_order_of_reference)
{
    apart(make_chain, 0);
    for (int i = 1; i <= 3; i++) {
        collect(1);
        CHECK_EQ(runs, i);
        CHECK_EQ(order[i], i);
    }
}

/* As in Go: objects of a circle lead to each other, so none is first. */
static void make_circle(void *unused)
{
    struct node *a = make_node(0), *b = make_node(a);
    sc_store(&a->next, b);
    CHECK_EQ(sc_finalizer(a, last_words, 0), 0);
    CHECK_EQ(sc_finalizer(b, last_words, 0), 0);
}

BOTH(a_circle_is_not_finalized)
{
    apart(make_circle, 0);
    collect(3);
    CHECK_EQ(runs, 0);
}

static void look_at_weak(void *obj, void *arg)
{
    struct node *n = obj;
    CHECK(!sc_weak_get(n->weak));                   /* to obj itself */
    CHECK(sc_weak_get(n->next->weak) == n->next);   /* to what it keeps */
    runs++;
}

static void make_weak(void *unused)
{
    struct node *n = make_node(make_node(0));
    sc_store(&n->weak, sc_weak_new(n));
    sc_store(&n->next->weak, sc_weak_new(n->next));
    sc_store(&weak[0], n->weak);
    sc_store(&weak[1], n->next->weak);
    CHECK_EQ(sc_finalizer(n, look_at_weak, 0), 0);
    CHECK(sc_weak_get(weak[0]) == n);
}

BOTH(weak_pointers_are_cleared_before_the_finalizer)
{
    apart(make_weak, 0);
    collect(1);
    CHECK_EQ(runs, 1);
    CHECK(!sc_weak_get(weak[0]));
    collect(2);
    CHECK(!sc_weak_get(weak[1]));
}

/* Small noscan objects share a block; each has a finalizer of its own. */
static void finalize_tiny(void *obj, void *arg)
{
    CHECK_EQ(*(uint64_t *)obj, (uintptr_t)arg);
    count(arg);
}

static void make_tiny(void *unused)
{
    for (uintptr_t i = 0; i < 100; i++) {
        uint64_t *p = sc_alloc_noscan(8);
        *p = i;
        CHECK_EQ(sc_finalizer(p, finalize_tiny, (void *)i), 0);
    }
}

BOTH(tiny_objects_have_their_own_finalizers)
{
    apart(make_tiny, 0);
    collect(6);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(ran[i], 1);
}

/* An object of every kind and size, with an ephemeron hung to some. */
static void finalize_any(void *obj, void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    for (size_t k = 0; k < sc_size(obj) / 8; k += 64)
        CHECK(((uint64_t *)obj)[k] != CLOBBERED);
    count((void *)i);
}

static void make_any(void *unused)
{
    for (uintptr_t i = 0; i < 300; i++) {
        size_t n = i % 10 == 9 ? 40000 + i * 4000 : 16 + i * 7;
        char *p = i % 3 == 0 ? sc_alloc_noscan(n) : sc_alloc(n);
        if (i % 3 == 0)
            memset(p, 0, n);
        CHECK_EQ(sc_finalizer(p, finalize_any, (void *)i), 0);
        if (i % 4 == 0)
            CHECK(sc_ephemeron_new(p, sc_alloc(8)));
    }
}

BOTH(finalizers_of_every_kind)
{
    apart(make_any, 0);
    collect(2);
    for (int i = 0; i < 300; i++)
        CHECK_EQ(ran[i], 1);
}

/* ---- Pins -------------------------------------------------------------- */

static void make_pinned(void *unused)
{
    void *p = sc_alloc(30);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(sc_pin((char *)p + i), 0);
    CHECK(sc_cleanup(p, count, 0));
    keep[0] = (void *)~(uintptr_t)p; /* hidden */
}

static void unpin(void *unused)
{
    CHECK_EQ(sc_unpin((void *)~(uintptr_t)keep[0]), 0);
}

BOTH(pins_are_counted)
{
    apart(make_pinned, 0);
    for (int i = 0; i < 3; i++) {
        collect(1);
        CHECK_EQ(runs, 0);
        apart(unpin, 0);
    }
    collect(2);
    CHECK_EQ(runs, 1);
}

BOTH(unpinning_what_is_not_pinned)
{
    void *p = sc_alloc(30);
    int local;
    CHECK_EQ(sc_unpin(p), EINVAL);
    CHECK_EQ(sc_pin(&local), EINVAL);
    CHECK_EQ(sc_pin(p), 0);
    CHECK_EQ(sc_unpin(p), 0);
    CHECK_EQ(sc_unpin(p), EINVAL);
}

static pthread_barrier_t meet;

/* Each pins once more than it unpins. */
static void *pin_often(void *unused)
{
    void *p = (void *)~(uintptr_t)keep[0];
    pthread_barrier_wait(&meet);
    CHECK_EQ(sc_pin(p), 0);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(sc_pin(p), 0);
        CHECK_EQ(sc_unpin(p), 0);
    }
    return 0;
}

static void make_hidden(void *unused)
{
    void *p = sc_alloc(30);
    CHECK_EQ(sc_pin(p), 0);
    CHECK(sc_cleanup(p, count, 0));
    keep[0] = (void *)~(uintptr_t)p;
}

BOTH(threads_pin_at_once)
{
    pthread_t id[4];
    for (int round = 0; round < 20; round++) {
        runs = 0;
        apart(make_hidden, 0);
        void *p = (void *)~(uintptr_t)keep[0];
        pthread_barrier_init(&meet, 0, 4);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(pthread_create(&id[i], 0, pin_often, 0), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(id[i], 0);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(sc_unpin(p), 0);
        CHECK_EQ(sc_unpin(p), EINVAL);
    }
}

/* ---- Roots ------------------------------------------------------------- */

#define RANGES 400
static void **range[RANGES];

static void fill_ranges(void *unused)
{
    for (uintptr_t i = 0; i < RANGES; i++) {
        range[i] = malloc(4 * sizeof *range[i]);
        CHECK_EQ(sc_root_add(range[i], 4 * sizeof *range[i]), 0);
        for (int k = 0; k < 4; k++)
            range[i][k] = 0;
        void *p = sc_alloc(16);
        CHECK(sc_cleanup(p, count, (void *)i));
        sc_store(&range[i][i % 4], p);
    }
}

BOTH(registered_ranges_are_roots)
{
    bool gone[RANGES] = {false};
    apart(fill_ranges, 0);
    for (int round = 0; round < 6; round++) {
        collect(1);
        for (int i = 0; i < RANGES; i++)
            CHECK_EQ(ran[i], gone[i]);
        for (int i = 0; i < RANGES; i++)
            if (!gone[i] && rnd(3) == 0) {
                CHECK_EQ(sc_root_remove(range[i]), 0);
                gone[i] = true;
            }
    }
}

BOTH(ranges_that_are_not_registered)
{
    static void *here[4];
    CHECK_EQ(sc_root_remove(here), ENOENT);
    CHECK_EQ(sc_root_add(here, sizeof here), 0);
    CHECK_EQ(sc_root_remove(here + 1), ENOENT);
    CHECK_EQ(sc_root_remove(here), 0);
    CHECK_EQ(sc_root_remove(here), ENOENT);
}

/* A range that begins or ends within a word: whole words of it only. */
static char *odd;
static void fill_odd(void *unused)
{
    for (uintptr_t i = 0; i < 3; i++) {
        void *p = sc_alloc(16);
        CHECK(sc_cleanup(p, count, (void *)i));
        sc_store((void **)(odd + 8 * i), p);
    }
}

BOTH(ranges_of_odd_bounds)
{
    odd = malloc(24);
    CHECK_EQ(sc_root_add(odd + 3, 14), 0); /* the middle word */
    apart(fill_odd, 0);
    collect(2);
    CHECK_EQ(ran[0], 1);
    CHECK_EQ(ran[1], 0);
    CHECK_EQ(ran[2], 1);
    sc_keep_alive(odd);
}

/* ---- sc_keep_alive ----------------------------------------------------- */

static __attribute__((noinline)) void use_until_here(void *unused)
{
    uint64_t *p = sc_alloc(64);
    CHECK(sc_cleanup(p, count, 0));
    sc_collect();
    usleep(10000);
    CHECK_EQ(runs, 0);
    sc_keep_alive(p);
}

BOTH(kept_alive_up_to_the_call)
{
    apart(use_until_here, 0);
    collect(2);
    CHECK_EQ(runs, 1);
}
