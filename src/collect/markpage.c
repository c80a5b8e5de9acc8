/* markpage.c: grey -> black, a page of small objects at a time.
 *
 *   page from the queue -> mark & alloc & ~black: its grey slots
 *        -> black, scanned in the order of their addresses, until none is left
 *        -> the flag is cleared, one more look
 *
 *   a pointer   to this page     a bit of `local`: grey, and nobody else needs
 *                                to know yet
 *               to another one   to the queue of far ones (ahead.h)
 *
 * Where objects were allocated together they point to each other: a page is
 * read once, in order, and most of what it turns grey is on it or on the next.
 * Where pointers go anywhere a page has few grey slots at its turn; then it is
 * what was fetched ahead that counts.  Which of the two it is, each word of
 * bits says by how many it has: many are read by the widest loop there is
 * (pick.h), few one by one, with what they turn grey behind them.
 *
 * Invariants: M1  one worker at a time scans a page (queue.c, Q1), so black
 *                 bits have one writer, but for the owner of a fresh run; and
 *                 only while all threads allocate black (drain_is_on): what a
 *                 plain store can undo then is a black that is painted anew
 *                 when the slot is taken again, before it can be white;
 *             M2  an object is counted as marked when it becomes black;
 *             M3  what is black is marked, before the page is let go of: one
 *                 atomic instruction for all of a word.
 * Locks: none.
 */
#include "ahead.h"
#include "pick.h"

/* A page being scanned. */
struct scan {
    struct work *w;
    struct far *far;
    struct ahead ahead;
    struct pick_from from;
    struct picked picked;
    uint32_t page, d;
    const struct class *k;
    uint64_t local[8];      /* found from this page itself, by slot */
};

/* ---- Where words lead ---------------------------------------------------- */

/* Slots of one word of bits that were found one after the other. */
struct series {
    uint32_t page, word, magic;
    uint64_t slots;
};

INLINE RACY void series_end(struct scan *s, const struct series *r)
{
    if (!r->slots)
        return;
    if (r->page == s->page)
        s->local[r->word] |= r->slots;
    else
        far_put(s->w, s->far, (uint64_t)r->page * 8 + r->word, r->slots);
}

/* off: from the heap's base. */
INLINE RACY void look_in_series(struct scan *s, struct series *r,
                                uintptr_t off)
{
    uint32_t page = (uint32_t)(off >> PAGE_SHIFT);
    if (page != r->page) {
        series_end(s, r);
        *r = (struct series){page, 0, magic_of(s->w, off), 0};
        if (!r->magic) {
            r->page = NO_PAGE;
            return;
        }
    }
    unsigned slot = slot_at(off, r->magic);
    if (slot >> 6 != r->word) {
        series_end(s, r);
        r->word = slot >> 6;
        r->slots = 0;
    }
    r->slots |= slot_bit(slot);
}

INLINE RACY void look(struct scan *s, uintptr_t off)
{
    if (off >> PAGE_SHIFT != s->page) {
        far_look(s->w, s->far, off);
        return;
    }
    unsigned slot = slot_at(off, s->k->magic);
    s->local[slot >> 6] |= slot_bit(slot);
}

INLINE RACY void look_map(struct scan *s, uintptr_t e)
{
    for (uint64_t map = s->from.map; map; map &= map - 1) {
        const uintptr_t *word = (uintptr_t *)e + __builtin_ctzll(map);
        uintptr_t off = load_relaxed(word) + s->from.minus_base;
        if (off < s->from.limit)
            look(s, off);
    }
}

/* ---- One word of bits ---------------------------------------------------- */

static NOINLINE RACY void scan_many(struct scan *s, uint64_t todo)
{
    struct series r = {NO_PAGE, 0, 0, 0};
    for (uint64_t m = todo; m && ahead_one(&s->ahead);)
        m &= m - 1;
    while (todo) {
        todo = pick(&s->from, todo, &s->picked);
        for (unsigned i = 0; i < s->picked.n; i++)
            look_in_series(s, &r, s->picked.off[i]);
        s->picked.n = 0;
    }
    series_end(s, &r);
}

/* With what they turn grey behind them.  What they turn grey before them waits:
 * were it taken at once, each load would depend on the one before.  Returns the
 * slots scanned. */
INLINE RACY uint64_t scan_few(struct scan *s, unsigned i, uint64_t todo,
                              uint64_t may)
{
    uint64_t done = 0;
    while (todo) {
        uint64_t bit = todo & -todo;
        (void)ahead_one(&s->ahead);
        look_map(s, s->from.start +
                        (size_t)__builtin_ctzll(todo) * s->from.size);
        done |= bit;
        todo = (todo ^ bit) | (s->local[i] & may & -bit & ~bit);
    }
    return done;
}

/* Until nothing on this page turns any of them grey. */
INLINE RACY uint64_t scan_grey(struct scan *s, unsigned i, uint64_t grey,
                               uint64_t may)
{
    uint64_t done = 0;
    while (grey) {
        if (bits_in(grey) > DENSE) {
            scan_many(s, grey);
            done |= grey;
        } else {
            done |= scan_few(s, i, grey, may & ~done);
        }
        grey = s->local[i] & may & ~done;
    }
    return done;
}

static NOINLINE RACY void scan_odd(struct scan *s, uint64_t grey)
{
    for (; grey; grey &= grey - 1)
        mark_odd(s->w, s->from.start +
                           (size_t)__builtin_ctzll(grey) * s->from.size,
                 s->d, s->k);
}

/* The objects of a word that are grey are black from here on; returns their
 * number. */
INLINE RACY unsigned scan_word(struct scan *s, unsigned i)
{
    struct bits *b = &heap.bits[s->page];
    struct black *k = &heap.black[s->page];
    uint64_t may = load_acquire(&b->w[i].alloc) & ~load_relaxed(&k->w[i]);
    uint64_t mark = load_relaxed(&b->w[i].mark);
    uint64_t done = (mark | s->local[i]) & may;
    if (!done)
        return 0;
    s->from.start = arena_address(s->page) + 64 * (size_t)i * s->from.size;
    if (unlikely(!s->k->whole || (s->d & (DESC_KEYS | DESC_TRACED))))
        scan_odd(s, done);
    else
        done = scan_grey(s, i, done, may);
    if (done & ~mark)
        (void)or_seq(&b->w[i].mark, done);
    store_relaxed(&k->w[i], load_relaxed(&k->w[i]) | done);
    return bits_in(done);
}

/* ---- The page ------------------------------------------------------------ */

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

INLINE RACY size_t scan_words(struct scan *s, unsigned words)
{
    size_t n = 0;
    for (unsigned i = 0; i < words; i++)
        n += scan_word(s, i);
    return n;
}

INLINE RACY void scan_begin(struct scan *s, struct work *w, struct far *f,
                            uint32_t page, uint32_t next)
{
    s->w = w;
    s->far = f;
    ahead_begin(&s->ahead, next, w->density > WHOLE);
    s->page = page;
    /* Ephemerons that are made from here on shade what they hold themselves: no
     * need to look for DESC_KEYS again. */
    s->d = load_acquire(&heap.desc[page]);
    s->k = &classes[DESC_CLASS(s->d)];
    s->from = (struct pick_from){0, s->k->size, s->k->map, -heap.base,
                                 load_relaxed(&heap.limit)};
    s->picked.n = 0;
    for (unsigned i = 0; i < 8; i++)
        s->local[i] = 0;
}

RACY size_t mark_scan_page(struct work *w, struct far *f, uint32_t page,
                           uint32_t next)
{
    struct scan s;
    scan_begin(&s, w, f, page, next);
    unsigned words = (s.k->nslots + 63u) / 64;
    size_t n = 0, more;
    do
        while ((more = scan_words(&s, words)))
            n += more;
    while (!leave_page(page, words));
    while (ahead_one(&s.ahead))
        ;
    w->bytes_marked += n *= s.k->size;
    w->density += n / 8 - w->density / 8;
    return n;
}

RACY size_t mark_scan_page_alone(struct work *w, uint32_t page)
{
    struct far f;
    far_begin(&f);
    size_t n = mark_scan_page(w, &f, page, NO_PAGE);
    far_settle(w, &f);
    return n;
}
