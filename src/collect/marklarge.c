/* marklarge.c: large objects, grey -> black, in pieces.
 *
 *   object   |section         |section         |section    |    32 MiB each
 *             o o o o ... o o o                               oblets, 128 KiB
 *
 * The first entry queues the sections, the first of a section its oblets, so
 * that no worker is alone with a huge object (Go, mgcmark.go) nor long busy
 * with queueing one.
 *
 * An oblet that was never touched is not queued.  It is zero; and to read it
 * would have the kernel put its page of zeroes there, to be copied at the first
 * write.  A store that comes meanwhile is the barrier's to tell of, like any
 * other.  Once all sections were found touched everywhere nobody asks again.
 *
 * Invariant: `sparse` only goes from true to false while an object lives.
 * Locks: none.
 */
#include "ahead.h"

#define SECTION (256 * OBLET)
/* Smaller ones are as soon read as asked for. */
#define SPARSE_MIN MIB(1)

static uint32_t sections_of(const struct span *s)
{
    return (uint32_t)((s->size + SECTION - 1) / SECTION);
}

/* The sections behind the first become entries of their own. */
static void queue_sections(struct work *w, struct span *s)
{
    uintptr_t base = span_start(s), end = base + align_down(s->size, 8);
    if (load_relaxed(&s->full) == sections_of(s))
        store_relaxed(&s->sparse, false);
    store_relaxed(&s->full, 0);
    for (uintptr_t a = base + SECTION; a < end; a += SECTION)
        work_put(w, a);
}

/* Of one section; false: nothing is known, and all may have been. */
static bool find_touched(struct span *s, uintptr_t lo, uintptr_t hi,
                         uint64_t *map)
{
    size_t n = (hi - lo + OBLET - 1) / OBLET, touched = 0;
    if (s->size < SPARSE_MIN || !load_relaxed(&s->sparse))
        return false;
    if (!os_touched(lo, hi - lo, OBLET, map)) {
        store_relaxed(&s->sparse, false);
        return false;
    }
    for (size_t i = 0; i < SECTION / OBLET / 64; i++)
        touched += i * 64 < n ? bits_in(map[i]) : 0;
    if (touched == n)
        add_relaxed(&s->full, 1);
    return true;
}

/* All oblets of a section behind the first become entries of their own; true if
 * the first is to be scanned. */
static bool queue_oblets(struct work *w, struct span *s, uintptr_t from)
{
    uint64_t map[SECTION / OBLET / 64];
    uintptr_t end = span_start(s) + align_down(s->size, 8);
    uintptr_t to = min_size(from + SECTION, end);
    bool known = find_touched(s, from, to, map);
    for (uintptr_t a = from + OBLET; a < to; a += OBLET) {
        size_t i = (a - from) / OBLET;
        if (!known || (map[i / 64] >> (i & 63) & 1))
            work_put(w, a);
    }
    return !known || (map[0] & 1);
}

static size_t scan_oblet(struct work *w, const struct span *s, uintptr_t e)
{
    uintptr_t base = span_start(s), end = base + align_down(s->size, 8);
    uintptr_t to = min_size(e + OBLET, end);
    if (s->kind == KIND_CONSERVATIVE)
        mark_range(w, e, to);
    else
        mark_periods(w, base, e, to, s->shape);
    return to - e;
}

size_t mark_scan_large(struct work *w, uintptr_t e, uint32_t page, uint32_t d)
{
    uint32_t first = large_first(page, &d);
    if (first == NO_PAGE)
        return 0;
    struct span *s = span_at(first);
    uintptr_t base = span_start(s);
    w->parent = base;
    if (e == base && (d & DESC_KEYS))
        special_key_marked(w, base);
    if (s->kind == KIND_NOSCAN)
        return 0;
    if (s->kind == KIND_TRACED) {
        mark_traced(w, base, s->size, s->shape->trace);
        return s->size;
    }
    if (e == base)
        queue_sections(w, s);
    if ((e - base) % SECTION == 0 && !queue_oblets(w, s, e))
        return 0;
    return scan_oblet(w, s, e);
}

void mark_whole_large(struct work *w, const struct span *s)
{
    uintptr_t base = span_start(s);
    if (s->kind == KIND_TRACED)
        mark_traced(w, base, s->size, s->shape->trace);
    else if (s->kind != KIND_NOSCAN)
        for (uintptr_t e = base; e < base + s->size; e += OBLET)
            scan_oblet(w, s, e);
}
