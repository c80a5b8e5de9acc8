/* links: os base page
 *
 * The page allocator against the slow one of pages.h.
 */
#include "pages.h"

struct run {
    uint32_t page, n;
};

static struct run take(struct oracle *o, uint32_t n)
{
    bool zero = false, expected;
    uint32_t page = page_take(n, &zero);
    CHECK_EQ(page, oracle_take(o, n, &expected));
    CHECK_EQ(zero, expected);
    return (struct run){page, n};
}

static void give(struct oracle *o, struct run r)
{
    page_give(r.page, r.n);
    oracle_give(o, r.page, r.n);
}

/* How many pages longer the run is now: n, or 0. */
static uint32_t extend(struct oracle *o, struct run *r, uint32_t n)
{
    bool got = page_extend(r->page + r->n, n);
    CHECK_EQ(got, oracle_extend(o, r->page + r->n, n));
    r->n += got ? n : 0;
    return got ? n : 0;
}

static uint32_t any_size(int style)
{
    if (style == 0)
        return 1 + rnd(4);
    if (style == 1)
        return 1 + rnd(64);
    if (style == 2)
        return rnd(50) ? 1 + rnd(20) : 1 + rnd(3 * CHUNK_PAGES);
    return 1 + rnd(2 * CHUNK_PAGES);
}

static void random_operations(int style, int ops, uint32_t limit)
{
    struct oracle o;
    struct run live[4000];
    uint32_t n = 0, in_use = 0;
    oracle_init(&o, 4 * limit);
    for (int i = 0; i < ops; i++) {
        bool fill = i / 1000 % 2 == 0; /* waves: the heap fills, drains */
        uint32_t size = any_size(style);
        if (n < COUNT(live) && in_use + size < limit &&
            (!n || rnd(10) < (fill ? 7 : 3))) {
            live[n++] = take(&o, size);
            in_use += size;
        } else if (n) {
            uint32_t k = rnd(n);
            give(&o, live[k]);
            in_use -= live[k].n;
            live[k] = live[--n];
        }
        if (n && rnd(4) == 0 && in_use + (size = any_size(style)) < limit)
            in_use += extend(&o, &live[rnd(n)], size);
        if (i % 97 == 0) {
            uint64_t got = scavenge_now(rnd(64) * PAGE_SIZE, rnd(2));
            CHECK_EQ(oracle_follow_scavenge(&o) * PAGE_SIZE, got);
            if (rnd(3) == 0)
                scavenge_new_cycle();
        }
        if (i % 50 == 0)
            oracle_compare(&o);
    }
    while (n)
        give(&o, live[--n]);
    oracle_compare(&o);
    oracle_end(&o);
}

TEST(random_pages_1_to_4) { random_operations(0, 12000, 8192); }
TEST(random_pages_1_to_64) { random_operations(1, 12000, 16384); }
TEST(random_mostly_small) { random_operations(2, 12000, 16384); }
TEST(random_across_chunks) { random_operations(3, 5000, 65536); }

TEST(extends_into_what_is_free)
{
    struct oracle o;
    oracle_init(&o, 16 * CHUNK_PAGES);
    struct run first = take(&o, 4), hole = take(&o, 8), last = take(&o, 4);
    CHECK_EQ(extend(&o, &first, 1), 0); /* taken */
    give(&o, hole);
    CHECK_EQ(extend(&o, &first, 9), 0); /* one page too many */
    CHECK_EQ(extend(&o, &first, 5), 5);
    CHECK_EQ(extend(&o, &first, 3), 3); /* up to the next */
    CHECK_EQ(extend(&o, &first, 1), 0);
    oracle_compare(&o);
    CHECK_EQ(extend(&o, &last, 3 * CHUNK_PAGES), 3 * CHUNK_PAGES); /* grows */
    CHECK_EQ(extend(&o, &last, CHUNK_PAGES - 16), CHUNK_PAGES - 16);
    CHECK_EQ(o.top, 4 * CHUNK_PAGES); /* all of it taken */
    CHECK_EQ(extend(&o, &last, 1), 1);
    CHECK(!page_extend(last.page + last.n, arenas.pages));
    oracle_compare(&o);
    oracle_end(&o);
}

/* Sizes that only the upper levels of the summaries know: up to 24 GiB. */
TEST(random_huge_runs)
{
    struct oracle o;
    struct run live[64];
    uint32_t n = 0, limit = MIB(4); /* pages: 32 GiB in use */
    uint32_t in_use = 0;
    oracle_init(&o, MIB(20));
    if (o.size < MIB(20))
        SKIP("only %u pages of address space", o.size);
    for (int i = 0; i < 150; i++) {
        uint32_t size = 1 + rnd(1u << (3 + rnd(20)));
        if (n < COUNT(live) && in_use + size < limit && rnd(10) < 6) {
            live[n++] = take(&o, size);
            in_use += size;
        } else if (n) {
            uint32_t k = rnd(n);
            give(&o, live[k]);
            in_use -= live[k].n;
            live[k] = live[--n];
        }
    }
    oracle_compare(&o);
    oracle_end(&o);
}

/* Sizes from one page to eight chunks fill what there is, to the end and in
 * order, and nothing grows. */
TEST(exhaust_every_size)
{
    bool zero;
    uint32_t have = 16 * CHUNK_PAGES;
    uint32_t n = 1;
    struct page_stats s;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(have, &zero), 0);
    page_give(0, have);
    while (n <= 8 * CHUNK_PAGES) {
        for (uint32_t i = 0; i < have / n; i++)
            CHECK_EQ(page_take(n, &zero), i * n);
        page_stats(&s);
        CHECK_EQ(s.top, have);
        CHECK_EQ(s.in_use, have / n * n * PAGE_SIZE);
        page_verify();
        page_give(0, have / n * n);
        n += n < 70 ? 1 : 1 + rnd(n / 8);
    }
}

/* A run that begins in one chunk and ends in another, over a border of each
 * level of the summaries: 4, 32, 256 MiB, 2 and 16 GiB. */
TEST(straddles_borders_of_all_levels)
{
    bool zero;
    uint32_t all = (uint32_t)(GIB(20) / PAGE_SIZE);
    CHECK_EQ(arena_init(), 0);
    if (arenas.pages < all)
        SKIP("only %u pages of address space", arenas.pages);
    CHECK_EQ(page_take(all, &zero), 0);
    for (uint32_t border = CHUNK_PAGES; border < all; border *= 8)
        for (uint32_t n = 2; n < 2 * CHUNK_PAGES; n += 1 + rnd(n)) {
            uint32_t before = 1 + rnd(n - 1 < border ? n - 1 : border);
            page_give(border - before, n);
            page_give(border + 2 * CHUNK_PAGES, n); /* a decoy above */
            CHECK_EQ(page_take(n, &zero), border - before);
            CHECK_EQ(page_take(n, &zero), border + 2 * CHUNK_PAGES);
        }
    page_verify();
}

TEST(grows_by_what_it_lacks)
{
    bool zero;
    struct page_stats s;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(1, &zero), 0);
    CHECK(zero);
    page_stats(&s);
    CHECK_EQ(s.top, CHUNK_PAGES);
    CHECK_EQ(s.released, (CHUNK_PAGES - 1) * PAGE_SIZE);
    CHECK_EQ(page_take(CHUNK_PAGES, &zero), 1); /* 511 below top count */
    page_stats(&s);
    CHECK_EQ(s.top, 2 * CHUNK_PAGES);
    CHECK_EQ(page_take(3 * CHUNK_PAGES, &zero), CHUNK_PAGES + 1);
    page_stats(&s);
    CHECK_EQ(s.top, 5 * CHUNK_PAGES);
    page_verify();
}

TEST(knows_what_is_zero)
{
    bool zero = false;
    CHECK_EQ(arena_init(), 0);
    uint32_t p = page_take(8, &zero);
    CHECK(zero);
    char *mem = (char *)arena_address(p);
    memset(mem, 0xab, 8 * PAGE_SIZE);
    page_give(p, 8);
    CHECK_EQ(page_take(4, &zero), p);
    CHECK(!zero);
    page_give(p, 4);
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 8 * PAGE_SIZE);
    CHECK_EQ(page_take(4, &zero), p);
    CHECK(zero);
    for (size_t i = 0; i < 4 * PAGE_SIZE; i++)
        CHECK_EQ(mem[i], 0);
    page_give(p, 4);
    CHECK_EQ(page_take(5, &zero), p); /* four were used, one is zero */
    CHECK(!zero);
}

TEST(range_runs_out)
{
    bool zero;
    struct page_stats s;
    struct rlimit r = {MIB(300), MIB(300)};
    if (SANITIZED)
        SKIP("no address-space limit with a sanitizer");
    CHECK_EQ(setrlimit(RLIMIT_AS, &r), 0);
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(arenas.pages + 1, &zero), NO_PAGE);
    CHECK_EQ(page_take(UINT32_MAX, &zero), NO_PAGE);
    CHECK_EQ(page_take(arenas.pages - 7, &zero), 0);
    CHECK_EQ(page_take(8, &zero), NO_PAGE);
    CHECK_EQ(page_take(7, &zero), arenas.pages - 7);
    CHECK_EQ(page_take(1, &zero), NO_PAGE);
    /* Also when what lies behind the range could be made ready. */
    mmap((void *)(arenas.base + arenas.size), CHUNK_SIZE, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK_EQ(page_take(1, &zero), NO_PAGE);
    page_stats(&s);
    CHECK_EQ(s.in_use, arenas.size);
    page_verify();
    page_give(0, arenas.pages);
    CHECK_EQ(page_take(arenas.pages, &zero), 0);
    page_verify();
}

static int status_of(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void give_twice(void)
{
    bool zero;
    uint32_t p = page_take(3, &zero);
    page_take(1, &zero);
    page_give(p, 3);
    page_give(p + 1, 1);
}

static void give_foreign(void)
{
    page_give(arenas.pages - 1, 1);
}

TEST(damage_is_noticed)
{
    CHECK_EQ(arena_init(), 0);
    int a = status_of(give_twice), b = status_of(give_foreign);
    CHECK(WIFSIGNALED(a) && WTERMSIG(a) == SIGABRT);
    CHECK(WIFSIGNALED(b) && WTERMSIG(b) == SIGABRT);
}

TEST(nothing_without_arena)
{
    bool zero;
    struct page_cache c = {0};
    CHECK_EQ(page_take(1, &zero), NO_PAGE);
    CHECK_EQ(page_cache_take(&c, 1, &zero), NO_PAGE);
    os_fail_at(1, true);
    CHECK_EQ(arena_init(), ENOMEM);
    os_fail_at(0, false);
    CHECK_EQ(page_take(1, &zero), NO_PAGE);
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 0);
    page_verify();
}
