/* mark.c: how fast the collector marks, beside a bare loop over the same graph.
 *
 *   mark GRAPH OBJECTS     prints ns per object: the collector, the bare loop
 *
 *   order     a tree, pointers in the order of allocation (breadth first)
 *   depth     a tree, allocated depth first
 *   scatter   a tree over objects in random order: every pointer leads
 *             anywhere, each object has one parent
 *   random    objects of 64 bytes in random order: one ring of all, and two
 *             pointers anywhere, so most are found several times
 *
 * The first three have two pointers in 32 bytes.  The bare loop does what no
 * collector may: it knows that every word is NULL or the start of an object of
 * this size, has one bit per 16 bytes beside the heap, no other thread to mind,
 * and all memory it wants.  It fetches ahead by a FIFO of 32 objects, the best
 * of the loops that were tried.
 *
 * The collector's figure is its CPU time in a whole forced cycle, with one
 * processor: roots, marking, sweeping.  The best of several counts, of both.
 */
#include "meter.h"

#include <sancai.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Two {
    struct Two *to[2];
    uint64_t rest[2];
} Two;
typedef struct Three {
    struct Three *to[3];
    uint64_t rest[5];
} Three;
SC_LAYOUT(Two, to[0], to[1])
SC_LAYOUT(Three, to[0], to[1], to[2])

enum { TIMES = 7, FIFO = 32 };

static void *root;          /* all that keeps the graph */
static void **all;          /* malloc's: no root */
static size_t objects;
static unsigned pointers = 2;

/* ---- Graphs ------------------------------------------------------------ */

static void link_to(void *from, unsigned i, void *to)
{
    sc_store((void **)from + i, to);
}

static void allocate(void)
{
    all = malloc(objects * sizeof *all);
    if (!all)
        exit(1);
    for (size_t i = 0; i < objects; i++)
        if (!(all[i] = pointers == 2 ? (void *)sc_new(Two)
                                     : (void *)sc_new(Three)))
            exit(1);
}

static void shuffle(void)
{
    for (size_t i = objects - 1; i > 0; i--) {
        size_t j = scramble(i) % (i + 1);
        void *t = all[i];
        all[i] = all[j];
        all[j] = t;
    }
}

/* As in a heap that is kept in an array. */
static void link_tree(void)
{
    for (size_t i = 0; i < objects; i++)
        for (unsigned k = 1; k <= 2; k++)
            if (2 * i + k < objects)
                link_to(all[i], k - 1, all[2 * i + k]);
    root = all[0];
}

static void link_random(void)
{
    for (size_t i = 0; i < objects; i++)
        for (unsigned k = 0; k < 3; k++)
            link_to(all[i], k, all[scramble(3 * i + k) % objects]);
    /* One ring, so that all are reached. */
    for (size_t i = 0; i < objects; i++)
        link_to(all[i], 0, all[(i + 1) % objects]);
    for (size_t i = 0, n = objects / 64; i < n; i++)
        link_to(all[i], 1, all[i * 64]);
    root = all[0];
}

static Two *grow(unsigned depth)
{
    Two *t = sc_new(Two);
    if (!t)
        exit(1);
    if (depth) {
        sc_store(&t->to[0], grow(depth - 1));
        sc_store(&t->to[1], grow(depth - 1));
    }
    return t;
}

static void graph_make(const char *name)
{
    if (!strcmp(name, "depth")) {
        unsigned depth = 0;
        while ((4ull << depth) - 1 <= objects)
            depth++;
        objects = (2ull << depth) - 1;
        root = grow(depth);
        return;
    }
    pointers = strcmp(name, "random") ? 2 : 3;
    allocate();
    if (strcmp(name, "order"))
        shuffle();
    if (pointers == 3)
        link_random();
    else
        link_tree();
    free(all);
}

/* ---- The two loops ----------------------------------------------------- */

static double collector(void)
{
    struct sc_stats a, b;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < TIMES; i++) {
        sc_stats(&a);
        sc_collect();
        sc_stats(&b);
        if (b.gc_cpu_ns - a.gc_cpu_ns < best)
            best = b.gc_cpu_ns - a.gc_cpu_ns;
    }
    return (double)best / (double)objects;
}

struct bare {
    uintptr_t base;
    uint64_t *bit;
    void **stack;
    size_t depth;
};

static inline void bare_mark(struct bare *b, void *p)
{
    size_t i = ((uintptr_t)p - b->base) / 16;
    if (!p || b->bit[i / 64] >> i % 64 & 1)
        return;
    b->bit[i / 64] |= 1ull << i % 64;
    b->stack[b->depth++] = p;
}

static inline size_t bare_visit(struct bare *b, unsigned n)
{
    void **fifo[FIFO];
    size_t head = 0, tail = 0, seen = 0;
    for (;; seen++) {
        while (tail - head < FIFO && b->depth) {
            void **p = b->stack[--b->depth];
            __builtin_prefetch(p);
            fifo[tail++ % FIFO] = p;
        }
        if (head == tail)
            return seen;
        void **p = fifo[head++ % FIFO];
        for (unsigned i = 0; i < n; i++)
            bare_mark(b, p[i]);
    }
}

/* The heap's range: from the lowest to the highest of what is reached. */
static uint64_t bare_once(struct bare *b, size_t bytes)
{
    memset(b->bit, 0, bytes / 128 + 8);
    b->depth = 0;
    uint64_t start = meter_clock(CLOCK_THREAD_CPUTIME_ID);
    bare_mark(b, root);
    size_t seen = pointers == 2 ? bare_visit(b, 2) : bare_visit(b, 3);
    uint64_t ns = meter_clock(CLOCK_THREAD_CPUTIME_ID) - start;
    if (seen != objects) {
        fprintf(stderr, "mark: %zu of %zu objects seen\n", seen, objects);
        exit(1);
    }
    return ns;
}

static double bare(void)
{
    /* An arena is 64 MiB, and ours lie one behind the other. */
    const size_t bytes = (objects * 64 / (64 << 20) + 2) * (64ull << 20);
    struct bare b;
    uint64_t best = UINT64_MAX;
    b.base = (uintptr_t)root - bytes;
    b.bit = malloc(2 * bytes / 128 + 8);
    b.stack = malloc((objects + FIFO) * sizeof *b.stack);
    if (!b.bit || !b.stack)
        exit(1);
    for (int i = 0; i < TIMES; i++) {
        uint64_t ns = bare_once(&b, 2 * bytes);
        best = ns < best ? ns : best;
    }
    free(b.bit);
    free(b.stack);
    return (double)best / (double)objects;
}

int main(int argc, char **argv)
{
    struct sc_config c = {.barriers = SC_BARRIERS_EXPLICIT, .max_procs = 1,
                          .gc_percent = -1};
    objects = size_argument(argc, argv, 2, "number of objects");
    if (sc_init(&c) || sc_root_add(&root, sizeof root))
        return 1;
    graph_make(argv[1]);
    double ours = collector(), loop = bare();
    printf("%-8s %9zu objects  %6.2f ns each, bare loop %6.2f: %.2f of its "
           "rate\n", argv[1], objects, ours, loop, loop / ours);
    return 0;
}
