/* ahead.h: what a marker will need soon is fetched from memory while it is busy
 * with something else.
 *
 *   the next page     its objects, one with each object of this page: the grey
 *                     ones, or all where pages have lately been scanned whole
 *   far pointers      the mark bits that they lead to, in a queue of 32 words:
 *                     [oldest: its bits are here, mark] .. [newest: fetch]
 *
 * One at a time, for a processor keeps only some dozen fetches in the air and
 * stands still when there are more.  Slots of one word of bits that are found
 * one after the other are marked together, by one atomic instruction.
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

#define FAR 32
struct far {
    unsigned head, tail;
    struct far_word {
        uint32_t page, word;
        uint64_t slots;
    } q[FAR];
};

INLINE RACY void far_begin(struct far *f) { f->head = f->tail = 0; }

INLINE RACY bool far_is_empty(const struct far *f)
{
    return f->head == f->tail;
}

INLINE RACY void far_mark_oldest(struct work *w, struct far *f)
{
    const struct far_word *e = &f->q[f->head++ % FAR];
    mark_slots(w, e->page, e->word, e->slots);
}

INLINE RACY void far_settle(struct work *w, struct far *f)
{
    while (!far_is_empty(f))
        far_mark_oldest(w, f);
}

INLINE RACY void far_put(struct work *w, struct far *f, uint32_t page,
                         uint32_t word, uint64_t slots)
{
    struct far_word *last = &f->q[(f->tail - 1) % FAR];
    if (!far_is_empty(f) && last->page == page && last->word == word) {
        last->slots |= slots;
        return;
    }
    if (f->tail - f->head == FAR)
        far_mark_oldest(w, f);
    __builtin_prefetch(&heap.bits[page].w[word], 1);
    f->q[f->tail++ % FAR] = (struct far_word){page, word, slots};
}

/* Where a word leads, as an offset from the heap's base. */
INLINE RACY void far_look(struct work *w, struct far *f, uintptr_t off)
{
    uint32_t magic = magic_of(w, off);
    if (!magic)
        return;
    unsigned slot = slot_at(off, magic);
    far_put(w, f, (uint32_t)(off >> PAGE_SHIFT), slot >> 6, slot_bit(slot));
}

#endif
