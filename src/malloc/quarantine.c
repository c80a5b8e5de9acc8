/* quarantine.c: a shelf of free blocks for each size class.
 *
 *   free --> [ queue: depth blocks ] --> [ mixer: depth blocks, one at ]
 *              first in, first out         random leaves for the new one
 *                                                  |
 *   malloc <-- any one at random <-- [ ready: up to depth blocks ] <---'
 *                                         ^            | half of a full one
 *                                         '-- spans <--'
 *
 * The queue is the delay: at least `depth` frees of its class pass before a
 * block can be given out again.  Mixer and ready make it a matter of chance
 * which one is, and where in its span a new block lies.
 *
 * No links lie in blocks: the shelf is arrays of its own, out of a program's
 * reach.  Blocks in `ready` were checked by the caller.
 *
 * Locks: one per class (RANK_SPECIAL); the class's spans' inside.
 */
#include "secure.h"

#define DEPTH_BYTES KIB(64)
#define DEPTH_LEAST 8
#define DEPTH_MOST 512

static struct shelf {
    struct lock lock;
    uint32_t depth;               /* 0: not made yet */
    uint32_t first, queued, mixed, n;
    void **queue, **mixer, **ready;
    uint64_t chance;
} __attribute__((aligned(64))) shelves[SIZE_CLASSES] = {
    [0 ... SIZE_CLASSES - 1] = {.lock = LOCK_INIT(RANK_SPECIAL)}
};

static uint32_t depth_of(unsigned class)
{
    size_t n = DEPTH_BYTES / size_of_class(class);
    return (uint32_t)(n < DEPTH_LEAST ? DEPTH_LEAST
                                      : min_size(n, DEPTH_MOST));
}

static bool made(struct shelf *s, unsigned class)
{
    if (likely(s->depth))
        return true;
    uint32_t depth = depth_of(class);
    void **array = meta_map(align_up(3 * depth * sizeof(*array), KIB(4)),
                            META_THREAD);
    if (!array)
        return false;
    s->queue = array;
    s->mixer = array + depth;
    s->ready = array + 2 * depth;
    s->depth = depth;
    return true;
}

/* In [0, n). */
static uint32_t chance(struct shelf *s, uint32_t n)
{
    return (uint32_t)((secure_random(&s->chance) >> 32) * n >> 32);
}

/* ---- Ready blocks -------------------------------------------------------- */

/* Each span's records before its blocks; if there is no memory for them, the
 * rest stays where it was. */
static uint32_t with_records(void **p, uint32_t n)
{
    struct mspan *last = NULL;
    for (uint32_t i = 0; i < n; i++) {
        struct mspan *s = mspan_of(arena_page((uintptr_t)p[i]));
        if (s != last && !slot_ready(s))
            return i;
        slot_fresh(p[i]);
        last = s;
    }
    return n;
}

/* A shelf that is half empty leaves little to chance. */
static void refill(struct shelf *s, unsigned class)
{
    uint32_t want = s->depth - s->n;
    if (s->n > s->depth / 2)
        return;
    void **to = s->ready + s->n;
    uint32_t got = mcentral_take(class, to, want), k = with_records(to, got);
    if (unlikely(k < got))
        mcentral_give(class, to + k, got - k);
    s->n += k;
}

void *shelf_take(unsigned class)
{
    struct shelf *s = &shelves[class];
    void *p = NULL;
    lock_take(&s->lock);
    if (made(s, class))
        refill(s, class);
    if (s->n) {
        uint32_t i = chance(s, s->n);
        p = s->ready[i];
        s->ready[i] = s->ready[--s->n];
    }
    lock_drop(&s->lock);
    return p;
}

static void spill(struct shelf *s, unsigned class)
{
    uint32_t keep = s->depth / 2;
    for (uint32_t i = keep; i < s->n; i++)
        slot_forget(s->ready[i]);
    mcentral_give(class, s->ready + keep, s->n - keep);
    s->n = keep;
}

void shelf_put(unsigned class, void *p)
{
    struct shelf *s = &shelves[class];
    lock_take(&s->lock);
    if (s->n == s->depth)
        spill(s, class);
    s->ready[s->n++] = p;
    lock_drop(&s->lock);
}

/* ---- Blocks that wait ---------------------------------------------------- */

static void *through_mixer(struct shelf *s, void *p)
{
    if (s->mixed < s->depth) {
        s->mixer[s->mixed++] = p;
        return NULL;
    }
    uint32_t i = chance(s, s->depth);
    void *out = s->mixer[i];
    s->mixer[i] = p;
    return out;
}

void *shelf_hold(unsigned class, void *p)
{
    struct shelf *s = &shelves[class];
    void *out = NULL;
    lock_take(&s->lock);
    if (unlikely(!made(s, class))) { /* an early block, and no memory */
        lock_drop(&s->lock);
        return NULL;
    }
    if (s->queued < s->depth)
        s->queue[s->queued++] = p;
    else {
        out = through_mixer(s, s->queue[s->first]);
        s->queue[s->first] = p;
        s->first = s->first + 1 == s->depth ? 0 : s->first + 1;
    }
    lock_drop(&s->lock);
    return out;
}

static void *first_of(void **p, uint32_t n, bool (*is)(void *p))
{
    for (uint32_t i = 0; i < n; i++)
        if (is(p[i]))
            return p[i];
    return NULL;
}

void *shelf_find_held(unsigned class, bool (*is)(void *p))
{
    struct shelf *s = &shelves[class];
    lock_take(&s->lock);
    void *p = first_of(s->queue, s->queued, is);
    if (!p)
        p = first_of(s->mixer, s->mixed, is);
    lock_drop(&s->lock);
    return p;
}

uint64_t shelf_count(unsigned class)
{
    struct shelf *s = &shelves[class];
    return (uint64_t)load_relaxed(&s->queued) + load_relaxed(&s->mixed) +
           load_relaxed(&s->n);
}

/* ---- fork ---------------------------------------------------------------- */

void shelf_lock_all(void)
{
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        lock_take(&shelves[c].lock);
}

void shelf_unlock_all(void)
{
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        lock_drop(&shelves[c].lock);
}

void shelf_reset_locks(void)
{
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        lock_reset(&shelves[c].lock);
}
