/* queue.c: pages with grey objects, first in, first out.
 *
 *   a worker's private pair            the line (shared, one lock)
 *   fresh [p p p ..]  due [.. p p]     oldest -> ... -> newest
 *           | full                        |
 *           +--------> newest    oldest --+--> due
 *
 * A small object that becomes grey is not queued; its page is, once, and waits
 * while others on it become grey too.  When its turn comes all of them are
 * scanned in the order of their addresses, while the page's descriptor, class
 * and bits are at hand.  First in, first out makes that wait long, so many
 * objects share one turn.  (Go 1.25's "Green Tea", mgcmark_greenteagc.go.)
 *
 * Invariants: Q1  a page is in at most one queue, and its queued flag is set
 *                 from before it is put until whoever took it lets go of it;
 *             Q2  so a grey object's page is queued or being scanned, or its
 *                 marker is about to queue it;
 *             Q3  fresh and due belong to one thread; NULL: none yet.
 * Lock: line.lock, taken by handlers too, like the pool's (work.c).
 */
#include <string.h>

#include "collect.h"

static struct {
    struct lock lock;
    struct work_buffer *_Atomic oldest;
    struct work_buffer *newest;
    _Atomic uint64_t puts;
} line = {.lock = LOCK_INIT(RANK_WORK)};

static void line_put(struct work_buffer *b)
{
    b->next = 0;
    lock_take(&line.lock);
    if (load_relaxed(&line.oldest))
        line.newest->next = b;
    else
        store_release(&line.oldest, b);
    line.newest = b;
    add_relaxed(&line.puts, 1);
    lock_drop(&line.lock);
}

static struct work_buffer *line_take(void)
{
    if (!load_relaxed(&line.oldest))
        return 0;
    lock_take(&line.lock);
    struct work_buffer *b = load_relaxed(&line.oldest);
    if (b)
        store_relaxed(&line.oldest, b->next);
    lock_drop(&line.lock);
    return b;
}

static COLD bool make_fresh(struct work *w)
{
    struct work_buffer *b = w->aside ? NULL : work_buffer_take();
    if (!b)
        return false;
    if (w->fresh) {
        line_put(w->fresh);
        w->flushed = true;
    }
    w->fresh = b;
    return true;
}

void queue_put(struct work *w, uint32_t page)
{
    struct work_buffer *b = w->fresh;
    if (unlikely(!b || b->n == WORK_ENTRIES)) {
        if (!make_fresh(w)) { /* as in work_put */
            store_seq(&heap.queued[page], 0);
            store_relaxed(&gc.overflow, true);
            w->flushed = true;
            return;
        }
        b = w->fresh;
    }
    b->entry[b->n++] = page;
}

static bool next_due(struct work *w)
{
    if (w->due)
        work_buffer_give(w->due);
    w->due_at = 0;
    w->due = line_take();
    if (w->due)
        return true;
    w->due = w->fresh;
    w->fresh = 0;
    return w->due && w->due->n;
}

uint32_t queue_get(struct work *w)
{
    if (unlikely(!w->due || w->due_at == w->due->n) && !next_due(w))
        return NO_PAGE;
    return (uint32_t)w->due->entry[w->due_at++];
}

uint32_t queue_peek(const struct work *w, unsigned i)
{
    if (!w->due || w->due_at + i >= w->due->n)
        return NO_PAGE;
    return (uint32_t)w->due->entry[w->due_at + i];
}

bool queue_is_empty(const struct work *w)
{
    return (!w->fresh || !w->fresh->n) && (!w->due || w->due_at == w->due->n);
}

static void flush_one(struct work *w, struct work_buffer *b)
{
    if (!b)
        return;
    if (b->n) {
        line_put(b);
        w->flushed = true;
    } else {
        work_buffer_give(b);
    }
}

void queue_flush(struct work *w)
{
    if (w->due) {
        w->due->n -= w->due_at;
        memmove(w->due->entry, w->due->entry + w->due_at,
                w->due->n * sizeof w->due->entry[0]);
    }
    flush_one(w, w->due);
    flush_one(w, w->fresh);
    w->due = w->fresh = 0;
    w->due_at = 0;
}

/* The half that would be scanned last. */
static void give_half_of_due(struct work *w)
{
    struct work_buffer *b = work_buffer_take();
    if (!b)
        return;
    b->n = (w->due->n - w->due_at) / 2;
    w->due->n -= b->n;
    memcpy(b->entry, w->due->entry + w->due->n, b->n * sizeof b->entry[0]);
    line_put(b);
    w->flushed = true;
}

/* Fewer pages are not worth another worker's wake-up. */
#define FEW 8
void queue_balance(struct work *w)
{
    if (load_relaxed(&line.oldest))
        return;
    if (w->fresh && w->fresh->n >= FEW) {
        line_put(w->fresh);
        w->flushed = true;
        w->fresh = 0;
    } else if (w->due && w->due->n - w->due_at >= FEW) {
        give_half_of_due(w);
    }
}

void queue_discard(void)
{
    struct work_buffer *b;
    while ((b = line_take()))
        work_buffer_give(b);
}

uint64_t queue_puts(void) { return load_seq(&line.puts); }

bool queue_line_empty(void) { return !load_acquire(&line.oldest); }

void queue_reset_locks(void) { lock_reset(&line.lock); }
