/* ahead.h: what a marker will need soon is fetched from memory while it is busy
 * with something else.
 *
 *   the next page     its objects, one with each object of this page: the grey
 *                     ones, or all where pages have lately been scanned whole
 *   far pointers      the mark bits that they lead to, in a queue of 32 words:
 *                     [oldest: its bits are here, mark] .. [newest: fetch]
 *
 * One at a time, for a processor keeps only some dozen fetches in the air and
 * stands still when there are more.
 *
 * Invariant: a marker that goes idle has settled what is far.
 * Locks: none.
 */
#ifndef SC_AHEAD_H
#define SC_AHEAD_H

#include "mark.h"

/* More objects than that of 64 lie in a row: the processor sees by itself which
 * lines of memory come next. */
#define DENSE 40
/* Bytes scanned of a page on an average, from which on pages are fetched as
 * wholes. */
#define WHOLE (PAGE_SIZE * 3 / 8)
#define LINE 64u

/* Without the processor's own instruction, which not every one has. */
INLINE RACY unsigned bits_in(uint64_t m)
{
    m -= m >> 1 & 0x5555555555555555;
    m = (m & 0x3333333333333333) + (m >> 2 & 0x3333333333333333);
    m = (m + (m >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (unsigned)(m * 0x0101010101010101 >> 56);
}

/* ---- The next page ------------------------------------------------------ */

struct ahead {
    const struct bits *bits;
    const struct black *black;
    uintptr_t start, size;  /* of a word's first slot; lines: of the page */
    uint64_t grey;          /* of that word, not yet fetched */
    unsigned i, n;          /* words of bits, or lines */
    bool lines;
};

INLINE RACY void ahead_begin(struct ahead *a, uint32_t page, bool whole)
{
    a->grey = 0;
    a->i = a->n = 0;
    a->lines = whole;
    if (page == NO_PAGE)
        return;
    uint32_t d = load_relaxed(&heap.desc[page]);
    const struct class *k = &classes[DESC_CLASS(d)];
    a->bits = &heap.bits[page];
    a->black = &heap.black[page];
    a->size = whole ? LINE : k->size;
    a->n = whole ? PAGE_SIZE / LINE : (k->nslots + 63u) / 64;
    a->start = arena_address(page) - (whole ? 0 : 64 * a->size);
}

INLINE RACY bool ahead_word(struct ahead *a)
{
    if (a->i == a->n)
        return false;
    uint64_t m = load_relaxed(&a->bits->w[a->i].mark) &
                 ~load_relaxed(&a->black->w[a->i]);
    a->grey = bits_in(m) > DENSE ? 0 : m;
    a->start += 64 * a->size;
    a->i++;
    return true;
}

/* False: there are no more. */
INLINE RACY bool ahead_one(struct ahead *a)
{
    if (a->lines) {
        if (a->i == a->n)
            return false;
        __builtin_prefetch((char *)a->start + a->i++ * (size_t)LINE);
        return true;
    }
    while (!a->grey)
        if (!ahead_word(a))
            return false;
    size_t slot = (size_t)__builtin_ctzll(a->grey);
    __builtin_prefetch((char *)a->start + slot * a->size);
    a->grey &= a->grey - 1;
    return true;
}

/* ---- Pointers to other pages -------------------------------------------- */

/* Which word of all pages' bits. */
INLINE RACY uint64_t far_place(uintptr_t off, unsigned slot)
{
    return (uint64_t)(off >> PAGE_SHIFT) * 8 + (slot >> 6);
}

#define FAR 32
struct far {
    unsigned at;        /* the oldest, where the next one will be */
    struct far_word {
        uint64_t place;
        uint64_t slots; /* none: nothing is there */
    } q[FAR];
};

INLINE RACY void far_begin(struct far *f) { *f = (struct far){0}; }

INLINE RACY bool far_is_empty(const struct far *f)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < FAR; i++)
        all |= f->q[i].slots;
    return !all;
}

/* In the place of the oldest, whose bits are here by now. */
INLINE RACY void far_put(struct work *w, struct far *f, uint64_t place,
                         uint64_t slots)
{
    struct far_word *e = &f->q[f->at++ % FAR], old = *e;
    __builtin_prefetch(&bits_words()[place], 1);
    *e = (struct far_word){place, slots};
    if (likely(old.slots))
        mark_slots(w, old.place, old.slots);
}

INLINE RACY void far_settle(struct work *w, struct far *f)
{
    for (unsigned i = 0; i < FAR; i++)
        far_put(w, f, 0, 0);
}

/* Where a word leads, as an offset from the heap's base. */
INLINE RACY void far_look(struct work *w, struct far *f, uintptr_t off)
{
    uint32_t magic = magic_of(w, off);
    if (!magic)
        return;
    unsigned slot = slot_at(off, magic);
    far_put(w, f, far_place(off, slot), slot_bit(slot));
}

#endif
