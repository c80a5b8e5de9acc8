/* meter.c: reading a histogram, and the lines that bench/run collects. */
#include "meter.h"

#include "port.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void meter_merge(struct meter *into, const struct meter *from)
{
    into->count += from->count;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned i = 0; i < METER_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

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

static void print_known(const char *key, uint64_t value)
{
    if (value != UNKNOWN)
        fprintf(stderr, " %s=%" PRIu64, key, value);
}

void meter_report(const struct meter *m, uint64_t check)
{
    struct port_cost c;
    port_cost(&c);
    printf("CHECK %016" PRIx64 "\n", check);
    fflush(stdout);
    fprintf(stderr, "BENCH ops=%" PRIu64 " op_p999_ns=%" PRIu64
            " op_max_ns=%" PRIu64, m->count, meter_at(m, 0.999), m->max);
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
