/* verify.c: does the heap hold what we believe?  Debug modes.
 *
 *   SANCAI_DEBUG=verify=1       every span's counts and bits, at phase edges
 *   SANCAI_DEBUG=gccheckmark=1  a second marking, into bits of its own, with
 *                               all threads held: whatever it reaches through
 *                               heap or globals must be marked already
 *
 * Words on stacks are treated with care: a frame that came to life after its
 * thread was scanned may contain an old pointer that nobody uses; such a word
 * proves nothing.  So from stacks the second marking follows only objects that
 * the first one marked; from heap objects and globals it follows everything.
 *
 * Locks: none; all threads are held.
 */
#include "collect.h"

static struct meta_table check_bits; /* one bit per slot, as struct bits */

/* ---- Counts and bits --------------------------------------------------- */

void verify_heap(const char *when)
{
    uint32_t top = (uint32_t)(load_relaxed(&heap.limit) >> PAGE_SHIFT);
    uint64_t pages = 0;
    for (uint32_t p = 0; p < top; p++)
        if (desc_begins(heap.desc[p])) {
            span_check(span_at(p));
            pages += span_at(p)->npages;
        }
    /* A large object that is being made has pages and no descriptor yet. */
    if (pages > load_relaxed(&heap.pages_in_use))
        fatal("verify: %s: %lu pages in spans, %lu counted", when,
              (unsigned long)pages,
              (unsigned long)load_relaxed(&heap.pages_in_use));
}

/* ---- The second marking ------------------------------------------------ */

static _Atomic uint64_t *check_word(uint32_t page, unsigned slot)
{
    uint64_t *w = (uint64_t *)check_bits.base + (size_t)page * 8;
    return (_Atomic uint64_t *)&w[slot >> 6];
}

/* Called by mark.c for each allocated object that a checking work reaches.
 * True: for the first time, so scan it. */
bool verify_mark_again(uintptr_t parent, uintptr_t base, unsigned slot,
                       uint32_t page)
{
    size_t at = (size_t)page * 64;
    if (meta_table_ready(&check_bits, at, at + 64))
        return false; /* no memory to check with */
    bool marked = load_relaxed(&heap.bits[page].w[slot >> 6].mark) &
                  slot_bit(slot);
    if (!marked && parent == VERIFY_STACK)
        return false;
    if (!marked)
        fatal("checkmark: object 0x%lx (span class %u) is reachable from 0x%lx "
              "and was not marked; a store went past the write barrier",
              (long)base, span_at(page)->class, (long)parent);
    _Atomic uint64_t *w = check_word(page, slot);
    if (load_relaxed(w) & slot_bit(slot))
        return false;
    store_relaxed(w, load_relaxed(w) | slot_bit(slot));
    return true;
}

static void clear_check_bits(void)
{
    size_t top = load_relaxed(&heap.limit) >> PAGE_SHIFT;
    for (size_t p = 0; p < top; p++) {
        if (!desc_begins(heap.desc[p]) ||
            meta_table_ready(&check_bits, p * 64, p * 64 + 64))
            continue;
        for (unsigned s = 0; s < 512; s += 64)
            store_relaxed(check_word((uint32_t)p, s), 0);
    }
}

/* The stacks of held threads: what was marked from them is where the second
 * marking starts as well. */
static void recheck_threads(struct work *w)
{
    for (struct thread *t = threads.all; t; t = t->next)
        if (t->held_sp - t->stack.lo < t->stack.hi - t->stack.lo)
            mark_range(w, t->held_sp, t->stack.hi); /* else on another one */
}

void verify_checkmark(void)
{
    struct work w = {.checking = true, .slow = DESC_PAGED};
    if (!check_bits.base &&
        meta_table_init(&check_bits, (size_t)arenas.pages * 64, META_OTHER,
                        "sancai: check bits"))
        return;
    clear_check_bits();
    w.parent = VERIFY_STACK;
    recheck_threads(&w);
    root_scan_globals(&w, false);
    for (uintptr_t e; (e = work_get(&w));)
        mark_scan(&w, e);
    work_flush(&w);
}
