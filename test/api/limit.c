/* links: lib
 *
 * The memory limit: a program that fits stays within it, a program that does
 * not goes on, and at what price; memory that is given back.
 *
 * A sampler thread looks every millisecond or so, at our own count and at the
 * kernel's.  5 % over the limit are allowed.
 */
#include "told.h"

#include <stdbool.h>

static void **live; /* a root */

/* ---- The sampler ------------------------------------------------------- */

static struct {
    pthread_t thread;
    _Atomic int stop;
    uint64_t base;             /* resident without us */
    uint64_t mapped, resident; /* most of what was seen */
    uint64_t looks;
} sampler;

static void look(void)
{
    struct sc_stats s = stats();
    uint64_t mapped = s.mapped - s.released, here = resident();
    if (mapped > sampler.mapped)
        sampler.mapped = mapped;
    if (here > sampler.resident)
        sampler.resident = here;
    sampler.looks++;
}

static void *sampler_main(void *unused)
{
    while (!sampler.stop) {
        look();
        usleep(500);
    }
    return NULL;
}

static void sampler_start(void)
{
    sampler.mapped = sampler.resident = sampler.looks = 0;
    sampler.stop = 0;
    CHECK_EQ(pthread_create(&sampler.thread, NULL, sampler_main, NULL), 0);
}

static void sampler_end(void)
{
    sampler.stop = 1;
    CHECK_EQ(pthread_join(sampler.thread, NULL), 0);
    CHECK(sampler.looks > 10);
}

/* Stacks, the C library's memory, and what this test touched. */
#define NOT_OURS MB(6)

static void check_within(uint64_t limit)
{
    uint64_t most = limit / 100 * 105;
    if (sampler.mapped > most)
        test_fail(__FILE__, __LINE__, "%llu KiB mapped with a limit of %llu",
                  (unsigned long long)sampler.mapped >> 10,
                  (unsigned long long)limit >> 10);
    if (sampler.resident > most + sampler.base + NOT_OURS)
        test_fail(__FILE__, __LINE__, "%llu KiB resident, %llu before, with a "
                  "limit of %llu", (unsigned long long)sampler.resident >> 10,
                  (unsigned long long)sampler.base >> 10,
                  (unsigned long long)limit >> 10);
}

static void start(int barriers, const char *gc, const char *limit)
{
    struct sc_config c = {.barriers = barriers};
    if (gc)
        setenv("SANCAI_GC", gc, 1);
    if (limit)
        setenv("SANCAI_MEMLIMIT", limit, 1);
    NOT_SANITIZED();
    sampler.base = resident();
    CHECK_EQ(sc_init(&c), 0);
}

/* ---- A program that fits ----------------------------------------------- */

#define BLOCK 4000
#define SLOT 4096

/* A table of `bytes` of blocks, some with pointers in them. */
static void *new_block(uint64_t i)
{
    char *p = i % 8 ? sc_alloc_noscan(BLOCK) : sc_alloc(BLOCK);
    CHECK(p);
    memset(p, (int)i, BLOCK);
    return p;
}

static void fill(uint64_t bytes)
{
    uint64_t n = bytes / SLOT;
    sc_store(&live, sc_alloc(n * sizeof *live));
    for (uint64_t i = 0; i < n; i++)
        sc_store(&live[i], new_block(i));
}

/* Allocates `bytes`, most of it garbage at once, the rest in place of what the
 * table held. */
static void churn(uint64_t bytes, uint64_t table)
{
    uint64_t n = table / SLOT;
    for (uint64_t i = 0; i < bytes / SLOT; i++) {
        void *p = new_block(i);
        if (i % 4 == 0)
            sc_store(&live[rnd((uint32_t)n)], p);
        if (i % 5000 == 0) {
            char *large = sc_alloc_noscan(MB(2));
            CHECK(large);
            memset(large, 1, MB(2));
        }
    }
}

static void check_table(uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes / SLOT; i++) {
        char *p = live[i];
        CHECK(p[0] == p[BLOCK / 2] && p[0] == p[BLOCK - 1]);
    }
}

static void check_fits(uint64_t limit, uint64_t table, uint64_t bytes)
{
    sampler_start();
    fill(table);
    churn(bytes, table);
    sampler_end();
    check_table(table);
    check_within(limit);
    CHECK(stats().num_gc > bytes / limit / 2);
}

TEST_T(fits_none, 180)
{
    start(SC_BARRIERS_NONE, "100", "128MiB");
    check_fits(MB(128), MB(64), MB(2048));
}

TEST_T(fits_explicit, 180)
{
    start(SC_BARRIERS_EXPLICIT, "100", "128MiB");
    check_fits(MB(128), MB(64), MB(2048));
}

TEST_T(fits_with_gc_off_none, 180)
{
    start(SC_BARRIERS_NONE, "off", "128MiB");
    check_fits(MB(128), MB(64), MB(2048));
}

TEST_T(fits_with_gc_off_explicit, 180)
{
    start(SC_BARRIERS_EXPLICIT, "off", "128MiB");
    check_fits(MB(128), MB(64), MB(2048));
}

/* Four threads share the table and its limit. */
static void *churn_main(void *unused)
{
    churn(MB(400), MB(64));
    return NULL;
}

static void check_threads(int barriers)
{
    pthread_t t[4];
    start(barriers, "off", "160MiB");
    sampler_start();
    fill(MB(64));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, churn_main, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    sampler_end();
    check_table(MB(64));
    check_within(MB(160));
}

TEST_T(threads_fit_none, 180) { check_threads(SC_BARRIERS_NONE); }
TEST_T(threads_fit_explicit, 180) { check_threads(SC_BARRIERS_EXPLICIT); }

/* Sizes that come and go: pages of one class must become those of another
 * within the limit. */
static void check_phases(int barriers)
{
    start(barriers, "off", "96MiB");
    sampler_start();
    for (int round = 0; round < 6; round++) {
        size_t size = (size_t)100 << (2 * round);
        uint64_t n = MB(40) / size;
        sc_store(&live, sc_alloc(n * sizeof *live));
        for (int again = 0; again < 3; again++)
            for (uint64_t i = 0; i < n; i++) {
                char *p = sc_alloc_noscan(size);
                CHECK(p);
                memset(p, 1, size);
                sc_store(&live[i], p);
            }
    }
    sampler_end();
    check_within(MB(96));
}

TEST_T(phases_fit_none, 180) { check_phases(SC_BARRIERS_NONE); }
TEST_T(phases_fit_explicit, 180) { check_phases(SC_BARRIERS_EXPLICIT); }

/* A limit that is lowered gives memory back; raised, it is used again. */
TEST_T(limit_moves, 180)
{
    start(SC_BARRIERS_EXPLICIT, "off", NULL);
    fill(MB(32));
    churn(MB(300), MB(32));
    CHECK(resident() > MB(300));
    CHECK_EQ(sc_set_memory_limit((int64_t)MB(80)), INT64_MAX);
    churn(MB(100), MB(32));
    sampler_start();
    churn(MB(300), MB(32));
    sampler_end();
    check_within(MB(80));
    CHECK_EQ(sc_set_memory_limit((int64_t)MB(300)), MB(80));
    sampler_start();
    churn(MB(800), MB(32));
    sampler_end();
    check_within(MB(300));
    CHECK(sampler.mapped > MB(200));
}

/* ---- A program that does not fit --------------------------------------- */

struct price {
    double wall, cpu, gc;
};

static struct price now(void)
{
    return (struct price){test_clock(), cpu_seconds(),
                          (double)stats().gc_cpu_ns * 1e-9};
}

/* Scanned, so that marking costs something. */
static void *new_node(uint64_t i)
{
    uint64_t *p = sc_alloc(480);
    CHECK(p);
    for (int k = 0; k < 60; k++)
        p[k] = i + (uint64_t)k;
    return p;
}

static struct price run_nodes(uint64_t table, uint64_t bytes)
{
    uint64_t n = table / 496;
    sc_store(&live, sc_alloc(n * sizeof *live));
    for (uint64_t i = 0; i < n; i++)
        sc_store(&live[i], new_node(i));
    struct price a = now();
    for (uint64_t i = 0; i < bytes / 496; i++) {
        uint64_t at = rnd((uint32_t)n);
        sc_store(&live[at], new_node(0));
    }
    struct price b = now();
    return (struct price){b.wall - a.wall, b.cpu - a.cpu, b.gc - a.gc};
}

/* Live data of 160 MiB in 64 MiB: memory goes over the limit, since time must
 * not.  The limiter lets the collector have more than half for a CPU second
 * per processor (its bucket) before it acts; and in the background, a quarter
 * of the processors, which on a machine that is busy with other things is
 * more than the program gets itself. */
static double allowance(double wall)
{
    double procs = (double)stats().max_procs;
    return procs * 1.2 + wall * procs * 0.25;
}

static void check_over(int barriers)
{
    double *free_run = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    NOT_SANITIZED(); /* it also costs a multiple of the time */
    CHECK(free_run != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        start(barriers, NULL, NULL);
        struct price p = run_nodes(MB(160), MB(1500));
        *free_run = p.cpu - p.gc;
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    start(barriers, NULL, "64MiB");
    sampler_start();
    struct price p = run_nodes(MB(160), MB(1500));
    sampler_end();
    double own = p.cpu - p.gc;
    printf("%.1f s CPU alone; %.1f s with the limit, %.1f s of it GC, %.1f s "
           "on the clock, most mapped %llu MiB\n", *free_run, p.cpu, p.gc,
           p.wall, (unsigned long long)sampler.mapped >> 20);
    CHECK(p.gc <= own * 1.5 + allowance(p.wall));
    CHECK(own <= *free_run * 6 + 1); /* page faults: all goes back at once */
    CHECK(sampler.mapped > MB(160)); /* else this is no such program */
}

TEST_T(does_not_fit_none, 300) { check_over(SC_BARRIERS_NONE); }
TEST_T(does_not_fit_explicit, 300) { check_over(SC_BARRIERS_EXPLICIT); }

/* ---- Memory given back ------------------------------------------------- */

#define MUCH MB(700)

static void take_much(void *unused)
{
    fill(MUCH);
    CHECK(resident() > MUCH);
}

BOTH(release_memory)
{
    NOT_SANITIZED();
    uint64_t before = resident();
    apart(take_much, NULL);
    sc_store(&live, NULL);
    sc_release_memory();
    struct sc_stats s = stats();
    CHECK(resident() < before + MB(20));
    CHECK(s.mapped - s.released < MB(40));
    CHECK(s.released > MUCH - MB(20));
    CHECK_EQ(s.released, s.heap_released_bytes);
    CHECK(s.heap_free_bytes < MB(4));
    apart(take_much, NULL); /* and used again */
    s = stats();
    CHECK(s.released < MB(20));
}

/* What is in use stays, and stays as it is. */
BOTH(release_memory_keeps_the_rest)
{
    fill(MB(64));
    for (uint64_t i = 0; i < MB(64) / SLOT; i++)
        if (i % 3)
            sc_store(&live[i], new_block(i));
    sc_release_memory();
    check_table(MB(64));
    CHECK(stats().heap_live >= MB(64));
    churn(MB(200), MB(64));
    sc_release_memory();
    check_table(MB(64));
}

/* In the background, at 1 % of a CPU, while the program sleeps: down to what
 * the next cycle is expected to need and a tenth more. */
#define SOME MB(150)

static void take_some(void *unused) { fill(SOME); }

TEST_T(background, 180)
{
    setenv("SANCAI_DEBUG", "gcperiod=1", 1);
    start(SC_BARRIERS_EXPLICIT, "100", NULL);
    apart(take_some, NULL);
    sc_store(&live, NULL);
    sc_collect();
    sc_collect(); /* what a cycle frees is for the next one's scavenger */
    CHECK(stats().released < SOME); /* not at once */
    double begin = test_clock(), cpu = cpu_seconds();
    struct sc_stats s = stats();
    while (test_clock() - begin < 100) {
        s = stats();
        if (s.heap_free_bytes < MB(8) && s.released > SOME - MB(16))
            break;
        usleep(100000);
    }
    double wall = test_clock() - begin, used = cpu_seconds() - cpu;
    printf("%.1f s, %.3f s CPU, free %llu KiB, released %llu KiB\n", wall,
           used, (unsigned long long)s.heap_free_bytes >> 10,
           (unsigned long long)s.released >> 10);
    CHECK(s.heap_free_bytes < MB(8));
    CHECK(s.released > SOME - MB(16));
    CHECK(used < wall * 0.05 + 0.1); /* cycles and this loop included */
    CHECK(resident() < sampler.base + MB(30));
}
