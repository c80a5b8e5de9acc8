/* page.h: where memory comes from and goes to, in 8 KiB pages.
 *
 *     heap base                                             heap end
 *     |arena 64 MiB|arena|arena|...........reserved..............|
 *      pages, first fit by address; grown in 4 MiB chunks
 *
 * One contiguous range of address space is reserved at start at a random
 * place, so "is this a heap address" is one subtraction and one comparison,
 * and every table that describes the heap is an array indexed by page number.
 * Metadata comes from meta.c and is counted by category.
 *
 * Page states:   none (never used) -> free -> in use -> free -> ...
 *                free pages are ready or released (given back to the kernel).
 */
#ifndef SC_PAGE_H
#define SC_PAGE_H

#include "../base/base.h"

#define PAGE_SHIFT 13
#define PAGE_SIZE ((size_t)1 << PAGE_SHIFT)
#define CHUNK_PAGES 512 /* 4 MiB: one bitmap, one leaf of the summaries */
#define CHUNK_SIZE (CHUNK_PAGES * PAGE_SIZE)
#define ARENA_SIZE MIB(64)
#define NO_PAGE UINT32_MAX

/* ---- meta.c: memory for our own data, never from malloc ---------------- */

enum meta_kind { META_BITS, META_SPAN, META_THREAD, META_WORK, META_OTHER,
                 META_KINDS };
/* Small pieces, 16-byte aligned, zero, never given back; NULL if none. */
void *meta_alloc(size_t n, enum meta_kind);
/* Pieces of whole OS pages, zero; can be given back. */
void *meta_map(size_t n, enum meta_kind);
void meta_unmap(void *p, size_t n, enum meta_kind);
/* The same at a multiple of align.  Parts of it can be given back, which keeps
 * the addresses, and taken again; 0, or an errno value and nothing changed. */
void *meta_map_aligned(size_t n, size_t align, enum meta_kind);
int meta_decommit(void *p, size_t n, enum meta_kind);
int meta_commit(void *p, size_t n, enum meta_kind);
/* A table of address space that becomes ready piece by piece; all zero before
 * its init, which may be repeated. */
struct meta_table {
    char *base;
    size_t reserved;
    enum meta_kind kind;
    uint8_t *ready; /* one bit per 64 KiB piece */
};
int meta_table_init(struct meta_table *, size_t bytes, enum meta_kind,
                    const char *name);
/* Bytes [lo, hi) become ready (idempotent, any thread). */
int meta_table_ready(struct meta_table *, size_t lo, size_t hi);
/* Fixed-size records with a free list; records keep their contents. */
struct meta_pool {
    size_t size;
    enum meta_kind kind;
    void *free;
    struct lock lock;
    uint64_t in_use;
};
#define META_POOL(n, k) {(n), (k), 0, LOCK_INIT(RANK_META), 0}
void *meta_pool_get(struct meta_pool *);
void meta_pool_put(struct meta_pool *, void *);
uint64_t meta_bytes(enum meta_kind); /* ready bytes of that category */
void meta_lock_all(void);            /* around fork */
void meta_unlock_all(void);
void meta_reset_locks(void);

/* ---- arena.c: the reserved range --------------------------------------- */

struct arena_range {
    uintptr_t base;
    size_t size;     /* reserved bytes */
    uint32_t pages;  /* size / PAGE_SIZE */
};
extern struct arena_range arenas;
int arena_init(void); /* ENOMEM if not even 64 MiB of addresses are left */
INLINE bool arena_has(uintptr_t a) { return a - arenas.base < arenas.size; }
INLINE uint32_t arena_page(uintptr_t a)
{
    return (uint32_t)((a - arenas.base) >> PAGE_SHIFT);
}
INLINE uintptr_t arena_address(uint32_t page)
{
    return arenas.base + ((uintptr_t)page << PAGE_SHIFT);
}

/* ---- palloc.c: which pages are free ------------------------------------ */

/* A run of pages, first fit by address.  *zero: they are known to be zero.
 * NO_PAGE if there is no memory.  The range grows by itself. */
uint32_t page_take(uint32_t n, bool *zero);
void page_give(uint32_t page, uint32_t n);
/* The n pages from `page` on, which follow the caller's; false: one of them is
 * taken, or there is no memory. */
bool page_extend(uint32_t page, uint32_t n);
/* A thread's private run of free pages: 64 aligned pages as two masks. */
struct page_cache {
    uint32_t base;         /* first of the 64 pages */
    uint64_t free;         /* bit i: page base+i is ours */
    uint64_t released;     /* of those, given back to the kernel */
};
/* Up to 16 pages from the cache, refilled when empty. */
uint32_t page_cache_take(struct page_cache *, uint32_t n, bool *zero);
void page_cache_flush(struct page_cache *);
void page_lock(void); /* around fork */
void page_unlock(void);
void page_reset_locks(void);

struct page_stats {
    uint64_t in_use;   /* bytes of pages taken (with thread caches) */
    uint64_t free;     /* ready, free */
    uint64_t released; /* free and given back, or never touched */
    uint64_t grown;    /* in_use + free + released: committed heap */
    uint32_t top;      /* pages [0, top) have ever been grown */
};
void page_stats(struct page_stats *);
void page_verify(void); /* bitmaps, summaries and counts agree */

/* ---- scavenge.c: free pages back to the kernel ------------------------- */

/* Go's two goals (runtime/mgcscavenge.go); pure. */
uint64_t scavenge_goal_percent(uint64_t heap_goal, uint64_t last_heap_goal,
                               uint64_t last_heap_in_use);
uint64_t scavenge_goal_limit(uint64_t limit);
/* Set once per cycle; the background worker keeps free pages above them. */
void scavenge_set_goals(uint64_t retain, uint64_t limit_goal);
/* Gives back up to n bytes, highest addresses first; dense chunks only with
 * force.  Bytes given back. */
uint64_t scavenge_now(uint64_t n, bool force);
/* One round of the background worker: works, and says how long to sleep to
 * stay at 1 % of a CPU (UINT64_MAX: goals met, until woken). */
uint64_t scavenge_background(void);
void scavenge_new_cycle(void); /* density of chunks is per cycle */
/* Memory that must be given back so that `need` more bytes fit the limit. */
uint64_t scavenge_for_limit(uint64_t need);
/* 1 % duty: how long to sleep after `worked` more ns of CPU.  Pure. */
struct scavenge_duty {
    uint64_t since;  /* start of the time that is averaged over */
    uint64_t worked; /* CPU ns in it */
    uint64_t credit; /* idle ns that may be made up for; 0: the usual */
};
uint64_t scavenge_duty_sleep(struct scavenge_duty *, uint64_t now,
                             uint64_t worked);
struct scavenge_stats { uint64_t background, eager, total, cpu_ns; };
void scavenge_stats(struct scavenge_stats *);

/* All memory that is ready: heap grown, metadata.  mapped - released is what
 * the limit counts. */
uint64_t page_mapped(void);
uint64_t page_mapped_ready(void); /* mapped, less released */

#endif
