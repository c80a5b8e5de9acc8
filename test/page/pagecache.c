/* links: os base page
 *
 * A thread's cache of pages: what it hands out, and what it leaves behind.
 */
#include "pages.h"

/* Pages that the allocator holds as used. */
static uint32_t used_pages(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < pages.top; i++)
        n += page_state(i) == USED;
    return n;
}

TEST(cache_takes_lowest_pages)
{
    struct page_cache c = {0};
    bool zero;
    CHECK_EQ(arena_init(), 0);
    for (uint32_t i = 0; i < 200; i++) {
        zero = false;
        CHECK_EQ(page_cache_take(&c, 1, &zero), i);
        CHECK(zero);
    }
    CHECK_EQ(used_pages(), 256);
    CHECK_EQ(pages.hint, 256); /* the next refill begins there */
    page_verify();
    page_cache_flush(&c);
    CHECK_EQ(used_pages(), 200);
    CHECK_EQ(c.free, 0);
    page_verify();
    page_cache_flush(&c);
    page_verify();
}

TEST(cache_fills_from_holes)
{
    struct page_cache c = {0};
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(1024, &zero), 0);
    page_give(70, 1);
    page_give(75, 3);
    page_give(127, 1);
    page_give(128, 5); /* the next group */
    CHECK_EQ(page_cache_take(&c, 2, &zero), 75);
    CHECK(!zero);
    CHECK_EQ(page_cache_take(&c, 2, &zero), 128); /* none left in the cache */
    CHECK_EQ(page_cache_take(&c, 1, &zero), 70);
    CHECK_EQ(page_cache_take(&c, 1, &zero), 77);
    CHECK_EQ(page_cache_take(&c, 1, &zero), 127);
    CHECK_EQ(c.free, 0);
    CHECK_EQ(page_cache_take(&c, 1, &zero), 130);
    page_cache_flush(&c);
    page_verify();
}

TEST(cache_keeps_released_bits)
{
    struct page_cache c = {0};
    struct page_stats s;
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(512, &zero), 0);
    page_give(0, 64);
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 64 * PAGE_SIZE);
    CHECK_EQ(page_take(8, &zero), 0);
    CHECK(zero);
    page_give(0, 4); /* 0-3 unknown, 4-7 used, 8-63 zero */
    CHECK_EQ(page_cache_take(&c, 2, &zero), 0);
    CHECK(!zero);
    CHECK_EQ(page_cache_take(&c, 16, &zero), 8);
    CHECK(zero);
    page_stats(&s);
    CHECK_EQ(s.released, 0); /* lent pages are in use */
    CHECK_EQ(s.in_use, 512 * PAGE_SIZE);
    page_cache_flush(&c);
    page_stats(&s);
    CHECK_EQ(s.released, 40 * PAGE_SIZE);
    CHECK_EQ(s.free, 2 * PAGE_SIZE);
    CHECK_EQ(s.in_use, 470 * PAGE_SIZE);
    page_verify();
}

TEST(cache_leaves_pages_to_discard)
{
    struct page_cache c = {0};
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(512, &zero), 0);
    page_give(0, 64);
    CHECK_EQ(page_cache_take(&c, 1, &zero), 0);
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 0); /* lent pages are not free */
    page_cache_flush(&c);
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 63 * PAGE_SIZE);
    page_verify();
}

TEST(cache_passes_long_requests_on)
{
    struct page_cache c = {0};
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_cache_take(&c, 17, &zero), 0);
    CHECK_EQ(c.free, 0);
    CHECK_EQ(page_cache_take(&c, 16, &zero), 17);
    CHECK_EQ(page_cache_take(&c, 16, &zero), 33);
    CHECK(c.free);
    CHECK_EQ(page_cache_take(&c, 17, &zero), 64);
    page_cache_flush(&c);
    page_verify();
}

struct run {
    uint32_t page, n;
};

/* Several caches, random requests; no page is handed out twice, *zero is
 * never wrong, and after the flush all that is left is what was taken. */
TEST(cache_random)
{
    enum { CACHES = 5, LIVE = 3000, PAGES = 64 * 1024 };
    static unsigned char dirty[PAGES], mine[PAGES];
    struct page_cache c[CACHES];
    struct run live[LIVE];
    uint32_t n = 0;
    memset(c, 0, sizeof c);
    CHECK_EQ(arena_init(), 0);
    for (int i = 0; i < 60000; i++) {
        if (n < LIVE && rnd(100) < (i / 5000 % 2 ? 40 : 60)) {
            bool zero;
            uint32_t k = 1 + rnd(rnd(4) ? 3 : 20);
            uint32_t p = page_cache_take(&c[rnd(CACHES)], k, &zero);
            CHECK(p != NO_PAGE && p + k <= PAGES);
            for (uint32_t j = p; j < p + k; j++) {
                CHECK(!mine[j]);
                CHECK(!zero || !dirty[j]);
                mine[j] = dirty[j] = 1;
            }
            live[n++] = (struct run){p, k};
        } else if (n) {
            uint32_t j = rnd(n);
            page_give(live[j].page, live[j].n);
            memset(mine + live[j].page, 0, live[j].n);
            live[j] = live[--n];
        }
        if (rnd(200) == 0)
            page_cache_flush(&c[rnd(CACHES)]);
        if (rnd(500) == 0) {
            scavenge_now(rnd(100) * PAGE_SIZE, true);
            for (uint32_t j = 0; j < pages.top; j++)
                if (page_state(j) == RELEASED)
                    dirty[j] = 0;
        }
        if (i % 500 == 0)
            page_verify();
    }
    for (int i = 0; i < CACHES; i++)
        page_cache_flush(&c[i]);
    page_verify();
    for (uint32_t j = 0; j < pages.top; j++)
        CHECK_EQ(page_state(j) == USED, mine[j]);
}
