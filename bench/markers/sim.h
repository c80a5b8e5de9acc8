/* sim.h: what the simulator's rooms share: markers, buffers, lists, locks.
 *
 *   run.c     whose turn it is, who sleeps, where the time goes
 *   marker.c  what a marker does, as drain.c and markpage.c do it
 *   lists.c   what it hands over, as work.c and queue.c do it
 *
 * A marker is a small machine: each step of it is one object, or one page begun
 * or left, or one end of a slice.  It adds what that cost to its own clock; the
 * one whose clock is behind all others' makes the next step.
 */
#ifndef BENCH_SIM_H
#define BENCH_SIM_H

#include "markers.h"

#define NOTHING UINT32_MAX
enum { RING = 16, FAR = 32, DENSE = 40, LARGE = 4096 };

struct buffer {
    struct buffer *next;
    uint32_t n, at;         /* entries, those taken from the front */
    uint32_t entry[BUFFER_ENTRIES];
};

/* When it is held: later ones may come before earlier ones, as a marker's step
 * reaches some way ahead of the clock of all. */
struct sim_lock {
    struct held {
        uint64_t from, to;
    } *held;
    uint32_t n, room;
};

/* work.c's pool, queue.c's line. */
struct list {
    struct sim_lock lock;
    struct buffer *first, *last;
};

enum state { WAKING, DRAINING, TURNING, RESTING, ASLEEP };

/* A page being scanned: markpage.c's struct scan, and where in it. */
struct turn {
    uint32_t page, word;
    uint64_t local[8];
    uint64_t may, grey, todo, done;     /* of this word */
    bool dense;
    uint32_t more;          /* objects of this round */
    uint64_t bytes;
};

struct marker {
    unsigned id;
    enum state state;
    uint64_t clock;
    struct buffer *in, *spare, *fresh, *due, *stash;
    uint32_t stashed;
    uint32_t ring[RING];
    unsigned head, tail, iterations;
    struct far_word {
        uint32_t word;
        uint64_t slots;
    } far[FAR];
    unsigned far_head, far_tail;
    struct turn turn;
    uint64_t done;          /* bytes of this slice */
    bool large;             /* the last piece was */
    bool called;            /* asleep, and its wake-up is on the way */
    uint64_t waits;
};

struct sim {
    const struct graph *g;
    const struct setup *setup;
    struct outcome *out;
    uint64_t *mark, *black; /* as the collector's bits */
    uint8_t *queued, *scanned;
    struct list pool, line;
    struct buffer *spare_buffers;
    struct marker m[MARKERS_MAX];
    unsigned order[MARKERS_MAX];    /* a heap, by clock */
    uint64_t now, random;
    uint64_t roots_end;     /* the collector has scanned its own */
    uint64_t shared, own;   /* entries in the lists; not in them */
    unsigned sleeping, busy;
    uint32_t puts;
    bool over, disordered;
};

static inline void spend(struct marker *m, uint64_t steps)
{
    m->clock += steps;
}

void wrong(struct sim *, const char *what);

/* lists.c */
void lock_pass(struct sim *, struct marker *, struct sim_lock *);
void object_put(struct sim *, struct marker *, uint32_t object);
uint32_t object_get(struct sim *, struct marker *);
void page_put(struct sim *, struct marker *, uint32_t page);
uint32_t page_get(struct sim *, struct marker *);
void balance(struct sim *, struct marker *);
void flush(struct sim *, struct marker *);
bool lists_empty(const struct sim *);
bool has_none(const struct marker *);
void lists_free(struct sim *);

/* marker.c */
void scan_root(struct sim *, struct marker *, uint32_t object);
/* One step of a slice; false: the slice has ended. */
bool marker_step(struct sim *, struct marker *);
void slice_begin(struct sim *, struct marker *);
void slice_end(struct sim *, struct marker *);

/* run.c: those who sleep, at most n of them, run again after a while. */
void wake(struct sim *, struct marker *by, unsigned n);

#endif
