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
 * Memory comes in batches, and goes back in batches after each cycle:
 *
 *   64 KiB, aligned    |head| b | b | b | ... | b |   31 buffers of 2 KiB
 *   given back         |head| b |...no access.....|   the first OS page stays
 *
 * Addresses are kept, so that batches lie where they were and the number of
 * ranges is that of the largest queue ever.
 *
 * Invariants: in and spare are both there or both NULL.
 *             A batch is in `ready` or in `away`; no buffer of one that is away
 *             is in any list.
 * Lock: pool.lock, for the lists.  Also taken by handlers: their thread was not
 * inside us, so it does not hold it.
 */
#include <string.h>

#include "collect.h"

#define BATCH_BYTES KIB(64)
#define BATCH_BUFFERS (BATCH_BYTES / sizeof(struct work_buffer) - 1)
/* 1 MiB stays: what most heaps need in the next cycle, and less than what one
 * with larger queues would notice. */
#define BATCHES_KEPT 16

struct batch {
    struct batch *next;
    uint32_t empty;   /* buffers in pool.empty; only true in work_trim */
    bool leaves;
};
_Static_assert(sizeof(struct batch) <= sizeof(struct work_buffer), "room");

static struct {
    struct lock lock;
    struct work_buffer *_Atomic full;
    struct work_buffer *empty;
    _Atomic uint64_t puts;
    struct batch *ready, *away;
    uint32_t nready;
} pool = {.lock = LOCK_INIT(RANK_WORK)};

/* ---- Batches ----------------------------------------------------------- */

static struct batch *batch_of(const struct work_buffer *b)
{
    return (struct batch *)align_down((uintptr_t)b, BATCH_BYTES);
}

/* What is given back of it. */
static char *batch_tail(struct batch *k, size_t *n)
{
    size_t head = min_size(os_page_size(), BATCH_BYTES);
    *n = BATCH_BYTES - head;
    return (char *)k + head;
}

static struct batch *batch_again(void)
{
    struct batch *k = pool.away;
    size_t n;
    char *tail = batch_tail(k, &n);
    if (meta_commit(tail, n, META_WORK))
        return 0;
    pool.away = k->next;
    return k;
}

static void batch_keep(struct batch *k)
{
    k->next = pool.ready;
    pool.ready = k;
}

static void batch_fill(struct batch *k)
{
    struct work_buffer *b = (struct work_buffer *)k;
    for (size_t i = 1; i <= BATCH_BUFFERS; i++) {
        b[i].next = pool.empty;
        pool.empty = &b[i];
    }
}

static void more_buffers(void)
{
    struct batch *k = pool.away
                          ? batch_again()
                          : meta_map_aligned(BATCH_BYTES, BATCH_BYTES,
                                             META_WORK);
    if (!k)
        return;
    batch_keep(k);
    batch_fill(k);
    pool.nready++;
}

/* With the lock, like what follows: how many of each batch lie idle. */
static void count_empty(void)
{
    for (struct batch *k = pool.ready; k; k = k->next)
        k->empty = 0;
    for (struct work_buffer *b = pool.empty; b; b = b->next)
        batch_of(b)->empty++;
}

/* Those of which no buffer is in use, beyond the number that stays. */
static void choose_leaving(void)
{
    uint32_t n = pool.nready;
    for (struct batch *k = pool.ready; k; k = k->next) {
        k->leaves = n > BATCHES_KEPT && k->empty == BATCH_BUFFERS;
        n -= k->leaves;
    }
}

static void take_off_empty(void)
{
    struct work_buffer *b = pool.empty, *next;
    pool.empty = 0;
    for (; b; b = next) {
        next = b->next;
        if (batch_of(b)->leaves)
            continue;
        b->next = pool.empty;
        pool.empty = b;
    }
}

/* What the system doesn't take, for want of mappings, stays ready: its buffers
 * go back into the list. */
static void batch_leave(struct batch *k)
{
    size_t n;
    char *tail = batch_tail(k, &n);
    if (!n || meta_decommit(tail, n, META_WORK)) {
        batch_keep(k);
        batch_fill(k);
        return;
    }
    k->next = pool.away;
    pool.away = k;
    pool.nready--;
}

static void trim(void)
{
    struct batch *k = pool.ready, *next;
    count_empty();
    choose_leaving();
    take_off_empty();
    pool.ready = 0;
    for (; k; k = next) {
        next = k->next;
        if (k->leaves)
            batch_leave(k);
        else
            batch_keep(k);
    }
}

/* Nobody marks, so nobody waits for the lock. */
void work_trim(void)
{
    lock_take(&pool.lock);
    if (pool.nready > BATCHES_KEPT)
        trim();
    lock_drop(&pool.lock);
}

/* ---- Buffers ------------------------------------------------------------ */

/* NULL if there is no memory. */
struct work_buffer *work_buffer_take(void)
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

void work_buffer_give(struct work_buffer *b)
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
    struct work_buffer *b = work_buffer_take();
    return b ? b : get_full();
}

static void put_back(struct work_buffer *b)
{
    if (b->n)
        put_full(b);
    else
        work_buffer_give(b);
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
    if (unlikely(w->aside))
        return false;
    if (!w->in)
        return start(w, work_buffer_take);
    swap(w);
    if (w->in->n < WORK_ENTRIES)
        return true;
    struct work_buffer *b = work_buffer_take();
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
            work_buffer_give(w->in);
            w->in = b;
        }
    }
    return w->in->entry[--w->in->n];
}

bool work_is_empty(const struct work *w)
{
    return (!w->in || (w->in->n == 0 && w->spare->n == 0)) &&
           queue_is_empty(w);
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
    queue_flush(w);
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
    queue_balance(w);
    if (!w->in || load_relaxed(&pool.full))
        return;
    struct work_buffer *b =
        w->spare->n || w->in->n > 4 ? work_buffer_take() : 0;
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
        work_buffer_give(b);
    queue_discard();
}

uint64_t work_puts(void) { return load_seq(&pool.puts) + queue_puts(); }

bool work_pool_empty(void)
{
    return !load_acquire(&pool.full) && queue_line_empty();
}

void work_reset_locks(void)
{
    lock_reset(&pool.lock);
    queue_reset_locks();
}
