/* pacer_model.h: a program and a collector in numbers, to run the pacer for
 * many cycles in no time.
 *
 *   8 CPUs, steps of 500 us.  In a step the CPUs are divided so that
 *
 *       scanned / allocated = assist ratio          (the pacer's answer)
 *       scanned   = scan rate  * CPUs * u
 *       allocated = alloc rate * CPUs * (1 - u)
 *
 *   hence u = ratio * alloc / (ratio * alloc + scan), but never below the
 *   25 % that mark anyway.
 *
 * A cycle starts exactly at the trigger, and all that is allocated while
 * marking dies in the next one.  Nothing takes memory but objects: the
 * counters of mapped memory stay 0, so a limit on memory is one on the heap.
 */
#ifndef SC_TEST_PACER_MODEL_H
#define SC_TEST_PACER_MODEL_H

#include "../check.h"
#include "../../src/collect/pacer.h"

#define CPUS 8
#define STEP_NS 500000
#define CYCLES_MAX 100
#define FIRST_HEAP KIB(256)

/* ---- What changes from cycle to cycle ---------------------------------- */

/* base + a ramp of `ramp` that takes `over` cycles from cycle `from` on
 *      + `spike` in cycle `at` alone + noise within +-`noise`
 *      + a sine of height `wave` and a period of 8 cycles. */
struct signal {
    double base;
    double ramp;
    int over, from;
    double spike;
    int at;
    double noise;
    uint64_t seed;
    double wave;
};

/* Random in [-1, 1], the same for the same seed and cycle. */
static double noise_at(uint64_t seed, int cycle)
{
    uint64_t z = (seed + 1) * 0x9e3779b97f4a7c15u
                 + (uint64_t)cycle * 0xbf58476d1ce4e5b9u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) / 0x1p52 - 1;
}

static double value_at(const struct signal *s, int cycle)
{
    static const double sine[8] = {0, .70710678118654752, 1,
                                   .70710678118654752, 0,
                                   -.70710678118654752, -1,
                                   -.70710678118654752};
    int steps = cycle - s->from;
    double v = s->base + s->wave * sine[cycle % 8];

    if (s->over > 0 && steps > 0)
        v += s->ramp * (steps < s->over ? steps : s->over) / s->over;
    if (s->spike != 0 && cycle == s->at)
        v += s->spike;
    if (s->noise != 0)
        v += s->noise * noise_at(s->seed, cycle);
    return v;
}

/* ---- The model --------------------------------------------------------- */

struct scenario {
    int percent;
    int64_t limit;
    uint64_t globals;
    int cycles;
    struct signal alloc, scan; /* KiB per ms of CPU */
    struct signal growth;      /* live heap of a cycle over the last one's */
    struct signal scannable;   /* share of the heap that has pointers */
    struct signal stacks;      /* bytes */
};

struct result {
    uint64_t live, trigger, peak, goal;
    double utilization;
};

static struct result results[CYCLES_MAX];

struct model {
    struct pacer p;
    struct pacer_memory m;
    double alloc, scan, scannable; /* this cycle's, per ns and CPU */
    uint64_t work, work_all;       /* bytes scanned, of how many */
    uint64_t black;                /* allocated while marking */
    uint64_t assist_time, time;
};

/* One step or, if marking ends within it, the part until then. */
static void step(struct model *o)
{
    double ratio = pacer_work_per_byte(&o->p);
    double u = ratio * o->alloc / (ratio * o->alloc + o->scan);
    uint64_t scanned, fresh, ns = STEP_NS;

    if (u < PACER_BACKGROUND)
        u = PACER_BACKGROUND;
    scanned = (uint64_t)(o->scan * ns * CPUS * u);
    if (scanned > o->work_all - o->work) {
        scanned = o->work_all - o->work;
        ns = (uint64_t)((double)scanned / (o->scan * CPUS * u));
    }
    fresh = (uint64_t)(o->alloc * (double)ns * CPUS * (1 - u));
    o->work += scanned;
    o->black += fresh;
    o->m.live += fresh;
    o->m.scan += (uint64_t)((double)fresh * o->scannable);
    o->time += ns;
    o->assist_time += (uint64_t)((double)ns * CPUS
                                 * (u - PACER_BACKGROUND));
    pacer_revise(&o->p, &o->m, o->work);
}

static void begin(struct model *o, const struct scenario *s, uint64_t stacks)
{
    struct pacer_trigger t = pacer_trigger(&o->p, &o->m);
    uint64_t marked = o->p.heap_marked;
    uint64_t live = t.trigger > marked ? t.trigger : marked;

    o->p.stack_scan_max = stacks;
    o->p.globals_scan = s->globals;
    o->m.live = live;
    o->m.scan += (uint64_t)((double)(live - marked) * o->scannable);
    o->work = o->black = o->assist_time = o->time = 0;
    pacer_start(&o->p, &o->m, 0, PACER_NORMAL);
}

static void note(const struct model *o, struct result *r)
{
    r->live = o->p.heap_marked;
    r->trigger = o->p.triggered;
    r->peak = o->m.live;
    r->goal = pacer_goal(&o->p, &o->m);
    r->utilization = PACER_BACKGROUND + (double)o->assist_time
                                            / ((double)o->time * CPUS);
}

static void end(struct model *o, uint64_t heap, uint64_t scan,
                uint64_t stacks)
{
    struct pacer_end e = {.now = o->time, .assist_time = o->assist_time,
                          .heap_scan_work = scan, .stack_scan_work = stacks,
                          .globals_scan_work = o->p.globals_scan};

    pacer_end(&o->p, &o->m, &e);
    pacer_reset_live(&o->p, heap + o->black);
    o->m.live = o->p.heap_marked;
    o->m.scan = scan;
    pacer_commit(&o->p, o->m.live, false);
}

static void cycle(struct model *o, const struct scenario *s, int i)
{
    uint64_t stacks = (uint64_t)value_at(&s->stacks, i) & ~2047ull;
    uint64_t heap = FIRST_HEAP, scan;

    o->alloc = value_at(&s->alloc, i) * 1024 / 1e6;
    o->scan = value_at(&s->scan, i) * 1024 / 1e6;
    o->scannable = value_at(&s->scannable, i);
    if (i > 0)
        heap = (uint64_t)((double)(o->p.heap_marked - o->black)
                          * value_at(&s->growth, i));
    begin(o, s, stacks);
    scan = (uint64_t)((double)heap * o->scannable);
    o->work_all = scan + stacks + s->globals;
    while (o->work < o->work_all)
        step(o);
    note(o, &results[i]);
    end(o, heap, scan, stacks);
}

static void play(const struct scenario *s)
{
    struct model o = {.work = 0};
    int i;

    pacer_init(&o.p, s->percent, s->limit, CPUS);
    for (i = 0; i < s->cycles; i++)
        cycle(&o, s, i);
}

#endif
