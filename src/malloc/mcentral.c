/* mcentral.c: the spans of each size class, fullest first.
 *
 *   band   0   [span]-[span]        an eighth or less of it is free
 *          1   [span]
 *          :
 *          7   [span]-[span]        nearly all is free
 *
 * Blocks are handed out of the fullest span that has any, so that the others
 * empty and their pages can go; from one span by rising address, as what is
 * asked for together is used together.  A span of which all is free goes back
 * to the page heap, but for the last one that the class could take from.
 *
 * Invariants, under the class's lock: nfree is the number of ones in the bits;
 * a span is in the list of its band, or in none if nfree == 0.
 * Locks: one per class (RANK_CENTRAL); pages.lock inside.
 */
#include "malloc.h"

static struct mcentral {
    struct lock lock;
    uint32_t band[BANDS]; /* first page + 1 */
    uint32_t listed;      /* spans in lists */
    uint32_t spans;
    uint64_t free;        /* blocks in spans */
} __attribute__((aligned(64))) central[SIZE_CLASSES] = {
    [0 ... SIZE_CLASSES - 1] = {.lock = LOCK_INIT(RANK_CENTRAL)}
};

/* ---- Lists ------------------------------------------------------------- */

static unsigned band_of(const struct mspan *s)
{
    return s->nfree ? (s->nfree - 1u) * mheap.class[s->class].bands >> 16
                    : BANDS;
}

static void unlink_span(struct mcentral *c, struct mspan *s)
{
    if (s->prev)
        mspan_at(s->prev - 1)->next = s->next;
    else
        c->band[s->band] = s->next;
    if (s->next)
        mspan_at(s->next - 1)->prev = s->prev;
    s->band = BANDS;
    c->listed--;
}

static void link_span(struct mcentral *c, struct mspan *s, unsigned band)
{
    s->prev = 0;
    s->next = c->band[band];
    if (s->next)
        mspan_at(s->next - 1)->prev = mspan_page(s) + 1;
    c->band[band] = mspan_page(s) + 1;
    s->band = (uint8_t)band;
    c->listed++;
}

/* Into the list where it belongs now. */
static void place(struct mcentral *c, struct mspan *s)
{
    unsigned band = band_of(s);
    if (band == s->band)
        return;
    if (s->band != BANDS)
        unlink_span(c, s);
    if (band != BANDS)
        link_span(c, s, band);
}

/* ---- Taking ------------------------------------------------------------ */

static struct mspan *fullest(struct mcentral *c)
{
    for (unsigned b = 0; b < BANDS; b++)
        if (c->band[b])
            return mspan_at(c->band[b] - 1);
    return NULL;
}

/* Of the span's free blocks up to n, lowest first. */
static unsigned take_from(struct mspan *s, void **to, unsigned n)
{
    uint64_t *w = mspan_free_bits(s);
    uintptr_t start = mspan_start(s);
    unsigned size = (unsigned)s->size, got = 0, most = s->nfree;
    if (most > n)
        most = n;
    for (; got < most; w++, start += 64ul * size) {
        uint64_t bits = *w;
        for (; bits && got < most; bits &= bits - 1)
            to[got++] = (void *)(start +
                                 (unsigned)__builtin_ctzll(bits) * size);
        *w = bits;
    }
    s->nfree = (uint16_t)(s->nfree - got);
    return got;
}

unsigned mcentral_take(unsigned class, void **to, unsigned n)
{
    struct mcentral *c = &central[class];
    unsigned got = 0;
    lock_take(&c->lock);
    while (got < n) {
        struct mspan *s = fullest(c);
        if (!s) {
            if (got || !(s = mspan_new(class)))
                break;
            c->spans++;
            c->free += s->nslots;
        }
        unsigned k = take_from(s, to + got, n - got);
        c->free -= k;
        got += k;
        place(c, s);
    }
    lock_drop(&c->lock);
    return got;
}

/* ---- Giving ------------------------------------------------------------ */

static void release(struct mcentral *c, struct mspan *s)
{
    if (s->band != BANDS)
        unlink_span(c, s);
    c->spans--;
    c->free -= s->nslots;
    mspan_free(s);
}

/* What stands in a cache was found to be a block when it was freed, so it can
 * only be that it was freed twice. */
static void freed_twice(struct mcentral *c, void *p)
{
    lock_drop(&c->lock);
    wrong_free("free", p);
    lock_take(&c->lock);
}

/* Those blocks at the start of the batch that are of this span; how many. */
static unsigned give_to(struct mcentral *c, struct mspan *s, void **from,
                        unsigned n)
{
    uint64_t *bits = mspan_free_bits(s), bytes = s->npages * PAGE_SIZE, offset;
    uint32_t magic = mheap.class[s->class].magic;
    uintptr_t start = mspan_start(s);
    unsigned i, bad = 0;
    for (i = 0; i < n && (offset = (uintptr_t)from[i] - start) < bytes; i++) {
        unsigned slot = (unsigned)(offset * magic >> 32);
        uint64_t *w = &bits[slot >> 6], bit = slot_bit(slot);
        bad += (*w & bit) != 0;
        *w |= bit;
        if (unlikely(bad))
            break;
    }
    s->nfree = (uint16_t)(s->nfree + i);
    c->free += i;
    if (likely(!bad))
        return i;
    freed_twice(c, from[i]);
    return i + 1;
}

static void settle(struct mcentral *c, struct mspan *s)
{
    if (unlikely(s->nfree == s->nslots) && c->listed > (s->band != BANDS))
        release(c, s);
    else
        place(c, s);
}

void mcentral_give(unsigned class, void **from, unsigned n)
{
    struct mcentral *c = &central[class];
    lock_take(&c->lock);
    for (unsigned i = 0; i < n;) {
        struct mspan *s = mspan_of(arena_page((uintptr_t)from[i]));
        i += give_to(c, s, from + i, n - i);
        settle(c, s);
    }
    lock_drop(&c->lock);
}

/* The band of spans of which all is free: not the last if they have but a few
 * blocks. */
static unsigned free_band(unsigned class)
{
    unsigned n = (unsigned)(size_class_pages(class) * PAGE_SIZE /
                            size_of_class(class));
    return (n - 1) * BANDS / n;
}

void mcentral_trim(void)
{
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        struct mcentral *c = &central[i];
        lock_take(&c->lock);
        for (uint32_t p = c->band[free_band(i)], next; p; p = next) {
            struct mspan *s = mspan_at(p - 1);
            next = s->next;
            if (s->nfree == s->nslots)
                release(c, s);
        }
        lock_drop(&c->lock);
    }
}

/* ---- For others -------------------------------------------------------- */

void mcentral_stats(unsigned class, struct mcentral_stats *s)
{
    struct mcentral *c = &central[class];
    lock_take(&c->lock);
    s->spans = c->spans;
    s->pages = s->spans * mheap.class[class].npages;
    s->slots = s->spans * mheap.class[class].nslots;
    s->free = c->free;
    lock_drop(&c->lock);
}

void mcentral_lock_all(void)
{
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        lock_take(&central[i].lock);
}

void mcentral_unlock_all(void)
{
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        lock_drop(&central[i].lock);
}

void mcentral_reset_locks(void)
{
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        lock_reset(&central[i].lock);
}
