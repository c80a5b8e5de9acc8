/* links: os base page heap collect obs api
 *
 * The Nth request for memory from the system fails, once or from then on, for
 * every N that a life of all kinds of calls makes: each call succeeds or says
 * ENOMEM, what was alive stays as it was, and when there is memory again
 * everything goes on.  The heap verifies itself at each phase of each cycle.
 *
 *   life:  threads, objects of all sizes and kinds, realloc, cleanups, weak
 *          pointers, ephemerons, pins, roots, cycles
 */
#include "../check.h"

#include <pthread.h>
#include <sancai.h>

#include "../../src/os/os.h"

typedef struct Link {
    struct Link *next;
    uint64_t id;
} Link;
SC_LAYOUT(Link, next)

static void *keep[40]; /* a root */
static _Atomic int refused, ran;

/* NULL only with ENOMEM. */
static void *seen(void *p)
{
    if (!p) {
        CHECK_EQ(errno, ENOMEM);
        refused++;
    }
    return p;
}

#define SEEN(call) (errno = 0, seen(call))

static void seen_error(int e)
{
    CHECK(e == 0 || e == ENOMEM);
    refused += e != 0;
}

static void count(void *unused) { ran++; }
static void count_object(void *obj, void *unused) { ran++; }

/* ---- A life ------------------------------------------------------------ */

/* A list; what of it there is must be right. */
static void list(int at)
{
    Link *first = NULL;
    for (uint64_t i = 0; i < 300; i++) {
        Link *l = SEEN(sc_new(Link));
        if (!l)
            continue;
        CHECK(!l->next && !l->id);
        l->id = (uint64_t)at * 1000 + 1;
        sc_store(&l->next, first);
        first = l;
    }
    sc_store(&keep[at], first);
}

static void check_list(int at)
{
    for (Link *l = keep[at]; l; l = l->next)
        CHECK_EQ(l->id, (uint64_t)at * 1000 + 1);
}

static void sizes(void)
{
    for (size_t n = 1; n < 1500000; n = n * 4 + 5) {
        char *a = SEEN(sc_alloc(n)), *b = SEEN(sc_alloc_noscan(n));
        if (a) {
            CHECK(!a[0] && !a[n - 1]);
            a[0] = a[n - 1] = 7;
        }
        if (b)
            memset(b, 8, n);
        char *c = SEEN(sc_realloc(a, n + n / 2 + 40));
        CHECK(!c || !a || (c[0] == 7 && c[n - 1] == 7));
        CHECK(!a || (a[0] == 7 && a[n - 1] == 7)); /* as it was */
        if (n % 2)
            sc_free(b);
    }
}

static void lifetime(void)
{
    for (int i = 0; i < 100; i++) {
        Link *obj = SEEN(sc_new(Link)), *other = SEEN(sc_new(Link));
        if (!obj || !other)
            continue;
        struct sc_weak *w = SEEN(sc_weak_new(obj));
        CHECK(!w || sc_weak_get(w) == obj);
        CHECK(!w || sc_weak_new(obj) == w || errno == ENOMEM);
        SEEN(sc_cleanup(obj, count, NULL));
        seen_error(sc_finalizer(other, count_object, NULL));
        struct sc_ephemeron *e = SEEN(sc_ephemeron_new(obj, other));
        CHECK(!e || sc_ephemeron_value(e) == other);
        int pinned = sc_pin(obj);
        seen_error(pinned);
        if (!pinned)
            CHECK_EQ(sc_unpin(obj), 0);
        sc_keep_alive(obj);
    }
}

static void roots(void)
{
    static void *range[600][2];
    int n = 0;
    while (n < 600 && !sc_root_add(range[n], sizeof range[n]))
        n++;
    refused += n < 600;
    while (n > 0)
        CHECK_EQ(sc_root_remove(range[--n]), 0);
}

static void *other_main(void *at)
{
    list((int)(intptr_t)at);
    sizes();
    check_list((int)(intptr_t)at);
    return NULL;
}

static void others(void)
{
    pthread_t t[3];
    for (intptr_t i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, other_main, (void *)(i + 1)), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static void life(int barriers)
{
    struct sc_config c = {.barriers = barriers};
    seen_error(sc_init(&c));
    list(0);
    sizes();
    sc_collect();
    lifetime();
    roots();
    others();
    sc_collect();
    list(4);
    sc_release_memory();
    lifetime();
    sc_collect();
    for (int i = 0; i < 5; i++)
        check_list(i);
}

/* ---- One life with a refusal ------------------------------------------- */

static uint64_t metadata(void)
{
    struct sc_stats s;
    sc_stats(&s);
    CHECK_EQ(s.mapped, s.heap_objects_bytes + s.heap_unused_bytes +
                           s.heap_free_bytes + s.heap_released_bytes +
                           s.metadata);
    return s.metadata;
}

/* There is memory again: everything works, garbage is found, and nothing
 * grows from one life to the next. */
static void recovers(int barriers)
{
    struct sc_stats s;
    uint64_t first = 0;
    for (int i = 0; i < 4; i++) {
        refused = 0;
        life(barriers);
        CHECK_EQ(refused, 0);
        if (i == 1)
            first = metadata();
    }
    CHECK(metadata() <= first + KIB(512));
    memset(keep, 0, sizeof keep);
    sc_collect();
    sc_collect();
    sc_collect();
    sc_stats(&s);
    CHECK(s.heap_objects < 4000);
    CHECK(s.total_free_objects > 10000);
    CHECK(ran > 0);
}

static int limit_of_child = 60;

/* True if there was no kth request. */
static bool check_life(uint64_t k, bool all, int barriers)
{
    uint64_t before = os_memory_calls();
    alarm((unsigned)limit_of_child);
    os_fail_at(k, all);
    life(barriers);
    uint64_t calls = os_memory_calls() - before;
    os_fail_at(0, false);
    if (k % 16 == 1 || calls < k) /* it takes time */
        recovers(barriers);
    else
        life(barriers);
    return calls < k;
}

enum { ENDED = 3, GOES_ON = 2 };

static void every_failure(bool all, int barriers)
{
    int status = 0;
    uint64_t k = 1;
    setenv("SANCAI_DEBUG", "verify=1,clobberfree=1", 1);
    setenv("SANCAI_GC", "50", 1);
    for (; status != ENDED << 8; k++) {
        CHECK(k < 2000);
        pid_t pid = fork();
        if (pid == 0)
            _exit(check_life(k, all, barriers) ? ENDED : GOES_ON);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        if (status != ENDED << 8 && status != GOES_ON << 8)
            test_fail(__FILE__, __LINE__, "request %d refused: status %#x",
                      (int)k, status);
    }
    printf("%d requests\n", (int)k);
    CHECK(k > 30); /* so many are certain */
}

TEST_T(each_once_none, 600) { every_failure(false, SC_BARRIERS_NONE); }
TEST_T(each_once_explicit, 600) { every_failure(false, SC_BARRIERS_EXPLICIT); }
TEST_T(each_and_all_later_none, 600) { every_failure(true, SC_BARRIERS_NONE); }
TEST_T(each_and_all_later_explicit, 600)
{
    every_failure(true, SC_BARRIERS_EXPLICIT);
}

/* ---- A cycle without any memory ---------------------------------------- */

typedef struct Tree {
    struct Tree *kid[8];
    uint64_t id;
} Tree;
SC_LAYOUT(Tree, kid)

/* Wide, so that marking has much to remember. */
static Tree *tree(int depth, uint64_t id)
{
    Tree *t = sc_new(Tree);
    CHECK(t);
    t->id = id;
    for (int i = 0; depth && i < 8; i++)
        sc_store(&t->kid[i], tree(depth - 1, id * 8 + (uint64_t)i));
    return t;
}

static void check_tree(const Tree *t, int depth, uint64_t id)
{
    CHECK_EQ(t->id, id);
    for (int i = 0; depth && i < 8; i++)
        check_tree(t->kid[i], depth - 1, id * 8 + (uint64_t)i);
}

#define DEEP 5 /* 37449 nodes */
static _Atomic int stop;

/* Stores while marking goes on, without memory for what that shades. */
static void *restless_main(void *at)
{
    void **mine = &keep[(intptr_t)at];
    while (!stop) {
        Tree *t = *mine, *kid = t->kid[0];
        sc_store(&t->kid[0], t->kid[7]);
        sc_store(&t->kid[7], kid);
    }
    return NULL;
}

static void collect_without_memory(int barriers)
{
    struct sc_config c = {.barriers = barriers};
    pthread_t t[3];
    setenv("SANCAI_DEBUG", "verify=1,clobberfree=1", 1);
    setenv("SANCAI_GC", "off", 1);
    CHECK_EQ(sc_init(&c), 0);
    for (int i = 0; i < 4; i++)
        sc_store(&keep[i], tree(DEEP, 1));
    sc_collect(); /* its thread is there */
    for (intptr_t i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, restless_main, (void *)i), 0);
    for (int i = 0; i < 5; i++)
        sc_store(&keep[4 + i], tree(DEEP, 1));
    os_fail_at(1, true);
    for (int i = 0; i < 6; i++)
        sc_collect();
    os_fail_at(0, false);
    sc_collect();
    stop = 1;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    for (int i = 3; i < 9; i++)
        check_tree(keep[i], DEEP, 1);
    for (int i = 0; i < 3; i++)
        for (int k = 1; k < 7; k++) {
            const Tree *root = keep[i];
            check_tree(root->kid[k], DEEP - 1, 8 + (uint64_t)k);
        }
    struct sc_stats s;
    memset(keep, 0, sizeof keep);
    sc_collect();
    sc_stats(&s);
    CHECK(s.heap_objects < 40000);
}

TEST_T(cycle_without_memory_none, 120)
{
    collect_without_memory(SC_BARRIERS_NONE);
}
TEST_T(cycle_without_memory_explicit, 120)
{
    collect_without_memory(SC_BARRIERS_EXPLICIT);
}

/* The same from outside: the setting counts from the library's start. */
static void by_setting(const char *more)
{
    int status;
    for (int k = 1; k < 40; k += 3) {
        pid_t pid = fork();
        if (pid == 0) {
            char debug[100];
            snprintf(debug, sizeof debug, "verify=1,oom=%d%s", k, more);
            setenv("SANCAI_DEBUG", debug, 1);
            alarm(60);
            life(SC_BARRIERS_EXPLICIT);
            CHECK(refused || !*more || k > 20);
            _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
}

TEST_T(setting_once, 300) { by_setting(""); }
TEST_T(setting_all_later, 300) { by_setting(",oomall=1"); }
