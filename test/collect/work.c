/* links: os base page heap src/collect/work.c src/collect/queue.c
 *
 * Queues of grey objects: whatever is put comes out once, whichever worker
 * takes it, and also when memory for buffers runs out.
 */
#include "../heap/model.h"

#include <pthread.h>

#include "../../src/collect/collect.h"
#include "../os/help.h"

struct gc gc; /* mark.c's; here only its counters matter */

#define WORKERS 4
#define ENTRIES 60000

static bool out[ENTRIES + 1];

static void take_out(uintptr_t e)
{
    CHECK(e >= 1 && e <= ENTRIES);
    if (out[e])
        test_fail(__FILE__, __LINE__, "%lu came out twice", (long)e);
    out[e] = true;
}

static void all_are_out(uintptr_t n)
{
    for (uintptr_t e = 1; e <= n; e++)
        if (!out[e])
            test_fail(__FILE__, __LINE__, "%lu did not come out", (long)e);
}

TEST(random_workers)
{
    static struct work w[WORKERS];
    uintptr_t put = 0, got = 0, e;
    CHECK_EQ(arena_init(), 0);
    while (put < ENTRIES) {
        struct work *k = &w[rnd(WORKERS)];
        bool fill = put / 5000 % 2 == 0;
        for (uint32_t n = rnd(fill ? 1200 : 300); n-- > 0 && put < ENTRIES;)
            work_put(k, ++put);
        for (uint32_t n = rnd(fill ? 300 : 1200); n-- > 0 && (e = work_get(k));)
            take_out(e), got++;
        if (rnd(10) == 0)
            work_flush(k);
        if (rnd(10) == 0)
            work_balance(k);
        if (rnd(30) == 0) {
            work_flush(k);
            CHECK(work_is_empty(k));
        }
    }
    for (int i = 1; i < WORKERS; i++)
        work_flush(&w[i]);
    while ((e = work_get(&w[0])))
        take_out(e), got++;
    CHECK_EQ(got, put);
    all_are_out(ENTRIES);
    CHECK(work_pool_empty());
    CHECK(work_is_empty(&w[0]));
}

TEST(flushing_says_so)
{
    struct work w = {0};
    CHECK_EQ(arena_init(), 0);
    CHECK(work_is_empty(&w));
    work_flush(&w);
    CHECK(!w.flushed && work_pool_empty() && !work_puts());
    work_put(&w, 1);
    CHECK(!work_is_empty(&w) && work_pool_empty() && !w.flushed);
    work_flush(&w);
    CHECK(w.flushed && work_is_empty(&w) && !work_pool_empty());
    CHECK_EQ(work_puts(), 1);
    CHECK_EQ(work_get(&w), 1);
    CHECK(work_is_empty(&w) && work_pool_empty());
    /* Objects that need no scan are work as well: the heap grew darker. */
    w.flushed = false;
    w.bytes_marked = 100;
    w.scan_work = 50;
    work_flush(&w);
    CHECK(w.flushed && !w.bytes_marked && !w.scan_work);
    CHECK_EQ(load_relaxed(&gc.bytes_marked), 100);
    CHECK_EQ(load_relaxed(&gc.scan_work), 50);
}

TEST(whole_buffers_reach_others)
{
    struct work a = {0}, b = {0};
    CHECK_EQ(arena_init(), 0);
    for (uintptr_t e = 1; e <= 3 * WORK_ENTRIES; e++)
        work_put(&a, e);
    CHECK(!work_pool_empty() && a.flushed);
    CHECK(work_get(&b));
}

TEST(balance_gives_half)
{
    struct work a = {0}, b = {0};
    uintptr_t e;
    CHECK_EQ(arena_init(), 0);
    work_balance(&a); /* nothing to give */
    CHECK(work_pool_empty());
    for (e = 1; e <= 100; e++)
        work_put(&a, e);
    work_balance(&a);
    CHECK(a.flushed && !work_pool_empty());
    uint64_t puts = work_puts();
    work_balance(&a); /* others have enough */
    CHECK_EQ(work_puts(), puts);
    for (int i = 0; i < 50; i++)
        take_out(work_get(&b));
    CHECK(work_is_empty(&b) && work_pool_empty());
    for (int i = 0; i < 50; i++)
        take_out(work_get(&a));
    all_are_out(100);
}

TEST(discard_empties_all)
{
    struct work a = {0}, b = {0};
    CHECK_EQ(arena_init(), 0);
    for (uintptr_t e = 1; e <= 5000; e++)
        work_put(&a, e);
    work_put(&b, 1);
    work_flush(&b);
    work_discard(&a);
    CHECK(work_pool_empty() && work_is_empty(&a));
    CHECK(!work_get(&a));
}

/* ---- Memory goes back -------------------------------------------------- */

#define KEPT MIB(1)
#define MANY (4 * MIB(1) / sizeof(uintptr_t))

static uint64_t bytes(void) { return meta_bytes(META_WORK); }

static void put_many(struct work *w, uintptr_t n)
{
    for (uintptr_t e = 1; e <= n; e++)
        work_put(w, e);
    CHECK(!load_relaxed(&gc.overflow));
}

static void get_many(struct work *w, uintptr_t n)
{
    uintptr_t sum = 0, e;
    while ((e = work_get(w)))
        sum += e;
    CHECK_EQ(sum, n * (n + 1) / 2);
    work_flush(w);
}

/* A large queue, several times: what it took is given back each time, but for
 * a first page per batch, and the same addresses are used again. */
TEST(spare_memory_goes_back)
{
    struct work w = {0};
    uint64_t most = 0, mapped;
    CHECK_EQ(arena_init(), 0);
    for (int i = 0; i < 5; i++) {
        put_many(&w, MANY);
        CHECK(bytes() > MIB(4));
        CHECK(!most || bytes() == most);
        most = bytes();
        mapped = page_mapped();
        get_many(&w, MANY);
        CHECK_EQ(bytes(), most);
        work_trim();
        size_t batches = most / KIB(64);
        CHECK_EQ(bytes(), KEPT + (batches - KEPT / KIB(64)) * os_page_size());
        CHECK_EQ(page_mapped(), mapped - (most - bytes()));
        uint64_t left = bytes();
        work_trim(); /* nothing more */
        CHECK_EQ(bytes(), left);
        page_verify();
    }
}

/* In a batch of which one buffer is in use nothing moves. */
TEST(what_is_in_use_stays)
{
    struct work w = {0}, other[200] = {{0}};
    uintptr_t e;
    CHECK_EQ(arena_init(), 0);
    for (size_t i = 0; i < COUNT(other); i++) {
        for (uintptr_t k = 0; k < 40 * WORK_ENTRIES; k++)
            work_put(&w, k + 1);
        work_put(&other[i], 1000000 + i);
    }
    while (work_get(&w))
        continue;
    work_flush(&w);
    uint64_t before = bytes();
    work_trim();
    CHECK(bytes() < before && bytes() > COUNT(other) * KIB(48));
    for (size_t i = 0; i < COUNT(other); i++) {
        CHECK_EQ((e = work_get(&other[i])), 1000000 + i);
        work_flush(&other[i]);
    }
    work_trim();
    CHECK(bytes() < before / 4);
    put_many(&w, MANY);
    get_many(&w, MANY);
}

/* No memory to take it again: as if there were none at all. */
TEST(no_memory_to_take_again)
{
    struct work w = {0};
    CHECK_EQ(arena_init(), 0);
    put_many(&w, MANY);
    get_many(&w, MANY);
    work_trim();
    os_fail_at(1, true);
    for (uintptr_t e = 1; !load_relaxed(&gc.overflow); e++)
        work_put(&w, e);
    os_fail_at(0, false);
    store_relaxed(&gc.overflow, false);
    while (work_get(&w))
        continue;
    put_many(&w, MANY);
    get_many(&w, MANY);
}

/* The system refuses to take it: it stays in use. */
TEST(no_mappings_to_give_it_back)
{
    struct work w = {0};
    CHECK_EQ(arena_init(), 0);
    put_many(&w, MANY);
    get_many(&w, MANY);
    uint64_t before = bytes();
    refuse(SYS_mmap, ENOMEM);
    work_trim();
    CHECK_EQ(bytes(), before);
    put_many(&w, MANY);
    get_many(&w, MANY);
    CHECK_EQ(bytes(), before);
}

/* ---- No memory --------------------------------------------------------- */

/* What finds no room is marked and not queued: gc.overflow says so. */
TEST(no_buffer_at_all)
{
    struct work w = {0};
    CHECK_EQ(arena_init(), 0);
    os_fail_at(1, true);
    work_put(&w, 1);
    CHECK(load_relaxed(&gc.overflow) && w.flushed);
    CHECK(work_is_empty(&w));
    CHECK(!work_get(&w));
    os_fail_at(0, false);
    work_put(&w, 1);
    CHECK_EQ(work_get(&w), 1);
}

/* Every buffer there is is full and in the pool: whoever comes then must get
 * at them all the same. */
TEST(all_buffers_are_full)
{
    struct work w = {0}, others[WORKERS] = {{0}};
    uintptr_t put = 0, got = 0, e;
    CHECK_EQ(arena_init(), 0);
    work_put(&w, ++put);
    os_fail_at(1, true);
    while (!load_relaxed(&gc.overflow))
        work_put(&w, ++put);
    put--; /* that one was dropped */
    work_flush(&w);
    for (int i = 0; got < put; i++) {
        e = work_get(&others[i % WORKERS]);
        for (int k = 0; k < WORKERS && !e; k++) /* the rest is with others */
            work_flush(&others[k]);
        if (!e)
            CHECK((e = work_get(&others[i % WORKERS])));
        take_out(e);
        got++;
        if (rnd(50) == 0)
            work_flush(&others[i % WORKERS]);
    }
    all_are_out(put);
}

/* ---- Threads ----------------------------------------------------------- */

/* Entry e leads to 2e and 2e + 1: one root becomes them all. */
static _Atomic uint32_t visited[ENTRIES + 1];
static _Atomic uint32_t todo = 1;

static void *worker(void *arg)
{
    struct work *w = arg;
    uint64_t n = 0;
    while (atomic_load(&todo)) {
        uintptr_t e = work_get(w);
        if (!e)
            continue;
        CHECK_EQ(atomic_fetch_add(&visited[e], 1), 0);
        for (uintptr_t child = 2 * e; child <= 2 * e + 1; child++)
            if (child <= ENTRIES) {
                atomic_fetch_add(&todo, 1);
                work_put(w, child);
            }
        atomic_fetch_sub(&todo, 1);
        if (++n % 50 == 0)
            work_balance(w);
        if (n % 1000 == 0)
            work_flush(w);
    }
    return 0;
}

TEST(threads_share_a_tree)
{
    static struct work w[WORKERS];
    pthread_t id[WORKERS];
    CHECK_EQ(arena_init(), 0);
    work_put(&w[0], 1);
    work_flush(&w[0]);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&id[i], 0, worker, &w[i]), 0);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(id[i], 0);
    for (uintptr_t e = 1; e <= ENTRIES; e++)
        CHECK_EQ(atomic_load(&visited[e]), 1);
}
