/* pagecache.c: 64 pages for one thread, without a lock.
 *
 *   base       base+63
 *   |..#...#######...|     free: the # are ours;  released: those of the #
 *                          that are known to be zero
 *
 * A refill takes every free page of one aligned group of 64, the one that
 * holds the lowest free page of the heap.  For the page allocator those pages
 * are in use; a flush gives back what is left of them.
 *
 * Locks: pages.lock in refill and flush.  The cache itself belongs to its
 * thread, or to whoever retires that thread.
 */
#include "page_private.h"

/* Longer requests go past the cache: they would seldom fit into what a few
 * others have left of 64 pages. */
#define CACHE_MAX 16

/* With the lock: page is the lowest free one of the heap. */
static void fill_from(struct page_cache *c, uint32_t page)
{
    struct chunk *ch = chunk_of(page);
    uint32_t w = page % CHUNK_PAGES / 64;
    c->base = page & ~63u;
    c->free = ~ch->used[w];
    c->released = ch->released[w];
    ch->used[w] = ~(uint64_t)0;
    ch->released[w] = 0;
    palloc_count_used(ch, (uint32_t)__builtin_popcountll(c->free),
                      (uint32_t)__builtin_popcountll(c->released));
    palloc_resummarise(page / CHUNK_PAGES);
    pages.hint = c->base + 64;
}

static NOINLINE bool refill(struct page_cache *c)
{
    uint64_t grown = 0;
    lock_take(&pages.lock);
    uint32_t page = palloc_find(1, &grown);
    if (page != NO_PAGE)
        fill_from(c, page);
    lock_drop(&pages.lock);
    if (grown)
        scavenge_after_growth(grown);
    return page != NO_PAGE;
}

uint32_t page_cache_take(struct page_cache *c, uint32_t n, bool *zero)
{
    insist(n > 0);
    if (n > CACHE_MAX || (!c->free && !refill(c)))
        return page_take(n, zero);
    uint64_t starts = bits_fold(c->free, n);
    if (!starts)
        return page_take(n, zero);
    uint32_t i = (uint32_t)__builtin_ctzll(starts);
    uint64_t mine = (((uint64_t)1 << n) - 1) << i;
    *zero = (c->released & mine) == mine;
    c->free &= ~mine;
    c->released &= ~mine;
    return c->base + i;
}

void page_cache_flush(struct page_cache *c)
{
    if (!c->free)
        return;
    struct chunk *ch = chunk_of(c->base);
    uint32_t w = c->base % CHUNK_PAGES / 64;
    uint32_t lowest = c->base + (uint32_t)__builtin_ctzll(c->free);
    uint32_t r = (uint32_t)__builtin_popcountll(c->released);
    lock_take(&pages.lock);
    insist((ch->used[w] & c->free) == c->free);
    ch->used[w] &= ~c->free;
    ch->released[w] |= c->released;
    palloc_count_free(ch, (uint32_t)__builtin_popcountll(c->free));
    ch->nreleased = (uint16_t)(ch->nreleased + r);
    store_relaxed(&pages.released, pages.released + r);
    palloc_resummarise(c->base / CHUNK_PAGES);
    if (lowest < pages.hint)
        pages.hint = lowest;
    release_note_free(c->base + 64 - (uint32_t)__builtin_clzll(c->free));
    lock_drop(&pages.lock);
    *c = (struct page_cache){0};
}
