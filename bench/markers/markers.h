/* markers.h: N markers in steps: what they cost, how they share, what came of
 * it.
 *
 * A step is about a nanosecond, where the caches have what is needed; to look
 * at a word of an object is one.  What
 * markers cost each other by sharing a memory bus is not in it.
 */
#ifndef BENCH_MARKERS_H
#define BENCH_MARKERS_H

#include "graph.h"

enum { MARKERS_MAX = 64 };

/* In steps.  With these one marker takes what `make bench-mark` measures, but
 * depth first; the sleeps are those of drain.c, the wake-up is a guess. */
struct costs {
    uint32_t word;      /* a word of an object looked at */
    uint32_t object;    /* an object scanned, besides */
    uint32_t far;       /* a pointer to another page, or word of its bits */
    uint32_t mark;      /* the atomic or that sets mark bits */
    uint32_t turn;      /* a page taken and let go of */
    uint32_t entry;     /* an entry into a private buffer, or out */
    uint32_t lock;      /* a list's lock, held; others wait so long */
    uint32_t slice;     /* between two slices: clocks, counts */
    uint32_t call;      /* waking a sleeper, for who does it */
    uint32_t wake;      /* until the sleeper runs */
    uint32_t poll;      /* the collector's thread, when it finds nothing */
    uint32_t doze;      /* a helper's longest sleep */
};
#define COSTS_USUAL {.word = 1, .object = 1, .far = 8, .mark = 6, .turn = 40,  \
                     .entry = 2, .lock = 40, .slice = 1000, .call = 500,       \
                     .wake = 20000, .poll = 20000, .doze = 1000000}

/* How work is shared. */
struct sharing {
    uint32_t entries;   /* of a buffer, at most BUFFER_ENTRIES */
    uint32_t slice;     /* bytes scanned, after which all is given away */
    uint32_t balance;   /* turns between looks whether lists are empty */
    uint32_t few;       /* fewer pages are not given away */
    uint32_t least;     /* so many objects are not, either */
    uint32_t stash;     /* empty buffers that a marker keeps */
    bool hungry;        /* a look only counts if somebody sleeps */
    bool split;         /* half of the oldest pages, too, are given away */
    bool ring;          /* large pieces wait in the buffer, not in the ring */
    bool wake;          /* who puts something into a list wakes a sleeper, and
                         * so does who takes something and leaves more */
};
enum { BUFFER_ENTRIES = 254 };
/* Every 256 turns a look; buffers move as wholes. */
#define SHARING_AT_TIMES {.entries = 254, .slice = 192 << 10, .balance = 256, \
                          .few = 8, .least = 4}
/* Half of what there is, as soon as somebody sleeps and the lists are empty. */
#define SHARING_ON_DEMAND {.entries = 254, .slice = 192 << 10, .balance = 1, \
                           .few = 8, .least = 4, .hungry = true,             \
                           .split = true, .ring = true}

struct setup {
    unsigned n;
    struct costs costs;
    struct sharing sharing;
    uint64_t seed;          /* of the delays of sleepers */
    uint32_t lose, twice;   /* the n-th buffer put into a list: what for, see
                             * test/bench/markers.c */
};

/* Times are sums over the markers, but for steps.  work + waits + the four
 * kinds of idleness = n * steps. */
struct outcome {
    const char *wrong;      /* NULL, or what was not as it must be */
    uint64_t steps;         /* from the first to the end of the last */
    uint64_t work, waits;   /* busy; before locks */
    uint64_t asleep;        /* idle, though there was something in the lists */
    uint64_t kept;          /* though others had some to spare */
    uint64_t narrow;        /* when nothing waited to be scanned */
    uint64_t roots;         /* nor had, as the collector's roots were not */
    uint64_t scanned;       /* objects, parts of large ones not counted */
    uint64_t turns, slices, handed, wakes;
};

void markers_run(const struct graph *, const struct setup *, struct outcome *);

#endif
