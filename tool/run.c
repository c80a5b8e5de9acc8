/* run.c: `sancai run`: a program with settings, and its summary.
 *
 *   options -> SANCAI_ variables --\
 *   memory file of one page -------+--> the program
 *        ^ SANCAI_STATS_FD=N       |         with --malloc another one
 *        |                         |         (SANCAI_MALLOC_FD), and LD_PRELOAD
 *        '-- written by the library at each cycle and at exit
 *
 * The file is memory that both share, so what was written last is there even
 * if the program was killed.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct run_options {
    const char *gc, *limit, *procs, *debug, *file;
    bool trace, json, malloc;
};

/* "512MiB", "1g", "4096", "off", as the library reads them. */
static bool size_valid(const char *s)
{
    static const char *const units[] = {"",   "b", "k", "kb", "kib", "m",
                                        "mb", "mib", "g", "gb", "gib", "t",
                                        "tb", "tib"};
    size_t digits = strspn(s, "0123456789");
    if (strcmp(s, "off") == 0 || strcmp(s, "auto") == 0)
        return true;
    for (size_t i = 0; digits > 0 && i < COUNT(units); i++)
        if (strcasecmp(s + digits, units[i]) == 0)
            return true;
    return false;
}

/* 0, or the code to leave with. */
static int options_check(const struct run_options *r)
{
    int64_t v;
    if (r->gc && strcmp(r->gc, "off") != 0
        && !args_number(r->gc, 0, INT32_MAX, &v))
        return usage("run", "--gc takes a percentage or off, not \"%s\"",
                     r->gc);
    if (r->limit && !size_valid(r->limit))
        return usage("run", "--memlimit takes 512MiB, 2g, auto, off; not "
                     "\"%s\"", r->limit);
    if (r->procs && !args_number(r->procs, 1, 1 << 20, &v))
        return usage("run", "--procs takes a number from 1 on, not \"%s\"",
                     r->procs);
    if (r->debug && !knobs_check(r->debug))
        return usage("run", "--debug %s is not understood", r->debug);
    return 0;
}

/* To the list, not instead of it: the last of equal names counts. */
static void debug_add(const char *list)
{
    const char *old = getenv("SANCAI_DEBUG");
    char *both = NULL;
    if (asprintf(&both, "%s%s%s", old ? old : "", old && *old ? "," : "",
                 list) < 0)
        die("out of memory");
    setenv("SANCAI_DEBUG", both, 1);
    free(both);
}

/* The library reads its environment, so that is where settings go. */
static void options_export(const struct run_options *r)
{
    if (r->gc)
        setenv("SANCAI_GC", r->gc, 1);
    if (r->limit)
        setenv("SANCAI_MEMLIMIT", r->limit, 1);
    if (r->procs)
        setenv("SANCAI_MAXPROCS", r->procs, 1);
    if (r->debug)
        debug_add(r->debug);
    if (r->trace)
        debug_add("gctrace=1");
}

/* The file stays open in the program: with a number that programs do not
 * expect to be free for them. */
#define FD_HIGH 64

/* A page that the program will write; it finds the file's number in env. */
static void *page_open(const char *env, size_t bytes)
{
    char number[TEXT];
    void *p;
    int high, fd = memfd_create("sancai-stats", 0);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
        die("no memory file for the summary: %m");
    p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        die("no memory for the summary: %m");
    high = fcntl(fd, F_DUPFD, FD_HIGH);
    if (high >= 0)
        close(fd);
    snprintf(number, sizeof number, "%d", high >= 0 ? high : fd);
    setenv(env, number, 1);
    return p;
}

/* The program's malloc will be ours.  False if there is no such library. */
static bool malloc_export(struct summary *s)
{
    const char *old = getenv("LD_PRELOAD"), *lib;
    char *all = NULL;
    if (!(lib = companion("libsancai-malloc.so"))) {
        complain("run: libsancai-malloc.so is not beside this command; `make` "
                 "builds it, `make install` installs it");
        return false;
    }
    if (asprintf(&all, "%s%s%s", lib, old && *old ? ":" : "",
                 old ? old : "") < 0)
        die("out of memory");
    setenv("LD_PRELOAD", all, 1);
    free(all);
    s->malloc = page_open(SC_MALLOC_ENV, SC_MALLOC_BYTES);
    return true;
}

/* The program has ended; yet a child of it may still be writing. */
static void page_copy(struct summary *s, const struct sc_stats_page *p)
{
    for (int i = 0; i < 100; i++) {
        uint64_t seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE);
        memcpy(&s->page, p, sizeof s->page);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        s->torn = seq & 1 || __atomic_load_n(&p->seq, __ATOMIC_RELAXED) != seq;
        if (!s->torn)
            break;
        usleep(1000);
    }
    s->present = !memcmp(s->page.magic, SC_STATS_MAGIC, SC_MAGIC_BYTES);
    if (s->present && (s->page.version != SC_STATS_VERSION
                       || s->page.size != sizeof s->page)) {
        complain("the library writes statistics of version %u, this tool "
                 "reads %u", s->page.version, SC_STATS_VERSION);
        s->present = false;
    }
}

/* Not written at all is a failure, even of a program that went well. */
static bool summary_write(const struct run_options *r, FILE *to,
                          const struct summary *s)
{
    struct out o;
    out_init(&o, to);
    if (r->json)
        report_json(to, s);
    else
        report_table(&o, s);
    if (fflush(to) == 0 && !ferror(to))
        return true;
    complain("%s can't be written", r->file ? r->file : "standard error");
    return false;
}

int run_main(int argc, char **argv)
{
    struct run_options r = {0};
    const struct option options[] = {
        {"--gc", &r.gc, NULL},       {"--memlimit", &r.limit, NULL},
        {"--procs", &r.procs, NULL}, {"--debug", &r.debug, NULL},
        {"-o", &r.file, NULL},       {"--output", &r.file, NULL},
        {"--trace", NULL, &r.trace}, {"--json", NULL, &r.json},
        {"--malloc", NULL, &r.malloc}};
    struct summary s = {0};
    const struct sc_stats_page *page;
    FILE *to = stderr;
    int code, at = args_read("run", argc, argv, options, COUNT(options),
                             &code);
    if (at < 0 || (code = options_check(&r)) != 0)
        return code;
    if (at >= argc)
        return usage("run", "a program is missing");
    /* Before the program runs: it would be a pity to find out after. */
    if (r.file && !(to = fopen(r.file, "we"))) {
        complain("%s: %m", r.file);
        return EXIT_FAILURE;
    }
    options_export(&r);
    if (r.malloc && !malloc_export(&s))
        return EXIT_FAILURE;
    page = page_open(SC_STATS_ENV, SC_STATS_BYTES);
    s.program = argv[at];
    code = child_start(&s.child, argv + at, false);
    if (code)
        return child_refused(argv[at], code);
    child_wait(&s.child, UINT64_MAX);
    page_copy(&s, page);
    code = child_exit_code(&s.child);
    return summary_write(&r, to, &s) || code ? code : EXIT_FAILURE;
}
