/* malloc.h: the C library's malloc, on Go's design: blocks that the program
 * frees itself.
 *
 *   malloc, free, ...   family.c, more.c   what programs call
 *        |
 *   thread cache        tcache.c     arrays of free blocks, one per size class
 *        |  in batches
 *   central lists       mcentral.c   spans of one class, fullest first
 *        |  whole spans
 *   page heap           src/page     and back to the system: give.c
 *
 * Where blocks come from: a thread takes them from its cache, which takes a
 * batch from the spans of the class, which are cut from pages.  Where they go:
 * the same way back.  What a span is, and how an address leads to it: mspan.c.
 *
 * This layer makes build/libsancai-malloc.so (and .a) with what is below it;
 * it knows of no collector.
 */
#ifndef SC_MALLOC_H
#define SC_MALLOC_H

#include "../heap/heap.h"

/* ---- mspan.c: pages and blocks ----------------------------------------- */

/* One for each page of the heap: all that free() looks at.  An address p in a
 * page of small blocks is the start of one if and only if its distance from the
 * span's start is a multiple of the block's size, that is if
 *
 *     (p - start) * magic mod 2^32  ==  p * magic + bias mod 2^32  <  magic
 *
 * (Lemire, Kaser and Kurz, 2019: divisibility by a multiplication; exact here,
 * as distances have 17 bits and sizes 15).  Other pages have magic 0. */
struct mdesc {
    uint32_t magic; /* ceil(2^32 / size) */
    uint32_t bias;  /* -start * magic */
    uint16_t bin;   /* of its size class: byte offset into struct tcache */
    uint16_t back;  /* pages from the span's first one on */
    uint32_t spare;
};

enum mstate { MSPAN_FREE, MSPAN_SMALL, MSPAN_LARGE };

#define MSPAN_SLOTS 512
#define MSPAN_WORDS (MSPAN_SLOTS / 64)
#define BANDS 8 /* spans by how much of them is free */

struct mspan { /* of the span's first page */
    uint32_t next, prev;       /* page + 1 of neighbours in the band; 0: none */
    uint16_t nslots, nfree;
    uint8_t class, band;       /* band: BANDS if in no list */
    uint8_t state, spare;
    uint32_t npages;
    uint64_t size;             /* of a block; large: all its pages */
};
/* What is the same for all spans of a class. */
struct mclass {
    uint32_t size, magic;
    uint32_t bands;      /* BANDS << 16 / nslots */
    uint16_t nslots, npages;
};
struct mspan_bits { /* ones: blocks that are in the span, not given out */
    uint64_t w[MSPAN_WORDS];
};

struct mheap {
    struct mdesc *desc;        /* page -> descriptor; its address is the mark
                                * that free blocks bear, see tcache.c */
    uintptr_t base, limit;     /* limit: bytes from base with tables ready */
    struct mspan *spans;
    struct mspan_bits *bits;
    struct meta_table t_desc, t_spans, t_bits;
    _Atomic uint64_t small_pages, large_pages; /* in use */
    _Atomic uint64_t reserved_pages;           /* see mspan_reserve */
    struct mclass class[SIZE_CLASSES];
    _Atomic uint64_t large_count;
};
extern struct mheap mheap HIDDEN;

int mheap_init(void);
INLINE struct mspan *mspan_at(uint32_t page) { return &mheap.spans[page]; }
INLINE uint32_t mspan_page(const struct mspan *s)
{
    return (uint32_t)(s - mheap.spans);
}
INLINE uintptr_t mspan_start(const struct mspan *s)
{
    return arena_address(mspan_page(s));
}
INLINE uint64_t *mspan_free_bits(const struct mspan *s)
{
    return mheap.bits[mspan_page(s)].w;
}
/* A span of that class with all blocks free; NULL: no memory. */
struct mspan *mspan_new(unsigned class);
/* Its pages back, or into the reserve. */
void mspan_free(struct mspan *);
/* The reserve's pages to the page heap. */
void mspan_reserve_flush(void);
/* Large blocks: at least n bytes at a multiple of align (a power of two);
 * NULL: no memory. */
void *mlarge_new(size_t n, size_t align, bool *zero);
void mlarge_free(struct mspan *);
/* To n bytes where it is: false if that can't be done. */
bool mlarge_resize(struct mspan *, size_t n);
/* What an address is. */
enum mfound { FOUND_NOTHING, FOUND_SMALL, FOUND_LARGE, FOUND_INSIDE };
struct mblock {
    struct mspan *span;
    uintptr_t base; /* of the block that the address is in */
    size_t size;    /* usable bytes; 0 with FOUND_NOTHING */
    unsigned slot;
};
enum mfound mblock_find(uintptr_t a, struct mblock *);
/* The block lies in its span: it was freed, and is in no thread's cache. */
bool mblock_in_span(const struct mblock *);

/* ---- mcentral.c: the spans of each class ------------------------------- */

/* Up to n free blocks of the class, by rising address; 0: no memory. */
unsigned mcentral_take(unsigned class, void **to, unsigned n);
void mcentral_give(unsigned class, void **from, unsigned n);
/* The first page's span of a page of small blocks. */
INLINE struct mspan *mspan_of(uint32_t page)
{
    return mspan_at(page - mheap.desc[page].back);
}
/* Spans of which nothing is used, kept for the next request, back as well. */
void mcentral_trim(void);
struct mcentral_stats {
    uint64_t spans, pages, slots, free; /* free: in spans */
};
void mcentral_stats(unsigned class, struct mcentral_stats *);
void mcentral_lock_all(void); /* around fork */
void mcentral_unlock_all(void);
void mcentral_reset_locks(void);

/* ---- tcache.c: a thread's free blocks ---------------------------------- */

#define INDEX_MAX 64 /* sizes to 1 KiB are looked up, in steps of 16 */

/* The free blocks are [head, end): a stack that grows down.  *end is NULL, so
 * that who takes a block needs one look.  Full when head == floor. */
struct bin {
    void **head, **floor;
};
struct tcache {
    struct bin bin[1 + SIZE_CLASSES]; /* [1 + class]; [0] is always empty */
    uint16_t bin_of[INDEX_MAX + 1];   /* [(n+15)/16]: offset of its bin */
    /* What the fast path does not look at. */
    void **end[1 + SIZE_CLASSES];
    uint16_t want[1 + SIZE_CLASSES]; /* as many blocks it may hold now */
    uint16_t room[1 + SIZE_CLASSES]; /* as many the array could */
    size_t allowed;                  /* bytes, by `want` of all bins */
    struct tcache *next, **link;     /* all caches */
    bool armed;                      /* the thread's end will be told */
};
extern _Thread_local struct tcache *tcache_self;
extern struct tcache tcache_none; /* a thread's that has none */

INLINE uint16_t bin_offset(unsigned class)
{
    return (uint16_t)((1 + class) * sizeof(struct bin));
}
INLINE unsigned bin_class(uint16_t offset)
{
    return (unsigned)(offset / sizeof(struct bin)) - 1;
}
INLINE struct bin *bin_at(struct tcache *t, uint16_t offset)
{
    return (struct bin *)((char *)t + offset);
}
/* The mark of a free block, in its second word.  A block in use can have it
 * there by chance: a struct whose members were never set, copied from a part of
 * the stack where we were before.  So whoever sees it makes sure (is_free). */
INLINE void *free_mark(void) { return mheap.desc; }
#define MARK_WORD 1

/* A block of that class when the bin is empty; NULL: no memory. */
void *tcache_fill(unsigned class);
/* A block that free() could not put into the bin. */
void tcache_spill(unsigned class, void *p);
/* p is among the free blocks of some thread; reads racily. */
bool tcache_holds(unsigned class, const void *p);
/* No thread has a cache from now on (hardened mode); false: some other has. */
bool tcache_retire(void);
/* All of the calling thread's blocks back to their spans. */
void tcache_flush(void);
/* Blocks of that class in all caches; reads racily. */
uint64_t tcache_count(unsigned class);
void tcache_hook_exit(void);
void tcache_lock(void); /* around fork */
void tcache_unlock(void);
void tcache_fork_child(void);

/* ---- give.c: memory back to the system --------------------------------- */

/* That many pages were freed; the caller may hold locks. */
void give_note(uint32_t npages);
/* Without locks: starts the worker if it has something to do, or will have when
 * so many pages more are free. */
void give_begin(uint32_t soon);
/* Everything that is free goes back now; bytes. */
uint64_t give_all(void);
/* After a failure to get memory: true if it is worth trying again. */
bool give_emergency(void);
void give_fork_child(void);

/* ---- pressure.c: the memory limit --------------------------------------- */

/* So many bytes of pages are about to be taken. */
void pressure_pages(uint64_t bytes);
/* Called where no lock is held, on slow paths. */
void pressure_relieve(void);

/* ---- begin.c: start, fork, end ----------------------------------------- */

/* The layers below are up; false: no memory. */
bool mbegin(void);
/* The C library is up as well: threads can be made. */
bool mbegun(void);
void mheap_lock(void); /* mspan.c's, around fork */
void mheap_unlock(void);
void mheap_reset_lock(void);

/* ---- info.c: where the bytes are ---------------------------------------- */

/* The page that `sancai run --malloc` gave us, if it did. */
void info_open(void);
void info_publish(bool last);
void info_fork_child(void);

/* ---- misuse (wrong.c) -------------------------------------------------- */

/* One line that says what is wrong with p given to `who`, then abort. */
void wrong_free(const char *who, const void *p) COLD;
void wrong_size(const char *who, const void *p, size_t has, size_t given) COLD;

#endif
