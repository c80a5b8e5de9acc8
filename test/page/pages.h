/* pages.h: a slow, obvious page allocator to compare the real one with.
 *
 * One byte per page says what it is; a search looks at every byte.  Tests
 * also see the allocator's own bitmaps, through its private header.
 */
#ifndef SC_TEST_PAGES_H
#define SC_TEST_PAGES_H

#include "../check.h"

#include "../../src/page/page_private.h"

enum { USED, FREE, RELEASED };
struct oracle {
    unsigned char *state; /* of `size` pages; those from top on: not grown */
    uint32_t size, top;
};

TEST_UNUSED static void oracle_init(struct oracle *o, uint32_t size)
{
    CHECK_EQ(arena_init(), 0);
    o->size = size < arenas.pages ? size : arenas.pages;
    o->state = calloc(o->size, 1);
    CHECK(o->state);
    o->top = 0;
}

TEST_UNUSED static void oracle_end(struct oracle *o)
{
    free(o->state);
}

/* The lowest run of n pages that are free. */
TEST_UNUSED static uint32_t oracle_find(const struct oracle *o, uint32_t n)
{
    uint32_t run = 0;
    for (uint32_t i = 0; i < o->top; i++) {
        run = o->state[i] == USED ? 0 : run + 1;
        if (run == n)
            return i + 1 - n;
    }
    return NO_PAGE;
}

TEST_UNUSED static void oracle_grow(struct oracle *o, uint32_t end)
{
    uint32_t top = (uint32_t)align_up(end, CHUNK_PAGES);
    CHECK(top <= o->size);
    memset(o->state + o->top, RELEASED, top - o->top);
    o->top = top;
}

/* The address-ordered first fit, after growth if nothing fits. */
TEST_UNUSED static uint32_t oracle_take(struct oracle *o, uint32_t n,
                                        bool *zero)
{
    uint32_t at = oracle_find(o, n);
    if (at == NO_PAGE) {
        at = o->top;
        while (at > 0 && o->state[at - 1] != USED)
            at--;
        oracle_grow(o, at + n);
    }
    *zero = true;
    for (uint32_t i = at; i < at + n; i++) {
        *zero = *zero && o->state[i] == RELEASED;
        o->state[i] = USED;
    }
    return at;
}

/* The n pages from `at` on, if all are free or not grown yet. */
TEST_UNUSED static bool oracle_extend(struct oracle *o, uint32_t at,
                                      uint32_t n)
{
    for (uint32_t i = at; i < at + n && i < o->top; i++)
        if (o->state[i] == USED)
            return false;
    if (at + n > o->top)
        oracle_grow(o, at + n);
    memset(o->state + at, USED, n);
    return true;
}

TEST_UNUSED static void oracle_give(struct oracle *o, uint32_t page,
                                    uint32_t n)
{
    for (uint32_t i = page; i < page + n; i++) {
        CHECK(o->state[i] == USED);
        o->state[i] = FREE;
    }
}

/* What the allocator's bitmaps say of a page. */
TEST_UNUSED static int page_state(uint32_t i)
{
    const struct chunk *c = chunk_of(i);
    if (bits_count(c->used, i % CHUNK_PAGES, 1))
        return USED;
    return bits_count(c->released, i % CHUNK_PAGES, 1) ? RELEASED : FREE;
}

/* Every page, and the sums. */
TEST_UNUSED static void oracle_compare(const struct oracle *o)
{
    uint64_t count[3] = {0, 0, 0};
    struct page_stats s;
    page_verify();
    page_stats(&s);
    CHECK_EQ(s.top, o->top);
    for (uint32_t i = 0; i < o->top; i++) {
        if (page_state(i) != o->state[i])
            test_fail(__FILE__, __LINE__, "page %u: is %d, should be %d", i,
                      page_state(i), o->state[i]);
        count[o->state[i]]++;
    }
    CHECK_EQ(s.in_use, count[USED] * PAGE_SIZE);
    CHECK_EQ(s.free, count[FREE] * PAGE_SIZE);
    CHECK_EQ(s.released, count[RELEASED] * PAGE_SIZE);
    CHECK_EQ(s.grown, s.in_use + s.free + s.released);
}

/* After a scavenge: pages may only have gone from free to released; copies
 * what happened into the oracle.  Number of pages that changed. */
TEST_UNUSED static uint32_t oracle_follow_scavenge(struct oracle *o)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->top; i++)
        if (page_state(i) != o->state[i]) {
            CHECK_EQ(o->state[i], FREE);
            CHECK_EQ(page_state(i), RELEASED);
            o->state[i] = RELEASED;
            n++;
        }
    return n;
}

/* Random numbers from the test's seed. */
static uint64_t rnd_state;
TEST_UNUSED static uint32_t rnd(uint32_t below)
{
    if (!rnd_state)
        rnd_state = test_seed() * 2654435761u | 1;
    return (uint32_t)((rng_next(&rnd_state) >> 20) % below);
}

#endif
