/* pkggraph.c: a server in small.  Threads answer questions about the package
 * index of this machine while another thread loads the index again and again.
 *
 *   reloader   index_load ---> sc_store(&current) ---> index_load --->
 *                                   |
 *   queries    current ---> closure_of ---> compare with the first answer
 *   ...
 *   main       looks at the heap, says how far it is
 *
 * Nobody frees anything.  A query goes on with the index that it began with;
 * when the last one is done with it, the collector takes it.  The program
 * promises explicit barriers, so it is collected while it runs; --plain
 * promises nothing, which costs short stops instead.
 *
 * Each reload brings a batch of queries, the same in every run, so all runs
 * with the same sizes must give the same checksum, collected or not.
 */
#include "pkggraph.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_THREADS = 64,
    BATCH = 1000,       /* queries of a thread per reload: about its cost */
    SAMPLE_MS = 20,     /* how often main looks at the heap */
    DRAW_EACH = 5,      /* a terminal's line changes every so many looks */
};

struct options {
    int reloads, threads, plain, quiet, compare, line;
    const char *file;
};

struct worker {
    pthread_t thread;
    unsigned number;
    uint64_t queries, packages, digest, disagree;
    struct closure largest;
    char largest_name[80];
};

static struct options opt = {.reloads = 20, .threads = 4};
static struct worker workers[MAX_THREADS];

/* The index that new queries use, and what each package's closure was found
 * to be the first time (0: not asked yet).  Globals are roots. */
static Index *current;
static _Atomic uint64_t *answers;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static int generation;          /* reloads begun; under the lock */
static _Atomic int reloaded, bad_reloads, running;
static _Atomic uint64_t answered;

/* ---- Queries ---------------------------------------------------------- */

static void largest_note(struct worker *w, const Package *p,
                         const struct closure *c)
{
    if (c->packages <= w->largest.packages)
        return;
    w->largest = *c;
    snprintf(w->largest_name, sizeof w->largest_name, "%s", p->name);
}

/* Whether this package's closure is what it was the first time. */
static int answer_same(size_t i, uint64_t digest)
{
    uint64_t first = 0;
    digest |= 1;    /* 0 means not asked yet */
    return atomic_compare_exchange_strong(&answers[i], &first, digest) ||
           first == digest;
}

static void query(struct worker *w, uint64_t number)
{
    const Index *ix = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
    size_t i = mix(number + 1) % ix->nlist;
    const Package *p = ix->list[i].package;
    struct closure c = closure_of(ix, p);
    w->queries++;
    w->packages += c.packages;
    w->digest += mix(c.digest + i);
    w->disagree += !answer_same(i, c.digest);
    largest_note(w, p, &c);
}

/* Waits until the reload of that number has begun.  A thread that says that
 * it sleeps is scanned without being woken. */
static void generation_wait(int wanted)
{
    sc_blocking_begin();
    pthread_mutex_lock(&lock);
    while (generation < wanted)
        pthread_cond_wait(&news, &lock);
    pthread_mutex_unlock(&lock);
    sc_blocking_end();
}

static void *queries_run(void *arg)
{
    struct worker *w = arg;
    for (int g = 1; g <= opt.reloads; g++) {
        generation_wait(g);
        for (unsigned i = 0; i < BATCH; i++)
            query(w, ((uint64_t)g * MAX_THREADS + w->number) * BATCH + i);
        atomic_fetch_add(&answered, BATCH);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* ---- Reloads ---------------------------------------------------------- */

static Index *load_or_exit(void)
{
    Index *ix = index_load(opt.file);
    if (ix && ix->nlist)
        return ix;
    if (ix)
        fprintf(stderr, "pkggraph: no packages in %s\n", opt.file);
    else
        perror(opt.file);
    exit(2);
}

/* Other threads read current without a lock: all of the index must be
 * written before the pointer to it. */
static void publish(Index *ix)
{
    atomic_thread_fence(memory_order_release);
    sc_store(&current, ix);
}

static void generation_begin(int g)
{
    pthread_mutex_lock(&lock);
    generation = g;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
}

static void *reloads_run(void *arg)
{
    for (int g = 1; g <= opt.reloads; g++) {
        generation_begin(g);
        Index *ix = load_or_exit();
        if (ix->digest != current->digest)
            atomic_fetch_add(&bad_reloads, 1);
        publish(ix);
        atomic_store(&reloaded, g);
    }
    atomic_fetch_sub(&running, 1);
    return arg;
}

/* ---- Watching --------------------------------------------------------- */

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One line per reload, or one line that changes if it is a terminal. */
static void draw(const struct sc_stats *s, unsigned look)
{
    static int last;
    int n = atomic_load(&reloaded), tty = isatty(2);
    char a[32];
    if (opt.quiet || (tty ? look % DRAW_EACH : n == last))
        return;
    last = n;
    fprintf(stderr, "%sreload %d/%d  queries %llu  heap %s  cycles %llu%s",
            tty ? "\r" : "", n, opt.reloads,
            (unsigned long long)atomic_load(&answered),
            show_bytes(s->heap_live, a), (unsigned long long)s->num_gc,
            tty ? "\033[K" : "\n");
}

static void watch(struct report *r)
{
    struct timespec pause = {0, SAMPLE_MS * 1000000l};
    struct sc_stats s;
    for (unsigned look = 1; atomic_load(&running); look++) {
        nanosleep(&pause, NULL);
        sc_stats(&s);
        if (s.heap_live > r->heap_peak)
            r->heap_peak = s.heap_live;
        if (s.heap_marked > r->held_peak)
            r->held_peak = s.heap_marked;
        draw(&s, look);
    }
    if (!opt.quiet && isatty(2))
        fputs("\r\033[K", stderr);
}

/* ---- The run ---------------------------------------------------------- */

static void start_thread(pthread_t *t, void *(*fn)(void *), void *arg)
{
    if (pthread_create(t, NULL, fn, arg)) {
        fputs("pkggraph: cannot start a thread\n", stderr);
        exit(1);
    }
}

/* The first index, and room for the answers about it. */
static void first_load(void)
{
    if (!opt.quiet)
        fputs("loading the package index ...\n", stderr);
    publish(load_or_exit());
    size_t bytes = current->nlist * sizeof *answers;
    void *a = need(sc_alloc_noscan(bytes));
    memset(a, 0, bytes);
    sc_store(&answers, a);
}

static void add_worker(struct report *r, const struct worker *w)
{
    r->queries += w->queries;
    r->packages += w->packages;
    r->digest += w->digest;
    r->bad_answers += w->disagree;
    if (w->largest.packages <= r->largest.packages)
        return;
    r->largest = w->largest;
    memcpy(r->largest_name, w->largest_name, sizeof r->largest_name);
}

static void run(struct report *r)
{
    pthread_t reloader;
    double start = seconds_now();
    first_load();
    atomic_store(&running, opt.threads + 1);
    for (int i = 0; i < opt.threads; i++) {
        workers[i].number = (unsigned)i;
        start_thread(&workers[i].thread, queries_run, &workers[i]);
    }
    start_thread(&reloader, reloads_run, NULL);
    watch(r);
    pthread_join(reloader, NULL);
    for (int i = 0; i < opt.threads; i++) {
        pthread_join(workers[i].thread, NULL);
        add_worker(r, &workers[i]);
    }
    r->seconds = seconds_now() - start;
    r->threads = opt.threads;
    r->reloads = opt.reloads;
    r->bad_reloads = atomic_load(&bad_reloads);
    r->digest += current->digest;
    sc_store(&r->index, current);
}

/* ---- Options ---------------------------------------------------------- */

static const char usage[] =
    "pkggraph: dependency closures of this machine's package index, asked by\n"
    "several threads while another reloads the index; nothing is freed.\n"
    "\n"
    "  --reloads N    load the index N more times (20)\n"
    "  --threads N    threads that ask (4)\n"
    "  --file INDEX   a Packages file, instead of apt-cache dumpavail\n"
    "  --plain        promise no write barriers: short stops\n"
    "  --compare      then do the same without collection, as a child\n"
    "  --quiet        no progress\n"
    "  --line         one line for programs instead of the table\n"
    "  --help         this\n";

static int number_or_exit(const char *s, int max, const char *what)
{
    char *end;
    long n = strtol(s, &end, 10);
    if (!*s || *end || n < 1 || n > max) {
        fprintf(stderr, "pkggraph: --%s needs a number from 1 to %d\n", what,
                max);
        exit(2);
    }
    return (int)n;
}

static void options_read(int argc, char **argv)
{
    static const struct option known[] = {
        {"reloads", 1, NULL, 'r'}, {"threads", 1, NULL, 't'},
        {"file", 1, NULL, 'f'},    {"plain", 0, &opt.plain, 1},
        {"quiet", 0, &opt.quiet, 1}, {"compare", 0, &opt.compare, 1},
        {"line", 0, &opt.line, 1}, {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        if (c == 'r')
            opt.reloads = number_or_exit(optarg, 1000000, "reloads");
        else if (c == 't')
            opt.threads = number_or_exit(optarg, MAX_THREADS, "threads");
        else if (c == 'f')
            opt.file = optarg;
        else if (c == 'h' || c == '?') {
            fputs(usage, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "pkggraph: what is %s?  See --help\n", argv[optind]);
        exit(2);
    }
    opt.quiet |= opt.line;
}

static void compare(const struct report *r, const struct sc_stats *s)
{
    char reloads[16], threads[16], *argv[] = {
        "pkggraph", "--line", "--reloads", reloads, "--threads", threads,
        "--file", (char *)opt.file, NULL};
    snprintf(reloads, sizeof reloads, "%d", opt.reloads);
    snprintf(threads, sizeof threads, "%d", opt.threads);
    report_compare(r, s, argv);
}

int main(int argc, char **argv)
{
    struct report r = {0};
    struct sc_stats s;
    options_read(argc, argv);
    struct sc_config config = {
        .barriers = opt.plain ? SC_BARRIERS_NONE : SC_BARRIERS_EXPLICIT};
    if (sc_init(&config)) {
        fputs("pkggraph: cannot start the heap\n", stderr);
        return 1;
    }
    if (!opt.file)
        opt.file = index_fetch(opt.quiet);
    run(&r);
    if (!opt.line)
        sc_collect();   /* so that "held" is exact at the end */
    sc_stats(&s);
    if (opt.line)
        report_line(&r);
    else
        report_print(&r, &s);
    if (opt.compare)
        compare(&r, &s);
    return r.bad_answers || r.bad_reloads;
}
