/* links: lib
 *
 * Misuse is one line that says what, where and what to do; nothing is changed
 * and the program goes on.  Correct use is silent.
 */
#include "told.h"

#include <sched.h>

#define NOT_START "is not the start of an object of the heap; give a pointer " \
                  "that an allocation function returned."
#define NOT_IN "is not in an object of the heap; give a pointer that an " \
               "allocation function returned."

static void never(void *unused) { CHECK(!"this cleanup must not run"); }
static void never2(void *obj, void *unused) { CHECK(!"nor this finalizer"); }
static char global_block[64];

/* Pointers that are no objects of the heap. */
#define FOREIGN 6
static void *foreign(int i)
{
    static void *from_malloc;
    static char *of_heap_end;
    struct sc_stats s;
    if (!from_malloc) {
        from_malloc = malloc(64);
        sc_stats(&s);
        /* Reserved addresses, far above what was ever grown. */
        of_heap_end = (char *)sc_alloc(8) + (1ul << 33);
    }
    switch (i) {
    case 0: return __builtin_frame_address(0);
    case 1: return from_malloc;
    case 2: return global_block + 8;
    case 3: return (void *)16;
    case 4: return (void *)~0xful;
    default: return of_heap_end;
    }
}

/* The heap works: new objects, a cycle, old contents. */
static void goes_on(void)
{
    static uint64_t *keep[100];
    SILENT({
        for (uint64_t i = 0; i < 100; i++) {
            sc_store(&keep[i], sc_alloc(i * 700 + 8));
            *keep[i] = i;
        }
        sc_collect();
    });
    for (uint64_t i = 0; i < 100; i++)
        CHECK_EQ(*keep[i], i);
    struct sc_stats s = stats();
    CHECK(s.heap_objects >= 100);
}

/* ---- sc_free ----------------------------------------------------------- */

#define FREE_SAYS(p) "sancai: sc_free: %p " NOT_START \
                     " Nothing was changed.\n", (void *)(p)

BOTH(free_of_what_is_no_object)
{
    SILENT(sc_free(NULL));
    for (int i = 0; i < FOREIGN; i++) {
        void *p = foreign(i);
        SAYS(sc_free(p), FREE_SAYS(p));
    }
    goes_on();
}

BOTH(free_of_the_inside)
{
    char *small = sc_alloc(100), *large = sc_alloc(100000);
    char *data = sc_alloc_noscan(100);
    char *each[] = {small + 1, small + 8, small + 100, large + 8,
                    large + 8192, large + 100000, data + 16};
    for (unsigned i = 0; i < 7; i++)
        SAYS(sc_free(each[i]), FREE_SAYS(each[i]));
    memset(small, 1, 100);
    memset(large, 2, 100000);
    sc_collect();
    CHECK(small[99] == 1 && large[99999] == 2);
    SILENT({ sc_free(small); sc_free(large); sc_free(data); });
    goes_on();
}

BOTH(double_free)
{
    size_t size[] = {8, 16, 100, 1000, 20000, 40000, 3000000};
    for (int k = 0; k < 3; k++)
        for (unsigned i = 0; i < 7; i++) {
            void *volatile p = k == 0   ? sc_alloc(size[i])
                               : k == 1 ? sc_alloc_noscan(size[i] + 40)
                                        : sc_new_array(uint64_t, size[i]);
            SILENT(sc_free(p));
            for (int again = 0; again < 3; again++)
                SAYS(sc_free(p), "sancai: sc_free: %p was freed before; free "
                     "an object once, or leave it to the collector. Nothing "
                     "was changed.\n", p);
            /* Still so when a cycle has found that it is referred to. */
            sc_collect();
            SAYS(sc_free(p), "sancai: sc_free: %p was freed before; free "
                 "an object once, or leave it to the collector. Nothing "
                 "was changed.\n", p);
        }
    goes_on();
}

/* An address that is handed out again has not been freed before. */
BOTH(freed_slots_start_anew)
{
    SILENT({
        for (int i = 0; i < 200000; i++) {
            sc_free(sc_alloc(100));
            if (i % 1000 == 0)
                sc_free(sc_alloc(50000));
        }
    });
    CHECK(stats().num_gc > 0);
    goes_on();
}

/* Objects that share a block can't be freed one by one: the hint is lost. */
BOTH(free_of_tiny_objects)
{
    SILENT({
        for (int i = 1; i < 16; i++)
            sc_free(sc_alloc_noscan((size_t)i));
    });
    goes_on();
}

/* ---- sc_realloc -------------------------------------------------------- */

BOTH(realloc_of_what_is_no_object)
{
    for (int i = 0; i < FOREIGN + 2; i++) {
        char *inside = (char *)sc_alloc(200) + (i == FOREIGN ? 16 : 1);
        void *p = i < FOREIGN ? foreign(i) : inside, *q = p;
        errno = 0;
        SAYS(q = sc_realloc(p, 500), "sancai: sc_realloc: %p " NOT_START "\n",
             p);
        CHECK(!q);
        CHECK_EQ(errno, EINVAL);
    }
    void *p = NULL;
    SILENT(p = sc_realloc(NULL, 100));
    CHECK(p && sc_size(p) >= 100);
    goes_on();
}

/* ---- Lifetime ---------------------------------------------------------- */

BOTH(lifetime_of_what_is_no_object)
{
    for (int i = 0; i <= FOREIGN; i++) {
        void *p = i < FOREIGN ? foreign(i) : NULL, *q = p;
        char shown[32];
        int e = 0;
        snprintf(shown, sizeof shown, i < FOREIGN ? "%p" : "0x0", p);
        errno = 0;
        SAYS(q = sc_cleanup(p, never, NULL),
             "sancai: sc_cleanup: %s " NOT_IN "\n", shown);
        CHECK(!q && errno == EINVAL);
        SAYS(e = sc_finalizer(p, never2, NULL),
             "sancai: sc_finalizer: %s " NOT_IN "\n", shown);
        CHECK_EQ(e, EINVAL);
        errno = 0;
        SAYS(q = sc_weak_new(p), "sancai: sc_weak_new: %s " NOT_IN "\n",
             shown);
        CHECK(!q && errno == EINVAL);
        errno = 0;
        SAYS(q = sc_ephemeron_new(p, global_block),
             "sancai: sc_ephemeron_new: key %s " NOT_IN "\n", shown);
        CHECK(!q && errno == EINVAL);
        SAYS(e = sc_pin(p), "sancai: sc_pin: %s " NOT_IN "\n", shown);
        CHECK_EQ(e, EINVAL);
        SAYS(e = sc_unpin(p), "sancai: sc_unpin: %s " NOT_IN "\n", shown);
        CHECK_EQ(e, EINVAL);
    }
    goes_on();
}

/* It could never run: arg is kept, and would keep the object. */
BOTH(cleanup_that_keeps_its_object)
{
    char *p = sc_alloc(100);
    struct sc_cleanup_handle *h = NULL;
    for (int i = 0; i <= 100; i += 50) {
        SAYS(h = sc_cleanup(p, never, p + i), "sancai: sc_cleanup: arg %p "
             "lies in the object %p itself and would keep it alive for ever; "
             "give another argument.\n", (void *)(p + i), (void *)p);
        CHECK(!h);
    }
    SILENT({
        h = sc_cleanup(p, never, p + 200); /* somebody else's */
        CHECK(sc_cleanup_stop(h));
        CHECK(!sc_cleanup_stop(h));
        CHECK(!sc_cleanup_stop(NULL));
    });
    goes_on();
}

BOTH(unpin_without_pin)
{
    int *p = sc_new(int), e = 0;
    SAYS(e = sc_unpin(p), "sancai: sc_unpin: %p is not pinned; call it once "
         "for each sc_pin.\n", (void *)p);
    CHECK_EQ(e, EINVAL);
    SILENT({
        CHECK(!sc_pin(p) && !sc_pin(p) && !sc_unpin(p) && !sc_unpin(p));
    });
    SAYS(e = sc_unpin(p), "sancai: sc_unpin: %p is not pinned; call it once "
         "for each sc_pin.\n", (void *)p);
    goes_on();
}

BOTH(weak_and_null)
{
    SILENT({
        CHECK(!sc_weak_get(NULL));
        CHECK(!sc_ephemeron_key(NULL) && !sc_ephemeron_value(NULL));
        sc_keep_alive(NULL);
        CHECK(!sc_base(NULL) && !sc_size(NULL));
        CHECK(!sc_base(global_block) && !sc_size(global_block));
    });
    goes_on();
}

BOTH(root_remove_of_unknown)
{
    static void *range[8];
    int e = 0;
    SAYS(e = sc_root_remove(range), "sancai: sc_root_remove: %p is not the "
         "start of a registered range; give the address that sc_root_add was "
         "given.\n", (void *)range);
    CHECK_EQ(e, ENOENT);
    SILENT(CHECK(!sc_root_add(range, sizeof range)));
    SAYS(e = sc_root_remove(range + 1), "sancai: sc_root_remove: %p is not "
         "the start of a registered range; give the address that sc_root_add "
         "was given.\n", (void *)(range + 1));
    SILENT(CHECK(!sc_root_remove(range)));
    SAYS(e = sc_root_remove(range), "sancai: sc_root_remove: %p is not the "
         "start of a registered range; give the address that sc_root_add was "
         "given.\n", (void *)range);
    goes_on();
}

/* ---- Threads ----------------------------------------------------------- */

#define AFTER_DETACH "sancai: a function of Sancai was called after " \
    "sc_thread_detach; call sc_thread_attach first. The thread is attached " \
    "again.\n"
#define NOT_ATTACHED "sancai: sc_thread_detach: this thread is not attached; " \
    "call it once per attached thread.\n"

static void use_after_detach(void *unused)
{
    void *p = NULL;
    SAYS(sc_thread_detach(), NOT_ATTACHED);
    SILENT(CHECK_EQ(sc_thread_attach(), 0));
    SILENT(CHECK_EQ(sc_thread_attach(), 0)); /* once is enough */
    SILENT(sc_thread_detach());
    SAYS(sc_thread_detach(), NOT_ATTACHED);
    SAYS(p = sc_alloc(100), AFTER_DETACH);
    CHECK(p);
    memset(p, 1, 100);
    SILENT(p = sc_alloc(100)); /* told once */
    SILENT(sc_thread_detach());
    SAYS(sc_collect(), AFTER_DETACH);
    SILENT(sc_thread_detach());
    SILENT(CHECK_EQ(sc_thread_attach(), 0)); /* as it should be */
    SILENT(p = sc_alloc(100));
}

BOTH(use_after_detach)
{
    apart(use_after_detach, NULL);
    goes_on();
    SILENT(sc_thread_detach());
    void *p = NULL;
    SAYS(p = sc_alloc(1), AFTER_DETACH);
    CHECK(p);
    goes_on();
}

BOTH(blocking_without_balance)
{
    SAYS(sc_blocking_end(), "sancai: sc_blocking_end: this thread is not in a "
         "blocking region; call sc_blocking_begin first.\n");
    SILENT(sc_blocking_begin());
    SAYS(sc_blocking_begin(), "sancai: sc_blocking_begin: this thread is in a "
         "blocking region already; end that one first.\n");
    SILENT(sc_blocking_end());
    SAYS(sc_blocking_end(), "sancai: sc_blocking_end: this thread is not in a "
         "blocking region; call sc_blocking_begin first.\n");
    SILENT(sc_poll());
    goes_on();
}

/* ---- Settings ---------------------------------------------------------- */

/* The values are out of range, so nothing is started either. */
TEST(bad_config)
{
    struct sc_config bad[] = {
        {.gc_percent = -2}, {.memory_limit = -1}, {.max_procs = -1},
        {.max_procs = 4097}, {.barriers = 2}, {.barriers = -1},
        {.barriers = 1, .gc_percent = 100, .memory_limit = INT64_MIN}};
    for (int twice = 0; twice < 2; twice++) {
        for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            int e = 0;
            SAYS(e = sc_init(&bad[i]), "sancai: sc_init: a member of "
                 "sc_config is out of range (barriers %d, gc_percent %d, "
                 "memory_limit %ld, max_procs %d); see sancai.h. Nothing was "
                 "changed.\n", bad[i].barriers, bad[i].gc_percent,
                 (long)bad[i].memory_limit, bad[i].max_procs);
            CHECK_EQ(e, EINVAL);
        }
        goes_on();
        CHECK_EQ(sc_set_gc_percent(100), 100);
        CHECK_EQ(sc_set_memory_limit(-1), INT64_MAX);
    }
}

static void start(void)
{
    void *volatile p = sc_alloc(1);
    CHECK(p);
}

TEST(unknown_names_in_the_environment)
{
    setenv("SANCAI_DEBUG", "gctrce=1,gcstres=5,verify=1", 1);
    SAYS(start(),
         "sancai: SANCAI_DEBUG: unknown setting \"gctrce\"; did you mean "
         "\"gctrace\"? It is ignored.\n"
         "sancai: SANCAI_DEBUG: unknown setting \"gcstres\"; did you mean "
         "\"gcstress\"? It is ignored.\n");
    goes_on();
}

TEST(bad_values_in_the_environment)
{
    clearenv();
    setenv("SANCAI_GC", "abc", 1);
    setenv("SANCAI_MEMLIMIT", "5 apples", 1);
    setenv("SANCAI_MAXPROCS", "0", 1);
    setenv("SANCAI_DEBUG", "gcperiod=soon,verify=-1,oom=", 1);
    told_begin();
    start();
    const char *text = told_end();
    const char *line[] = {
        "sancai: SANCAI_GC: \"abc\" is not a percentage; use a number such "
        "as 100, or off. It is ignored.\n",
        "sancai: SANCAI_MEMLIMIT: \"5 apples\" is not a size; use bytes, a "
        "number such as 512MiB, or off. It is ignored.\n",
        "sancai: SANCAI_MAXPROCS: \"0\" is not a number of processors; use a "
        "number from 1 on. It is ignored.\n",
        "sancai: SANCAI_DEBUG: gcperiod: \"soon\" is not a number; use 1, or "
        "leave the value out. It is ignored.\n",
        "sancai: SANCAI_DEBUG: verify: \"-1\" is not a number; use 1, or "
        "leave the value out. It is ignored.\n",
        "sancai: SANCAI_DEBUG: oom: \"\" is not a number; use 1, or leave the "
        "value out. It is ignored.\n"};
    for (unsigned i = 0; i < sizeof line / sizeof line[0]; i++)
        if (!strstr(text, line[i]))
            test_fail(__FILE__, __LINE__, "no line\n    %s    in\n%s",
                      line[i], text);
    CHECK_EQ(told_lines(text), 6);
    struct sc_stats s = stats();
    CHECK_EQ(s.gc_percent, 100);
    CHECK_EQ(s.memory_limit, INT64_MAX);
    cpu_set_t cpus;
    CHECK_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    CHECK_EQ(s.max_procs, CPU_COUNT(&cpus));
    goes_on();
}

/* With misuseabort the line is the last thing that happens. */
TEST(misuse_aborts_if_asked_to)
{
    int status = 0;
    setenv("SANCAI_DEBUG", "misuseabort=1", 1);
    told_begin();
    pid_t pid = fork();
    if (pid == 0) {
        sc_free(sc_alloc(10));
        sc_free(global_block);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    const char *text = told_end();
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(text, "sancai: sc_free: ") == text);
    CHECK_EQ(told_lines(text), 1);
}
