/* links: lib
 *
 * What SANCAI_DEBUG promises: trace lines, field for field as documented, and
 * settings that make defects of a program visible.
 */
#include "told.h"

#include <regex.h>
#include <stdbool.h>
#include <sys/mman.h>

static void *keep[64]; /* a root */

char huge_global[5 << 20] = {1}; /* 5 MB of globals to scan */

static void start_with(int barriers, const char *debug)
{
    struct sc_config c = {.barriers = barriers};
    setenv("SANCAI_DEBUG", debug, 1);
    CHECK_EQ(sc_init(&c), 0);
}

static void waste(uint64_t n)
{
    for (uint64_t i = 0; i < n; i += 4096)
        CHECK(sc_alloc(4000));
}

/* ---- Lines ------------------------------------------------------------- */

#define NUMBER "([0-9]+)"
#define REAL "([0-9]+\\.?[0-9]*)"

/* Each line that begins like this matches; its fields go to take(). */
static int each_line(const char *text, const char *begin, const char *pattern,
                     void (*take)(const double *field, const char *line))
{
    regex_t r;
    regmatch_t m[24];
    double field[24] = {0};
    char line[600];
    int n = 0;
    CHECK_EQ(regcomp(&r, pattern, REG_EXTENDED), 0);
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        CHECK((size_t)(end - text) < sizeof line);
        memcpy(line, text, (size_t)(end - text));
        line[end - text] = 0;
        if (strncmp(line, begin, strlen(begin)))
            continue;
        n++;
        if (regexec(&r, line, 24, m, 0))
            test_fail(__FILE__, __LINE__, "line \"%s\" matches\n  %s", line,
                      pattern);
        for (unsigned i = 1; i <= r.re_nsub; i++)
            field[i] = m[i].rm_so < 0 ? 0 : strtod(line + m[i].rm_so, NULL);
        take(field, line);
    }
    regfree(&r);
    return n;
}

/* ---- gctrace ----------------------------------------------------------- */

/* gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#-># MB, # MB goal,
 * # MB stacks, # MB globals, # P (forced) */
#define GC_LINE "^gc " NUMBER " @([0-9]+\\.[0-9]{3})s " NUMBER "%: " \
    REAL "\\+" REAL "\\+" REAL " ms clock, " REAL "\\+" REAL "/" REAL "/" \
    REAL "\\+" REAL " ms cpu, " NUMBER "->" NUMBER "->" NUMBER " MB, " \
    NUMBER " MB goal, " NUMBER " MB stacks, " NUMBER " MB globals, " \
    NUMBER " P( \\(forced\\))?$"

static double seen_number, seen_time, seen_forced, last_live, last_start;

static void take_gc(const double *f, const char *line)
{
    CHECK_EQ(f[1], seen_number + 1);
    CHECK(f[2] >= seen_time && f[2] < 60);
    seen_number = f[1];
    seen_time = f[2];
    CHECK(f[3] <= 100);
    if (f[14] > f[13]) /* what is found live was there at the end */
        test_fail(__FILE__, __LINE__, "%s", line);
    CHECK(f[17] >= 5 && f[17] < (SANITIZED ? 100 : 20)); /* its own too */
    CHECK_EQ(f[18], 2);
    if (strstr(line, " (forced)"))
        seen_forced++;
    last_start = f[12];
    last_live = f[14];
}

static void grow(void *unused)
{
    void **all = sc_alloc(8000 * sizeof *all);
    sc_store(&keep[0], all);
    for (int i = 0; i < 8000; i++)
        sc_store(&all[i], sc_alloc(4000));
    waste(MB(20));
}

static void check_gctrace(int barriers)
{
    setenv("SANCAI_MAXPROCS", "2", 1);
    start_with(barriers, "gctrace=1");
    CHECK(huge_global[0]);
    told_begin();
    for (int i = 0; i < 3; i++) {
        waste(MB(SANITIZED ? 150 : 50)); /* its globals raise the goal */
        sc_collect();
    }
    apart(grow, NULL);
    sc_collect();
    struct sc_stats s = stats();
    while (s.cleanups_run != s.cleanups_queued)
        s = stats();
    const char *text = told_end();
    int n = each_line(text, "", GC_LINE, take_gc);
    CHECK_EQ(n, s.num_gc);
    CHECK_EQ(seen_forced, 4);
    CHECK_EQ(s.num_forced_gc, 4);
    CHECK(s.num_gc > 6); /* by themselves, too */
    CHECK(last_live >= 31 && last_live <= 34); /* 8000 * 4096 bytes */
    CHECK(last_start >= last_live);
}

TEST(gctrace_none) { check_gctrace(SC_BARRIERS_NONE); }
TEST(gctrace_explicit) { check_gctrace(SC_BARRIERS_EXPLICIT); }

/* The CPU times of the lines add up to what the statistics say. */
static double cpu_ms;
static void add_cpu(const double *f, const char *unused)
{
    cpu_ms += f[7] + f[8] + f[9] + f[10] + f[11];
}

TEST(gctrace_times_add_up)
{
    start_with(SC_BARRIERS_EXPLICIT, "gctrace=1");
    told_begin();
    apart(grow, NULL);
    for (int i = 0; i < 20; i++)
        sc_collect();
    struct sc_stats s = stats();
    each_line(told_end(), "gc ", GC_LINE, add_cpu);
    double all = (double)s.gc_cpu_ns / 1e6; /* sweeping is not in the lines */
    CHECK(cpu_ms > 0 && cpu_ms <= all * 1.1 + 1);
}

/* ---- The other traces -------------------------------------------------- */

static uint64_t starts, ends;
static void take_start(const double *f, const char *line)
{
    CHECK(f[1] > 0);        /* assist ratio */
    CHECK(f[3] <= f[4] + 1); /* from live to goal, MB */
    CHECK(f[5] + f[6] > 0); /* somebody works */
    starts++;
}
static void take_end(const double *f, const char *line)
{
    CHECK(f[1] >= 25);      /* at least what was planned */
    CHECK(f[4] >= 5e6);     /* globals */
    ends++;
}

TEST(gcpacertrace)
{
    start_with(SC_BARRIERS_EXPLICIT, "gcpacertrace=1");
    CHECK(huge_global[0]);
    told_begin();
    apart(grow, NULL);
    sc_collect();
    uint64_t n = stats().num_gc;
    const char *text = told_end();
    each_line(text, "pacer: assist",
              "^pacer: assist ratio=" REAL " \\(scan " NUMBER " MB in " NUMBER
              "->" NUMBER " MB\\) workers=" NUMBER "\\+" REAL "$", take_start);
    each_line(text, "pacer: 2", "^pacer: " NUMBER "% CPU \\(25 exp\\.\\) for "
              NUMBER "\\+" NUMBER "\\+" NUMBER " B work \\(" NUMBER
              " B exp\\.\\) in " NUMBER " B -> " NUMBER " B \\(.*cons/mark "
              REAL "\\)$", take_end);
    CHECK_EQ(starts, n);
    CHECK_EQ(told_lines(text), 2 * n);
    CHECK(ends > 0 && ends <= n);
}

static double scav_eager, scav_total;
static void take_scav(const double *f, const char *unused)
{
    scav_eager += f[2];
    scav_total = f[3];
    CHECK(f[4] <= 100);
}

TEST(scavtrace)
{
    setenv("SANCAI_GC", "off", 1);
    start_with(SC_BARRIERS_NONE, "scavtrace=1");
    told_begin();
    waste(MB(40));
    apart(grow, NULL);
    sc_release_memory();
    sc_collect(); /* its line has what was given back after the last one */
    struct sc_stats s = stats();
    int n = each_line(told_end(), "", "^scav " NUMBER " KiB work \\(bg\\), "
                      NUMBER " KiB work \\(eager\\), " NUMBER
                      " KiB total, " NUMBER "% util$", take_scav);
    CHECK_EQ(n, s.num_gc);
    CHECK_EQ(s.num_gc, 2);
    CHECK(scav_eager >= 39 << 10);
    CHECK(scav_total >= 39 << 10);
}

static int taken, given;
static void take_span(const double *f, const char *line)
{
    CHECK(f[2] >= 1 && f[4] >= 16);
    if (strstr(line, "span taken: "))
        taken++;
    else
        given++;
}

TEST(tracealloc)
{
    start_with(SC_BARRIERS_NONE, "tracealloc=1");
    told_begin();
    for (int i = 0; i < 10; i++)
        CHECK(sc_alloc(100000));
    waste(KB(200));
    sc_collect();
    sc_collect();
    int n = each_line(told_end(), "", "^sancai: span (taken|given back): 0x"
                      "[0-9a-f]+, " NUMBER " pages, class " NUMBER
                      ", slots of " NUMBER " bytes$", take_span);
    CHECK_EQ(n, taken + given);
    CHECK(taken >= 20);
    CHECK(given >= taken / 2);
}

/* ---- Periodic cycles --------------------------------------------------- */

TEST(gcperiod)
{
    start_with(SC_BARRIERS_EXPLICIT, "gcperiod=1,gctrace=1");
    told_begin();
    sc_collect();
    double begin = test_clock();
    while (stats().num_gc < 4 && test_clock() - begin < 30)
        usleep(10000);
    double took = test_clock() - begin;
    struct sc_stats s = stats();
    const char *text = told_end();
    CHECK(s.num_gc >= 4 && took > 2.5);
    CHECK_EQ(s.num_forced_gc, 1); /* a periodic one is not forced */
    CHECK(strstr(text, "(forced)") == strrchr(text, '('));
}

TEST(gcperiod_never)
{
    start_with(SC_BARRIERS_NONE, "gcperiod=0");
    sc_collect();
    usleep(1500000);
    CHECK_EQ(stats().num_gc, 1);
}

TEST(gcperiod_not_while_off)
{
    setenv("SANCAI_GC", "off", 1);
    start_with(SC_BARRIERS_NONE, "gcperiod=1");
    sc_collect();
    usleep(2500000);
    CHECK_EQ(stats().num_gc, 1);
}

/* ---- Holding threads --------------------------------------------------- */

static uint64_t stops_of(int cycles)
{
    uint64_t before = stats().stop.count;
    for (int i = 0; i < cycles; i++)
        sc_collect();
    return stats().stop.count - before;
}

TEST(gcstoptheworld_0)
{
    start_with(SC_BARRIERS_EXPLICIT, "gcstoptheworld=0");
    CHECK_EQ(stops_of(5), 0);
}

TEST(gcstoptheworld_1)
{
    start_with(SC_BARRIERS_EXPLICIT, "gcstoptheworld=1");
    CHECK_EQ(stops_of(5), 5);
}

TEST(gcstoptheworld_2)
{
    start_with(SC_BARRIERS_EXPLICIT, "gcstoptheworld=2");
    CHECK_EQ(stops_of(5), 10); /* marking, and sweeping */
}

/* ---- Dead objects ------------------------------------------------------ */

#define DEAD 200
static uintptr_t hidden[DEAD]; /* complements */

static void bury(void *size)
{
    for (int i = 0; i < DEAD; i++) {
        char *p = sc_alloc((size_t)size);
        memset(p, 7, (size_t)size);
        hidden[i] = ~(uintptr_t)p;
    }
}

/* A few may be found by chance on a stack. */
static int count_clobbered(size_t size)
{
    int n = 0;
    for (int i = 0; i < DEAD; i++) {
        volatile uint64_t *p = (uint64_t *)~hidden[i];
        bool all = true;
        for (size_t k = 0; k < size / 8; k++)
            all = all && p[k] == CLOBBERED;
        n += all;
    }
    return n;
}

TEST(clobberfree)
{
    setenv("SANCAI_GC", "off", 1);
    start_with(SC_BARRIERS_NONE, "clobberfree=1");
    for (size_t size = 8; size < 30000; size = size * 3 + 8) {
        apart(bury, (void *)size);
        CHECK_EQ(count_clobbered(size), 0);
        sc_collect();
        CHECK(count_clobbered(size) >= DEAD - 10);
    }
}

TEST(without_clobberfree)
{
    setenv("SANCAI_GC", "off", 1);
    start_with(SC_BARRIERS_NONE, "clobberfree=0");
    apart(bury, (void *)100);
    sc_collect();
    CHECK_EQ(count_clobbered(100), 0);
}

static bool readable(uintptr_t a)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        (void)*(volatile char *)a;
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(status == 0 ||
          (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
    return status == 0;
}

/* Use of a dead object faults; the address is not used again. */
static void check_efence(size_t size)
{
    int alive = 0;
    apart(bury, (void *)size);
    CHECK(readable(~hidden[0]) && readable(~hidden[DEAD - 1]));
    sc_collect();
    for (int i = 0; i < DEAD; i += 5)
        alive += readable(~hidden[i]);
    if (alive > 3)
        test_fail(__FILE__, __LINE__, "%d of %d dead objects of %zu bytes can "
                  "be read", alive, DEAD / 5, size);
    for (int i = 0; i < 3000; i++) {
        uintptr_t a = (uintptr_t)sc_alloc(size);
        CHECK(a);
        for (int k = 0; k < DEAD; k++)
            CHECK(a != ~hidden[k]);
    }
}

TEST(efence)
{
    setenv("SANCAI_GC", "off", 1);
    start_with(SC_BARRIERS_NONE, "efence=1");
    char *p = sc_alloc(100), *q = sc_alloc_noscan(5);
    CHECK(p && q && ((uintptr_t)p ^ (uintptr_t)q) >= 4096);
    memset(p, 3, 100);
    memset(q, 4, 5);
    check_efence(1);
    check_efence(100);
    check_efence(40000);
    CHECK(p[99] == 3 && q[4] == 4); /* the living are as they were */
}
