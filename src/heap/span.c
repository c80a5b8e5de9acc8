/* span.c: a run of pages cut into equal slots of one layout.
 *
 *   page   page   page
 *   |slot|slot|slot|slot|slot|..tail|     alloc bit: object, or in a run
 *    1    1    0    0    1                mark bit: reached by this marking
 *
 * Tables by page number hold everything: descriptor (every page), record and
 * bits (first page).  They are never taken away, so a marker may follow any
 * word to them at any time.
 *
 * Invariants (span_check):
 *   I1  popcount(alloc) == nalloc <= nslots
 *   I2  no alloc bit at or behind nslots
 *   I3  a free slot's index is >= search
 *   I4  after marking: mark implies alloc
 * Locks: none.  The owner (a thread's cache, or whoever took it off a list) is
 * the only writer, except of mark bits, which any marker sets by atomic or.
 */
#include <string.h>

#include "heap.h"

struct heap heap;

/* A run is at most this long: it is zeroed in one go and should still be in
 * the first-level cache when the objects are written. */
#ifdef SC_STRESS
#define RUN_BYTES 64
#else
#define RUN_BYTES KIB(4)
#endif

int heap_init(void)
{
    size_t pages = arenas.pages;
    int e = meta_table_init(&heap.t_desc, pages * sizeof(uint32_t),
                            META_SPAN, "sancai: page descriptors");
    if (!e)
        e = meta_table_init(&heap.t_bits, pages * sizeof(struct bits),
                            META_BITS, "sancai: bits");
    if (!e)
        e = meta_table_init(&heap.t_spans, pages * sizeof(struct span),
                            META_SPAN, "sancai: spans");
    if (!e)
        e = meta_table_init(&heap.t_black, pages * sizeof(struct black),
                            META_BITS, "sancai: scanned bits");
    if (!e)
        e = meta_table_init(&heap.t_queued, pages, META_BITS,
                            "sancai: queued flags");
    if (e)
        return e;
    heap.desc = (uint32_t *)heap.t_desc.base;
    heap.bits = (struct bits *)heap.t_bits.base;
    heap.spans = (struct span *)heap.t_spans.base;
    heap.black = (struct black *)heap.t_black.base;
    heap.queued = (_Atomic uint8_t *)heap.t_queued.base;
    heap.base = arenas.base;
    store_relaxed(&heap.gen, 2);
    class_init();
    central_init();
    return 0;
}

/* Table entries of pages [0, page + n) exist from here on. */
static int tables_ready(uint32_t page, uint32_t n)
{
    size_t lo = page, hi = (size_t)page + n;
    size_t old = load_acquire(&heap.limit) >> PAGE_SHIFT;
    if (hi <= old)
        return 0;
    lo = old < lo ? old : lo; /* no hole below the limit */
    int e = meta_table_ready(&heap.t_desc, lo * 4, hi * 4);
    if (!e)
        e = meta_table_ready(&heap.t_bits, lo * sizeof(struct bits),
                             hi * sizeof(struct bits));
    if (!e)
        e = meta_table_ready(&heap.t_spans, lo * sizeof(struct span),
                             hi * sizeof(struct span));
    if (!e)
        e = meta_table_ready(&heap.t_black, lo * sizeof(struct black),
                             hi * sizeof(struct black));
    if (!e)
        e = meta_table_ready(&heap.t_queued, lo, hi);
    if (e)
        return e;
    uintptr_t now = load_relaxed(&heap.limit), want = hi << PAGE_SHIFT;
    while (now < want && !cas_seq(&heap.limit, &now, want))
        continue;
    store_relaxed(&heap.top, (uint32_t)(load_relaxed(&heap.limit) >>
                                        PAGE_SHIFT));
    return 0;
}

static void clear_bits(struct bits *b)
{
    for (unsigned i = 0; i < 8; i++) {
        store_relaxed(&b->w[i].mark, 0);
        store_relaxed(&b->w[i].alloc, 0);
    }
}

static void clear_black(struct span *s)
{
    struct black *b = span_black(s);
    if (s->paged)
        for (unsigned i = 0; i < (s->nslots + 63u) / 64; i++)
            store_relaxed(&b->w[i], 0);
}

static struct span *start_span(uint32_t page, uint32_t n, unsigned class)
{
    struct span *s = span_at(page);
    _Atomic uint64_t *freed = s->freed;
    clear_bits(span_bits(s));
    memset(s, 0, sizeof *s);
    s->freed = freed; /* of an earlier span here: all zero, used again */
    s->next = NO_PAGE;
    s->npages = n;
    s->class = (uint16_t)class;
    add_relaxed(&heap.pages_in_use, n);
    return s;
}

/* tracealloc */
static COLD void trace(const char *what, const struct span *s)
{
    say("span %s: %p, %u pages, class %u, slots of %lu bytes", what,
        (void *)span_start(s), s->npages, s->class, (unsigned long)s->size);
}

struct span *span_new(unsigned c, uint32_t gen, struct page_cache *pages)
{
    const struct class *k = &classes[c];
    bool zero = false;
    uint32_t page = page_cache_take(pages, k->npages, &zero);
    if (page == NO_PAGE)
        return 0;
    if (tables_ready(page, k->npages)) {
        page_give(page, k->npages);
        return 0;
    }
    struct span *s = start_span(page, k->npages, c);
    s->gen = gen;
    s->state = SPAN_CACHED;
    s->needzero = !zero;
    s->nslots = k->nslots;
    s->size = k->size;
    s->kind = k->kind;
    s->paged = k->paged;
    clear_black(s);
    uint32_t d = c | DESC_IN_USE | (k->paged ? DESC_PAGED : 0) |
                 (k->kind == KIND_NOSCAN ? DESC_NOSCAN : 0) |
                 (k->kind == KIND_TRACED ? DESC_TRACED : 0);
    for (uint32_t i = 0; i < k->npages; i++)
        store_release(&heap.desc[page + i], d | i << 10);
    if (unlikely(knobs.tracealloc))
        trace("taken", s);
    return s;
}

struct span *span_new_large(size_t n, enum kind kind,
                            const struct sc_shape *shape, uint32_t gen,
                            bool *zero)
{
    size_t pages = (n + PAGE_SIZE - 1) >> PAGE_SHIFT;
    if (n > arenas.size || pages >= arenas.pages)
        return 0;
    uint32_t page = page_take((uint32_t)pages, zero);
    if (page == NO_PAGE)
        return 0;
    if (tables_ready(page, (uint32_t)pages)) {
        page_give(page, (uint32_t)pages);
        return 0;
    }
    struct span *s = start_span(page, (uint32_t)pages, CLASS_LARGE);
    s->gen = gen;
    s->state = SPAN_LARGE;
    s->nslots = s->nalloc = s->search = 1;
    store_relaxed(&s->sparse, *zero);
    store_relaxed(&s->full, 0);
    s->size = n;
    s->kind = (uint8_t)kind;
    s->shape = shape;
    if (unlikely(knobs.tracealloc))
        trace("taken", s);
    return s;
}

/* The descriptors make the object visible; they come last. */
void span_publish_large(struct span *s, bool black)
{
    uint32_t page = span_page(s);
    struct bits *b = span_bits(s);
    if (black)
        store_relaxed(&b->w[0].mark, 1);
    store_relaxed(&b->w[0].alloc, 1);
    uint32_t d = DESC_LARGE | DESC_IN_USE |
                 (s->kind == KIND_NOSCAN ? DESC_NOSCAN : 0) |
                 (s->kind == KIND_TRACED ? DESC_TRACED : 0);
    for (uint32_t i = 0; i < s->npages; i++) {
        uint32_t back = i < DESC_BACK_MAX ? i : DESC_BACK_MAX;
        store_release(&heap.desc[page + i],
                      d | desc_put_back(back) | (i ? 0 : DESC_FIRST));
    }
}

void span_free(struct span *s)
{
    uint32_t page = span_page(s), n = s->npages;
    bool guarded = s->guarded;
    if (unlikely(knobs.tracealloc))
        trace("given back", s);
    for (uint32_t i = 0; i < n; i++)
        store_relaxed(&heap.desc[page + i], 0);
    s->state = SPAN_FREE;
    sub_relaxed(&heap.pages_in_use, n);
    if (guarded) /* efence: the addresses are burnt */
        os_decommit((void *)arena_address(page), n * PAGE_SIZE);
    else
        page_give(page, n);
}

/* ---- Runs -------------------------------------------------------------- */

/* First index >= i whose alloc bit equals `set`; n if there is none. */
static unsigned find_bit(const struct bits *b, unsigned i, unsigned n,
                         bool set)
{
    while (i < n) {
        uint64_t w = load_relaxed(&b->w[i >> 6].alloc);
        w = (set ? w : ~w) >> (i & 63);
        if (w) {
            i += (unsigned)__builtin_ctzll(w);
            return i < n ? i : n;
        }
        i = (i | 63) + 1;
    }
    return n;
}

/* Slots [i, e), as far as they lie in word k. */
static uint64_t span_mask(unsigned k, unsigned i, unsigned e)
{
    uint64_t m = ~0ull;
    if (k == i >> 6)
        m &= ~0ull << (i & 63);
    if (k == (e - 1) >> 6)
        m &= ~0ull >> (63 - ((e - 1) & 63));
    return m;
}

/* Sets or clears slots [i, e).  Allocation bits have one writer; mark bits may
 * be set by others at the same time. */
static void paint(struct bits *b, bool mark, unsigned i, unsigned e, bool set)
{
    for (unsigned k = i >> 6; k <= (e - 1) >> 6; k++) {
        uint64_t m = span_mask(k, i, e), old = load_relaxed(&b->w[k].alloc);
        if (mark && set)
            or_relaxed(&b->w[k].mark, m);
        else if (mark)
            and_relaxed(&b->w[k].mark, ~m);
        else
            store_relaxed(&b->w[k].alloc, set ? old | m : old & ~m);
    }
}

/* Marked and as good as scanned, or neither. */
static void paint_black(struct span *s, unsigned i, unsigned e, bool set)
{
    struct black *b = span_black(s);
    paint(span_bits(s), true, i, e, set);
    if (!s->paged)
        return;
    for (unsigned k = i >> 6; k <= (e - 1) >> 6; k++) {
        uint64_t m = span_mask(k, i, e);
        if (set)
            or_relaxed(&b->w[k], m);
        else
            and_relaxed(&b->w[k], ~m);
    }
}

static RACY void zero_run(uintptr_t a, size_t n)
{
    memset((void *)a, 0, n);
}

bool span_take_run(struct span *s, bool black, struct run *r)
{
    struct bits *b = span_bits(s);
    unsigned i = find_bit(b, s->search, s->nslots, false);
    if (i >= s->nslots) {
        s->search = s->nslots;
        return false;
    }
    unsigned most = (unsigned)(RUN_BYTES / s->size);
    if (unlikely(knobs.gcstress))
        most = 1; /* each allocation takes the slow path */
    unsigned end = min_size(i + (most ? most : 1), s->nslots);
    unsigned e = find_bit(b, i, end, true);
    uintptr_t at = span_start(s) + i * s->size;
    if (s->needzero && s->kind != KIND_NOSCAN)
        zero_run(at, (e - i) * s->size);
    if (black)
        paint_black(s, i, e, true);
    /* A marker that sees the bit must see the zeroes. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    paint(b, false, i, e, true);
    s->nalloc = (uint16_t)(s->nalloc + (e - i));
    s->search = (uint16_t)e;
    r->cur = at;
    r->end = at + (e - i) * s->size;
    return true;
}

void span_give_run(struct span *s, uintptr_t from, uintptr_t to)
{
    if (from >= to)
        return;
    struct bits *b = span_bits(s);
    unsigned i = (unsigned)((from - span_start(s)) / s->size);
    unsigned e = (unsigned)((to - span_start(s)) / s->size);
    paint(b, false, i, e, false);
    paint_black(s, i, e, false);
    s->nalloc = (uint16_t)(s->nalloc - (e - i));
    if (i < s->search)
        s->search = (uint16_t)i;
    /* The slots given back are zero still, but others of the span may not be:
     * needzero speaks of the whole span. */
}

/* ---- Sweep ------------------------------------------------------------- */

/* Fills a dead object so that a use of it shows (clobberfree). */
static RACY void clobber(uintptr_t a, size_t n)
{
    uint32_t *p = (uint32_t *)a;
    for (size_t i = 0; i < n / 4; i++)
        p[i] = 0xdeadbeef;
}

static void clobber_dead(struct span *s, unsigned word, uint64_t dead)
{
    for (; dead; dead &= dead - 1) {
        unsigned slot = word * 64 + (unsigned)__builtin_ctzll(dead);
        clobber(span_start(s) + slot * s->size, s->size);
    }
}

/* What a slot was counted as when it was allocated: pages, of a large one. */
static uint64_t slot_bytes(const struct span *s)
{
    return s->state == SPAN_LARGE ? s->npages * PAGE_SIZE : s->size;
}

bool span_sweep(struct span *s)
{
    struct bits *b = span_bits(s);
    unsigned live = 0, words = (s->nslots + 63u) / 64;
    for (unsigned i = 0; i < words; i++) {
        /* A late marker may have hit a slot that a run just gave back: only
         * allocated slots can live. */
        uint64_t alloc = load_relaxed(&b->w[i].alloc);
        uint64_t m = load_relaxed(&b->w[i].mark) & alloc, dead = alloc & ~m;
        if (dead && unlikely(knobs.clobberfree))
            clobber_dead(s, i, dead);
        store_relaxed(&b->w[i].alloc, m);
        store_relaxed(&b->w[i].mark, 0);
        if (s->freed && dead)
            and_relaxed(&s->freed[i], ~dead);
        live += (unsigned)__builtin_popcountll(m);
    }
    clear_black(s);
    insist(live <= s->nalloc);
    unsigned gone = s->nalloc - live;
    s->nalloc = (uint16_t)live;
    s->search = 0;
    s->needzero = 1;
    add_relaxed(&heap.swept_free_objects, gone);
    add_relaxed(&heap.swept_free_bytes, gone * slot_bytes(s));
    return live == 0;
}

void span_check(const struct span *s)
{
    const struct bits *b = span_bits(s);
    unsigned n = 0;
    for (unsigned i = 0; i < 8; i++)
        n += (unsigned)__builtin_popcountll(load_relaxed(&b->w[i].alloc));
    if (n != s->nalloc || n > s->nslots)
        fatal("verify: span at 0x%lx: %u allocation bits, count %u of %u slots",
              (long)span_start(s), n, s->nalloc, s->nslots);
    if (find_bit(b, s->nslots, 512, true) != 512)
        fatal("verify: span at 0x%lx: allocation bit behind the last slot",
              (long)span_start(s));
    if (find_bit(b, 0, s->search < s->nslots ? s->search : 0, false) <
        (s->search < s->nslots ? s->search : 0u))
        fatal("verify: span at 0x%lx: free slot below %u", (long)span_start(s),
              s->search);
}
