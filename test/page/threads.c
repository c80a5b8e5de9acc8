/* links: os base page
 *
 * Many threads take, give, flush and discard at once.  Each writes its name
 * into its pages: a page with two owners, or one discarded while in use, shows.
 */
#include "pages.h"
#include <pthread.h>

#define OPS (SANITIZED ? 3000 : 10000)
#define THREADS 4

static _Atomic int running;
static _Atomic uint64_t held; /* pages that the threads own */

struct run {
    uint32_t page, n;
};

static uint64_t *word(uint32_t page, uint32_t i)
{
    return (uint64_t *)arena_address(page + i);
}

static void write_name(struct run r, uint64_t name)
{
    for (uint32_t i = 0; i < r.n; i++)
        *word(r.page, i) = name + r.page + i;
}

static void check_name(struct run r, uint64_t name)
{
    for (uint32_t i = 0; i < r.n; i++)
        CHECK_EQ(*word(r.page, i), name + r.page + i);
}

static void check_zero(struct run r)
{
    for (uint32_t i = 0; i < r.n; i++)
        CHECK_EQ(*word(r.page, i), 0);
}

static void *owner(void *arg)
{
    uint64_t name = (uint64_t)(uintptr_t)arg << 40;
    uint64_t seed = name + test_seed();
    struct page_cache cache = {0};
    struct run live[100];
    uint32_t n = 0;
    for (int i = 0; i < OPS; i++) {
        uint64_t r = rng_next(&seed) >> 10;
        if (n < COUNT(live) && r % 100 < (i / 2000 % 2 ? 40 : 60)) {
            bool zero;
            uint32_t k = 1 + (uint32_t)(r / 128 % (r % 7 ? 16 : 900));
            struct run new = {page_cache_take(&cache, k, &zero), k};
            CHECK(new.page != NO_PAGE);
            if (zero)
                check_zero(new);
            write_name(new, name);
            live[n++] = new;
            atomic_fetch_add(&held, k);
        } else if (n) {
            uint32_t j = (uint32_t)(r / 128 % n);
            check_name(live[j], name);
            page_give(live[j].page, live[j].n);
            atomic_fetch_sub(&held, live[j].n);
            live[j] = live[--n];
        }
        if (r / 1024 % 300 == 0)
            page_cache_flush(&cache);
    }
    for (uint32_t j = 0; j < n; j++)
        check_name(live[j], name);
    page_cache_flush(&cache);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void *discarder(void *arg)
{
    uint64_t seed = test_seed() + (uintptr_t)arg;
    while (atomic_load(&running)) {
        uint64_t r = rng_next(&seed) >> 10;
        scavenge_now(r % 400 * PAGE_SIZE, r / 512 % 2);
        if (r / 1024 % 8 == 0)
            scavenge_new_cycle();
        if (r / 8192 % 8 == 0 && (uintptr_t)arg == THREADS + 1)
            scavenge_background(); /* there is one background worker */
        struct page_stats s;
        page_stats(&s);
        CHECK_EQ(s.in_use + s.free + s.released, s.grown);
        CHECK(page_mapped_ready() <= page_mapped() + s.grown);
        if (r / 65536 % 16 == 0)
            page_verify();
    }
    return NULL;
}

static void run_all(void)
{
    pthread_t t[THREADS + 2];
    CHECK_EQ(arena_init(), 0);
    running = THREADS;
    scavenge_set_goals(MIB(2), UINT64_MAX);
    for (uintptr_t i = 0; i < THREADS + 2; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, i < THREADS ? owner : discarder,
                                (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS + 2; i++)
        pthread_join(t[i], NULL);
    page_verify();
}

TEST(threads_never_share_a_page)
{
    struct page_stats s;
    run_all();
    page_stats(&s);
    CHECK_EQ(s.in_use, held * PAGE_SIZE);
    scavenge_now(UINT64_MAX, true);
    scavenge_new_cycle(); /* what was being moved at the end of another run */
    scavenge_now(UINT64_MAX, true);
    page_stats(&s);
    CHECK_EQ(s.free, 0);
    page_verify();
}

/* The range is full but for pages that another thread is discarding: a request
 * for them is not refused, it waits. */
static void *slow_kernel(void *arg)
{
    os_sleep(20000000);
    release_done(*(struct release_run *)arg, true);
    return NULL;
}

TEST(scarce_memory_on_the_move_is_waited_for)
{
    pthread_t t;
    bool zero = false;
    if (SANITIZED)
        SKIP("no address-space limit with a sanitizer");
    struct rlimit r = {MIB(300), MIB(300)};
    CHECK_EQ(setrlimit(RLIMIT_AS, &r), 0);
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(arenas.pages, &zero), 0);
    page_give(100, 50);
    struct release_run run = release_pick(50, true);
    CHECK_EQ(run.n, 50);
    CHECK_EQ(pthread_create(&t, NULL, slow_kernel, &run), 0);
    CHECK_EQ(page_take(50, &zero), 100);
    CHECK(zero);
    pthread_join(t, NULL);
    CHECK_EQ(page_take(1, &zero), NO_PAGE); /* at once: nothing moves */
    /* And for a discard that never ends not for ever. */
    page_give(100, 50);
    run = release_pick(50, true);
    CHECK_EQ(run.n, 50);
    CHECK_EQ(page_take(1, &zero), NO_PAGE);
    page_verify();
}
