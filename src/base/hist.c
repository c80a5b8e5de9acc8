/* hist.c: a histogram of times, good to one part in sixteen.
 *
 *   ns        0 1 2 ... 15 | 16 17 ... 31 | 32 34 ... 62 | 64 68 ...
 *   bucket    0 1 2 ... 15 | 16 17 ... 31 | 32 33 ... 47 | 48 49 ...
 *   width     1              1              2              4
 *
 * Below 16 ns each value has a bucket; above, each power of two has sixteen.
 * So a quantile is at most 6.25 % too high, from 1 ns to centuries, in under
 * 4 KiB.  60 powers (2^4 to 2^63) and the first 16 make 976 buckets.
 *
 * Adding is a few relaxed atomic additions: any thread, any handler, no lock.
 * A reader may see an entry half-added; hence quantiles use the buckets' own
 * sum, and the maximum is raised first so that it bounds what they report.
 */
#include "base.h"

#define SUB_BITS 4
#define SUB (1u << SUB_BITS)

_Static_assert(HIST_BUCKETS == SUB + (64 - SUB_BITS) * SUB,
               "a bucket for each 64-bit value");

static unsigned bucket_of(uint64_t v)
{
    unsigned shift;

    if (v < SUB)
        return (unsigned)v;
    shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(v);
    return shift * SUB + (unsigned)(v >> shift);
}

/* The largest value of that bucket.  In the last one the shift runs over to
 * 0, and 0 - 1 is the largest of all. */
static uint64_t bucket_edge(unsigned i)
{
    unsigned shift;

    if (i < 2 * SUB)
        return i;
    shift = i / SUB - 1;
    return ((uint64_t)(i % SUB + SUB + 1) << shift) - 1;
}

static void raise_max(_Atomic uint64_t *max, uint64_t v)
{
    uint64_t was = atomic_load_explicit(max, memory_order_relaxed);

    while (was < v && !atomic_compare_exchange_weak_explicit(
                          max, &was, v, memory_order_relaxed,
                          memory_order_relaxed))
        ;
}

void hist_add(struct hist *h, uint64_t ns)
{
    raise_max(&h->max, ns);
    atomic_fetch_add_explicit(&h->sum, ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->bucket[bucket_of(ns)], 1,
                              memory_order_release);
}

static uint64_t bucket_get(const struct hist *h, unsigned i)
{
    return atomic_load_explicit(&h->bucket[i], memory_order_acquire);
}

/* Which entry in order of size is asked for: ceil(n * q), and at least the
 * first.  n * 10000 fits as long as n < 2^50. */
static uint64_t rank_of(uint64_t n, uint32_t permille10)
{
    uint64_t rank = (n * permille10 + 9999) / 10000;

    return rank ? rank : 1;
}

/* The total is taken once and the walk may meet more: it then ends a little
 * early, with a quantile of the moment it began. */
uint64_t hist_quantile(const struct hist *h, uint32_t permille10)
{
    uint64_t n = 0, seen = 0, rank, max;
    unsigned i;

    for (i = 0; i < HIST_BUCKETS; i++)
        n += bucket_get(h, i);
    if (n == 0)
        return 0;
    rank = rank_of(n, permille10);
    for (i = 0; i < HIST_BUCKETS - 1; i++) {
        seen += bucket_get(h, i);
        if (seen >= rank)
            break;
    }
    max = atomic_load_explicit(&h->max, memory_order_relaxed);
    return bucket_edge(i) < max ? bucket_edge(i) : max;
}
