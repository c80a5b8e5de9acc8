/* work.c: grey objects waiting to be scanned.
 *
 *   a worker's private pair          the pool (shared, one lock)
 *   in [......]  spare [......]      full -> full -> full
 *        |  ^          |             empty -> empty
 *        +--+-- swap --+--- whole buffers move --->
 *
 * Buffers move as wholes, 254 objects at a time, so the lock is taken once per
 * hundreds of objects; two private ones keep a worker that goes up and down
 * around a boundary from taking it each time (Go's hysteresis, mgcwork.go).
 *
 * Invariant: in and spare are both there or both NULL.
 * Lock: pool.lock, for the two lists.  Also taken by handlers: their thread
 * was not inside us, so it does not hold it.
 */
#include <string.h>

#include "collect.h"

/* How many buffers are mapped at once: 32 x 2 KiB. */
#define BATCH 32

static struct {
    struct lock lock;
    struct work_buffer *_Atomic full;
    struct work_buffer *empty;
    _Atomic uint64_t puts;
} pool = {.lock = LOCK_INIT(RANK_WORK)};

static void more_buffers(void)
{
    struct work_buffer *b = meta_map(BATCH * sizeof *b, META_WORK);
    for (int i = 0; b && i < BATCH; i++) {
        b[i].next = pool.empty;
        pool.empty = &b[i];
    }
}

/* NULL if there is no memory. */
static struct work_buffer *get_empty(void)
{
    lock_take(&pool.lock);
    if (!pool.empty)
        more_buffers();
    struct work_buffer *b = pool.empty;
    if (b) {
        pool.empty = b->next;
        b->n = 0;
    }
    lock_drop(&pool.lock);
    return b;
}

static void put_empty(struct work_buffer *b)
{
    lock_take(&pool.lock);
    b->next = pool.empty;
    pool.empty = b;
    lock_drop(&pool.lock);
}

static void put_full(struct work_buffer *b)
{
    lock_take(&pool.lock);
    b->next = load_relaxed(&pool.full);
    store_release(&pool.full, b);
    add_relaxed(&pool.puts, 1);
    lock_drop(&pool.lock);
}

static struct work_buffer *get_full(void)
{
    if (!load_relaxed(&pool.full))
        return 0;
    lock_take(&pool.lock);
    struct work_buffer *b = load_relaxed(&pool.full);
    if (b)
        store_relaxed(&pool.full, b->next);
    lock_drop(&pool.lock);
    return b;
}

/* All buffers there are may be full: whoever only takes is served by them. */
static struct work_buffer *get_any(void)
{
    struct work_buffer *b = get_empty();
    return b ? b : get_full();
}

static void put_back(struct work_buffer *b)
{
    if (b->n)
        put_full(b);
    else
        put_empty(b);
}

static bool start(struct work *w, struct work_buffer *(*get)(void))
{
    w->in = get();
    w->spare = w->in ? get() : 0;
    if (w->in && !w->spare) {
        put_back(w->in);
        w->in = 0;
    }
    return w->in;
}

static void swap(struct work *w)
{
    struct work_buffer *b = w->in;
    w->in = w->spare;
    w->spare = b;
}

/* Room for one more in w->in; false: no memory for a buffer. */
static COLD bool make_room(struct work *w)
{
    if (!w->in)
        return start(w, get_empty);
    swap(w);
    if (w->in->n < WORK_ENTRIES)
        return true;
    struct work_buffer *b = get_empty();
    if (!b)
        return false;
    put_full(w->in);
    w->flushed = true;
    w->in = b;
    return true;
}

void work_put(struct work *w, uintptr_t entry)
{
    if (unlikely(!w->in || w->in->n == WORK_ENTRIES) && !make_room(w)) {
        /* The object is marked and not scanned: cycle.c will go over all
         * marked objects again, which needs no memory. */
        store_relaxed(&gc.overflow, true);
        w->flushed = true;
        return;
    }
    w->in->entry[w->in->n++] = entry;
}

uintptr_t work_get(struct work *w)
{
    if (unlikely(!w->in) && !start(w, get_any))
        return 0;
    if (unlikely(w->in->n == 0)) {
        swap(w);
        if (w->in->n == 0) {
            struct work_buffer *b = get_full();
            if (!b)
                return 0;
            put_empty(w->in);
            w->in = b;
        }
    }
    return w->in->entry[--w->in->n];
}

bool work_is_empty(const struct work *w)
{
    return !w->in || (w->in->n == 0 && w->spare->n == 0);
}

static void flush_one(struct work *w, struct work_buffer *b)
{
    w->flushed |= b->n != 0;
    put_back(b);
}

void work_flush(struct work *w)
{
    if (w->in) {
        flush_one(w, w->in);
        flush_one(w, w->spare);
        w->in = w->spare = 0;
    }
    if (w->bytes_marked) {
        add_relaxed(&gc.bytes_marked, w->bytes_marked);
        w->flushed = true;
        w->bytes_marked = 0;
    }
    if (w->scan_work) {
        add_relaxed(&gc.scan_work, w->scan_work);
        w->scan_work = 0;
    }
}

void work_balance(struct work *w)
{
    if (!w->in || load_relaxed(&pool.full))
        return;
    struct work_buffer *b = w->spare->n || w->in->n > 4 ? get_empty() : 0;
    if (!b)
        return;
    if (w->spare->n) {
        put_full(w->spare);
        w->flushed = true;
        w->spare = b;
    } else {
        uint64_t half = w->in->n / 2;
        w->in->n -= half;
        memcpy(b->entry, &w->in->entry[w->in->n], half * sizeof b->entry[0]);
        b->n = half;
        put_full(b);
        w->flushed = true;
    }
}

void work_discard(struct work *w)
{
    struct work_buffer *b;
    work_flush(w);
    while ((b = get_full()))
        put_empty(b);
}

uint64_t work_puts(void) { return load_seq(&pool.puts); }

bool work_pool_empty(void) { return !load_acquire(&pool.full); }

void work_reset_locks(void) { lock_reset(&pool.lock); }
