/* root.c: where marking begins.
 *
 *   threads   registers, stack from its pointer up, thread-local blocks
 *   globals   writable data and bss of every loaded object
 *   ranges    what the program registered with sc_root_add
 *
 * (Roots held by cleanups, finalizers, pins and handles: special.c.)
 * All of these are scanned word by word: a word is a root if it points into
 * an allocated object.
 *
 * Invariant: ranges[] is read by the collector under the lock only.
 * Lock: ranges.lock.
 */
#include <errno.h>

#include "collect.h"

#define ROOT_RANGES_PIECE 4096

static struct {
    struct lock lock;
    struct root_range {
        uintptr_t lo, hi;
    } * at;
    size_t n, room;
} ranges = {LOCK_INIT(RANK_ROOTS), 0, 0, 0};

/* Twice the room, or the first piece. */
static bool grow(void)
{
    size_t room = ranges.room ? ranges.room * 2
                              : ROOT_RANGES_PIECE / sizeof *ranges.at;
    struct root_range *to = meta_map(room * sizeof *to, META_OTHER);
    if (!to)
        return false;
    for (size_t i = 0; i < ranges.n; i++)
        to[i] = ranges.at[i];
    if (ranges.at)
        meta_unmap(ranges.at, ranges.room * sizeof *to, META_OTHER);
    ranges.at = to;
    ranges.room = room;
    return true;
}

int root_add(uintptr_t lo, size_t n)
{
    int e = 0;
    lock_take(&ranges.lock);
    if (ranges.n == ranges.room && !grow())
        e = ENOMEM;
    else
        ranges.at[ranges.n++] = (struct root_range){lo, lo + n};
    lock_drop(&ranges.lock);
    return e;
}

int root_remove(uintptr_t lo, size_t *n)
{
    int e = ENOENT;
    lock_take(&ranges.lock);
    for (size_t i = ranges.n; i-- > 0;)
        if (ranges.at[i].lo == lo) {
            *n = ranges.at[i].hi - lo;
            ranges.at[i] = ranges.at[--ranges.n];
            e = 0;
            break;
        }
    lock_drop(&ranges.lock);
    return e;
}

void root_lock(void) { lock_take(&ranges.lock); }
void root_unlock(void) { lock_drop(&ranges.lock); }
void root_reset_locks(void) { lock_reset(&ranges.lock); }

/* Our own globals are not the program's; two of them hold the address where
 * the heap begins, which would keep the first object for ever. */
void root_init(void)
{
    os_modules_skip((uintptr_t)&heap, (uintptr_t)(&heap + 1));
    os_modules_skip((uintptr_t)&arenas, (uintptr_t)(&arenas + 1));
}

/* ---- Threads ----------------------------------------------------------- */

static void scan_block(uintptr_t lo, uintptr_t hi, void *w)
{
    mark_range(w, lo, hi);
}

/* Memory that may have holes (a stack that never grew so far). */
static void scan_unsure(struct work *w, uintptr_t lo, uintptr_t hi)
{
    uintptr_t piece[64];
    for (lo = align_down(lo, sizeof piece); lo < hi; lo += sizeof piece) {
        size_t n = os_read_memory(piece, (void *)lo, sizeof piece);
        mark_range(w, (uintptr_t)piece, (uintptr_t)piece + n);
    }
}

/* The thread runs on a stack that is not its own (an alternate signal stack,
 * which the frame's range covers; a coroutine's: that one from sp up), and its
 * own was left somewhere. */
static NOINLINE void scan_other_stack(struct hand *h)
{
    const struct os_context *c = h->context;
    uintptr_t outer = 0;
    if (c && c->on_alternate)
        outer = os_outer_sp(c, h->lo, h->hi);
    else
        mark_range(h->work, h->sp, os_mapping_end(h->sp));
    if (outer)
        mark_range(h->work, outer, h->hi);
    else
        scan_unsure(h->work, h->lo, h->hi);
}

RACY void root_scan_thread(struct hand *h)
{
    struct work *w = h->work;
    w->parent = 0;
    for (int i = 0; i < h->nregs; i++)
        mark_word(w, h->regs[i]);
    const struct os_context *c = h->context;
    if (c && c->frame_lo)
        mark_range(w, c->frame_lo, c->frame_hi);
    if (h->sp - h->lo >= h->hi - h->lo) {
        scan_other_stack(h);
    } else {
        mark_range(w, align_down(h->sp, 8), h->hi);
        add_relaxed(&gc.stack_scanned, h->hi - h->sp);
    }
    os_tls_each(h->tp, scan_block, w);
}

/* ---- Globals ----------------------------------------------------------- */

static void scan_module(uintptr_t lo, uintptr_t hi, void *w)
{
    mark_range(w, lo, hi);
    add_relaxed(&gc.globals_scanned, hi - lo);
}

void root_scan_globals(struct work *w, bool live)
{
    w->parent = 0;
    os_modules_each(live, scan_module, w);
    remains_scan(w);
    lock_take(&ranges.lock);
    for (size_t i = 0; i < ranges.n; i++) {
        mark_range(w, ranges.at[i].lo, ranges.at[i].hi);
        add_relaxed(&gc.globals_scanned,
                    ranges.at[i].hi - ranges.at[i].lo);
    }
    lock_drop(&ranges.lock);
}
