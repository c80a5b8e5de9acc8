/* mspan.c: spans of blocks, large blocks, and what an address is.
 *
 *   desc    | m b 0 | m b 1 | m b 0 | 0 0 0 | ...    16 bytes per 8 KiB page
 *   pages   |  span of 2    | span  | large ...
 *   spans   |  rec  |       |  rec  |  rec  |        of first pages
 *   bits    | 0110..|       | ...
 *
 * All that is known of a block lies outside of it, in tables indexed by page;
 * so nothing that a program writes past a block's end can damage it.
 *
 * A large block is a run of pages of its own.  Of its pages only the first has
 * a span record.
 *
 * The reserve: runs of up to 16 pages that were just freed, by their length.
 * The next span of that length takes one without asking the page heap.  It
 * holds at most an eighth of the pages in use, or RESERVE_LEAST.
 *
 * Invariants: a desc with magic != 0 belongs to a span in state SMALL, whose
 * first page is that page less `back`; tables are ready below mheap.limit.
 * Locks: the owner of the pages writes; `tables` while more become ready;
 * reserve.lock for the reserve.  Neither is held when the other is taken.
 */
#include "malloc.h"

struct mheap mheap;
static struct lock tables = LOCK_INIT(RANK_LARGE);

static void class_set(unsigned c)
{
    uint64_t size = size_of_class(c);
    unsigned pages = size_class_pages(c);
    unsigned nslots = (unsigned)(pages * PAGE_SIZE / size);
    mheap.class[c] = (struct mclass){
        (uint32_t)size, (uint32_t)(((1ull << 32) + size - 1) / size),
        (BANDS << 16) / nslots, (uint16_t)nslots, (uint16_t)pages};
}

int mheap_init(void)
{
    size_t pages = arenas.pages;
    int e = meta_table_init(&mheap.t_desc, pages * sizeof(struct mdesc),
                            META_SPAN, "sancai: descriptors");
    if (!e)
        e = meta_table_init(&mheap.t_spans, pages * sizeof(struct mspan),
                            META_SPAN, "sancai: spans");
    if (!e)
        e = meta_table_init(&mheap.t_bits, pages * sizeof(struct mspan_bits),
                            META_BITS, "sancai: free bits");
    if (e)
        return e;
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        class_set(c);
    mheap.desc = (struct mdesc *)mheap.t_desc.base;
    mheap.spans = (struct mspan *)mheap.t_spans.base;
    mheap.bits = (struct mspan_bits *)mheap.t_bits.base;
    mheap.base = arenas.base;
    return 0;
}

/* ---- Tables ------------------------------------------------------------ */

#define READY_STEP CHUNK_PAGES

static bool tables_ready(size_t lo, size_t hi)
{
    return !meta_table_ready(&mheap.t_desc, lo * sizeof(struct mdesc),
                             hi * sizeof(struct mdesc)) &&
           !meta_table_ready(&mheap.t_spans, lo * sizeof(struct mspan),
                             hi * sizeof(struct mspan)) &&
           !meta_table_ready(&mheap.t_bits, lo * sizeof(struct mspan_bits),
                             hi * sizeof(struct mspan_bits));
}

/* Up to page `hi` there are tables. */
static bool reach(uint32_t hi)
{
    if (likely((size_t)hi * PAGE_SIZE <= load_relaxed(&mheap.limit)))
        return true;
    lock_take(&tables);
    size_t lo = mheap.limit / PAGE_SIZE;
    size_t to = min_size(align_up(hi, READY_STEP), arenas.pages);
    bool ok = to <= lo || tables_ready(lo, to);
    if (ok && to > lo)
        store_release(&mheap.limit, to * PAGE_SIZE);
    lock_drop(&tables);
    return ok;
}

static uint32_t take_pages(uint32_t n, bool *zero)
{
    pressure_pages(n * PAGE_SIZE);
    uint32_t page = page_take(n, zero);
    if (page == NO_PAGE || reach(page + n))
        return page;
    page_give(page, n);
    return NO_PAGE;
}

/* ---- The reserve ------------------------------------------------------- */

#define RESERVE_RUNS 256   /* of each length */
#define RESERVE_LEAST 256  /* pages: 2 MiB */

static struct {
    struct lock lock;
    uint32_t n[SPAN_PAGES_MAX + 1];
    uint32_t run[SPAN_PAGES_MAX + 1][RESERVE_RUNS];
} reserve = {.lock = LOCK_INIT(RANK_POLICY)};

static uint32_t reserve_take(uint32_t n)
{
    uint32_t page = NO_PAGE;
    if (n > SPAN_PAGES_MAX || !load_relaxed(&reserve.n[n]))
        return page;
    lock_take(&reserve.lock);
    if (reserve.n[n]) {
        store_relaxed(&reserve.n[n], reserve.n[n] - 1);
        page = reserve.run[n][reserve.n[n]];
        sub_relaxed(&mheap.reserved_pages, n);
    }
    lock_drop(&reserve.lock);
    return page;
}

static uint64_t reserve_most(void)
{
    uint64_t used = load_relaxed(&mheap.small_pages) +
                    load_relaxed(&mheap.large_pages);
    return used / 8 > RESERVE_LEAST ? used / 8 : RESERVE_LEAST;
}

static bool reserve_give(uint32_t page, uint32_t n)
{
    bool ok = false;
    if (n > SPAN_PAGES_MAX ||
        load_relaxed(&mheap.reserved_pages) + n > reserve_most())
        return ok;
    lock_take(&reserve.lock);
    if (reserve.n[n] < RESERVE_RUNS) {
        reserve.run[n][reserve.n[n]] = page;
        store_relaxed(&reserve.n[n], reserve.n[n] + 1);
        add_relaxed(&mheap.reserved_pages, n);
        ok = true;
    }
    lock_drop(&reserve.lock);
    return ok;
}

void mspan_reserve_flush(void)
{
    for (uint32_t n = 1, page; n <= SPAN_PAGES_MAX; n++)
        while ((page = reserve_take(n)) != NO_PAGE) {
            page_give(page, n);
            give_note(n);
        }
}

/* Pages of a span or a large block. */
static uint32_t run_take(uint32_t n, bool *zero)
{
    uint32_t page = reserve_take(n);
    *zero = false;
    return page != NO_PAGE ? page : take_pages(n, zero);
}

static void run_give(uint32_t page, uint32_t n)
{
    if (reserve_give(page, n))
        return;
    page_give(page, n);
    give_note(n);
}

void mheap_lock(void)
{
    lock_take(&tables);
    lock_take(&reserve.lock);
}

void mheap_unlock(void)
{
    lock_drop(&reserve.lock);
    lock_drop(&tables);
}

void mheap_reset_lock(void)
{
    lock_reset(&reserve.lock);
    lock_reset(&tables);
}

/* ---- Spans of small blocks --------------------------------------------- */

static void bits_fill(uint64_t *w, unsigned n)
{
    for (; n >= 64; n -= 64)
        *w++ = ~0ull;
    if (n)
        *w = (1ull << n) - 1;
}

struct mspan *mspan_new(unsigned class)
{
    bool zero;
    const struct mclass *k = &mheap.class[class];
    uint32_t n = k->npages, page = run_take(n, &zero);
    if (page == NO_PAGE)
        return NULL;
    struct mspan *s = mspan_at(page);
    *s = (struct mspan){.nslots = k->nslots, .nfree = k->nslots,
                        .class = (uint8_t)class, .band = BANDS,
                        .state = MSPAN_SMALL, .npages = n, .size = k->size};
    bits_fill(mspan_free_bits(s), k->nslots);
    uint32_t bias = -(uint32_t)mspan_start(s) * k->magic;
    for (uint32_t i = 0; i < n; i++)
        mheap.desc[page + i] = (struct mdesc){k->magic, bias,
                                              bin_offset(class),
                                              (uint16_t)i, 0};
    add_relaxed(&mheap.small_pages, n);
    return s;
}

void mspan_free(struct mspan *s)
{
    uint32_t page = mspan_page(s), n = s->npages;
    check(s->nfree == s->nslots);
    s->state = MSPAN_FREE;
    for (uint32_t i = 0; i < n; i++)
        mheap.desc[page + i] = (struct mdesc){0};
    sub_relaxed(&mheap.small_pages, n);
    run_give(page, n);
}

/* ---- Large blocks ------------------------------------------------------ */

/* n pages at a multiple of `align` pages: too many are taken, and what lies
 * before and behind goes back. */
static uint32_t take_aligned(uint32_t n, size_t align, bool *zero)
{
    size_t more = align / PAGE_SIZE;
    if (more <= 1)
        return run_take(n, zero);
    if (more > arenas.pages || n > arenas.pages - more)
        return NO_PAGE;
    uint32_t all = n + (uint32_t)more - 1;
    uint32_t page = take_pages(all, zero);
    if (page == NO_PAGE)
        return NO_PAGE;
    uint32_t first = (uint32_t)((align_up(arena_address(page), align) -
                                 arenas.base) / PAGE_SIZE);
    if (first > page)
        page_give(page, first - page);
    if (first + n < page + all)
        page_give(first + n, page + all - first - n);
    return first;
}

void *mlarge_new(size_t n, size_t align, bool *zero)
{
    if (n > arenas.size)
        return NULL;
    uint32_t npages = (uint32_t)((n + PAGE_SIZE - 1) / PAGE_SIZE);
    uint32_t page = take_aligned(npages, align, zero);
    if (page == NO_PAGE)
        return NULL;
    *mspan_at(page) = (struct mspan){.state = MSPAN_LARGE, .npages = npages,
                                     .band = BANDS,
                                     .size = npages * PAGE_SIZE};
    add_relaxed(&mheap.large_pages, npages);
    add_relaxed(&mheap.large_count, 1);
    return (void *)arena_address(page);
}

void mlarge_free(struct mspan *s)
{
    uint32_t n = s->npages;
    give_begin(n); /* what it allocates shall not lie in these pages */
    store_relaxed(&s->state, MSPAN_FREE);
    sub_relaxed(&mheap.large_pages, n);
    sub_relaxed(&mheap.large_count, 1);
    run_give(mspan_page(s), n);
}

bool mlarge_resize(struct mspan *s, size_t n)
{
    uint32_t page = mspan_page(s), old = s->npages;
    if (n > arenas.size)
        return false;
    uint32_t want = (uint32_t)((n + PAGE_SIZE - 1) / PAGE_SIZE);
    if (want > old) {
        if (!page_extend(page + old, want - old))
            return false;
        if (!reach(page + want)) {
            page_give(page + old, want - old);
            return false;
        }
    }
    else if (want < old) {
        page_give(page + want, old - want);
        give_note(old - want);
    }
    s->npages = want;
    s->size = want * PAGE_SIZE;
    add_relaxed(&mheap.large_pages, (uint64_t)want - old);
    give_begin(0);
    return true;
}

/* ---- What an address is ------------------------------------------------ */

static enum mfound find_small(uintptr_t a, uint32_t page, struct mblock *b)
{
    struct mspan *s = mspan_of(page);
    uintptr_t offset = a - mspan_start(s);
    unsigned slot = (unsigned)(offset / s->size);
    if (slot >= s->nslots)
        return FOUND_NOTHING;
    *b = (struct mblock){s, mspan_start(s) + slot * s->size, s->size, slot};
    return b->base == a ? FOUND_SMALL : FOUND_INSIDE;
}

/* The pages of a large block but the first have no record; it begins at the
 * nearest record before. */
static enum mfound find_large(uintptr_t a, uint32_t page, struct mblock *b)
{
    for (uint32_t p = page;; p--) {
        struct mspan *s = mspan_at(p);
        if (s->state == MSPAN_LARGE && page - p < s->npages) {
            *b = (struct mblock){s, arena_address(p), s->size, 0};
            return b->base == a ? FOUND_LARGE : FOUND_INSIDE;
        }
        if (!p || s->state != MSPAN_FREE || mheap.desc[p].magic)
            return FOUND_NOTHING;
    }
}

enum mfound mblock_find(uintptr_t a, struct mblock *b)
{
    *b = (struct mblock){0};
    if (a - mheap.base >= load_acquire(&mheap.limit))
        return FOUND_NOTHING;
    uint32_t page = arena_page(a);
    return mheap.desc[page].magic ? find_small(a, page, b)
                                  : find_large(a, page, b);
}

bool mblock_in_span(const struct mblock *b)
{
    return load_relaxed(&mspan_free_bits(b->span)[b->slot >> 6]) &
           slot_bit(b->slot);
}
