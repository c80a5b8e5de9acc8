/* links: lib
 *
 * How the library starts and is set: sc_init in all its forms, the
 * environment, settings that change while it runs.
 */
#include "told.h"

#include <dirent.h>
#include <link.h>

static void *volatile sink;
static void *keep; /* a root */

static void check_settings(int percent, int64_t limit, int procs)
{
    struct sc_stats s = stats();
    CHECK_EQ(s.gc_percent, percent);
    CHECK_EQ(s.memory_limit, limit);
    if (procs)
        CHECK_EQ(s.max_procs, procs);
    CHECK(s.max_procs >= 1);
}

static void no_settings(void)
{
    unsetenv("SANCAI_GC");
    unsetenv("SANCAI_MEMLIMIT");
    unsetenv("SANCAI_MAXPROCS");
}

/* ---- sc_init ----------------------------------------------------------- */

TEST(null_is_all_defaults)
{
    no_settings();
    SILENT(CHECK_EQ(sc_init(NULL), 0));
    check_settings(100, INT64_MAX, 0);
    SILENT(CHECK_EQ(sc_init(NULL), 0)); /* again */
    CHECK_EQ(stats().num_threads, 1);
}

TEST(zero_members_are_defaults)
{
    struct sc_config c = {0};
    no_settings();
    SILENT(CHECK_EQ(sc_init(&c), 0));
    check_settings(100, INT64_MAX, 0);
}

TEST(members_are_taken)
{
    struct sc_config c = {SC_BARRIERS_EXPLICIT, 55, (int64_t)MB(300), 3};
    SILENT(CHECK_EQ(sc_init(&c), 0));
    check_settings(55, (int64_t)MB(300), 3);
}

TEST(environment_is_the_default)
{
    setenv("SANCAI_GC", "77", 1);
    setenv("SANCAI_MEMLIMIT", "200MiB", 1);
    setenv("SANCAI_MAXPROCS", "5", 1);
    SILENT(CHECK_EQ(sc_init(NULL), 0));
    check_settings(77, (int64_t)MB(200), 5);
}

TEST(the_program_goes_before_the_environment)
{
    struct sc_config c = {0, -1, (int64_t)MB(400), 0};
    setenv("SANCAI_GC", "77", 1);
    setenv("SANCAI_MEMLIMIT", "200MiB", 1);
    setenv("SANCAI_MAXPROCS", "5", 1);
    SILENT(CHECK_EQ(sc_init(&c), 0));
    check_settings(-1, (int64_t)MB(400), 5);
}

TEST(environment_without_init)
{
    setenv("SANCAI_GC", "off", 1);
    setenv("SANCAI_MEMLIMIT", "1g", 1);
    SILENT(sink = sc_alloc(10));
    check_settings(-1, (int64_t)MB(1024), 0);
}

/* Each first call may be the one that starts the library. */
TEST(any_call_starts_it)
{
    void (*first[])(void) = {sc_collect, sc_release_memory};
    int status;
    for (int i = 0; i < 14; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct sc_stats s = {.num_gc = 9};
            void *p = &s;
            switch (i) {
            case 0: case 1: first[i](); break;
            case 2: CHECK_EQ(sc_set_gc_percent(50), 100); break;
            case 3: CHECK_EQ(sc_set_memory_limit(-1), INT64_MAX); break;
            case 4: CHECK_EQ(sc_thread_attach(), 0); break;
            case 5: sc_stats(&s); CHECK_EQ(s.num_gc, 0); break;
            case 6: CHECK_EQ(sc_root_add(&keep, sizeof keep), 0); break;
            case 7: sc_store(&keep, p); CHECK(keep == p); break;
            case 8: CHECK(sc_cas(&keep, NULL, p) && keep == p); break;
            case 9: CHECK(!sc_exchange(&keep, p) && keep == p); break;
            case 10: CHECK(!sc_base(p) && !sc_size(p)); break;
            case 11: sc_blocking_begin(); sc_blocking_end(); break;
            case 12: sc_copy(&keep, &p, sizeof p); CHECK(keep == p); break;
            case 13: sc_clear(&keep, sizeof p); sc_poll(); break;
            }
            CHECK(sc_alloc(100));
            sc_collect();
            _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
}

/* ---- The promise about stores ------------------------------------------ */

TEST(promise_after_start)
{
    struct sc_config yes = {.barriers = SC_BARRIERS_EXPLICIT};
    sink = sc_alloc(10); /* starts without a promise */
    sc_collect();
    CHECK(stats().stop.count >= 1);
    SILENT(CHECK_EQ(sc_init(&yes), 0));
    uint64_t stops = stats().stop.count;
    for (int i = 0; i < 5; i++)
        sc_collect();
    CHECK_EQ(stats().stop.count, stops); /* nobody is stopped any more */
    SILENT(CHECK_EQ(sc_init(&yes), 0));
}

TEST(promise_is_not_taken_back)
{
    struct sc_config yes = {.barriers = SC_BARRIERS_EXPLICIT};
    struct sc_config no = {.gc_percent = 50, .memory_limit = (int64_t)MB(99)};
    CHECK_EQ(sc_init(&yes), 0);
    SILENT(CHECK_EQ(sc_init(NULL), EBUSY));
    SILENT(CHECK_EQ(sc_init(&no), EBUSY));
    check_settings(100, INT64_MAX, 0); /* nothing was changed */
    no.barriers = SC_BARRIERS_EXPLICIT;
    SILENT(CHECK_EQ(sc_init(&no), 0));
    check_settings(50, (int64_t)MB(99), 0);
}

TEST(later_init_sets_what_it_names)
{
    struct sc_config a = {.gc_percent = 60}, b = {.memory_limit = 1 << 28};
    sink = sc_alloc(10);
    CHECK_EQ(sc_init(&a), 0);
    check_settings(60, INT64_MAX, 0);
    CHECK_EQ(sc_init(&b), 0);
    check_settings(60, 1 << 28, 0);
}

/* First line of a file of one of our threads; "" if it is gone. */
static const char *thread_line(const char *tid, const char *file)
{
    static char line[600];
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/%s", tid, file);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f))
        line[0] = 0;
    if (f)
        fclose(f);
    return line;
}

/* The collector's helpers, and the CPU time that they have had. */
static int helpers(uint64_t *ns)
{
    struct dirent *e;
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    *ns = 0;
    while (d && (e = readdir(d)))
        if (!strncmp(thread_line(e->d_name, "comm"), "sancai-mark", 11)) {
            *ns += strtoull(thread_line(e->d_name, "schedstat"), NULL, 10);
            n++;
        }
    closedir(d);
    return n;
}

static int count_helpers(void)
{
    uint64_t ns;
    return helpers(&ns);
}

static void set_procs(int n)
{
    struct sc_config c = {SC_BARRIERS_EXPLICIT, 0, 0, n};
    SILENT(CHECK_EQ(sc_init(&c), 0));
    check_settings(60, 1 << 28, n);
}

/* More helpers with the next cycle; fewer: those there are lie idle. */
TEST(later_init_sets_processors)
{
    struct sc_config a = {SC_BARRIERS_EXPLICIT, 60, 1 << 28, 2};
    CHECK_EQ(sc_init(&a), 0);
    sc_collect();
    CHECK_EQ(count_helpers(), 1);
    set_procs(5);
    sc_collect();
    CHECK_EQ(count_helpers(), 4);
    set_procs(1);
    sc_collect();
    CHECK_EQ(count_helpers(), 4);
    a = (struct sc_config){.barriers = SC_BARRIERS_EXPLICIT};
    CHECK_EQ(sc_init(&a), 0); /* 0: as it is */
    check_settings(60, 1 << 28, 1);
}

static void some_cycles(void)
{
    for (int i = 0; i < 10; i++)
        sc_collect();
}

/* Those that are there from before do next to nothing: they look. */
TEST(fewer_processors_rest_helpers)
{
    struct sc_config a = {SC_BARRIERS_EXPLICIT, 60, 1 << 28, 4};
    uint64_t before, after, cpu;
    CHECK_EQ(sc_init(&a), 0);
    for (int i = 0; i < 400000; i++) {
        void **p = sc_alloc(100);
        sc_store(&p[0], keep);
        sc_store(&p[5], sc_alloc(50));
        sc_store(&keep, p);
    }
    some_cycles();
    set_procs(1);
    some_cycles();
    cpu = stats().gc_cpu_ns;
    CHECK_EQ(helpers(&before), 3);
    some_cycles();
    CHECK_EQ(helpers(&after), 3);
    CHECK(after - before < (stats().gc_cpu_ns - cpu) / 5);
}


static pthread_barrier_t together;

static void *init_main(void *config)
{
    pthread_barrier_wait(&together);
    CHECK_EQ(sc_init(config), 0);
    void *p = sc_alloc(100);
    CHECK(p && !((char *)p)[99]);
    struct sc_stats s = stats();
    CHECK_EQ(s.gc_percent, 66);
    return NULL;
}

TEST(init_by_many_threads_at_once)
{
    static struct sc_config c = {SC_BARRIERS_EXPLICIT, 66, 0, 0};
    pthread_t t[8];
    pthread_barrier_init(&together, NULL, 8);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, init_main, &c), 0);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    check_settings(66, INT64_MAX, 0);
    CHECK(stats().num_threads <= 1);
}

/* ---- Setters ----------------------------------------------------------- */

TEST(setters_return_the_previous_value)
{
    no_settings();
    CHECK_EQ(sc_set_gc_percent(50), 100);
    CHECK_EQ(sc_set_gc_percent(-7), 50);
    CHECK_EQ(sc_set_gc_percent(0), -1);
    CHECK_EQ(sc_set_gc_percent(100), 0);
    CHECK_EQ(sc_set_memory_limit((int64_t)MB(50)), INT64_MAX);
    CHECK_EQ(sc_set_memory_limit(-1), MB(50)); /* only asks */
    CHECK_EQ(sc_set_memory_limit(INT64_MAX), MB(50));
    check_settings(100, INT64_MAX, 0);
}

/* n bytes in blocks of 4 KiB, for which nothing has a use. */
static void waste(uint64_t n)
{
    for (uint64_t i = 0; i < n; i += 4096) {
        char *p = sc_alloc_noscan(4000);
        CHECK(p);
        p[0] = p[3999] = 1;
    }
}

/* The same on a machine that is busy with other things: where the collector
 * must wait for a CPU, so does the program. */
static void waste_in_step(uint64_t n)
{
    for (uint64_t i = 0; i < n; i += MB(1)) {
        waste(MB(1));
        for (int k = 0; k < 20000; k++) {
            struct sc_stats s = stats();
            if (s.heap_live < s.heap_goal)
                break;
            usleep(500);
            waste(4096); /* asks for a cycle again, if need be */
        }
    }
}

#define LIVE MB(32)

static void hold_live(void *unused)
{
    void **all = sc_alloc(LIVE / 4096 * sizeof *all);
    sc_store(&keep, all);
    for (uint64_t i = 0; i < LIVE / 4096; i++)
        sc_store(&all[i], sc_alloc_noscan(4000));
}

static uint64_t cycles_of(uint64_t bytes)
{
    uint64_t before = stats().num_gc;
    waste_in_step(bytes);
    return stats().num_gc - before;
}

/* Data and bss of an object of this process. */
static int add_globals(struct dl_phdr_info *o, size_t size, void *sum)
{
    for (int i = 0; i < o->dlpi_phnum; i++)
        if (o->dlpi_phdr[i].p_type == PT_LOAD &&
            o->dlpi_phdr[i].p_flags & PF_W)
            *(uint64_t *)sum += o->dlpi_phdr[i].p_memsz;
    return 0;
}

/* What the percentage is of: globals count as heap, and a sanitizer brings
 * up to 50 MB of them. */
static double hundred_percent(void)
{
    uint64_t globals = 0;
    dl_iterate_phdr(add_globals, &globals);
    return (double)(LIVE + globals);
}

/* A cycle each time that the heap has grown by its percentage: starts a
 * little early, hence the upper bound. */
static void check_cycles(int percent, uint64_t bytes)
{
    sc_collect();
    double wanted = (double)bytes / (hundred_percent() * percent / 100);
    double n = (double)cycles_of(bytes);
    if (n < wanted * 0.7 || n > wanted * 2 + 1)
        test_fail(__FILE__, __LINE__, "%g cycles at %d %%, about %g wanted",
                  n, percent, wanted);
}

BOTH(percentage_decides_on_cycles)
{
    apart(hold_live, NULL);
    sc_set_gc_percent(100);
    check_cycles(100, MB(640));
    sc_set_gc_percent(50);
    check_cycles(50, MB(480));
    sc_set_gc_percent(400);
    check_cycles(400, MB(1280));
    CHECK_EQ(sc_set_gc_percent(-1), 400);
    sc_collect();
    CHECK_EQ(cycles_of(MB(500)), 0);
    sc_collect(); /* still does what is demanded */
    CHECK(stats().heap_live < LIVE + MB(8));
    CHECK_EQ(sc_set_gc_percent(100), -1);
    check_cycles(100, MB(320));
}

static void check_cycles_env(const char *gc, int percent, uint64_t bytes)
{
    setenv("SANCAI_GC", gc, 1);
    apart(hold_live, NULL);
    if (percent > 0)
        check_cycles(percent, bytes);
    else
        CHECK_EQ(cycles_of(bytes), 0);
}

TEST(environment_off) { check_cycles_env("off", -1, MB(400)); }
TEST(environment_50) { check_cycles_env("50", 50, MB(400)); }
TEST(environment_400) { check_cycles_env("400", 400, MB(1000)); }

/* A setting that comes into force while the heap is over the new goal does so
 * at once. */
BOTH(percentage_is_in_force_at_once)
{
    apart(hold_live, NULL);
    sc_set_gc_percent(-1);
    sc_collect();
    waste(MB(200));
    uint64_t before = stats().num_gc;
    sc_set_gc_percent(100);
    waste(MB(2));
    for (int i = 0; i < 1000 && stats().num_gc == before; i++)
        usleep(10000);
    CHECK(stats().num_gc > before);
}

BOTH(limit_is_in_force_at_once)
{
    apart(hold_live, NULL);
    sc_set_gc_percent(-1);
    sc_collect();
    waste(MB(200));
    CHECK(stats().mapped - stats().released > MB(200));
    sc_set_memory_limit((int64_t)MB(64));
    waste(MB(64));
    struct sc_stats s = stats();
    CHECK(s.mapped - s.released < MB(64) * 105 / 100);
}
