/* pacer.c: the heap size to start marking at, the size to be done by, and
 * what each allocated byte owes until then.
 *
 *   percent goal = marked + (marked + stacks + globals) * percent / 100
 *   limit goal   = limit - what isn't heap - 3 %
 *   goal         = the smaller
 *   runway       = expected work * cons/mark * 3      (3 = 75 % / 25 %)
 *   trigger      = goal - runway, within bounds
 *   assist ratio = work left / (goal - live)
 *
 *   live: marked ........ low ...... trigger ...... high ...... goal
 *            0           45/64                     61/64          1
 *                                             (or goal - 4 MiB)
 *
 * cons/mark is bytes allocated per CPU second over bytes scanned per CPU
 * second, measured in each cycle.  If it is right, the 25 % of the CPUs that
 * mark anyway are done exactly at the goal and no thread ever has to assist.
 *
 * Invariants: trigger <= goal; both ratios are finite and above 0; cons/mark
 * is finite and not negative.  Sums and products stick at the largest value
 * rather than wrap, so absurd settings give absurd but harmless answers.
 *
 * Locks: none here; see pacer.h.
 */
#include "pacer.h"

/* The work the program's threads leave to background marking. */
#define GOAL_UTILIZATION PACER_BACKGROUND
/* A share of 25 % can't be made of whole workers on few processors: beyond
 * this error one of them works part time. */
#define WORKER_ERROR 0.3
/* Bounds of the trigger between marked and goal, in 64ths.  Above 0.95 small
 * heaps would have no room at all; below 0.7 a program that allocates on many
 * CPUs would live in an always-on cycle whose new objects all survive. */
#define TRIGGER_LOW 45
#define TRIGGER_HIGH 61
#define TRIGGER_PARTS 64
/* Sweeping happens while the heap grows from live to trigger. */
#define SWEEP_DISTANCE MIB(1)
/* A cycle that starts late still gets this much to spread its work over. */
#define LATE_RUNWAY KIB(64)
/* Below the limit goal: for errors of pacing, and so that some free pages
 * stay mapped and allocation needn't give back what it takes. */
#define LIMIT_HEADROOM_PERCENT 3
#define LIMIT_HEADROOM MIB(1)
/* A forced cycle while gc_percent is off: growth is no concern. */
#define PERCENT_WHEN_OFF 100000
/* Past every goal: finish within the next tenth. */
#define OVERSHOOT 1.1
/* The estimate of work is no better than this. */
#define LEAST_WORK 1000
/* A share of the CPU above is an error of clocks: the program has allocated,
 * so it ran. */
#define BUSIEST 0.999

/* ---- Numbers that stick ------------------------------------------------ */

static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }
static uint64_t lesser(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* floor(bytes * percent / 100), by parts so that only the result can be too
 * large. */
static uint64_t percent_of(uint64_t bytes, int percent)
{
    uint64_t whole;

    if (__builtin_mul_overflow(bytes / 100, (uint64_t)percent, &whole))
        return UINT64_MAX;
    return plus(whole, bytes % 100 * (uint64_t)percent / 100);
}

/* C leaves the conversion of what doesn't fit undefined. */
static uint64_t bytes_from(double d)
{
    if (!(d > 0))
        return 0;
    return d >= 0x1p64 ? UINT64_MAX : (uint64_t)d;
}

/* ---- Settings ---------------------------------------------------------- */

void pacer_set(struct pacer *p, int gc_percent, int64_t limit, int procs)
{
    p->gc_percent = gc_percent < 0 ? -1 : gc_percent;
    if (limit >= 0)
        p->memory_limit = limit;
    p->procs = procs < 1 ? 1 : procs;
}

void pacer_init(struct pacer *p, int gc_percent, int64_t limit, int procs)
{
    *p = (struct pacer){.memory_limit = PACER_NO_LIMIT,
                        .triggered = PACER_IDLE};
    pacer_set(p, gc_percent, limit, procs);
    pacer_commit(p, 0, true);
}

uint64_t pacer_expected(const struct pacer *p)
{
    return plus(plus(p->last_heap_scan, p->last_stack_scan),
                p->globals_scan);
}

/* Stacks and globals count as heap here: a program with much of them and a
 * small heap would otherwise scan them all the time. */
static uint64_t percent_goal(const struct pacer *p)
{
    uint64_t base = plus(plus(p->heap_marked, p->last_stack_scan),
                         p->globals_scan);

    if (p->gc_percent < 0)
        return UINT64_MAX;
    return larger(plus(p->heap_marked, percent_of(base, p->gc_percent)),
                  percent_of(PACER_HEAP_MINIMUM, p->gc_percent));
}

/* cons/mark compares one CPU with one CPU; while marking, 75 % of the CPUs
 * allocate and 25 % scan. */
void pacer_commit(struct pacer *p, uint64_t live, bool sweep_done)
{
    double per_work = p->cons_mark * (1 - GOAL_UTILIZATION)
                      / GOAL_UTILIZATION;

    p->sweep_floor = sweep_done ? 0 : plus(live, SWEEP_DISTANCE);
    p->percent_goal = percent_goal(p);
    p->runway = bytes_from(per_work * (double)pacer_expected(p));
}

/* ---- Goal and trigger -------------------------------------------------- */

static uint64_t less_headroom(uint64_t goal)
{
    uint64_t room = larger(goal / 100 * LIMIT_HEADROOM_PERCENT,
                           LIMIT_HEADROOM);

    return larger(minus(goal, room), room);
}

/* The limit is on all our memory, the goal on objects.  What is mapped and
 * neither object nor free page can't become an object.  What is above the
 * limit already is taken off a second time, to get back below.  The counters
 * are read one by one: for a moment the parts may exceed the whole. */
static uint64_t limit_goal(const struct pacer *p,
                           const struct pacer_memory *m)
{
    uint64_t limit = (uint64_t)p->memory_limit, taken;

    if (p->memory_limit == PACER_NO_LIMIT)
        return UINT64_MAX;
    taken = minus(m->mapped_ready, plus(m->heap_free, m->heap_alloc));
    taken = plus(taken, minus(m->mapped_ready, limit));
    if (taken >= limit) /* hopeless; the limiter keeps it bearable */
        return p->heap_marked;
    return larger(less_headroom(limit - taken), p->heap_marked);
}

/* Goal, and the least trigger.  Whatever moves the goal up is left out when
 * the limit decides: going over it is worse than a hard-pressed cycle. */
static uint64_t goal_of(const struct pacer *p, const struct pacer_memory *m,
                        uint64_t *least)
{
    uint64_t goal = limit_goal(p, m);

    *least = p->heap_marked;
    if (goal < p->percent_goal)
        return goal;
    *least = larger(*least, p->sweep_floor);
    goal = larger(p->percent_goal, p->sweep_floor);
    if (p->triggered != PACER_IDLE)
        goal = larger(goal, plus(p->triggered, LATE_RUNWAY));
    return goal;
}

uint64_t pacer_goal(const struct pacer *p, const struct pacer_memory *m)
{
    uint64_t least;

    return goal_of(p, m, &least);
}

/* On a large heap with little to scan 5 % of it would be far more room than
 * needed: an empty cycle is worth the minimum heap and no more. */
struct pacer_trigger pacer_trigger(const struct pacer *p,
                                   const struct pacer_memory *m)
{
    uint64_t low, high, part, goal = goal_of(p, m, &low);

    if (p->heap_marked >= goal) /* nothing to give: collect all the time */
        return (struct pacer_trigger){goal, goal};
    part = (goal - p->heap_marked) / TRIGGER_PARTS;
    low = larger(low, p->heap_marked + part * TRIGGER_LOW);
    high = larger(p->heap_marked + part * TRIGGER_HIGH,
                  minus(goal, PACER_HEAP_MINIMUM));
    high = larger(high, low);
    low = larger(low, minus(goal, p->runway));
    return (struct pacer_trigger){lesser(low, high), goal};
}

/* ---- A cycle ----------------------------------------------------------- */

/* Whole workers for 25 % of the processors.  On 1, 2, 3 and 6 rounding would
 * miss that by more than 30 %: then round down and let every processor spend
 * the missing part. */
static void share_workers(struct pacer *p)
{
    double want = p->procs * PACER_BACKGROUND;
    double error;

    p->dedicated = (int)(want + 0.5);
    p->fractional = 0;
    error = p->dedicated / want - 1;
    if (error >= -WORKER_ERROR && error <= WORKER_ERROR)
        return;
    if (p->dedicated > want)
        p->dedicated--;
    p->fractional = (want - p->dedicated) / p->procs;
}

/* Idle workers soak up what the program leaves.  In a periodic cycle that
 * would wake the whole machine for nothing, yet somebody must mark: part-time
 * workers alone are not reliable enough. */
void pacer_start(struct pacer *p, const struct pacer_memory *m, uint64_t now,
                 enum pacer_kind kind)
{
    p->triggered = lesser(m->live, PACER_IDLE - 1);
    p->start_time = now;
    share_workers(p);
    if (kind == PACER_HELD) {
        p->dedicated = p->procs;
        p->fractional = 0;
    }
    p->max_idle = p->procs - p->dedicated;
    if (kind == PACER_PERIODIC)
        p->max_idle = p->dedicated ? 0 : 1;
    pacer_revise(p, m, 0);
}

/* More work than expected: the heap has grown.  Keep the pace, as if the
 * runway had been planned for the worst case; but not beyond the goal that
 * the next cycle will have if everything survives. */
static uint64_t grown_goal(const struct pacer *p, uint64_t goal,
                           uint64_t worst)
{
    int percent = p->gc_percent < 0 ? PERCENT_WHEN_OFF : p->gc_percent;
    uint64_t hard = bytes_from((1 + percent / 100.0) * (double)goal);
    uint64_t expected = pacer_expected(p);
    double per_work;

    if (expected == 0)
        return hard;
    per_work = ((double)goal - (double)p->triggered) / (double)expected;
    return lesser(hard, bytes_from(per_work * (double)worst
                                   + (double)p->triggered));
}

/* At least a byte of heap and a little work are always left, so that neither
 * ratio is zero or infinite. */
static void set_ratio(struct pacer *p, uint64_t work, uint64_t heap)
{
    double w = (double)larger(work, LEAST_WORK);
    double h = (double)larger(heap, 1);
    double work_per_byte = w / h, bytes_per_work = h / w;

    __atomic_store(&p->work_per_byte, &work_per_byte, __ATOMIC_RELAXED);
    __atomic_store(&p->bytes_per_work, &bytes_per_work, __ATOMIC_RELAXED);
}

void pacer_revise(struct pacer *p, const struct pacer_memory *m,
                  uint64_t work)
{
    uint64_t goal, expected = pacer_expected(p);
    uint64_t worst = plus(plus(m->scan, p->stack_scan_max),
                          p->globals_scan);

    if (p->triggered == PACER_IDLE)
        return;
    goal = pacer_goal(p, m);
    if (work > expected) {
        goal = grown_goal(p, goal, worst);
        expected = worst;
    }
    if (m->live > goal) {
        goal = bytes_from((double)goal * OVERSHOOT);
        expected = worst;
    }
    set_ratio(p, minus(expected, work), minus(goal, m->live));
}

/* The largest of this one and the last four: a noisy measure should lead to
 * an early start rather than to assists. */
static void remember(struct pacer *p, double measured)
{
    int i;

    p->cons_mark = measured;
    for (i = 0; i < PACER_CONS_MARK_HISTORY; i++)
        if (p->last_cons_mark[i] > p->cons_mark)
            p->cons_mark = p->last_cons_mark[i];
    for (i = 1; i < PACER_CONS_MARK_HISTORY; i++)
        p->last_cons_mark[i - 1] = p->last_cons_mark[i];
    p->last_cons_mark[i - 1] = measured;
}

/* Time of idle workers counts as marking time (it was spent so) and as the
 * program's (it could have had it at any moment).  A cycle in which nothing
 * was allocated or scanned measures nothing. */
void pacer_end(struct pacer *p, const struct pacer_memory *m,
               const struct pacer_end *e)
{
    double cpu = (double)minus(e->now, p->start_time) * p->procs;
    uint64_t work = plus(plus(e->heap_scan_work, e->stack_scan_work),
                         e->globals_scan_work);
    uint64_t allocated = minus(m->live, p->triggered);
    double idle = 0, busy = PACER_BACKGROUND;

    if (cpu > 0) {
        busy += (double)e->assist_time / cpu;
        idle = (double)e->idle_time / cpu;
    }
    busy = busy < BUSIEST ? busy : BUSIEST;
    idle = idle < 1 - busy ? idle : 1 - busy;
    p->utilization = busy;
    p->last_heap_goal = pacer_goal(p, m);
    p->heap_work = e->heap_scan_work;
    p->stack_work = e->stack_scan_work;
    if (allocated && work)
        remember(p, (double)allocated * (busy + idle)
                        / ((double)work * (1 - busy)));
}

/* Without an end the cycle was given up: what the last one measured stays. */
void pacer_reset_live(struct pacer *p, uint64_t bytes_marked)
{
    p->heap_marked = bytes_marked;
    p->last_heap_scan = p->heap_work;
    p->last_stack_scan = p->stack_work;
    p->triggered = PACER_IDLE;
}
