/* meta.c: memory for the library's own data.
 *
 *   small   | n | n | n |....rest....|      blocks of 64 KiB, only ever filled
 *   map     [ whole OS pages ]              can be given back; aligned ones
 *                                           also in part, and taken again
 *   table   |ready|     |ready|ready|  ...  reserved; pieces of 64 KiB become
 *                                           ready in any order, once
 *   pool    records on a free list, made from small pieces
 *
 * Accounting: all memory that is ready here is counted once, in `mapped` and
 * under exactly one kind.  The rest of a block that is not handed out yet is
 * META_OTHER; so, at any moment when no request is under way,
 *
 *   sum over kinds of meta_bytes(kind) == meta_mapped()
 *
 * and meta_mapped() is a sum of whole OS pages (meta_verify checks both).
 *
 * Locks: meta.lock for blocks and for making pieces ready; each pool has its
 * own, of the same rank.  No code holds a pool's lock and takes meta.lock.
 * A piece that is ready is seen without a lock: its bit is set, with release,
 * after the kernel made it accessible, and is never cleared.
 */
#include "page_private.h"
#include <errno.h>

/* A multiple of every OS page size, and small enough that ten tables of a
 * heap that is just one chunk cost less than that chunk. */
#define PIECE KIB(64)
/* Sixteen OS pages per trip to the kernel; touched only as it fills. */
#define BLOCK KIB(64)
/* Larger requests get pages of their own, so that what is left of a block
 * when the next is begun is at most a quarter. */
#define BLOCK_MAX (BLOCK / 4)
/* Pools are static objects in the rooms above; there are a handful. */
#define POOLS 32

static struct {
    struct lock lock;
    char *at, *end; /* rest of the current block */
    uint64_t mapped;
    uint64_t bytes[META_KINDS];
    struct meta_pool *pools[POOLS]; /* those in use, for fork */
    uint32_t npools;
} meta = {.lock = LOCK_INIT(RANK_META)};

static const char *const names[META_KINDS] = {
    [META_BITS] = "sancai: bits",     [META_SPAN] = "sancai: spans",
    [META_THREAD] = "sancai: threads", [META_WORK] = "sancai: work",
    [META_OTHER] = "sancai: other",
};

static enum os_use use_of(enum meta_kind kind)
{
    _Static_assert(META_OTHER + OS_USE_BITS == OS_USE_OTHER, "same order");
    return (enum os_use)(kind + OS_USE_BITS);
}

/* ---- Counting ---------------------------------------------------------- */

static void count_mapped(size_t n, enum meta_kind kind)
{
    add_relaxed(&meta.mapped, n);
    add_relaxed(&meta.bytes[kind], n);
}

static void count_unmapped(size_t n, enum meta_kind kind)
{
    sub_relaxed(&meta.mapped, n);
    sub_relaxed(&meta.bytes[kind], n);
}

uint64_t meta_bytes(enum meta_kind kind)
{
    return load_relaxed(&meta.bytes[kind]);
}

uint64_t meta_mapped(void)
{
    return load_relaxed(&meta.mapped);
}

/* meta_map counts outside the lock, in two steps; a verifier that comes
 * between them looks again. */
static bool sums_agree(void)
{
    uint64_t sum = 0;
    for (int k = 0; k < META_KINDS; k++)
        sum += meta_bytes(k);
    return sum == meta_mapped();
}

void meta_verify(void)
{
    bool agree = false;
    for (int tries = 0; tries < 1000 && !agree; tries++) {
        lock_take(&meta.lock);
        agree = sums_agree();
        lock_drop(&meta.lock);
    }
    insist(agree);
    insist(meta_mapped() % os_page_size() == 0);
}

/* ---- Whole pages ------------------------------------------------------- */

/* Without the lock: the kernel needs no help, and the counts are atomic. */
void *meta_map(size_t n, enum meta_kind kind)
{
    n = align_up(n, os_page_size());
    void *p = os_map(n);
    if (!p)
        return NULL;
    os_name(p, n, names[kind], use_of(kind));
    count_mapped(n, kind);
    return p;
}

void *meta_map_aligned(size_t n, size_t align, enum meta_kind kind)
{
    char *p = os_reserve(n, align, 0);
    if (!p)
        return NULL;
    os_name(p, n, names[kind], use_of(kind));
    if (!meta_commit(p, n, kind))
        return p;
    os_unreserve(p, n);
    return NULL;
}

int meta_commit(void *p, size_t n, enum meta_kind kind)
{
    int e = os_commit(p, n);
    if (!e)
        count_mapped(n, kind);
    return e;
}

int meta_decommit(void *p, size_t n, enum meta_kind kind)
{
    int e = os_decommit(p, n);
    if (!e)
        count_unmapped(n, kind);
    return e;
}

void meta_unmap(void *p, size_t n, enum meta_kind kind)
{
    n = align_up(n, os_page_size());
    os_unmap(p, n);
    count_unmapped(n, kind);
}

/* ---- Small pieces ------------------------------------------------------ */

/* With the lock.  What is left of the old block stays unused, counted as
 * META_OTHER: a block is given up only when a request did not fit. */
static bool block_next(size_t n)
{
    if ((size_t)(meta.end - meta.at) >= n)
        return true;
    char *p = meta_map(BLOCK, META_OTHER);
    if (!p)
        return false;
    meta.at = p;
    meta.end = p + BLOCK;
    return true;
}

/* Fresh memory of the system is zero, and nothing is used twice, so there is
 * nothing to clear. */
void *meta_alloc(size_t n, enum meta_kind kind)
{
    void *p = NULL;
    n = align_up(n, 16);
    if (n > BLOCK_MAX)
        return meta_map(n, kind);
    lock_take(&meta.lock);
    if (block_next(n)) {
        p = meta.at;
        meta.at += n;
        sub_relaxed(&meta.bytes[META_OTHER], n);
        add_relaxed(&meta.bytes[kind], n);
    }
    lock_drop(&meta.lock);
    return p;
}

/* ---- Tables ------------------------------------------------------------ */

/* Only addresses; the bits that say what is ready are one 500000th of them. */
int meta_table_init(struct meta_table *t, size_t bytes, enum meta_kind kind,
                    const char *name)
{
    size_t pieces = (bytes + PIECE - 1) / PIECE;
    size_t reserved = pieces * PIECE;
    if (t->base) /* since another table beside it could not be had */
        return 0;
    char *base = os_reserve(reserved, PIECE, 0);
    if (!base)
        return ENOMEM;
    uint8_t *ready = meta_alloc((pieces + 7) / 8, META_OTHER);
    if (!ready) {
        os_unreserve(base, reserved);
        return ENOMEM;
    }
    os_name(base, reserved, name, use_of(kind));
    *t = (struct meta_table){base, reserved, kind, ready};
    return 0;
}

/* Acquire: whoever sees the bit may touch the piece. */
static bool piece_ready(const struct meta_table *t, size_t i)
{
    return load_acquire(&t->ready[i / 8]) >> i % 8 & 1;
}

/* With the lock: pieces [i, end), none of them ready, in one request. */
static int pieces_commit(struct meta_table *t, size_t i, size_t end)
{
    size_t n = (end - i) * PIECE;
    int e = os_commit(t->base + i * PIECE, n);
    if (e)
        return e;
    count_mapped(n, t->kind);
    for (; i < end; i++) /* others read the byte, only we write it */
        store_release(&t->ready[i / 8],
                      (uint8_t)(t->ready[i / 8] | 1u << i % 8));
    return 0;
}

/* Neighbours are committed by one request.  Pieces made ready before a failure
 * stay ready, and are counted. */
static NOINLINE int pieces_make_ready(struct meta_table *t, size_t i,
                                      size_t end)
{
    int e = 0;
    lock_take(&meta.lock);
    while (i < end && !e) {
        size_t z = i;
        while (z < end && !piece_ready(t, z))
            z++;
        if (z > i)
            e = pieces_commit(t, i, z);
        i = z + 1; /* piece z is ready, or is the end */
    }
    lock_drop(&meta.lock);
    return e;
}

/* The usual case, one piece that is ready, is one load and one test. */
int meta_table_ready(struct meta_table *t, size_t lo, size_t hi)
{
    insist(lo <= hi && hi <= t->reserved);
    size_t i = lo / PIECE, end = (hi + PIECE - 1) / PIECE;
    for (; i < end; i++)
        if (unlikely(!piece_ready(t, i)))
            return pieces_make_ready(t, i, end);
    return 0;
}

/* ---- Pools ------------------------------------------------------------- */

/* The link lies behind the record, so a record that waits for its next use
 * keeps every byte: whoever looks at it late sees old contents, not a link. */
static size_t link_at(const struct meta_pool *pool)
{
    return align_up(pool->size, sizeof(void *));
}

static void **link_of(const struct meta_pool *pool, void *record)
{
    return (void **)((char *)record + link_at(pool));
}

/* fork takes the locks of all pools; so a pool becomes known before its lock
 * is first taken. */
static void pool_enlist(struct meta_pool *pool)
{
    uint32_t i = 0;
    lock_take(&meta.lock);
    while (i < meta.npools && meta.pools[i] != pool)
        i++;
    if (i == meta.npools) {
        insist(i < POOLS);
        meta.pools[meta.npools++] = pool;
    }
    lock_drop(&meta.lock);
}

/* Takes n records off the count, or puts them on; with the pool's lock. */
static void pool_count(struct meta_pool *pool, int64_t n)
{
    store_relaxed(&pool->in_use, pool->in_use + (uint64_t)n);
}

/* A new record is made without the pool's lock, since meta_alloc takes the
 * other one of the same rank. */
void *meta_pool_get(struct meta_pool *pool)
{
    if (!load_relaxed(&pool->free) && !load_relaxed(&pool->in_use))
        pool_enlist(pool); /* perhaps never used */
    lock_take(&pool->lock);
    void *p = pool->free;
    if (p)
        store_relaxed(&pool->free, *link_of(pool, p));
    pool_count(pool, 1); /* also before there is a record: see pool_enlist */
    lock_drop(&pool->lock);
    if (p)
        return p;
    p = meta_alloc(link_at(pool) + sizeof(void *), pool->kind);
    if (!p) {
        lock_take(&pool->lock);
        pool_count(pool, -1);
        lock_drop(&pool->lock);
    }
    return p;
}

void meta_pool_put(struct meta_pool *pool, void *record)
{
    lock_take(&pool->lock);
    insist(pool->in_use > 0);
    *link_of(pool, record) = pool->free;
    store_relaxed(&pool->free, record);
    pool_count(pool, -1);
    lock_drop(&pool->lock);
}

/* ---- fork -------------------------------------------------------------- */

/* The forking thread holds every lock here, so that none of them is left
 * taken in the child by a thread that is not there. */
void meta_lock_all(void)
{
    lock_take(&meta.lock);
    for (uint32_t i = 0; i < meta.npools; i++)
        lock_take(&meta.pools[i]->lock);
}

void meta_unlock_all(void)
{
    for (uint32_t i = meta.npools; i > 0; i--)
        lock_drop(&meta.pools[i - 1]->lock);
    lock_drop(&meta.lock);
}

void meta_reset_locks(void)
{
    for (uint32_t i = 0; i < meta.npools; i++)
        lock_reset(&meta.pools[i]->lock);
    lock_reset(&meta.lock);
}
