/* heap.h: objects: size classes, spans, central lists, thread caches.
 *
 *   sizeclass  size -> class -> pages, magic divisor
 *   class      span classes: size x (noscan, conservative, layout)
 *   span       one run of slots: bits, sweep, runs of free slots
 *   central    span lists of one class; swept and unswept
 *   cache      a thread's runs: the allocation path
 *   object     address -> object
 *
 * This layer knows mark bits but never marks: collect does.
 */
#ifndef SC_HEAP_H
#define SC_HEAP_H

#include "../../include/sancai.h"
#include "../page/page.h"

/* ---- sizeclass.c ------------------------------------------------------ */

#define SMALL_MAX KIB(32)
#define SIZE_CLASSES 72 /* 8 of 16 B steps, then 8 per doubling to 32 KiB */
#define SPAN_PAGES_MAX 16

/* Class of a small size (1..SMALL_MAX) and back. */
INLINE unsigned size_class(size_t n)
{
    if (n <= 128)
        return (unsigned)(n + 15) / 16 - (n > 0);
    unsigned top = 63 - (unsigned)__builtin_clzll(n - 1); /* 2^top < n */
    return (top - 6) * 8 + (unsigned)((n - 1) >> (top - 3)) - 8;
}
INLINE size_t size_of_class(unsigned c)
{
    return c < 8 ? (c + 1) * 16
                 : (size_t)(9 + c % 8) << (c / 8 + 3);
}
/* Pages of a span: the fewest whose tail wastes at most an eighth. */
unsigned size_class_pages(unsigned c);

/* ---- class.c: span classes -------------------------------------------- */

/* Larger ones are too few on a page to wait for each other. */
#define PAGED_MAX 512
#define CLASSES 1024 /* ten bits of a page descriptor */
#define CLASS_NOSCAN 0
#define CLASS_CONSERVATIVE SIZE_CLASSES
#define CLASS_SHAPES (2 * SIZE_CLASSES)
#define CLASS_LARGE CLASSES /* list of large spans, no class of its own */

enum kind { KIND_NOSCAN, KIND_CONSERVATIVE, KIND_PRECISE, KIND_TRACED };

/* A canonical pointer map: equal layouts of different files share it. */
struct sc_shape {
    struct sc_shape *next;
    const char *name;
    sc_trace_fn trace;
    uint32_t period; /* words of one element */
    uint32_t large;  /* kind of large objects */
    _Atomic uint16_t class_of[SIZE_CLASSES]; /* 0: not made yet */
    uint64_t map[];  /* bit i: word i of an element holds a pointer */
};

struct class {
    uint32_t size;   /* bytes of a slot */
    uint32_t magic;  /* ceil(2^32 / size): slot = offset * magic >> 32 */
    uint16_t nslots;
    uint8_t npages, size_class, kind;
    bool paged;      /* see DESC_PAGED */
    bool whole;      /* map below covers the whole slot (<= 64 words) */
    uint32_t period; /* words */
    uint64_t map;    /* pointer words of the slot, or of a short period */
    const struct sc_shape *shape;
};
extern struct class classes[CLASSES] HIDDEN;
extern uint32_t class_magic[CLASSES] HIDDEN; /* the same, packed */
extern _Atomic uint32_t class_count;

void class_init(void);
/* The map of a declared layout, made at first use; NULL: out of memory. */
const struct sc_shape *shape_of(struct sc_layout *);
/* Span class for objects of n bytes with this map (n <= SMALL_MAX). */
unsigned class_of_shape(const struct sc_shape *, size_t n);
void class_lock(void); /* around fork */
void class_unlock(void);
void class_reset_lock(void);

/* ---- span.c ------------------------------------------------------------ */

/* Page descriptors (see obs/directory.h, which the tool reads). */
#define DESC_CLASS(d) ((d) & 1023u)
#define DESC_INDEX(d) ((d) >> 10 & 15u)
#define DESC_IN_USE (1u << 14)
#define DESC_LARGE (1u << 15)
#define DESC_NOSCAN (1u << 16)
#define DESC_TRACED (1u << 17)
#define DESC_KEYS (1u << 18) /* some object is the key of an ephemeron */
#define DESC_PAGED (1u << 19) /* grey objects wait in queues of pages */
#define DESC_FIRST (1u << 20)
/* Large: pages back to the first one, 25 bits in two pieces; more: hop. */
#define DESC_BACK_MAX ((1u << 25) - 1)
INLINE uint32_t desc_back(uint32_t d) { return (d & 0x3fff) | d >> 21 << 14; }
INLINE uint32_t desc_put_back(uint32_t n)
{
    return (n & 0x3fff) | n >> 14 << 21;
}

/* A page on which a span begins. */
INLINE bool desc_begins(uint32_t d)
{
    if (!(d & DESC_IN_USE))
        return false;
    return d & DESC_LARGE ? d & DESC_FIRST : DESC_INDEX(d) == 0;
}

enum span_state { SPAN_FREE, SPAN_CACHED, SPAN_LISTED, SPAN_LARGE };

struct span { /* 64 bytes; of the span's first page */
    uint32_t next;   /* list link: first page of the next span */
    uint32_t npages;
    uint32_t gen;    /* heap.gen: swept; heap.gen - 2: unswept */
    uint16_t class;  /* CLASS_LARGE is stored as CLASSES */
    uint8_t state;
    uint8_t needzero; /* free slots may hold old contents */
    uint16_t nslots;
    uint16_t nalloc;  /* allocation bits set */
    uint16_t search;  /* no free slot below */
    uint8_t kind;     /* enum kind */
    bool guarded : 1; /* efence: pages are never used again */
    bool paged : 1;   /* see DESC_PAGED */
    uint64_t size;    /* slot bytes; large: object bytes */
    const struct sc_shape *shape; /* large, precise or traced */
    struct special *specials;     /* collect/special.c */
    _Atomic uint64_t *freed;      /* slots given to sc_free; NULL: none */
    _Atomic bool sparse;   /* large: parts may never have been touched */
    _Atomic uint16_t full; /* of its sections: touched everywhere (mark.c) */
};

/* Of a span's first page.  A slot's two bits lie in neighbouring words, so that
 * a marker, which tests one and sets the other, touches one cache line. */
struct bits {
    struct bits_word {
        _Atomic uint64_t mark, alloc;
    } w[8];
};

/* Of a span's first page, where DESC_PAGED: slots that were scanned.  What is
 * marked and not black is grey. */
struct black {
    _Atomic uint64_t w[8];
};

struct heap {
    uint32_t *desc;         /* page -> descriptor */
    struct bits *bits;      /* page -> bits */
    struct span *spans;     /* page -> span */
    struct black *black;    /* page -> slots scanned */
    _Atomic uint8_t *queued; /* page -> is in a queue (collect/queue.c) */
    uintptr_t base;         /* == arenas.base */
    _Atomic uintptr_t limit; /* bytes from base with tables ready */
    _Atomic uint32_t top;    /* the same in pages, for readers outside */
    _Atomic uint32_t gen;
    _Atomic uint64_t swept_free_bytes, swept_free_objects;
    _Atomic uint64_t pages_in_use;   /* pages of spans */
    _Atomic int64_t unswept_pages;
    _Atomic uint64_t live_bytes;     /* slots allocated: by exact counts */
    struct meta_table t_desc, t_bits, t_spans, t_black, t_queued;
};
extern struct heap heap HIDDEN;

int heap_init(void);
INLINE struct span *span_at(uint32_t page) { return &heap.spans[page]; }
INLINE uint32_t span_page(const struct span *s)
{
    return (uint32_t)(s - heap.spans);
}
INLINE struct bits *span_bits(const struct span *s)
{
    return &heap.bits[span_page(s)];
}
INLINE struct black *span_black(const struct span *s)
{
    return &heap.black[span_page(s)];
}
INLINE uintptr_t span_start(const struct span *s)
{
    return arena_address(span_page(s));
}
/* A fresh span of a class, cached by the caller; NULL: no memory.  gen is the
 * caller's: a thread that is behind may be allocating black, and such a span
 * must be swept like those it had before. */
struct span *span_new(unsigned class, uint32_t gen, struct page_cache *);
/* A large object's span; not visible to the collector before publish. */
struct span *span_new_large(size_t n, enum kind, const struct sc_shape *,
                            uint32_t gen, bool *zero);
void span_publish_large(struct span *, bool black);
/* Pages back to the page layer; nobody may look at the span any more. */
void span_free(struct span *);
/* The next run of free slots, taken: allocation bits set, memory zero if the
 * class needs it, mark bits set if black.  False: none left. */
struct run {
    uintptr_t cur, end;
};
bool span_take_run(struct span *, bool black, struct run *);
/* The rest of a run back: bits cleared. */
void span_give_run(struct span *, uintptr_t from, uintptr_t to);
/* Mark bits become allocation bits.  True: the span is empty. */
bool span_sweep(struct span *);
void span_check(const struct span *);

/* ---- central.c --------------------------------------------------------- */

struct central {
    struct lock lock;
    uint32_t partial[2], full[2]; /* [gen/2 & 1]: swept at that gen */
};
void central_init(void);
/* An owned span with a free slot: swept partial, else swept on the way, else
 * fresh.  gen: as the calling thread sees it. */
struct span *central_take(unsigned class, uint32_t gen, struct page_cache *);
/* A span back, by its own generation. */
void central_give(struct span *);
void central_give_large(struct span *);
/* Sweeps one unswept span of any class; pages swept, 0 if none is left. */
uint32_t central_sweep_one(uint32_t *cursor);
/* Until nobody is sweeping a span any more; when the lists are empty. */
void central_wait_sweepers(void);
/* Calls fn for each listed span of one list; debug, threads held. */
void central_lock_all(void);
void central_unlock_all(void);
void central_reset_locks(void);

/* ---- cache.c ----------------------------------------------------------- */

struct cache {
    struct run run[1 + CLASSES]; /* [1 + class]; [0] is always empty */
    uint32_t span[CLASSES];  /* first page + 1 of the cached span; 0 none */
    struct run tiny;         /* rest of a 32-byte noscan block */
    uint16_t used[CLASSES];  /* classes with a span, in order of first use */
    uint16_t nused;
    bool black;              /* runs are taken marked */
    uint32_t gen;            /* heap.gen as this thread knows it */
    struct page_cache pages;
    /* Exact totals up to the current runs; others read them racily. */
    uint64_t alloc_bytes, alloc_objects;
    uint64_t live_flushed;   /* alloc_bytes already in heap.live_bytes */
    uint64_t slow;           /* times the fast path was left */
};
/* What the fast path knows of a class: where its run is, as a byte offset into
 * struct cache, and the size of a slot.  Offset 0 is the empty run, so what was
 * never set up takes the slow path by itself. */
struct fast {
    uint32_t run, slot;
};
INLINE struct run *cache_run(struct cache *k, unsigned c)
{
    return &k->run[1 + c];
}
INLINE struct fast fast_of(unsigned c)
{
    return (struct fast){(uint32_t)((1 + c) * sizeof(struct run)),
                         classes[c].size};
}
/* The calling thread's cache; of a thread that is not attached, one in which
 * every run is empty. */
extern _Thread_local struct cache *cache_self;
void cache_set_self(struct cache *); /* NULL: that one */
/* A run for class c from the cached span; false: a new span is needed. */
bool cache_next_run(struct cache *, unsigned c);
/* Puts a span from central_take into the cache (the old one goes back). */
void cache_set_span(struct cache *, unsigned c, struct span *);
/* All runs and spans back.  keep: a signal may have interrupted the fast path,
 * so the slot at cur stays allocated (and is marked if mark). */
void cache_retire(struct cache *, bool keep, bool mark);
/* Adds what was allocated to heap.live_bytes. */
void cache_flush_counts(struct cache *);
/* The owner's counters move; others may be reading them. */
void cache_count(struct cache *, int64_t bytes, int64_t objects);

/* ---- object.c ---------------------------------------------------------- */

/* First page of the large object that page is in (its descriptor in *d), or
 * NO_PAGE if it is just being made or freed. */
INLINE uint32_t large_first(uint32_t page, uint32_t *d)
{
    while (!(*d & DESC_FIRST)) {
        uint32_t back = desc_back(*d);
        if (!back || back > page)
            return NO_PAGE;
        page -= back;
        *d = load_acquire(&heap.desc[page]);
        if ((*d & (DESC_IN_USE | DESC_LARGE)) != (DESC_IN_USE | DESC_LARGE))
            return NO_PAGE;
    }
    return page;
}
struct object {
    uintptr_t base;
    size_t size;       /* slot or large object */
    struct span *span;
    unsigned slot;
    uint8_t kind;
};
/* The allocated object that a points into. */
bool object_find(uintptr_t a, struct object *);
INLINE uint64_t slot_bit(unsigned slot) { return 1ull << (slot & 63); }
INLINE bool object_marked(const struct object *o)
{
    return load_relaxed(&span_bits(o->span)->w[o->slot >> 6].mark) &
           slot_bit(o->slot);
}

#endif
