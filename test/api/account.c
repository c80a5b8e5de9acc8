/* links: lib
 *
 * The numbers of sc_stats: classes that add up, mapped as the kernel sees it,
 * objects and bytes of a program whose counts are known.
 */
#include "told.h"

#include <fcntl.h>
#include <stdbool.h>

static void *keep[64]; /* a root */

static uint64_t metadata_of(const struct sc_stats *s)
{
    return s->gc_bytes + s->span_bytes + s->thread_bytes + s->work_bytes +
           s->other_bytes;
}

static void check_order_of(const struct sc_histogram *h)
{
    CHECK(h->p50 <= h->p99 && h->p99 <= h->p999 && h->p999 <= h->max);
}

/* When no time is just being added. */
static void check_times(const struct sc_histogram *h)
{
    check_order_of(h);
    CHECK(h->count > 0 && h->max > 0 && h->p50 > 0);
    CHECK(h->sum >= h->max && h->sum <= h->count * h->max);
}

/* What holds for every snapshot, whatever goes on. */
static void check_sums(const struct sc_stats *s)
{
    CHECK_EQ(s->mapped, s->heap_objects_bytes + s->heap_unused_bytes +
                            s->heap_free_bytes + s->heap_released_bytes +
                            metadata_of(s));
    CHECK_EQ(s->metadata, metadata_of(s));
    CHECK_EQ(s->released, s->heap_released_bytes);
    CHECK_EQ(s->heap_objects, s->total_alloc_objects - s->total_free_objects);
    CHECK(s->total_alloc_bytes >= s->total_free_bytes);
    CHECK(s->num_forced_gc <= s->num_gc);
    CHECK(s->cleanups_run <= s->cleanups_queued);
    CHECK(s->finalizers_run <= s->finalizers_queued);
    CHECK(s->assist_ns <= s->gc_cpu_ns);
    CHECK(s->gc_cpu_permille <= 1000);
    check_order_of(&s->hold);
    check_order_of(&s->hold_cpu);
    check_order_of(&s->stop);
}

/* ---- Sums while much goes on ------------------------------------------- */

static _Atomic int stop;

static void busy(void *unused)
{
    void *mine[64] = {0};
    while (!stop) {
        size_t n = rnd(20) ? rnd(2000) : rnd(300000);
        void *p = rnd(2) ? sc_alloc(n) : sc_alloc_noscan(n);
        CHECK(p);
        mine[rnd(64)] = p;
        if (rnd(8) == 0)
            sc_free(mine[rnd(64)] = sc_alloc(n));
        if (rnd(2000) == 0)
            sc_thread_detach(), CHECK_EQ(sc_thread_attach(), 0);
    }
}

static void *busy_main(void *unused)
{
    busy(unused);
    return 0;
}

BOTH(sums_hold_at_any_time)
{
    pthread_t t[3];
    uint64_t gcs = 0;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&t[i], 0, busy_main, 0), 0);
    for (int i = 0; i < 3000 || gcs < 3; i++) {
        struct sc_stats s = stats();
        check_sums(&s);
        CHECK(s.num_gc >= gcs && s.num_threads >= 1);
        gcs = s.num_gc;
        if (i % 1000 == 999)
            sc_collect();
        if (i % 16 == 0)
            usleep(100);
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(t[i], 0), 0);
    struct sc_stats s = stats();
    check_sums(&s);
    check_times(&s.hold);
    check_times(&s.hold_cpu);
    check_times(&s.stop); /* of verify, if not of a cycle */
    CHECK(s.gc_cpu_ns > 0);
}

/* ---- A program of known counts ----------------------------------------- */

struct order {
    int kind; /* 0 conservative, 1 noscan, 2 precise array */
    size_t bytes;
    uint64_t n;
};
typedef struct Pair {
    struct Pair *a, *b;
    long c;
} Pair;
SC_LAYOUT(Pair, a, b)

static void *make(const struct order *o)
{
    return o->kind == 0   ? sc_alloc(o->bytes)
           : o->kind == 1 ? sc_alloc_noscan(o->bytes)
                          : (void *)sc_new_array(Pair, o->bytes);
}

/* Makes them, and keeps those in keep[at] alive in an array. */
static void fill(void *order)
{
    const struct order *o = order;
    void **all = sc_alloc(o->n * sizeof *all);
    sc_store(&keep[0], all);
    for (uint64_t i = 0; i < o->n; i++) {
        void *p = make(o);
        CHECK(p);
        sc_store(&all[i], p);
    }
}

/* As the allocator counts: slots; of large objects pages of 8 KiB.  They hold
 * one byte more than asked for, where a pointer one past the end points. */
static uint64_t counted(const void *p, uint64_t asked)
{
    return asked < 32768 ? sc_size(p) : (asked + 8192) / 8192 * 8192;
}

/* A handful: words on stacks that look like pointers, a slot that a handshake
 * had to leave. */
#define DOUBT 8

#define NEAR(a, b, doubt) near(__LINE__, #a " is about " #b, (a), (b), (doubt))
static void near(int line, const char *what, uint64_t a, uint64_t b,
                 uint64_t doubt)
{
    if (a > b + doubt || b > a + doubt)
        test_fail(__FILE__, line, "%s: %llu, %llu", what,
                  (unsigned long long)a, (unsigned long long)b);
}

/* In a thread of its own: no pointer is left on this one's stack. */
static uint64_t slot, array;
static void measure(void *order)
{
    const struct order *o = order;
    void **all = keep[0];
    slot = counted(all[0], o->kind == 2 ? o->bytes * sizeof(Pair) : o->bytes);
    array = counted(all, o->n * sizeof *all);
}

static void drop_half(void *order)
{
    const struct order *o = order;
    void **all = keep[0];
    for (uint64_t i = o->n / 2; i < o->n; i++)
        sc_store(&all[i], NULL);
}

static void check_order(struct order o)
{
    collect(2);
    struct sc_stats a = stats();
    apart(fill, &o);
    collect(1);
    struct sc_stats b = stats();
    apart(measure, &o);
    uint64_t bytes = o.n * slot + array, doubt = DOUBT * slot;
    NEAR(b.total_alloc_objects - a.total_alloc_objects, o.n + 1, DOUBT);
    NEAR(b.total_alloc_bytes - a.total_alloc_bytes, bytes, doubt);
    NEAR(b.heap_objects - a.heap_objects, o.n + 1, DOUBT);
    NEAR(b.heap_objects_bytes - a.heap_objects_bytes, bytes, doubt);
    NEAR(b.heap_marked - a.heap_marked, bytes, doubt);
    NEAR(b.heap_live - a.heap_live, bytes, doubt);
    apart(drop_half, &o);
    collect(2);
    struct sc_stats c = stats();
    NEAR(c.total_free_objects - b.total_free_objects, o.n / 2, DOUBT);
    NEAR(c.total_free_bytes - b.total_free_bytes, o.n / 2 * slot,
               doubt);
    sc_store(&keep[0], NULL);
    collect(2);
    struct sc_stats d = stats();
    NEAR(d.heap_objects, a.heap_objects, DOUBT);
    NEAR(d.total_free_objects - a.total_free_objects, o.n + 1, DOUBT);
    NEAR(d.total_free_bytes - a.total_free_bytes, bytes,
               doubt + array);
    NEAR(d.total_alloc_bytes - d.total_free_bytes,
               a.total_alloc_bytes - a.total_free_bytes, doubt + array);
    check_sums(&d);
}

BOTH(known_counts)
{
    struct order o[] = {
        {0, 10, 50000},  {0, 100, 50000},  {0, 1000, 5000},
        {1, 20, 50000},  {1, 5000, 2000},  {2, 1, 50000},
        {2, 50, 5000},   {0, 32767, 200},  {0, 32768, 200},
        {0, 33000, 300}, {1, 70000, 300},  {0, 1000001, 20},
        {2, 3000, 100},  {1, 20000000, 3},
    };
    for (unsigned i = 0; i < sizeof o / sizeof o[0]; i++)
        check_order(o[i]);
}

/* Each sort of object many times over: nothing is counted twice or lost, and
 * our own tables do not grow with what has passed. */
static void pass(void *round)
{
    static const size_t size[] = {8, 24, 200, 3000, 20000, 33000, 200000};
    for (int i = 0; i < 20000; i++) {
        size_t n = size[i % 100 < 97 ? i % 4 : 4 + i % 3];
        void *p = i & 1 ? sc_alloc(n) : sc_alloc_noscan(n);
        CHECK(p);
        if (i & 2)
            sc_free(p);
        if (i % 50 == 0)
            CHECK(sc_weak_new(p) && !sc_pin(p) && !sc_unpin(p));
    }
}

BOTH(nothing_grows_with_what_has_passed)
{
    struct sc_stats a = {0}, b;
    for (int round = 0; round < 20; round++) {
        apart(pass, &round);
        collect(1);
        if (round == 9)
            a = stats();
    }
    b = stats();
    NEAR(b.heap_objects, a.heap_objects, 500);
    CHECK(b.heap_objects_bytes <= a.heap_objects_bytes + MB(1));
    CHECK(b.span_bytes <= a.span_bytes + KB(400));
    CHECK(b.other_bytes <= a.other_bytes + KB(64));
    CHECK_EQ(b.thread_bytes, a.thread_bytes);
}

/* ---- As the kernel sees it --------------------------------------------- */

/* Bytes of private anonymous memory without a name, readable and writable:
 * of whom, the kernel does not say, but before and after it does. */
struct seen {
    uint64_t size, resident;
};

static struct seen look(void)
{
    static char text[1 << 20];
    struct seen s = {0, 0};
    size_t have = 0;
    ssize_t n;
    bool ours = false;
    int fd = open("/proc/self/smaps", O_RDONLY);
    CHECK(fd >= 0);
    while ((n = read(fd, text + have, sizeof text - 1 - have)) > 0)
        have += (size_t)n;
    close(fd);
    text[have] = 0;
    CHECK(have < sizeof text - 1);
    for (char *l = text, *end; (end = strchr(l, '\n')); l = end + 1) {
        unsigned long lo, hi, kb;
        char may[8], name[8];
        *end = 0;
        int got = sscanf(l, "%lx-%lx %4s %*s %*s %*s %7s", &lo, &hi, may,
                         name);
        if (got >= 3)
            ours = !strcmp(may, "rw-p") &&
                   (got == 3 || !strncmp(name, "[anon:", 6));
        if (got >= 3 && ours)
            s.size += hi - lo;
        if (ours && sscanf(l, "Rss: %lu kB", &kb) == 1)
            s.resident += kb * 1024;
    }
    return s;
}

/* The page that the tool reads from outside, and the list of the loaded
 * objects, are not counted. */
#define UNCOUNTED KB(64)

static void check_seen(struct seen before, uint64_t stacks)
{
    struct sc_stats s = stats();
    struct seen now = look();
    uint64_t size = now.size - before.size;
    uint64_t here = now.resident - before.resident;
    CHECK(size >= s.mapped);
    CHECK(size <= s.mapped + stacks + UNCOUNTED);
    CHECK(here <= s.mapped - s.released + stacks + UNCOUNTED);
    check_sums(&s);
}

/* Without a cycle there is no thread of ours, and nobody else maps. */
TEST(mapped_is_what_the_kernel_has_for_us)
{
    NOT_SANITIZED();
    setenv("SANCAI_GC", "off", 1);
    look(); /* the text itself is there from now on */
    struct seen before = look();
    for (int i = 0; i < 60; i++) {
        keep[i] = i % 3 ? sc_alloc((size_t)i * 50000) : sc_alloc(100);
        CHECK(keep[i]);
        for (int k = 0; k < 3000; k++)
            memset(sc_alloc(200), 1, 200);
        memset(keep[i], 1, i % 3 ? (size_t)i * 50000 : 100);
        if (i % 6 == 0)
            check_seen(before, 0);
    }
    CHECK_EQ(stats().num_gc, 0);
    CHECK(stats().mapped > MB(64));
}

static void spend(void *unused)
{
    for (int i = 0; i < 300; i++)
        memset(sc_alloc(400000), 1, 400000);
    for (int i = 0; i < 300000; i++)
        memset(sc_alloc(200), 1, 200);
}

#define OUR_STACKS (8 * KB(300)) /* collector, callbacks, markers */

static void with_cycles(int barriers)
{
    NOT_SANITIZED();
    look();
    struct seen before = look();
    heap_with(barriers);
    for (int i = 0; i < 4; i++) {
        spend(NULL);
        check_seen(before, OUR_STACKS);
        sc_collect();
        check_seen(before, OUR_STACKS);
        sc_release_memory();
        check_seen(before, OUR_STACKS);
    }
    CHECK(stats().released > MB(1));
}

TEST(mapped_with_cycles_none) { with_cycles(SC_BARRIERS_NONE); }
TEST(mapped_with_cycles_explicit) { with_cycles(SC_BARRIERS_EXPLICIT); }
