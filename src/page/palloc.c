/* palloc.c: which pages are free; address-ordered first fit.
 *
 *   page 0                 hint                    top              end
 *   |uuuuuuuuuuuuuuuuuuuuuu|f.uuu..f.....uuuuu.....|    reserved     |
 *     nothing free here      u used, f free, . free and released
 *
 * Taking the lowest run that fits keeps the heap dense at low addresses, so
 * that what can be given back gathers at high ones.  `hint` only says where
 * to begin to look; the summaries find the place.  When no run fits, the heap
 * grows at top by whole 4 MiB chunks; the free pages just below top count, so
 * a large request grows by what it lacks.  New chunks are free and released:
 * the kernel gives a page when it is first touched.
 *
 * Invariants, under the lock (page_verify):
 *   used and released bits exclude each other
 *   the chunks' counts are those of their bits; the leaves are their summary
 *   in_use + moving == all used bits, released == all released bits
 *   in_use + free + released == top, which defines free
 * Locks: pages.lock (RANK_PAGES); meta.lock is taken inside when growing.
 */
#include "page_private.h"

struct palloc pages = {.lock = LOCK_INIT(RANK_PAGES)};
static struct meta_table chunk_table;

/* ---- Marking ----------------------------------------------------------- */

/* Before a chunk's first change in a cycle its peak starts anew. */
static void touch(struct chunk *c)
{
    if (c->gen == pages.gen)
        return;
    c->gen = pages.gen;
    c->peak = c->in_use;
}

void palloc_count_used(struct chunk *c, uint32_t k, uint32_t r)
{
    touch(c);
    c->in_use = (uint16_t)(c->in_use + k);
    c->nreleased = (uint16_t)(c->nreleased - r);
    if (c->in_use > c->peak)
        c->peak = c->in_use;
    pages.in_use += k;
    store_relaxed(&pages.released, pages.released - r);
}

void palloc_count_free(struct chunk *c, uint32_t k)
{
    touch(c);
    c->in_use = (uint16_t)(c->in_use - k);
    pages.in_use -= k;
}

void palloc_resummarise(uint32_t chunk)
{
    summary_set_leaf(chunk, bits_summary(pages.chunks[chunk].used));
    summary_update(chunk, chunk);
}

/* The part of n pages from `page` on that lies in its chunk. */
static uint32_t part_of(uint32_t page, uint32_t n)
{
    uint32_t room = CHUNK_PAGES - page % CHUNK_PAGES;
    return n < room ? n : room;
}

/* k pages within one chunk; how many of them were released.  The ancestors of
 * the leaf are left to the caller, who does them once for the whole run. */
static uint32_t use_part(uint32_t page, uint32_t k)
{
    struct chunk *c = chunk_of(page);
    uint32_t i = page % CHUNK_PAGES;
    uint32_t r = c->nreleased ? bits_count(c->released, i, k) : 0;
    check(bits_count(c->used, i, k) == 0);
    bits_set(c->used, i, k);
    if (r)
        bits_clear(c->released, i, k);
    palloc_count_used(c, k, r);
    summary_set_leaf(page / CHUNK_PAGES,
                     k == CHUNK_PAGES ? 0 : bits_summary(c->used));
    return r;
}

/* The released bits stay 0: what the owner wrote is still there. */
static void free_part(uint32_t page, uint32_t k)
{
    struct chunk *c = chunk_of(page);
    uint32_t i = page % CHUNK_PAGES;
    insist(bits_count(c->used, i, k) == k); /* else given twice */
    bits_clear(c->used, i, k);
    palloc_count_free(c, k);
    summary_set_leaf(page / CHUNK_PAGES,
                     k == CHUNK_PAGES ? SUM_CHUNK_FREE
                                      : bits_summary(c->used));
}

/* ---- Growing ----------------------------------------------------------- */

/* At the first growth, so that whoever never allocates reserves nothing; tried
 * again at the next one if addresses were short. */
static bool tables_init(void)
{
    uint32_t chunks = (uint32_t)(arenas.size / CHUNK_SIZE);
    if (pages.chunks)
        return true;
    if (!chunks || summary_init(chunks))
        return false;
    if (meta_table_init(&chunk_table, chunks * sizeof(struct chunk), META_SPAN,
                        "sancai: chunks"))
        return false;
    pages.chunks = (struct chunk *)chunk_table.base;
    return true;
}

/* Free pages that end at top: a run that starts there needs less growth. */
static uint32_t free_below_top(uint32_t enough)
{
    uint32_t n = 0;
    for (uint32_t c = pages.top / CHUNK_PAGES; c > 0 && n < enough; c--) {
        uint64_t s = summary_leaf(c - 1);
        n += sum_end(s);
        if (sum_start(s) != CHUNK_PAGES)
            break;
    }
    return n;
}

/* Tables first: if the chunks themselves are refused, a few pieces of table
 * are ready too early, and the next growth finds them so. */
static bool chunks_ready(uint32_t lo, uint32_t hi)
{
    return !meta_table_ready(&chunk_table, lo * sizeof(struct chunk),
                             hi * sizeof(struct chunk)) &&
           !summary_ready(lo, hi) &&
           !os_commit((void *)arena_address(lo * CHUNK_PAGES),
                      (hi - lo) * CHUNK_SIZE);
}

/* From here on nothing can fail.  The bits of a new chunk are zero already:
 * nothing is used, and its counts are right but for the released ones. */
static void chunks_add(uint32_t lo, uint32_t hi)
{
    for (uint32_t c = lo; c < hi; c++) {
        bits_set(pages.chunks[c].released, 0, CHUNK_PAGES);
        pages.chunks[c].nreleased = CHUNK_PAGES;
        summary_set_leaf(c, SUM_CHUNK_FREE);
    }
    summary_update(lo, hi - 1);
    uint32_t n = (hi - lo) * CHUNK_PAGES;
    store_relaxed(&pages.released, pages.released + n);
    store_relaxed(&pages.top, pages.top + n);
}

/* Makes room for a run of n; false, and nothing has changed, if the range or
 * the system has no more. */
static bool grow(uint32_t n, uint64_t *grown)
{
    if (n > arenas.pages || !tables_init())
        return false;
    uint32_t lack = n - free_below_top(n - 1);
    uint32_t lo = pages.top / CHUNK_PAGES;
    uint32_t hi = lo + (lack + CHUNK_PAGES - 1) / CHUNK_PAGES;
    if (hi > arenas.pages / CHUNK_PAGES || !chunks_ready(lo, hi))
        return false;
    chunks_add(lo, hi);
    *grown += (hi - lo) * CHUNK_SIZE;
    return true;
}

/* ---- Finding ----------------------------------------------------------- */

/* In one chunk that is known to hold the run.  The hint is made exact when it
 * lies in this chunk; that one look at a bitmap saves the next walk. */
static uint32_t find_in(uint32_t chunk, uint32_t n)
{
    const uint64_t *used = pages.chunks[chunk].used;
    uint32_t base = chunk * CHUNK_PAGES, from = 0;
    if (pages.hint / CHUNK_PAGES == chunk) {
        from = pages.hint % CHUNK_PAGES;
        pages.hint = base + bits_find(used, from, 1);
    }
    uint32_t i = bits_find(used, from, n);
    insist(i < CHUNK_PAGES); /* the summary said so */
    return base + i;
}

/* The lowest run of n, or NO_PAGE.  The hint rises to the first free page,
 * or to what the search could tell of it.  Most requests are short and end in
 * the hint's own chunk: a run inside it lies below any that leaves it. */
static uint32_t find_run(uint32_t n)
{
    uint32_t page, chunk = pages.hint / CHUNK_PAGES;
    if (pages.hint >= pages.top)
        return NO_PAGE;
    if (sum_max(summary_leaf(chunk)) >= n)
        return find_in(chunk, n); /* nothing lower is free */
    if (!summary_find(n, pages.top, &pages.hint, &page, &chunk))
        return NO_PAGE;
    return chunk == UINT32_MAX ? page : find_in(chunk, n);
}

uint32_t palloc_find(uint32_t n, uint64_t *grown)
{
    uint32_t page = find_run(n);
    if (page != NO_PAGE || !grow(n, grown))
        return page;
    page = find_run(n);
    insist(page != NO_PAGE);
    return page;
}

/* ---- Taking and giving ------------------------------------------------- */

/* A run of free pages becomes used; how many of them were released. */
static uint32_t use_run(uint32_t page, uint32_t n)
{
    uint32_t lo = page / CHUNK_PAGES, hi = (page + n - 1) / CHUNK_PAGES;
    uint32_t released = 0;
    if (page == pages.hint) /* the first free page: all below is used */
        pages.hint = page + n;
    for (uint32_t k; n; page += k, n -= k) {
        k = part_of(page, n);
        released += use_part(page, k);
    }
    summary_update(lo, hi);
    return released;
}

/* Pages that are being discarded are free in a moment: 4 MiB take the kernel
 * less than a millisecond.  Before saying that there is no memory wait for
 * them, but not for ever: whoever discards may itself wait for this thread. */
#define MOVING_WAITS 1000
#define MOVING_YIELDS 10
#define MOVING_SLEEP_NS 100000

static void wait_for_moving(int i)
{
    if (i < MOVING_YIELDS)
        os_yield();
    else
        os_sleep(MOVING_SLEEP_NS);
}

uint32_t page_take(uint32_t n, bool *zero)
{
    uint64_t grown = 0;
    uint32_t page = NO_PAGE;
    bool again = true;
    insist(n > 0);
    for (int i = 0; again && i < MOVING_WAITS; i++) {
        if (i > 0)
            wait_for_moving(i);
        lock_take(&pages.lock);
        page = palloc_find(n, &grown);
        if (page != NO_PAGE)
            *zero = use_run(page, n) == n;
        again = page == NO_PAGE && pages.moving;
        lock_drop(&pages.lock);
    }
    if (grown)
        scavenge_after_growth(grown);
    return page;
}

static bool is_free(uint32_t page, uint32_t n)
{
    for (uint32_t k; n; page += k, n -= k) {
        k = part_of(page, n);
        if (bits_count(chunk_of(page)->used, page % CHUNK_PAGES, k))
            return false;
    }
    return true;
}

bool page_extend(uint32_t page, uint32_t n)
{
    uint64_t grown = 0;
    insist(n > 0);
    if (n > arenas.pages - page)
        return false;
    lock_take(&pages.lock);
    uint32_t below = pages.top - page < n ? pages.top - page : n;
    bool ok = is_free(page, below) && (below == n || grow(n, &grown));
    if (ok)
        use_run(page, n);
    lock_drop(&pages.lock);
    if (grown)
        scavenge_after_growth(grown);
    return ok;
}

/* The checks of the range and of each used bit cost a few ns and find what
 * would otherwise be two owners of one page. */
void page_give(uint32_t page, uint32_t n)
{
    insist(n > 0);
    uint32_t lo = page / CHUNK_PAGES, hi = (page + n - 1) / CHUNK_PAGES;
    lock_take(&pages.lock);
    insist(page < pages.top && n <= pages.top - page);
    if (page < pages.hint)
        pages.hint = page;
    release_note_free(page + n);
    for (uint32_t k; n; page += k, n -= k) {
        k = part_of(page, n);
        free_part(page, k);
    }
    summary_update(lo, hi);
    lock_drop(&pages.lock);
}

/* ---- fork -------------------------------------------------------------- */

/* Around fork, so that the child finds bits, summaries and counts in accord. */
void page_lock(void)
{
    lock_take(&pages.lock);
}

void page_unlock(void)
{
    lock_drop(&pages.lock);
}

/* The child has no other thread: what those were discarding is free. */
void page_reset_locks(void)
{
    release_settle();
    lock_reset(&pages.lock);
}
