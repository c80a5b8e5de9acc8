/* mark.h: from a word to the mark of the object that it points to; inline, as a
 * marking loop does little else.
 *
 *   word -> in the heap? -> page descriptor -> class -> slot
 *        -> allocated, not marked?  mark (atomic or) -> its page is queued
 *
 * That is the way of small objects with pointers, DESC_PAGED; all others take
 * mark_other, which knows every kind (mark.c).
 *
 * All of it is RACY, for it is inlined into functions that are: a sanitizer's
 * marks for the scopes of locals would stay behind on their stacks.
 *
 * Locks: none.
 */
#ifndef SC_MARK_H
#define SC_MARK_H

#include "collect.h"

void mark_other(struct work *, uintptr_t a, uint32_t d);
/* Words [lo, hi) of an object at base whose map repeats every period. */
void mark_periods(struct work *, uintptr_t base, uintptr_t lo, uintptr_t hi,
                  const struct sc_shape *);
/* By a trace function, to the end. */
void mark_traced(struct work *, uintptr_t base, size_t size, sc_trace_fn);
/* An entry that leads into a large object: bytes scanned. */
size_t mark_scan_large(struct work *, uintptr_t e, uint32_t page, uint32_t d);
/* All of it at once: no queue is needed. */
void mark_whole_large(struct work *, const struct span *);
/* One object of whatever kind: keys of ephemerons, trace functions, all words,
 * long periods; bytes scanned. */
size_t mark_odd(struct work *, uintptr_t e, uint32_t d, const struct class *);

/* The mark came before the look at the flag, and who takes the page clears the
 * flag before it looks at the marks: one of the two sees the other. */
INLINE RACY void grey_page(struct work *w, uint32_t page)
{
    if (load_seq(&heap.queued[page]) || swap_seq(&heap.queued[page], 1))
        w->flushed = true; /* it is for others to scan: termination must know */
    else
        queue_put(w, page);
}

INLINE RACY unsigned slot_at(uintptr_t off, uint32_t magic)
{
    return (unsigned)((off & (PAGE_SIZE - 1)) * magic >> 32);
}

/* Into a page that is DESC_PAGED?  Then what its slots are found by; all else
 * is marked at once, and 0.  Spans of such pages have one page, and behind
 * their last slot no allocation bit is ever set. */
INLINE RACY uint32_t magic_of(struct work *w, uintptr_t off)
{
    uint32_t d = load_acquire(&heap.desc[off >> PAGE_SHIFT]);
    if (unlikely(!(d & DESC_PAGED & ~w->slow))) {
        mark_other(w, heap.base + off, d);
        return 0;
    }
    return class_magic[DESC_CLASS(d)];
}

/* A page's words of bits, eight for each page, as one array. */
INLINE RACY struct bits_word *bits_words(void) { return heap.bits->w; }

/* Slots of one of them. */
INLINE RACY void mark_slots(struct work *w, uint64_t place, uint64_t slots)
{
    struct bits_word *b = &bits_words()[place];
    slots &= load_acquire(&b->alloc) & ~load_relaxed(&b->mark);
    if (!slots)
        return;
    /* Who scans the page counts the objects, whoever was first here. */
    (void)or_seq(&b->mark, slots);
    grey_page(w, (uint32_t)(place / 8));
}

/* True only for a small object that is marked already; costs no more than to
 * note the word for later. */
INLINE RACY bool is_known_marked(uintptr_t a)
{
    uintptr_t off = a - heap.base;
    if (off >= load_relaxed(&heap.limit))
        return true; /* not one of ours: nothing to mark */
    uint32_t page = (uint32_t)(off >> PAGE_SHIFT);
    uint32_t d = load_acquire(&heap.desc[page]);
    if (!(d & DESC_PAGED))
        return false;
    unsigned slot = slot_at(off, class_magic[DESC_CLASS(d)]);
    return load_relaxed(&heap.bits[page].w[slot >> 6].mark) & slot_bit(slot);
}

/* An entry for a word that is to be marked; false: there is none.  A handler
 * between the two steps takes another entry, and none is read meanwhile. */
INLINE RACY bool barrier_note(struct thread *t, uintptr_t word)
{
    uint32_t n = load_relaxed(&t->nbarrier);
    do
        if (unlikely(n == BARRIER_ENTRIES))
            return false;
    while (unlikely(!cas_own(&t->nbarrier, &n, n + 1)));
    t->barrier[n] = word;
    return true;
}

/* mark.c: marks what the word points to without a work buffer, as if that had
 * been dropped (gc.overflow).  Takes no lock: for handlers of the program. */
void mark_aside(uintptr_t word);

INLINE RACY void mark_one(struct work *w, uintptr_t a)
{
    uintptr_t off = a - heap.base;
    if (off >= load_relaxed(&heap.limit))
        return;
    uint32_t magic = magic_of(w, off);
    if (!magic)
        return;
    unsigned slot = slot_at(off, magic);
    mark_slots(w, (uint64_t)(off >> PAGE_SHIFT) * 8 + (slot >> 6),
               slot_bit(slot));
}

/* The words of `map` from `at` on. */
INLINE RACY void scan_map(struct work *w, uintptr_t at, uint64_t map)
{
    for (; map; map &= map - 1)
        mark_one(w, load_relaxed((uintptr_t *)at + __builtin_ctzll(map)));
}

#endif
