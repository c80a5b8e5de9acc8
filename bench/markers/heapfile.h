/* heapfile.h: a recorded heap: what record.c writes and graph.c reads.
 *
 *   head | objects, by address | root jobs | links | roots
 *
 * A link or a root is the number of the object that it leads to.  The links of
 * an object stand in the order of its words, those of all objects in the order
 * of the objects; the same for the roots of the jobs.  A large object is
 * several entries, one for each piece that is queued by itself: the first is
 * the object, those behind it are parts.
 *
 * Numbers are the machine's own: a file is read where it was written.
 */
#ifndef BENCH_HEAPFILE_H
#define BENCH_HEAPFILE_H

#include <stdint.h>

#define HEAP_MAGIC "sancai heap 1\n\n"

struct heap_head {
    char magic[16];
    uint32_t nobjects, njobs;
    uint64_t nlinks, nroots;
    uint64_t bytes;     /* of the objects, as the collector counts them */
    uint64_t marked;    /* what it had counted */
};

/* PAGED: it waits in the queue of pages.  NOSCAN: it has no pointers. */
enum { HEAP_PAGED = 1, HEAP_NOSCAN = 2, HEAP_PART = 4 };

struct heap_object {
    uint32_t page;      /* the first one of its span */
    uint16_t slot, flags;
    uint32_t words;     /* that are looked at */
    uint32_t bytes;     /* scanned, for the budget of a slice */
    uint32_t nlinks;
};

/* Of threads, each with its own; then the globals and the specials, which the
 * collector's thread scans. */
enum { HEAP_THREAD, HEAP_GLOBALS, HEAP_SPECIALS };

struct heap_job {
    uint32_t kind, nroots;
    uint64_t words;
};

#endif
