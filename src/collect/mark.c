/* mark.c: white -> grey -> black, one object at a time.
 *
 *   word -> in the heap? -> page descriptor -> span class -> slot
 *        -> allocated? -> mark bit 0 -> 1 (atomic or): grey
 *        -> small, with pointers: its page is queued (mark.h, markpage.c)
 *        -> noscan: black at once;  else into a work buffer
 *   entry from a work buffer -> its pointer words, by the class's map: black
 *
 * Any word may be given: memory is C's, and a layout may be wrong about a dead
 * stack slot.  Nothing is dereferenced but the heap's own tables, which exist
 * for ever, and objects whose allocation bit was seen.
 *
 * The three kinds (map, every word, trace function) share one loop in
 * drain.c; here is the body, but for large objects (marklarge.c).
 *
 * Locks: none.  Mark bits are set by atomic or; the winner queues the object.
 */
#include "ahead.h"
#include "pick.h"

struct gc gc;
/* Its first byte, by the name that compiled code knows (sancai_cc.h). */
extern struct gc sc_cc_marking
    __attribute__((alias("gc"), visibility("default")));

static COLD void check_again(struct work *w, uintptr_t base, unsigned slot,
                             uint32_t page, uint32_t d)
{
    if (!verify_mark_again(w->parent, base, slot, page))
        return;
    if (!(d & DESC_NOSCAN) || (d & DESC_KEYS))
        work_put(w, base);
}

/* An object that is queued by itself: large, of many words, or without any. */
INLINE void grey(struct work *w, uintptr_t base, unsigned slot, uint32_t page,
                 uint32_t d, size_t size)
{
    struct bits *b = &heap.bits[page];
    uint64_t bit = slot_bit(slot);
    if (!(load_acquire(&b->w[slot >> 6].alloc) & bit))
        return;
    if (unlikely(w->checking)) {
        check_again(w, base, slot, page, d);
        return;
    }
    if ((load_relaxed(&b->w[slot >> 6].mark) & bit) ||
        (or_seq(&b->w[slot >> 6].mark, bit) & bit))
        return;
    w->bytes_marked += size;
    if ((d & (DESC_NOSCAN | DESC_KEYS)) != DESC_NOSCAN)
        work_put(w, base);
}

static NOINLINE void mark_large(struct work *w, uintptr_t a, uint32_t page,
                                uint32_t d)
{
    uint32_t first = large_first(page, &d);
    if (first == NO_PAGE)
        return;
    struct span *s = span_at(first);
    if (a - span_start(s) < s->npages * PAGE_SIZE)
        grey(w, span_start(s), 0, first, d, s->npages * PAGE_SIZE);
}

/* A word into a page that is in no queue of pages, whatever is there. */
NOINLINE void mark_other(struct work *w, uintptr_t a, uint32_t d)
{
    uintptr_t off = a - heap.base;
    uint32_t page = (uint32_t)(off >> PAGE_SHIFT);
    if ((d & (DESC_IN_USE | DESC_LARGE)) != DESC_IN_USE) {
        if (d & DESC_IN_USE)
            mark_large(w, a, page, d);
        return;
    }
    const struct class *k = &classes[DESC_CLASS(d)];
    page -= DESC_INDEX(d);
    uintptr_t in = off - ((uintptr_t)page << PAGE_SHIFT);
    unsigned slot = (unsigned)(in * k->magic >> 32);
    if (slot >= k->nslots)
        return;
    uintptr_t start = arena_address(page);
    grey(w, start + (uintptr_t)slot * k->size, slot, page, d, k->size);
}

RACY void mark_word(struct work *w, uintptr_t word)
{
    mark_one(w, os_checker ? os_checker_defined(word) : word);
}

void mark_aside(uintptr_t word)
{
    struct work none = {.aside = true};
    mark_word(&none, word);
    if (none.flushed)
        store_seq(&gc.overflow, true); /* after the mark, for all to see */
}

static RACY NOINLINE void mark_range_checked(struct work *w, uintptr_t lo,
                                             uintptr_t hi)
{
    for (uintptr_t a = lo; a + 8 <= hi; a += 8)
        mark_one(w, os_checker_defined(load_relaxed((uintptr_t *)a)));
}

/* Of 64 words those of the map. */
static RACY NOINLINE void mark_block(struct work *w, uintptr_t at,
                                     uint64_t map)
{
    const struct pick_from from = {at, 0, map, -heap.base,
                                   load_relaxed(&heap.limit)};
    struct picked p;
    struct far far;
    p.n = 0;
    far_begin(&far);
    (void)pick(&from, 1, &p);
    for (unsigned i = 0; i < p.n; i++)
        far_look(w, &far, p.off[i]);
    far_settle(w, &far);
}

RACY void mark_range(struct work *w, uintptr_t lo, uintptr_t hi)
{
    lo = align_up(lo, 8);
    if (unlikely(os_checker)) {
        mark_range_checked(w, lo, hi);
        return;
    }
    for (; lo + 64 * 8 <= hi; lo += 64 * 8)
        mark_block(w, lo, ~0ull);
    for (uintptr_t a = lo; a + 8 <= hi; a += 8)
        mark_one(w, load_relaxed((uintptr_t *)a));
}

/* ---- Scanning ---------------------------------------------------------- */

/* Periods so short that some go into 64 words: a map of those, from the word
 * that is `in` behind the start of a period on. */
static uint64_t map_of_many(const struct sc_shape *p, size_t in, size_t words)
{
    uint64_t map = 0;
    for (size_t j = 0; j < words; j++, in = in + 1 < p->period ? in + 1 : 0)
        map |= (p->map[0] >> in & 1) << j;
    return map;
}

/* As many whole periods at a time as go into 64 words, so that all pieces have
 * the same map; returns where the rest begins. */
static RACY size_t mark_many(struct work *w, uintptr_t base, size_t i,
                             size_t words, const struct sc_shape *p)
{
    size_t n = 64 / p->period * p->period;
    uint64_t map = map_of_many(p, i % p->period, n);
    for (; i + n <= words; i += n)
        mark_block(w, base + i * 8, map);
    return i;
}

RACY void mark_periods(struct work *w, uintptr_t base, uintptr_t lo,
                       uintptr_t hi, const struct sc_shape *p)
{
    size_t words = (hi - base) / 8, i = (lo - base) / 8;
    if (p->period <= 32 && words - i >= 64)
        i = mark_many(w, base, i, words, p);
    while (i < words) {
        size_t in = i % p->period, piece = in / 64;
        uint64_t map = p->map[piece] >> (in & 63);
        size_t n = min_size(p->period - in, 64 - (in & 63));
        n = min_size(n, words - i);
        if (n < 64)
            scan_map(w, base + i * 8, map & ((1ull << n) - 1));
        else
            mark_block(w, base + i * 8, map);
        i += n;
    }
}

void mark_traced(struct work *w, uintptr_t base, size_t size,
                 sc_trace_fn trace)
{
    struct sc_marker m = {w};
    size_t cursor = 0;
    do
        cursor = trace((void *)base, size, cursor, &m);
    while (cursor);
}

static void scan_small(struct work *w, uintptr_t e, const struct class *k)
{
    if (k->kind == KIND_TRACED)
        mark_traced(w, e, k->size, k->shape->trace);
    else if (k->kind == KIND_CONSERVATIVE)
        mark_range(w, e, e + k->size);
    else if (k->kind == KIND_PRECISE)
        mark_periods(w, e, e, e + k->size, k->shape);
}

NOINLINE size_t mark_odd(struct work *w, uintptr_t e, uint32_t d,
                                const struct class *k)
{
    if (d & DESC_KEYS)
        special_key_marked(w, e);
    scan_small(w, e, k);
    return k->kind == KIND_NOSCAN ? 0 : k->size;
}

RACY size_t mark_scan(struct work *w, uintptr_t e)
{
    uint32_t page = arena_page(e);
    uint32_t d = load_relaxed(&heap.desc[page]);
    if (unlikely(d & DESC_LARGE))
        return mark_scan_large(w, e, page, d);
    w->parent = e;
    const struct class *k = &classes[DESC_CLASS(d)];
    if (unlikely(d & (DESC_KEYS | DESC_TRACED)))
        return mark_odd(w, e, d, k);
    if (k->whole)
        scan_map(w, e, k->map);
    else if (k->kind == KIND_CONSERVATIVE)
        mark_range(w, e, e + k->size);
    else
        mark_periods(w, e, e, e + k->size, k->shape);
    return k->size;
}

/* ---- The whole heap, rarely -------------------------------------------- */

void mark_fields(struct work *w, uintptr_t base)
{
    uint32_t page = arena_page(base);
    uint32_t d = load_relaxed(&heap.desc[page]);
    w->parent = base;
    if (d & DESC_LARGE)
        mark_whole_large(w, span_at(page));
    else
        scan_small(w, base, &classes[DESC_CLASS(d)]);
}

static void scan_marked(struct work *w, const struct span *s, unsigned word,
                        uint32_t d)
{
    const struct bits *b = span_bits(s);
    uint64_t m = load_relaxed(&b->w[word].mark) &
                 load_relaxed(&b->w[word].alloc);
    for (; m; m &= m - 1) {
        unsigned slot = word * 64 + (unsigned)__builtin_ctzll(m);
        uintptr_t base = span_start(s) + slot * s->size;
        if (d & DESC_KEYS)
            special_key_marked(w, base);
        mark_fields(w, base);
    }
}

void mark_page_again(struct work *w, uint32_t page)
{
    uint32_t d = load_acquire(&heap.desc[page]);
    if (!desc_begins(d) || (d & (DESC_NOSCAN | DESC_KEYS)) == DESC_NOSCAN)
        return;
    if (d & DESC_PAGED) { /* else it is in a queue, and will be scanned */
        if (!swap_seq(&heap.queued[page], 1))
            mark_scan_page_alone(w, page);
        return;
    }
    const struct span *s = span_at(page);
    for (unsigned i = 0; i < (s->nslots + 63u) / 64; i++)
        scan_marked(w, s, i, d);
}

static void clear_marks(uint32_t page)
{
    struct span *s = span_at(page);
    for (unsigned i = 0; i < 8; i++)
        store_relaxed(&span_bits(s)->w[i].mark, 0);
    for (unsigned i = 0; i < 8 && s->paged; i++)
        store_relaxed(&span_black(s)->w[i], 0);
    store_relaxed(&heap.queued[page], 0);
}

void mark_clear_all(void)
{
    uint32_t top = (uint32_t)(load_relaxed(&heap.limit) >> PAGE_SHIFT);
    for (uint32_t page = 0; page < top; page++)
        if (desc_begins(load_acquire(&heap.desc[page])))
            clear_marks(page);
}

/* Threads count whole runs when they take them, and take off what they give
 * back later: the sum may be short for a while, never below nothing. */
uint64_t gc_heap_live(void)
{
    int64_t live = (int64_t)(load_relaxed(&gc.heap_marked) +
                             load_relaxed(&heap.live_bytes) -
                             load_relaxed(&gc.live_base));
    return live > 0 ? (uint64_t)live : 0;
}

SC_API void sc_mark(struct sc_marker *m, const void *p)
{
    mark_word(m->work, (uintptr_t)p);
}
