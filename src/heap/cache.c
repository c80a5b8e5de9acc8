/* cache.c: what a thread may hand out without asking anybody.
 *
 *   class 72   span ....[##########......]      run = the dots after cur
 *                              cur^     end
 *
 * Fast path (api/new.c): p = cur; cur += size; if (cur > end) slow.  It has no
 * lock and no flag; a handshake may interrupt it anywhere.  Therefore:
 *
 *   C1  only the owner's slow path (flagged busy) and a handshake of the owner
 *       change end and span[]; cur is also written by the fast path.
 *   C2  a handshake that may have hit the fast path never frees the slot at
 *       cur: the interrupted code may be about to return it.
 *   C3  after a retire end is 0, so that the next allocation is slow whatever
 *       the interrupted store makes of cur.
 *
 * Locks: none; central's are taken inside.
 */
#include "heap.h"

/* Every run empty: the fast path leaves at once.  A layout that no class is
 * known of yet names run 0 and slots of 0 bytes, which an empty run has room
 * for; past its end it has not, so threads never write here at once. */
static struct cache nobody = {.run[0] = {.cur = 1, .end = 0}};
_Thread_local struct cache *cache_self = &nobody;

void cache_set_self(struct cache *k) { cache_self = k ? k : &nobody; }

void cache_count(struct cache *k, int64_t bytes, int64_t objects)
{
    store_relaxed(&k->alloc_bytes, k->alloc_bytes + (uint64_t)bytes);
    store_relaxed(&k->alloc_objects, k->alloc_objects + (uint64_t)objects);
}

/* Accounts a run that was taken, or takes back what of it was not used. */
static void count_run(struct cache *k, const struct span *s, uintptr_t bytes,
                      int sign)
{
    int64_t n = (int64_t)(bytes / s->size);
    cache_count(k, sign * (int64_t)bytes, sign * n);
}

bool cache_next_run(struct cache *k, unsigned c)
{
    if (!k->span[c])
        return false;
    struct span *s = span_at(k->span[c] - 1);
    struct run r;
    if (!span_take_run(s, k->black, &r))
        return false;
    count_run(k, s, r.end - r.cur, 1);
    cache_run(k, c)->cur = r.cur;
    fence_signal();
    cache_run(k, c)->end = r.end;
    return true;
}

static void drop_span(struct cache *k, unsigned c)
{
    struct span *s = span_at(k->span[c] - 1);
    k->span[c] = 0;
    central_give(s);
}

void cache_set_span(struct cache *k, unsigned c, struct span *s)
{
    if (k->span[c]) {
        drop_span(k, c);
    } else {
        unsigned i = 0;
        while (i < k->nused && k->used[i] != c)
            i++;
        if (i == k->nused)
            k->used[k->nused++] = (uint16_t)c;
    }
    k->span[c] = span_page(s) + 1;
}

/* C2: keep the slot that the interrupted fast path may be returning. */
static uintptr_t kept_slot(struct span *s, uintptr_t cur, bool mark)
{
    if (mark) {
        unsigned slot = (unsigned)((cur - span_start(s)) / s->size);
        or_relaxed(&span_bits(s)->w[slot >> 6].mark, slot_bit(slot));
    }
    return cur + s->size;
}

static void retire_class(struct cache *k, unsigned c, bool keep, bool mark)
{
    if (!k->span[c])
        return;
    struct span *s = span_at(k->span[c] - 1);
    struct run *r = cache_run(k, c);
    uintptr_t cur = r->cur, end = r->end;
    r->end = 0;
    if (end && cur < end) {
        if (keep)
            cur = kept_slot(s, cur, mark);
        count_run(k, s, end - cur, -1);
        span_give_run(s, cur, end);
    }
    drop_span(k, c);
}

void cache_retire(struct cache *k, bool keep, bool mark)
{
    for (unsigned i = 0; i < k->nused; i++)
        retire_class(k, k->used[i], keep, mark);
    k->nused = 0;
    k->tiny.end = 0;
    page_cache_flush(&k->pages);
    cache_flush_counts(k);
}

void cache_flush_counts(struct cache *k)
{
    uint64_t now = k->alloc_bytes;
    add_relaxed(&heap.live_bytes, now - k->live_flushed);
    k->live_flushed = now;
}
