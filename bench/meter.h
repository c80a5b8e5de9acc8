/* meter.h: how long each operation took, in a histogram that costs little
 * more than reading the clock; when it took long; and the two lines that a
 * program ends with.
 *
 *   bucket   0 .. 15   16 .. 31   32 .. 47   48 ...
 *   from ns  0 .. 15   16 .. 31   32,34..62  64,68,..  16 buckets per doubling
 *
 * So a bucket is at most 1/16 of its value wide.  A meter belongs to one
 * thread; meter_merge adds up those of several.  The Go programs have the
 * same in bench/go/meter.
 *
 * Stalls are the operations that took long, with their place in time, for the
 * utilisation: the share of a window, wherever it is put, that is left when
 * its stalls are taken out.  Of several threads the worst one's counts.
 *
 *   operations   ||||||====stall====|||||||==stall==||||||||||||||
 *   worst window       [  stalled        |  stalled ]
 *
 * They are kept in malloc's memory, which no collector scans.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <time.h>

enum { METER_BUCKETS = 16 * 61 };   /* any 64-bit number of nanoseconds */

/* An operation of less than 20 us is none: that is what a page fault or an
 * interrupt takes.  When there is no room left, the shorter ones go. */
enum { STALL_NS = 20000, METER_STALLS = 4096, METER_WINDOWS = 3 };

struct stall {
    uint64_t start, ns;
    uint64_t before;            /* time in the stalls before it */
};

struct meter {
    uint64_t count, max, bucket[METER_BUCKETS];
    struct stall *stall;        /* in the order of time */
    uint64_t nstalls, stall_floor;
    uint64_t stalled[METER_WINDOWS];    /* the most, of those merged in */
};

static inline uint64_t meter_clock(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t meter_now(void)
{
    return meter_clock(CLOCK_MONOTONIC);
}

static inline unsigned meter_index(uint64_t ns)
{
    if (ns < 16)
        return (unsigned)ns;
    unsigned shift = 59 - (unsigned)__builtin_clzll(ns);
    return 16 * shift + (unsigned)(ns >> shift);
}

/* A stall that has just ended. */
void meter_stall(struct meter *, uint64_t ns);

static inline void meter_add(struct meter *m, uint64_t ns)
{
    m->count++;
    m->bucket[meter_index(ns)]++;
    if (ns > m->max)
        m->max = ns;
    if (ns >= STALL_NS)
        meter_stall(m, ns);
}

/* The operation that began at *last is done, and the next one begins. */
static inline void meter_lap(struct meter *m, uint64_t *last)
{
    uint64_t now = meter_now();
    meter_add(m, now - *last);
    *last = now;
}

/* Sorts out the stalls of `from`: once, at its end. */
void meter_merge(struct meter *into, struct meter *from);

/* The time within which that share of the operations was done. */
uint64_t meter_at(const struct meter *, double share);

/* "CHECK sum" on standard output, "BENCH key=value ..." on standard error. */
void meter_report(struct meter *, uint64_t check);

/* Every program's random numbers: a counter, scrambled (splitmix64). */
static inline uint64_t scramble(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* What the programs fill their texts with. */
static inline void scramble_bytes(unsigned char *to, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        to[i] = (unsigned char)scramble(i);
}

/* A size from the command line; says what is missing and exits with 2. */
uint64_t size_argument(int argc, char **argv, int i, const char *what);

/* A number of threads, of at most MAX_THREADS; 2 if it is not said. */
enum { MAX_THREADS = 64 };
uint64_t threads_argument(int argc, char **argv, int i);

#endif
