/* meter.c: reading a histogram, the stalls, and the lines that bench/run
 * collects. */
#include "meter.h"

#include "port.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The first time that is too long for a bucket. */
static uint64_t bucket_end(unsigned i)
{
    unsigned shift = i < 32 ? 0 : i / 16 - 1;
    return (uint64_t)(i + 1 - 16 * shift) << shift;
}

uint64_t meter_at(const struct meter *m, double share)
{
    uint64_t want = (uint64_t)(share * (double)m->count), seen = 0;
    for (unsigned i = 0; i < METER_BUCKETS; i++) {
        seen += m->bucket[i];
        if (seen > want)
            return bucket_end(i) < m->max ? bucket_end(i) : m->max;
    }
    return m->max;
}

/* ---- Stalls ----------------------------------------------------------- */

static const uint64_t window_ms[METER_WINDOWS] = {1, 10, 100};

/* Drops the shorter ones, until there is room. */
static void stalls_thin(struct meter *m)
{
    while (m->nstalls == METER_STALLS) {
        uint64_t n = 0;
        m->stall_floor = 2 * (m->stall_floor ? m->stall_floor : STALL_NS);
        for (uint64_t i = 0; i < m->nstalls; i++)
            if (m->stall[i].ns >= m->stall_floor)
                m->stall[n++] = m->stall[i];
        m->nstalls = n;
    }
}

void meter_stall(struct meter *m, uint64_t ns)
{
    uint64_t start = meter_now() - ns;
    if (!m->stall)
        m->stall = malloc(METER_STALLS * sizeof *m->stall);
    if (!m->stall) {
        fputs("bench: no memory for a meter\n", stderr);
        exit(1);
    }
    if (m->nstalls == METER_STALLS)
        stalls_thin(m);
    if (ns >= m->stall_floor)
        m->stall[m->nstalls++] = (struct stall){.start = start, .ns = ns};
}

/* Leaves those that are long beside the median too: an operation may have
 * its usual length.  One that seems to begin in the one before (the clock is
 * read once more for its end) begins after it. */
static void stalls_settle(struct meter *m)
{
    uint64_t floor = 8 * meter_at(m, 0.5), n = 0, end = 0, before = 0;
    for (uint64_t i = 0; i < m->nstalls; i++) {
        struct stall s = m->stall[i];
        uint64_t s_end = s.start + s.ns;
        if (s.ns < floor)
            continue;
        s.start = s.start < end ? end : s.start;
        s.ns = s_end - s.start;
        s.before = before;
        before += s.ns;
        end = s_end;
        m->stall[n++] = s;
    }
    m->nstalls = n;
}

/* How much of the time up to t was stalled. */
static uint64_t stalled_until(const struct meter *m, uint64_t t)
{
    uint64_t lo = 0, hi = m->nstalls;
    while (lo < hi) {           /* stalls before lo began before t */
        uint64_t mid = (lo + hi) / 2;
        if (m->stall[mid].start < t)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo)
        return 0;
    const struct stall *s = &m->stall[lo - 1];
    return s->before + (t - s->start < s->ns ? t - s->start : s->ns);
}

/* The most in any window of that length: one that begins with a stall or
 * ends with one. */
static uint64_t stalled_most(const struct meter *m, uint64_t window)
{
    uint64_t most = 0;
    for (uint64_t i = 0; i < m->nstalls; i++) {
        uint64_t start = m->stall[i].start, end = start + m->stall[i].ns;
        uint64_t after = stalled_until(m, start + window) -
                         stalled_until(m, start);
        uint64_t ahead = stalled_until(m, end) -
                         stalled_until(m, end - window);
        most = after > most ? after : most;
        most = ahead > most ? ahead : most;
    }
    return most;
}

/* Adds the meter's own stalls to `stalled` of `into`, which may be itself. */
static void stalls_merge(struct meter *into, struct meter *from)
{
    stalls_settle(from);
    for (unsigned i = 0; i < METER_WINDOWS; i++) {
        uint64_t own = stalled_most(from, 1000000 * window_ms[i]);
        if (own > into->stalled[i])
            into->stalled[i] = own;
    }
}

void meter_merge(struct meter *into, struct meter *from)
{
    into->count += from->count;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned i = 0; i < METER_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
    stalls_merge(into, from);
}

/* ---- The lines -------------------------------------------------------- */

/* In permille of the window. */
static void print_utilisation(struct meter *m)
{
    stalls_merge(m, m);
    for (unsigned i = 0; i < METER_WINDOWS; i++) {
        uint64_t window = 1000000 * window_ms[i], lost = m->stalled[i];
        lost = lost < window ? lost : window;
        fprintf(stderr, " mmu%" PRIu64 "=%" PRIu64, window_ms[i],
                1000 * (window - lost) / window);
    }
}

static void print_known(const char *key, uint64_t value)
{
    if (value != UNKNOWN)
        fprintf(stderr, " %s=%" PRIu64, key, value);
}

void meter_report(struct meter *m, uint64_t check)
{
    struct port_cost c;
    port_cost(&c);
    printf("CHECK %016" PRIx64 "\n", check);
    fflush(stdout);
    fprintf(stderr, "BENCH ops=%" PRIu64 " op_p999_ns=%" PRIu64
            " op_max_ns=%" PRIu64, m->count, meter_at(m, 0.999), m->max);
    print_utilisation(m);
    print_known("cycles", c.cycles);
    print_known("gc_cpu_ns", c.gc_cpu_ns);
    print_known("hold_p999_ns", c.hold_p999_ns);
    print_known("hold_max_ns", c.hold_max_ns);
    print_known("hold_cpu_ns", c.hold_cpu_ns);
    print_known("alloc_bytes", c.alloc_bytes);
    fputc('\n', stderr);
}

uint64_t size_argument(int argc, char **argv, int i, const char *what)
{
    char *end;
    uint64_t n = i < argc ? strtoull(argv[i], &end, 10) : 0;
    if (i >= argc || *end || !n) {
        fprintf(stderr, "%s: argument %d must be the %s\n", argv[0], i, what);
        exit(2);
    }
    return n;
}

uint64_t threads_argument(int argc, char **argv, int i)
{
    if (i >= argc)
        return 2;
    uint64_t n = size_argument(argc, argv, i, "number of threads");
    return n < MAX_THREADS ? n : MAX_THREADS;
}
