/* page_private.h: what the rooms of this layer share among themselves.
 *
 *   chunk bitmaps (bits.c)  --summarised in-->  radix tree (summary.c)
 *          \                                         /
 *           +---------- palloc.c: take, give --------+
 *                         |                 \
 *                 pagecache.c           release.c <-- scavenge.c
 *
 * Everything here that changes is guarded by pages.lock, except counters
 * that say otherwise.
 */
#ifndef SC_PAGE_PRIVATE_H
#define SC_PAGE_PRIVATE_H

#include "page.h"

#define CHUNK_WORDS (CHUNK_PAGES / 64)

/* One growth unit: its two bitmaps (a cache line each) and their counts.
 *   used  released
 *    1       0      taken, or lent to a thread cache, or being discarded
 *    0       0      free, contents unknown
 *    0       1      free, known to be zero and not resident
 */
struct chunk {
    uint64_t used[CHUNK_WORDS];
    uint64_t released[CHUNK_WORDS];
    uint16_t in_use;    /* ones in `used`, less those in `moving` */
    uint16_t moving;    /* pages that are being discarded */
    uint16_t nreleased; /* ones in `released` */
    uint16_t peak;      /* largest in_use since cycle `gen` began */
    uint32_t gen;
} __attribute__((aligned(64)));

/* ---- bits.c: 512 bits at a time ---------------------------------------- */

void bits_set(uint64_t *b, uint32_t i, uint32_t n);
void bits_clear(uint64_t *b, uint32_t i, uint32_t n);
uint32_t bits_count(const uint64_t *b, uint32_t i, uint32_t n);
/* First run of n zeros at or after `from`; CHUNK_PAGES if there is none. */
uint32_t bits_find(const uint64_t *used, uint32_t from, uint32_t n);
uint64_t bits_summary(const uint64_t *used);
/* Highest run of ones: its start, and its length in *n (0: none). */
uint32_t bits_last_run(const uint64_t *b, uint32_t *n);
/* Keeps only aligned groups of m ones (m a power of two, at most 64). */
uint64_t bits_whole(uint64_t x, uint32_t m);
/* Bit i of the result: bits i .. i+n-1 of x are all ones (1 <= n <= 64). */
INLINE uint64_t bits_fold(uint64_t x, uint32_t n)
{
    for (uint32_t have = 1, step; have < n; have += step) {
        step = have < n - have ? have : n - have;
        x &= x >> step;
    }
    return x;
}

/* ---- a summary: free pages at the start, longest run, at the end ------- */

/* 21 bits each.  The top level's entry covers 2^21 pages, so one value more
 * is needed: bit 63 says that all three are 2^21. */
#define SUM_BITS 21
#define SUM_ALL ((uint64_t)1 << 63)
#define SUM_MASK (((uint64_t)1 << SUM_BITS) - 1)
#define SUM_FULL ((uint32_t)1 << SUM_BITS)
INLINE uint64_t sum_pack(uint32_t start, uint32_t max, uint32_t end)
{
    if (max == SUM_FULL)
        return SUM_ALL;
    return start | (uint64_t)max << SUM_BITS | (uint64_t)end << 2 * SUM_BITS;
}
INLINE uint32_t sum_start(uint64_t s)
{
    return s & SUM_ALL ? SUM_FULL : (uint32_t)(s & SUM_MASK);
}
INLINE uint32_t sum_max(uint64_t s)
{
    return s & SUM_ALL ? SUM_FULL : (uint32_t)(s >> SUM_BITS & SUM_MASK);
}
INLINE uint32_t sum_end(uint64_t s)
{
    return s & SUM_ALL ? SUM_FULL : (uint32_t)(s >> 2 * SUM_BITS & SUM_MASK);
}
#define SUM_CHUNK_FREE sum_pack(CHUNK_PAGES, CHUNK_PAGES, CHUNK_PAGES)

/* ---- summary.c: the radix tree over the whole range -------------------- */

int summary_init(uint32_t chunks);
/* Entries of chunks [lo, hi) and of all their ancestors become usable. */
int summary_ready(uint32_t lo, uint32_t hi);
uint64_t summary_leaf(uint32_t chunk);
void summary_set_leaf(uint32_t chunk, uint64_t sum);
/* After leaves lo .. hi (inclusive) were set: their ancestors. */
void summary_update(uint32_t lo, uint32_t hi);
/* Looks for n free pages in [*first, top).  False: there are none.  True:
 * *page is where the run starts (straddles chunks: *chunk is UINT32_MAX) or
 * else the run is inside *chunk.  *first rises to a page below which nothing
 * is free. */
bool summary_find(uint32_t n, uint32_t top, uint32_t *first, uint32_t *page,
                  uint32_t *chunk);
void summary_verify(uint32_t chunks);

/* ---- palloc.c ---------------------------------------------------------- */

struct palloc {
    struct lock lock;
    struct chunk *chunks; /* array over the whole range, ready below top */
    uint32_t top;         /* pages [0, top) are grown; also read unlocked */
    uint32_t hint;        /* no page below it is free */
    uint32_t gen;         /* number of the cycle, for chunk.peak */
    uint64_t in_use;      /* pages taken or lent to thread caches */
    uint64_t released;    /* pages; also read unlocked */
    uint64_t moving;      /* pages that are being discarded: used, but free */
};
extern struct palloc pages;
INLINE struct chunk *chunk_of(uint32_t page)
{
    return &pages.chunks[page / CHUNK_PAGES];
}
/* With the lock: some run of free pages, growing if needed; *grown counts the
 * bytes.  The pages are still free. */
uint32_t palloc_find(uint32_t n, uint64_t *grown);
/* With the lock: k pages of a chunk, r of them released, are used now; k
 * pages are free again. */
void palloc_count_used(struct chunk *, uint32_t k, uint32_t r);
void palloc_count_free(struct chunk *, uint32_t k);
/* With the lock: leaf and ancestors of one chunk from its bitmap. */
void palloc_resummarise(uint32_t chunk);

/* ---- release.c: which free pages go back next -------------------------- */

/* With the lock. */
void release_note_free(uint32_t end); /* pages that end there became free */
void release_new_cycle(void);
void release_settle(void); /* child of a fork: runs nobody will finish */
void release_verify(void);
/* Without the lock.  Pages taken out to be discarded, at most `max` (more
 * only to keep a huge page whole); n is 0 if there are none. */
struct release_run {
    uint32_t page, n;
};
struct release_run release_pick(uint32_t max, bool force);
void release_done(struct release_run, bool discarded);
/* The part of a chunk that goes next: below page `limit` of it, at most `max`
 * pages, in groups of `whole`.  Pure. */
struct release_run release_candidate(const struct chunk *, uint32_t limit,
                                     uint32_t max, uint32_t whole);

/* ---- scavenge.c, meta.c ------------------------------------------------ */

/* The heap grew by that much: offsets it with free pages over the goal. */
void scavenge_after_growth(uint64_t bytes);
uint64_t meta_mapped(void);
void meta_verify(void);

#endif
