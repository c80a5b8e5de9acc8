/* links: os
 * The list of our ranges: what it says is what is there, read while threads
 * change it, as from outside. */
#include "../check.h"
#include "../../src/os/os.h"
#include "help.h"

#include <pthread.h>

static struct os_range seen[60000];

/* All entries, and whether the list stood still. */
static int read_list(bool *whole)
{
    uint64_t ended = load_seq(&os_ranges.ended);
    struct os_ranges_block *b = (void *)load_seq(&os_ranges.first);
    int n = 0;
    for (; b; b = (void *)load_seq(&b->next))
        for (int i = 0; i < OS_RANGES; i++) {
            struct os_range *r = &b->range[i];
            if (load_acquire(&r->lo) <= 1)
                continue;
            CHECK(n < (int)COUNT(seen));
            seen[n].lo = load_relaxed(&r->lo);
            seen[n].hi = load_relaxed(&r->hi);
            seen[n].use = load_relaxed(&r->use);
            seen[n++].thread = load_relaxed(&r->thread);
        }
    *whole = load_seq(&os_ranges.begun) == ended;
    return n;
}

static int list(void)
{
    bool whole;
    int n = read_list(&whole);
    CHECK(whole);
    return n;
}

/* The entry that holds p. */
static const struct os_range *entry(const void *p)
{
    uint64_t a = (uintptr_t)p;
    for (int n = list(), i = 0; i < n; i++)
        if (seen[i].lo <= a && a < seen[i].hi)
            return &seen[i];
    return NULL;
}

static bool is(const void *p, uint64_t size, uint32_t use)
{
    const struct os_range *r = entry(p);
    return r && r->lo == (uintptr_t)p && r->hi == r->lo + size
        && r->use == use;
}

TEST(comes_and_goes)
{
    size_t page = os_page_size();
    char *p = os_map(5 * page), *q = os_reserve(MIB(3), MIB(2), 0);
    CHECK(is(p, 5 * page, OS_USE_NONE) && is(q, MIB(3), OS_USE_NONE));
    os_name(p, 5 * page, "sancai: work", OS_USE_WORK);
    os_name(q, MIB(3), "sancai: heap", OS_USE_HEAP);
    CHECK(is(p, 5 * page, OS_USE_WORK) && is(q, MIB(3), OS_USE_HEAP));
    os_unmap(p, 5 * page);
    CHECK(!entry(p) && is(q, MIB(3), OS_USE_HEAP));
    os_unreserve(q, MIB(3));
    CHECK(!entry(q));
    CHECK_EQ(list(), 1); /* the list's own */
}

TEST(parts_go)
{
    char *p = os_reserve(MIB(8), MIB(1), 0);
    os_name(p, MIB(8), "sancai: heap", OS_USE_HEAP);
    os_unreserve(p + MIB(3), MIB(1)); /* in the middle, at the ends */
    CHECK(is(p, MIB(3), OS_USE_HEAP) && !entry(p + MIB(3)));
    CHECK(is(p + MIB(4), MIB(4), OS_USE_HEAP));
    os_unreserve(p, MIB(1));
    CHECK(!entry(p) && is(p + MIB(1), MIB(2), OS_USE_HEAP));
    os_unreserve(p + MIB(7), MIB(1));
    CHECK(is(p + MIB(4), MIB(3), OS_USE_HEAP) && !entry(p + MIB(7)));
}

#define MANY 2000 /* a dozen blocks */

TEST(grows_and_fills_its_holes)
{
    static char *p[MANY];
    size_t page = os_page_size();
    for (int i = 0; i < MANY; i++)
        CHECK((p[i] = os_map(page)));
    int n = list();
    CHECK(n >= MANY + MANY / OS_RANGES);
    for (int i = 0; i < MANY; i += 3)
        os_unmap(p[i], page);
    for (int i = 0; i < MANY; i++)
        CHECK(i % 3 ? is(p[i], page, OS_USE_NONE) : !entry(p[i]));
    for (int i = 0; i < MANY; i += 3)
        p[i] = os_map(page);
    CHECK_EQ(list(), n); /* no more blocks */
    CHECK_EQ(os_ranges.lost, 0);
}

/* What the list can't hold is counted; the memory is there all the same. */
TEST(no_memory_for_the_list)
{
    size_t page = os_page_size();
    if (SANITIZED)
        SKIP("a sanitizer needs mmap itself");
    CHECK(os_map(page));
    while (list() < OS_RANGES)
        CHECK(os_map(page));
    char *p = os_reserve(MIB(1), page, 0); /* begins the next block */
    CHECK_EQ(list(), OS_RANGES + 2);
    while (list() < 2 * OS_RANGES)
        CHECK(os_map(page));
    CHECK_EQ(os_ranges.lost, 0);
    refuse(SYS_mmap, ENOMEM);
    os_unreserve(p + KIB(256), KIB(256)); /* leaves two parts */
    CHECK(is(p, KIB(256), OS_USE_NONE));
    CHECK_EQ(os_ranges.lost, 1);
    CHECK_EQ(list(), 2 * OS_RANGES);
}

/* ---- Threads ----------------------------------------------------------- */

#define THREADS 4
#define HELD 40
static _Atomic bool stop;

/* Holds some, of a length and use that go together. */
static void *churn(void *seed)
{
    unsigned rng = (unsigned)(uintptr_t)seed;
    char *p[HELD] = {NULL};
    size_t k[HELD], page = os_page_size();
    while (!load_relaxed(&stop)) {
        size_t i = (size_t)rand_r(&rng) % HELD;
        if (p[i])
            os_unmap(p[i], k[i] * page);
        k[i] = 1 + (size_t)rand_r(&rng) % 5;
        CHECK((p[i] = os_map(k[i] * page)));
        os_name(p[i], k[i] * page, "sancai", (enum os_use)k[i]);
        if (rand_r(&rng) % 16 == 0)
            os_sleep(200000);
    }
    for (int i = 0; i < HELD; i++)
        if (p[i])
            os_unmap(p[i], k[i] * page);
    return NULL;
}

/* A list that stood still has no two ranges for one address. */
static void check_apart(int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            CHECK(seen[i].hi <= seen[j].lo || seen[j].hi <= seen[i].lo);
}

TEST(read_while_it_changes)
{
    pthread_t t[THREADS];
    int good = 0, bad = 0;
    bool whole;
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, churn, (void *)(i + 7)), 0);
    for (uint64_t begin = os_now(); os_now() - begin < 1000000000u;) {
        int n = read_list(&whole);
        CHECK(n <= THREADS * HELD + 8);
        bad += !whole;
        good += whole;
        if (whole)
            check_apart(n);
    }
    store_relaxed(&stop, true);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    CHECK(good > 0 && bad > 0);
    CHECK_EQ(list(), 1);
    CHECK_EQ(os_ranges.lost, 0);
}

/* ---- Stacks and fork ---------------------------------------------------- */

static _Atomic int tid;
static _Atomic bool leave;
static void *_Atomic local;

static void stay(void *unused)
{
    char here;
    local = &here;
    tid = os_tid();
    while (!leave)
        os_sleep(100000);
}

static const struct os_range *stack_of(int id)
{
    for (int n = list(), i = 0; i < n; i++)
        if (seen[i].use == OS_USE_STACK && seen[i].thread == (uint32_t)id)
            return &seen[i];
    return NULL;
}

static int child_is_right(void)
{
    return !stack_of(tid) && entry(local) == NULL ? 0 : 1;
}

TEST(stacks_of_our_threads)
{
    int status;
    CHECK_EQ(os_thread_start(stay, NULL, "t"), 0);
    while (!tid)
        os_sleep(1000000);
    const struct os_range *r = stack_of(tid);
    CHECK(r && r->lo < r->hi);
    uint64_t lo = r->lo, hi = r->hi;
    CHECK(os_mapping_end((uintptr_t)local) >= hi);
    CHECK(lo < (uintptr_t)local + 8192 && (uintptr_t)local < hi);
    pid_t pid = fork();
    if (pid == 0) {
        os_ranges_fork_child();
        _exit(child_is_right());
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    leave = true;
    for (int i = 0; i < 5000 && stack_of(tid); i++)
        os_sleep(1000000);
    CHECK(!stack_of(tid));
}
