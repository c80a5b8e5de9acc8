/* markpage.c: grey -> black, a page of small objects at a time.
 *
 *   page from the queue -> mark & alloc & ~black: its grey slots
 *        -> black, scanned in the order of their addresses, until none is left
 *        -> the flag is cleared, one more look
 *
 * Where objects were allocated together they point to each other: a page is
 * read once, in order, and most of what it turns grey is on it or on the next.
 * Where pointers go anywhere a page has few grey slots at its turn; then the
 * objects of the next page, and the mark words that this one's pointers lead
 * to, are fetched ahead.  Which of the two it is, each word of bits says by how
 * many it has.
 *
 * Invariants: M1  one worker at a time scans a page (queue.c, Q1), so black
 *                 bits have one writer, but for the owner of a fresh run; and
 *                 only while all threads allocate black (drain_is_on): what a
 *                 plain store can undo then is a black that is painted anew
 *                 when the slot is taken again, before it can be white;
 *             M2  an object is counted as marked when it becomes black.
 * Locks: none.
 */
#include "mark.h"

/* The objects of a page that are grey, by one word of its bits; they are black
 * from here on. */
INLINE RACY uint64_t take_grey(uint32_t page, unsigned i)
{
    const struct bits *b = &heap.bits[page];
    struct black *k = &heap.black[page];
    uint64_t black = load_relaxed(&k->w[i]);
    uint64_t m = load_relaxed(&b->w[i].mark) & load_acquire(&b->w[i].alloc) &
                 ~black;
    if (m)
        store_relaxed(&k->w[i], black | m);
    return m;
}

/* Without the processor's own instruction, which not every one has. */
INLINE RACY unsigned bits_in(uint64_t m)
{
    m -= m >> 1 & 0x5555555555555555;
    m = (m & 0x3333333333333333) + (m >> 2 & 0x3333333333333333);
    m = (m + (m >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (unsigned)(m * 0x0101010101010101 >> 56);
}

/* So few objects of 64 do not lie in a row: the processor does not foresee
 * which lines of memory come next. */
#define SPARSE 16

/* Pointers on their way: the bits of each are fetched from memory while the
 * next are read. */
#define PENDING 64
struct pending {
    unsigned n;
    struct found f[PENDING];
};

static RACY void settle(struct work *w, struct pending *p)
{
    for (unsigned i = 0; i < p->n; i++)
        mark_found(w, p->f[i]);
    p->n = 0;
}

INLINE RACY void look_map(struct work *w, struct pending *p, uintptr_t e,
                          uint64_t map)
{
    for (; map; map &= map - 1) {
        uintptr_t a = load_relaxed((uintptr_t *)e + __builtin_ctzll(map));
        if (!find(w, a, &p->f[p->n]))
            continue;
        struct found f = p->f[p->n];
        __builtin_prefetch(&found_bits(f)->w[f.slot >> 6], 1);
        if (unlikely(++p->n == PENDING))
            settle(w, p);
    }
}

static NOINLINE RACY void scan_sparse(struct work *w, uintptr_t start,
                                      uint64_t m, const struct class *k)
{
    struct pending p;
    p.n = 0;
    for (; m; m &= m - 1)
        look_map(w, &p, start + (size_t)__builtin_ctzll(m) * k->size, k->map);
    settle(w, &p);
}

/* One word's worth of grey objects.  far: they come from memory, not from the
 * cache. */
INLINE RACY unsigned scan_slots(struct work *w, uintptr_t start, uint64_t m,
                                uint32_t d, const struct class *k, bool far)
{
    size_t size = k->size;
    unsigned n = bits_in(m);
    if (unlikely(!k->whole || (d & (DESC_KEYS | DESC_TRACED))))
        for (; m; m &= m - 1)
            mark_odd(w, start + (size_t)__builtin_ctzll(m) * size, d, k);
    else if (far && n > 1 && n <= SPARSE)
        scan_sparse(w, start, m, k);
    else
        for (; m; m &= m - 1)
            scan_map(w, start + (size_t)__builtin_ctzll(m) * size, k->map);
    return n;
}

/* The grey objects of a page that will be scanned soon: on their way. */
void mark_prefetch_page(uint32_t page)
{
    uint32_t d = load_relaxed(&heap.desc[page]);
    const struct class *c = &classes[DESC_CLASS(d)];
    const struct bits *b = &heap.bits[page];
    const struct black *k = &heap.black[page];
    unsigned words = (c->nslots + 63u) / 64;
    char *start = (char *)arena_address(page);
    for (unsigned i = 0; i < words; i++, start += 64 * (size_t)c->size) {
        uint64_t m = load_relaxed(&b->w[i].mark) & ~load_relaxed(&k->w[i]);
        if (bits_in(m) > SPARSE)
            continue;
        for (; m; m &= m - 1)
            __builtin_prefetch(start + (size_t)__builtin_ctzll(m) * c->size);
    }
}

static bool has_grey(uint32_t page, unsigned words)
{
    const struct bits *b = &heap.bits[page];
    const struct black *k = &heap.black[page];
    for (unsigned i = 0; i < words; i++)
        if (load_relaxed(&b->w[i].mark) & load_relaxed(&b->w[i].alloc) &
            ~load_relaxed(&k->w[i]))
            return true;
    return false;
}

/* Lets go of the page; false: something became grey before others could see
 * that, and nobody has queued the page since. */
static bool leave_page(uint32_t page, unsigned words)
{
    store_relaxed(&heap.queued[page], 0);
    fence_seq();
    return !has_grey(page, words) || swap_seq(&heap.queued[page], 1);
}

/* What turns grey meanwhile in the same word is scanned at once, while it is at
 * hand. */
INLINE RACY size_t scan_words(struct work *w, uint32_t page, uint32_t d,
                              const struct class *k, unsigned words, bool far)
{
    uintptr_t start = arena_address(page);
    size_t n = 0;
    for (unsigned i = 0; i < words; i++, start += 64 * (size_t)k->size) {
        uint64_t m = take_grey(page, i);
        if (!m)
            continue;
        n += scan_slots(w, start, m, d, k, far);
        while ((m = take_grey(page, i)))
            n += scan_slots(w, start, m, d, k, false);
    }
    return n;
}

RACY size_t mark_scan_page(struct work *w, uint32_t page)
{
    /* Ephemerons that are made from here on shade what they hold themselves: no
     * need to look for DESC_KEYS again. */
    uint32_t d = load_acquire(&heap.desc[page]);
    const struct class *k = &classes[DESC_CLASS(d)];
    unsigned words = (k->nslots + 63u) / 64;
    size_t n = scan_words(w, page, d, k, words, true), more;
    do
        while ((more = scan_words(w, page, d, k, words, false)))
            n += more;
    while (!leave_page(page, words));
    w->bytes_marked += n * k->size;
    return n * k->size;
}
