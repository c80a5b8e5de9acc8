/* links: lib
 *
 * Limits of the process: address space, data, threads.  Allocation ends with
 * NULL and ENOMEM, not before most of what the limit allows was had, and goes
 * on when something was dropped.
 */
#include "../api/told.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>

typedef struct Node {
    struct Node *next;
    size_t n;
    uint8_t data[];
} Node;

static Node *all; /* a root */

static void limit(int what, uint64_t soft)
{
    struct rlimit r;
    CHECK_EQ(getrlimit(what, &r), 0);
    r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
    CHECK_EQ(setrlimit(what, &r), 0);
}

/* Bytes that were had until there was no more. */
static __attribute__((noinline)) uint64_t exhaust(size_t least, size_t most)
{
    uint64_t sum = 0, ends = 0;
    while (ends < 3) {
        size_t n = least + rnd((uint32_t)(most - least + 1));
        errno = 0;
        Node *p = sc_alloc(sizeof *p + n);
        if (!p) {
            CHECK_EQ(errno, ENOMEM);
            ends++;
            continue;
        }
        p->n = n;
        p->data[0] = p->data[n - 1] = (uint8_t)n;
        sc_store(&p->next, all);
        sc_store(&all, p);
        sum += n;
    }
    return sum;
}

/* Old pointers leave this thread's stack. */
static __attribute__((noinline)) void wash(void)
{
    volatile char room[1 << 16];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

static void check_all(void)
{
    for (Node *p = all; p; p = p->next)
        CHECK(p->data[0] == (uint8_t)p->n && p->data[p->n - 1] == p->data[0]);
}

static void check_exhaust(size_t least, size_t most, uint64_t wanted)
{
    uint64_t first = exhaust(least, most);
    if (first < wanted)
        test_fail(__FILE__, __LINE__, "blocks of %zu to %zu: only %llu KiB",
                  least, most, (unsigned long long)first >> 10);
    check_all();
    for (int i = 0; i < 3; i++) { /* it stays so, and stays whole */
        errno = 0;
        CHECK(!sc_alloc(MB(400)) && errno == ENOMEM);
        check_all();
    }
    sc_store(&all, NULL);
    wash();
    sc_collect();
    uint64_t again = exhaust(least, most);
    CHECK(again > first / 10 * 7);
    check_all();
    sc_store(&all, NULL);
    wash();
    sc_collect();
    CHECK(stats().heap_live < MB(40));
}

struct what {
    int limit;
    uint64_t bytes, wanted;
};

/* The cycle must not be lost for want of memory: its thread comes first. */
static void within(struct what w, int barriers)
{
    NOT_SANITIZED();
    limit(w.limit, w.bytes);
    heap_with(barriers);
    sc_collect();
    check_exhaust(20, 200, w.wanted / 2); /* rounding, headers */
    check_exhaust(1000, 30000, w.wanted);
    check_exhaust(100000, 2000000, w.wanted);
}

#define EACH(name, ...)                                               \
    TEST_T(name##_none, 240)                                          \
    {                                                                 \
        within((struct what){__VA_ARGS__}, SC_BARRIERS_NONE);         \
    }                                                                 \
    TEST_T(name##_explicit, 240)                                      \
    {                                                                 \
        within((struct what){__VA_ARGS__}, SC_BARRIERS_EXPLICIT);     \
    }

EACH(addresses_128, RLIMIT_AS, MB(128), MB(32))
EACH(addresses_512, RLIMIT_AS, MB(512), MB(200))
EACH(data_128, RLIMIT_DATA, MB(128), MB(60))

/* Too little even for a start: each call says so, and works later. */
TEST(no_addresses_at_all)
{
    struct sc_stats s = {.num_gc = 3};
    uint64_t *p;
    NOT_SANITIZED();
    limit(RLIMIT_AS, MB(20));
    for (int i = 0; i < 3; i++) {
        errno = 0;
        CHECK(!sc_alloc(10) && errno == ENOMEM);
        errno = 0;
        CHECK(!sc_alloc_noscan(10) && errno == ENOMEM);
        errno = 0;
        CHECK(!sc_new(Node) && errno == ENOMEM);
        errno = 0;
        CHECK(!sc_new_array(int, 5) && errno == ENOMEM);
        CHECK(!sc_realloc(NULL, 10));
        CHECK_EQ(sc_init(NULL), ENOMEM);
        CHECK_EQ(sc_thread_attach(), ENOMEM);
        CHECK_EQ(sc_root_add(&all, sizeof all), ENOMEM);
        CHECK(!sc_weak_new(&all) && !sc_cleanup(&all, NULL, NULL));
        CHECK_EQ(sc_pin(&all), ENOMEM);
        CHECK_EQ(sc_finalizer(&all, NULL, NULL), ENOMEM);
        CHECK_EQ(sc_set_gc_percent(50), 100);
        CHECK_EQ(sc_set_memory_limit(MB(50)), INT64_MAX);
        sc_stats(&s);
        CHECK_EQ(s.num_gc, 0);
        SILENT({ sc_collect(); sc_release_memory(); sc_poll(); });
    }
    limit(RLIMIT_AS, RLIM_INFINITY);
    p = sc_alloc(100);
    CHECK(p && !*p);
    sc_collect();
    CHECK(stats().num_gc == 1);
}

/* ---- Threads ----------------------------------------------------------- */

#define COMPLAINT "sancai: the collector's thread can't be started, so " \
    "nothing is reclaimed; raise the process's limit on threads or memory.\n"

/* Root may always start one more. */
static void be_nobody(void)
{
    if (geteuid() == 0)
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    CHECK(geteuid() != 0);
    /* A change of user forbids tracing, by which a thread is reached that
     * blocks our signal: the thread sanitizer has one. */
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
}

static void no_threads(int barriers)
{
    struct sc_config c = {.barriers = barriers};
    be_nobody();
    limit(RLIMIT_NPROC, 0);
    pthread_t t;
    struct apart nothing = {just_collect, NULL};
    if (!pthread_create(&t, NULL, apart_main, &nothing))
        SKIP("the limit on threads has no effect here");
    setenv("SANCAI_DEBUG", "verify=1", 1);
    CHECK_EQ(sc_init(&c), 0);
    SAYS(sc_collect(), COMPLAINT); /* and comes back */
    SILENT(sc_collect()); /* told once */
    SILENT(for (int i = 0; i < 200000; i++) CHECK(sc_alloc(100)));
    CHECK_EQ(stats().num_gc, 0);
    CHECK(stats().total_alloc_bytes > MB(20));
}

/* What has to wait for a thread comes when there may be one. */
static void threads_again(int barriers)
{
    no_threads(barriers);
    limit(RLIMIT_NPROC, RLIM_INFINITY);
    wash();
    SILENT(sc_collect());
    struct sc_stats s = stats();
    CHECK_EQ(s.num_gc, 1);
    CHECK(s.heap_live < MB(1));
    for (int i = 0; i < (SANITIZED ? 1000000 : 200000); i++)
        CHECK(sc_alloc(100)); /* a sanitizer's globals raise the goal */
    CHECK(stats().num_gc > 1);
}

TEST(no_threads_none) { threads_again(SC_BARRIERS_NONE); }
TEST(no_threads_explicit) { threads_again(SC_BARRIERS_EXPLICIT); }

/* Only the helpers of marking can't be started: the collector marks alone. */
TEST(no_helpers)
{
    struct sc_config c = {.barriers = SC_BARRIERS_EXPLICIT, .max_procs = 16};
    struct rlimit r;
    be_nobody();
    CHECK_EQ(getrlimit(RLIMIT_NPROC, &r), 0);
    CHECK_EQ(sc_init(&c), 0);
    SILENT(sc_root_add(&all, sizeof all)); /* attached, no thread yet */
    for (int threads = 3; threads < 100; threads += 7) {
        limit(RLIMIT_NPROC, (uint64_t)threads);
        sc_store(&all, sc_alloc(sizeof(Node) + 1000));
        all->n = 1000;
        sc_collect();
        CHECK_EQ(all->n, 1000);
    }
}
