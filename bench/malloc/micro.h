/* micro.h: what the small programs share: numbers, blocks, threads.
 *
 *   micro PROGRAM PERCENT     -> CHECK sum
 *
 * Each does a fixed amount of work, PERCENT of what it does at full size, and
 * sums up what it read back from its blocks; so a run can be compared with one
 * on another allocator, and none of them knows which one it is on.  They are
 * written anew after what has been published of the programs whose names they
 * bear; their figures are not those of the originals.
 */
#ifndef BENCH_MALLOC_MICRO_H
#define BENCH_MALLOC_MICRO_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct work {
    uint64_t seed;    /* of this thread: 1, 2 .. */
    unsigned percent;
    uint64_t sum;     /* what it read */
    void *shared;
};

/* A share of n, at least one. */
static inline size_t part(const struct work *w, size_t n)
{
    size_t k = n / 100 * w->percent;
    return k ? k : 1;
}

/* Steele, Lea and Flood's splitmix64 (2014). */
static inline uint64_t rng(uint64_t *s)
{
    uint64_t x = *s += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
static inline size_t rng_between(uint64_t *s, size_t lo, size_t hi)
{
    return lo + (size_t)((rng(s) >> 32) * (hi - lo + 1) >> 32);
}

_Noreturn void micro_die(const char *what);

/* A block of n >= 8 bytes that says how long it is, at both ends. */
static inline void *block_new(size_t n)
{
    char *p = malloc(n);
    if (!p)
        micro_die("malloc");
    *(uint32_t *)p = (uint32_t)n;
    p[n - 1] = (char)n;
    return p;
}
/* What it said, and it is gone; of NULL 0. */
static inline uint64_t block_end(void *v)
{
    char *p = v;
    if (!p)
        return 0;
    size_t n = *(uint32_t *)p;
    if (p[n - 1] != (char)n)
        micro_die("a block has changed");
    free(p);
    return n;
}

/* n threads that do the same with other seeds; the sum of their sums. */
uint64_t micro_threads(unsigned n, void (*fn)(struct work *),
                       const struct work *like);

struct micro {
    const char *name;
    uint64_t (*run)(struct work *);
};
extern const struct micro micro_single[], micro_threaded[];

#endif
