/* account.c: the sums, and whether they are right.
 *
 *   page_mapped  =  grown heap            +  metadata that is ready
 *                   in use|free|released     by kind (meta.c)
 *   page_mapped_ready = page_mapped - released: what a memory limit counts
 *
 * Reserved addresses are in no sum.  Pages of thread caches are in use; pages
 * that are being discarded are free.
 *
 * Locks: pages.lock for page_stats and page_verify; the two sums read single
 * words and may be one change apart from each other.
 */
#include "page_private.h"

uint64_t page_mapped(void)
{
    return (uint64_t)load_relaxed(&pages.top) * PAGE_SIZE + meta_mapped();
}

uint64_t page_mapped_ready(void)
{
    uint64_t released = load_relaxed(&pages.released) * PAGE_SIZE;
    uint64_t mapped = page_mapped();
    return mapped > released ? mapped - released : 0;
}

/* `free` is what remains, so the sum holds whatever else is wrong; that it
 * is the number of free pages is for page_verify to say. */
void page_stats(struct page_stats *s)
{
    lock_take(&pages.lock);
    uint64_t free = pages.top - pages.in_use - pages.released;
    s->in_use = pages.in_use * PAGE_SIZE;
    s->free = free * PAGE_SIZE;
    s->released = pages.released * PAGE_SIZE;
    s->grown = (uint64_t)pages.top * PAGE_SIZE;
    s->top = pages.top;
    lock_drop(&pages.lock);
}

/* A chunk against itself: bits, counts, leaf. */
static void verify_chunk(uint32_t i)
{
    const struct chunk *c = &pages.chunks[i];
    for (uint32_t w = 0; w < CHUNK_WORDS; w++)
        insist(!(c->used[w] & c->released[w]));
    insist(bits_count(c->used, 0, CHUNK_PAGES) ==
           (uint32_t)c->in_use + c->moving);
    insist(bits_count(c->released, 0, CHUNK_PAGES) == c->nreleased);
    insist(c->gen != pages.gen || c->peak >= c->in_use);
    insist(summary_leaf(i) == bits_summary(c->used));
}

/* Below the hint every page is used; a free one there would not be found
 * before the heap had grown past it. */
static void verify_hint(void)
{
    insist(pages.hint <= pages.top);
    for (uint32_t i = 0; i < pages.hint; i += CHUNK_PAGES) {
        uint32_t left = pages.hint - i;
        uint32_t n = left < CHUNK_PAGES ? left : CHUNK_PAGES;
        insist(bits_count(chunk_of(i)->used, 0, n) == n);
    }
}

/* Time: some us per chunk; for tests, debug settings and doubt. */
void page_verify(void)
{
    uint64_t in_use = 0, moving = 0, released = 0;
    lock_take(&pages.lock);
    uint32_t chunks = pages.top / CHUNK_PAGES;
    insist(pages.top % CHUNK_PAGES == 0 && pages.top <= arenas.pages);
    for (uint32_t i = 0; i < chunks; i++) {
        verify_chunk(i);
        in_use += pages.chunks[i].in_use;
        moving += pages.chunks[i].moving;
        released += pages.chunks[i].nreleased;
    }
    insist(in_use == pages.in_use && released == pages.released);
    insist(moving == pages.moving);
    summary_verify(chunks);
    verify_hint();
    release_verify();
    lock_drop(&pages.lock);
    meta_verify();
}
