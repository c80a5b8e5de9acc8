/* pkgreport.c: what a run has to say: a table for people, a line for another
 * process, and the same run without collection to compare with.
 *
 *   pkggraph --compare ---spawn---> SANCAI_GC=off pkggraph --line
 *        |                                     |
 *        |<--- checksum, peak memory, time ----+
 */
#include "pkggraph.h"

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- Numbers ---------------------------------------------------------- */

const char *show_bytes(uint64_t bytes, char out[32])
{
    static const char *const unit[] = {"kB", "MB", "GB", "TB"};
    double n = (double)bytes / 1000;
    int i = 0;
    while (n >= 999.5 && i < 3) {
        n /= 1000;
        i++;
    }
    snprintf(out, 32, n < 9.95 ? "%.1f %s" : "%.0f %s", n, unit[i]);
    return out;
}

static const char *show_ms(uint64_t ns, char out[32])
{
    snprintf(out, 32, "%.3f ms", (double)ns / 1e6);
    return out;
}

/* A value in kB from one of the kernel's lists; 0 if it is not there. */
static uint64_t kernel_says(const char *file, const char *key)
{
    char line[256];
    uint64_t kb = 0;
    FILE *f = fopen(file, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)))
            kb = strtoull(line + strlen(key), NULL, 10);
    fclose(f);
    return kb;
}

/* From the kernel's list, as ru_maxrss of a spawned process starts with what
 * its parent had. */
static uint64_t peak_rss(void)
{
    return kernel_says("/proc/self/status", "VmHWM:") * 1024;
}

static uint64_t cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    int64_t us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000ll +
                 u.ru_utime.tv_usec + u.ru_stime.tv_usec;
    return (uint64_t)us * 1000;
}

/* ---- The table -------------------------------------------------------- */

static void print_graph(const struct report *r)
{
    const Index *ix = r->index;
    char a[32];
    printf("packages       %zu, %zu names, %zu dependency edges\n", ix->nlist,
           ix->names, ix->edges);
    printf("reloads        %d, ", r->reloads);
    if (r->bad_reloads)
        printf("WRONG: %d differ from the first load\n", r->bad_reloads);
    else
        printf("checksum %016" PRIx64 " each time\n", ix->digest);
    printf("queries        %" PRIu64 " by %d threads meanwhile\n", r->queries,
           r->threads);
    if (!r->queries)
        return;
    printf("closures       %.0f packages on average; largest %s: "
           "%" PRIu64 ", %s installed\n",
           (double)r->packages / (double)r->queries, r->largest_name,
           r->largest.packages, show_bytes(r->largest.kilobytes * 1024, a));
    if (r->bad_answers)
        printf("WRONG          %" PRIu64 " answers differ from the first to "
               "the same question\n",
               r->bad_answers);
}

static void print_heap(const struct report *r, const struct sc_stats *s)
{
    char a[32], b[32];
    double held = (double)(r->held_peak ? r->held_peak : 1);
    printf("allocated      %s in %.1f million objects: %.0f times what was "
           "ever held\n",
           show_bytes(s->total_alloc_bytes, a),
           (double)s->total_alloc_objects / 1e6,
           (double)s->total_alloc_bytes / held);
    printf("held           %s at most, %s after the last collection\n",
           show_bytes(r->held_peak, a), show_bytes(s->heap_marked, b));
    printf("heap           %s at most, garbage included\n",
           show_bytes(r->heap_peak, a));
}

static void print_cost(const struct report *r, const struct sc_stats *s)
{
    char a[32], b[32], c[32];
    uint64_t cpu = cpu_ns();
    printf("cycles         %" PRIu64 "\n", s->num_gc);
    printf("longest hold   %s of one thread; p99 %s, p99.9 %s\n",
           show_ms(s->hold.max, a), show_ms(s->hold.p99, b),
           show_ms(s->hold.p999, c));
    printf("time           %.2f s, %.2f s of CPU, %.1f %% of that for "
           "collection\n",
           r->seconds, (double)cpu / 1e9,
           100 * (double)s->gc_cpu_ns / (double)(cpu ? cpu : 1));
    printf("peak RSS       %s\n", show_bytes(peak_rss(), a));
}

void report_print(const struct report *r, const struct sc_stats *s)
{
    print_graph(r);
    print_heap(r, s);
    print_cost(r, s);
    fflush(stdout);
}

/* ---- The other run ---------------------------------------------------- */

#define LINE_FORMAT "digest=%" PRIx64 " rss=%" PRIu64 " wall=%" PRIu64

void report_line(const struct report *r)
{
    printf(LINE_FORMAT "\n", r->digest, peak_rss(),
           (uint64_t)(r->seconds * 1e9));
}

/* The environment with collection off. */
static char **without_collection(char *out[], size_t room)
{
    static char off[] = "SANCAI_GC=off";
    size_t n = 0;
    for (char **e = environ; *e && n + 2 < room; e++)
        if (strncmp(*e, "SANCAI_GC=", 10))
            out[n++] = *e;
    out[n++] = off;
    out[n] = NULL;
    return out;
}

/* Starts argv with its output in a pipe. */
static pid_t spawn_with_pipe(char *const argv[], FILE **out)
{
    char *env[1024];
    int fd[2];
    pid_t pid = -1;
    posix_spawn_file_actions_t act;
    if (pipe(fd))
        return -1;
    posix_spawn_file_actions_init(&act);
    posix_spawn_file_actions_adddup2(&act, fd[1], 1);
    posix_spawn_file_actions_addclose(&act, fd[0]);
    if (posix_spawn(&pid, "/proc/self/exe", &act, NULL, argv,
                    without_collection(env, 1024)))
        pid = -1;
    posix_spawn_file_actions_destroy(&act);
    close(fd[1]);
    *out = fdopen(fd[0], "r");
    return pid;
}

/* 0, or the status of a child that did not end well. */
static int run_other(char *const argv[], struct other_run *o)
{
    FILE *out;
    int status = -1, items = 0;
    pid_t pid = spawn_with_pipe(argv, &out);
    if (pid < 0 || !out)
        return -1;
    items = fscanf(out, "digest=%" SCNx64 " rss=%" SCNu64 " wall=%" SCNu64,
                   &o->digest, &o->rss, &o->wall_ns);
    fclose(out);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status ? status : items != 3;
}

/* The other run holds all that this one ever allocated, and an eighth more
 * for what surrounds the objects; without that much memory it is not tried,
 * as the kernel might end some other process for it. */
static int enough_memory(uint64_t allocated)
{
    uint64_t free_bytes = kernel_says("/proc/meminfo", "MemAvailable:") * 1024;
    return allocated + allocated / 8 < free_bytes;
}

void report_compare(const struct report *r, const struct sc_stats *s,
                    char *const argv[])
{
    struct other_run o;
    char a[32];
    printf("without        ");
    fflush(stdout);
    if (!enough_memory(s->total_alloc_bytes)) {
        printf("collection: not tried, as it needs %s of memory\n",
               show_bytes(s->total_alloc_bytes, a));
        return;
    }
    int bad = run_other(argv, &o);
    if (bad)
        printf("collection: failed (status %d)\n", bad);
    else
        printf("collection: peak RSS %s, %.2f s, %s\n", show_bytes(o.rss, a),
               (double)o.wall_ns / 1e9,
               o.digest == r->digest ? "the same answers"
                                     : "OTHER ANSWERS");
}
