/* directory.h: what the library shows of itself to other processes.
 *
 * The idea: a reader outside (`sancai vm`, `sancai run`) must not need
 * symbols, a debugger or our help.  So the library lays out two plain
 * structs of fixed-width integers, and the tool reads them as they lie:
 *
 *   /proc/PID/maps      anonymous rw mappings of at most 64 KiB
 *        |              begins with "SANCAI-DIRECTORY"?
 *        v
 *   struct sc_directory --> heap base, pagedesc[], class infos[],
 *        |                  list of all ranges of ours
 *        v
 *   struct sc_stats_page    also in the memory file that `sancai run`
 *                           passes as SANCAI_STATS_FD: it outlives a crash
 *
 * This is the contract between src/obs and tool/, and the only header of
 * src/ that the tool includes.  It includes nothing of the library's, has
 * no functions, and any change of meaning raises the version.
 *
 * All addresses are addresses in the process that is described.  Nothing
 * is locked: a reader takes what it sees as a guess about a moving target,
 * bounds every count, and treats memory that it can't read as zero.
 */
#ifndef SC_DIRECTORY_H
#define SC_DIRECTORY_H

#include <stdint.h>

/* ---- The directory ---------------------------------------------------- */

#define SC_DIRECTORY_MAGIC "SANCAI-DIRECTORY" /* 16 bytes, no final zero */
#define SC_DIRECTORY_VERSION 2
#define SC_MAGIC_BYTES 16
/* The reader looks into mappings up to this size; they are few, and heaps of
 * other allocators are mostly larger. */
#define SC_DIRECTORY_SCAN_MAX (64u << 10)

enum sc_metadata_kind {
    SC_METADATA_NONE,      /* for a moment; of no kind of its own */
    SC_METADATA_BITS,      /* mark and allocation bits */
    SC_METADATA_SPAN,      /* page descriptors, span records */
    SC_METADATA_THREAD,    /* thread records and caches */
    SC_METADATA_WORK,      /* mark queues */
    SC_METADATA_OTHER,
    SC_METADATA_HEAP,      /* the heap itself */
    SC_METADATA_DIRECTORY, /* the directory's page and its guards */
    SC_METADATA_STACK,     /* upper end of a stack of a thread of ours */
    SC_METADATA_KINDS
};

/* A range of addresses (reserved, in use as far as it is accessible) that
 * is ours.  A thread's stack goes on below, down to the inaccessible guard. */
struct sc_range {
    uint64_t lo, hi;       /* lo 0 or 1: no entry */
    uint32_t kind;         /* enum sc_metadata_kind */
    uint32_t thread;       /* whose stack it is */
};
#define SC_RANGES_BLOCK 170
/* Blocks, once there, stay; their number grows. */
struct sc_range_block {
    uint64_t next;         /* address of one more, 0 at the end */
    uint64_t used;
    struct sc_range range[SC_RANGES_BLOCK];
};
/* Any thread changes the list at any time: begun + 1, the change, ended + 1.
 * Who reads `ended`, then the blocks, then the same number from `begun`, has
 * read one state.  What comes or goes between the reading of the kernel's
 * list and of this one is not found in both. */
struct sc_ranges {
    uint64_t begun, ended;
    uint64_t lost;         /* ranges for which there was no room */
    uint64_t first;        /* address of a block */
};

/* How to publish: fill everything, then store `magic` last, with release
 * order.  The directory stands at the start of an OS page with inaccessible
 * pages on both sides: the kernel merges neighbours of equal rights into
 * one mapping, which would make this one too large to be looked at.  After
 * a fork the child stores its own `pid`. */
struct sc_directory {
    char magic[SC_MAGIC_BYTES];
    uint32_t version;      /* SC_DIRECTORY_VERSION */
    uint32_t size;         /* sizeof(struct sc_directory) */
    uint64_t pid;
    uint64_t heap_base;
    uint64_t heap_reserved; /* bytes of address space */
    uint32_t page_shift;   /* 13: pages of 8 KiB */
    uint32_t arena_shift;  /* 26: arenas of 64 MiB */
    /* Pages [0, top) have ever been grown.  Either the value, kept current,
     * or top_at != 0: address of a uint32_t that holds it. */
    uint64_t top;
    uint64_t top_at;
    /* The pagedesc table: one uint32_t per page from heap_base on; pieces of
     * it may not be accessible yet. */
    uint64_t pagedesc;
    uint32_t pagedesc_entry; /* 4 */
    /* Table of struct sc_class_info, indexed by span class. */
    uint32_t class_entry;  /* sizeof(struct sc_class_info) */
    uint64_t classes;
    uint32_t class_count;  /* capacity, at most 1024; unused: kind 0 */
    uint32_t reserved;
    uint64_t stats;        /* struct sc_stats_page, 0 if there is none */
    uint64_t ranges;       /* struct sc_ranges */
};

/* ---- Page descriptors -------------------------------------------------- */

/*  31      21 20    19 18  17  16  15  14  13    10 9          0
 *  |         |first|  |eph|cus|nos|lrg|use| index |   class    |
 *
 * 0: the page is in no span.  Of a large object's pages only the flags have
 * a meaning for others; the library keeps in the remaining bits how far back
 * the first one is. */
#define SC_PAGE_CLASS 0x3ffu          /* span class, 0..1023 */
#define SC_PAGE_INDEX_SHIFT 10
#define SC_PAGE_INDEX 0xfu            /* page's place in its span, 0..15 */
#define SC_PAGE_IN_USE (1u << 14)
#define SC_PAGE_LARGE (1u << 15)      /* one object; no class, no index */
#define SC_PAGE_NOSCAN (1u << 16)
#define SC_PAGE_CUSTOM (1u << 17)     /* custom trace function */
#define SC_PAGE_EPHEMERON (1u << 18)  /* holds ephemeron keys */
#define SC_PAGE_LARGE_FIRST (1u << 20)

/* ---- Span classes ------------------------------------------------------ */

#define SC_CLASSES_MAX 1024
enum sc_class_kind {
    SC_CLASS_NONE,         /* class not in use */
    SC_CLASS_NOSCAN,
    SC_CLASS_CONSERVATIVE,
    SC_CLASS_PRECISE,
    SC_CLASS_TRACED,
    SC_CLASS_KINDS
};
/* `kind` is stored last when a class comes into being; a record does not
 * change afterwards. */
struct sc_class_info {
    uint32_t size;         /* bytes of a slot */
    uint8_t kind;          /* enum sc_class_kind */
    uint8_t pages;         /* of one span */
    uint16_t reserved;
    char name[40];         /* of the type, cut and zero-ended; "" if none */
};

/* ---- Statistics -------------------------------------------------------- */

/* The members of struct sc_stats in their order: N for numbers, H for
 * histograms.  Both sides are generated from this list, so that a member
 * can't be forgotten in one of them: the library's copy is
 *     #define N(m) to->m = (uint64_t)from->m;
 *     #define H(m) memcpy(&to->m, &from->m, sizeof to->m);
 * Negative numbers are two's complement. */
#define SC_STATS_MEMBERS(N, H)                                         \
    N(heap_live) N(heap_goal) N(heap_objects)                          \
    N(total_alloc_bytes) N(total_free_bytes)                           \
    N(mapped) N(released) N(metadata)                                  \
    N(num_gc) N(num_forced_gc) N(gc_cpu_ns) N(assist_ns)               \
    H(hold)                                                            \
    N(heap_objects_bytes) N(heap_unused_bytes) N(heap_free_bytes)      \
    N(heap_released_bytes)                                             \
    N(gc_bytes) N(span_bytes) N(thread_bytes) N(work_bytes)            \
    N(other_bytes)                                                     \
    N(heap_marked) N(num_threads) N(gc_cpu_permille)                   \
    N(memory_limit) N(gc_percent) N(max_procs)                         \
    H(stop)                                                            \
    N(cleanups_queued) N(cleanups_run)                                 \
    N(finalizers_queued) N(finalizers_run)                             \
    N(total_alloc_objects) N(total_free_objects)                       \
    H(hold_cpu)

struct sc_times {          /* struct sc_histogram, nanoseconds */
    uint64_t count, sum, p50, p99, p999, max;
};
struct sc_numbers {
#define SC_N_(m) uint64_t m;
#define SC_H_(m) struct sc_times m;
    SC_STATS_MEMBERS(SC_N_, SC_H_)
#undef SC_N_
#undef SC_H_
};

#define SC_STATS_MAGIC "SANCAI-STATSPAGE" /* 16 bytes, no final zero */
#define SC_STATS_VERSION 1
#define SC_STATS_BYTES 4096               /* size of the memory file */
#define SC_STATS_ENV "SANCAI_STATS_FD"    /* decimal number of the file */

/* The file arrives all zero.  It is inherited by every process below
 * `sancai run`, but tells of one: the process whose compare-and-swap of
 * `pid` from 0 to its own id succeeds (or that finds its own id there,
 * after an exec).  The others leave it alone; so does a forked child.
 *
 * Writing, by one thread at a time: seq + 1 (odd), release fence, numbers,
 * seq + 2 with release order.  At the end of each cycle and at exit; the
 * last time `finished` is set.  A reader takes an odd seq of a dead process
 * for what it is: numbers of two moments.  magic is stored last at start. */
struct sc_stats_page {
    char magic[SC_MAGIC_BYTES];
    uint32_t version;      /* SC_STATS_VERSION */
    uint32_t size;         /* sizeof(struct sc_stats_page) */
    uint64_t pid;
    uint64_t seq;
    uint64_t updates;      /* how often the numbers were written */
    uint64_t finished;     /* 1: written by an orderly exit */
    uint64_t start_ns, update_ns; /* monotonic clock: start, last update */
    struct sc_numbers now;
};

_Static_assert(sizeof(struct sc_class_info) == 48, "layout is a contract");
_Static_assert(sizeof(struct sc_directory) == 120, "layout is a contract");
_Static_assert(sizeof(struct sc_range_block) == 4096, "layout is a contract");
_Static_assert(sizeof(struct sc_ranges) == 32, "layout is a contract");
_Static_assert(sizeof(struct sc_stats_page) <= SC_STATS_BYTES, "one page");

#endif
