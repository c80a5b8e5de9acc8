/* policy.c: the settings, and the one pacer and limiter of the process.
 *
 *   program's settings --+
 *   what was counted ----+--> pacer (pure) --> trigger, goal, assist ratio
 *   clock, CPU time -----+--> limiter (pure) --> hold back?
 *
 * pacer.c and limiter.c compute; this room knows where numbers come from and
 * where they go.  Results are published as single words, so that allocation
 * reads them without a lock.
 *
 * Lock: policy.lock; the page counts are read inside.  Revisions try it and
 * leave if somebody is at it.
 */
#include <errno.h>

#include "collect.h"

/* Waits for a cycle are cut in such pieces: the limiter is updated between. */
#define LIMIT_WAIT LIMITER_PERIOD
/* Of what the limiter could not hold, ns of CPU. */
#define CARRIED_MAX 200000000u
/* A shorter time between cycles tells little of what the program uses. */
#define LEAST_WINDOW 1000000

void (*policy_report_hook)(const struct pacer *, int when);

static struct {
    struct lock lock;
    struct pacer pacer;
    struct limiter limiter;
    int gc_percent;
    int64_t limit;      /* INT64_MAX: none */
    int procs;          /* in force; changes between cycles only */
    int procs_wanted;   /* what was set; in force with the next cycle */
    uint64_t scan_base; /* scannable bytes found by the last cycle */
    uint64_t live_base; /* live bytes then */
    uint64_t in_use;    /* bytes of spans when it ended, before sweeping */
    uint64_t revised;
    uint64_t assist_at_start;
    /* When the limiter was last told: */
    uint64_t told, told_cpu, told_workers, told_idlers, told_overflow;
    double busy;        /* processors that the program had a use for */
    bool held;          /* a cycle that holds all threads */
    uint32_t waiters;   /* threads that wait for the cycle's end; atomic */
    uint64_t rest_until; /* no cycle before, unless one is demanded */
    double share;
} policy = {.lock = LOCK_INIT(RANK_POLICY)};

/* ---- Settings ---------------------------------------------------------- */

static int64_t pick(int64_t given, int64_t env, int64_t def)
{
    return given ? given : env ? env : def;
}

static bool in_range(const struct sc_config *c)
{
    return c->gc_percent >= -1 && c->memory_limit >= 0 &&
           c->max_procs >= 0 && c->max_procs <= 4096 &&
           (c->barriers == SC_BARRIERS_NONE ||
            c->barriers == SC_BARRIERS_EXPLICIT);
}

int policy_init(const struct sc_config *c)
{
    if (!in_range(c))
        return EINVAL;
    int64_t percent = knobs.gc_percent == INT64_MIN ? 100 : knobs.gc_percent;
    policy.gc_percent = c->gc_percent ? c->gc_percent : (int)percent;
    policy.limit = pick(c->memory_limit, knobs.memory_limit, INT64_MAX);
    policy.procs = (int)pick(c->max_procs, knobs.max_procs, os_cpus());
    policy.procs_wanted = policy.procs;
    policy.share = PACER_BACKGROUND * policy.procs;
    pacer_init(&policy.pacer, policy.gc_percent, policy.limit, policy.procs);
    limiter_init(&policy.limiter, os_now(), policy.procs);
    policy_goals();
    return 0;
}

static void apply(void)
{
    pacer_set(&policy.pacer, policy.gc_percent, policy.limit, policy.procs);
}

int policy_gc_percent(int set, bool change)
{
    lock_take(&policy.lock);
    int old = policy.gc_percent;
    if (change) {
        policy.gc_percent = set < 0 ? -1 : set;
        apply();
    }
    lock_drop(&policy.lock);
    if (change)
        policy_goals();
    return old;
}

int64_t policy_memory_limit(int64_t set, bool change)
{
    lock_take(&policy.lock);
    int64_t old = policy.limit;
    if (change && set >= 0) {
        policy.limit = set ? set : INT64_MAX;
        apply();
    }
    lock_drop(&policy.lock);
    if (change)
        policy_goals();
    return old;
}

int policy_procs(void) { return load_relaxed(&policy.procs); }
double policy_background_share(void) { return policy.share; }

/* ---- Numbers in -------------------------------------------------------- */

/* Of the bytes allocated since the last cycle, as large a part is taken to be
 * scannable as of those that it found. */
static uint64_t scannable(uint64_t live)
{
    if (!policy.live_base)
        return live;
    double part = (double)policy.scan_base / (double)policy.live_base;
    return (uint64_t)(part * (double)live);
}

static struct pacer_memory count(void)
{
    struct page_stats p;
    page_stats(&p);
    struct pacer_memory m;
    m.live = gc_heap_live();
    m.scan = scannable(m.live);
    m.mapped_ready = page_mapped_ready();
    m.heap_free = p.free;
    /* What is dead and not swept yet is still memory in objects. */
    uint64_t free = load_relaxed(&heap.swept_free_bytes);
    uint64_t all = load_relaxed(&heap.live_bytes);
    m.heap_alloc = all > free ? all - free : 0;
    return m;
}

static void publish(const struct pacer_memory *m)
{
    struct pacer_trigger g = pacer_trigger(&policy.pacer, m);
    store_relaxed(&gc.trigger, g.trigger);
    store_relaxed(&gc.goal, g.goal);
    assist_set_ratio(pacer_work_per_byte(&policy.pacer));
}

/* Both "last" numbers are of the end of the last cycle, so that this may be
 * computed as often as a setting changes. */
static void set_scavenger(uint64_t goal)
{
    scavenge_set_goals(
        scavenge_goal_percent(goal, policy.pacer.last_heap_goal,
                              policy.in_use),
        policy.limit == INT64_MAX
            ? UINT64_MAX
            : scavenge_goal_limit((uint64_t)policy.limit));
}

void policy_goals(void)
{
    lock_take(&policy.lock);
    struct pacer_memory m = count();
    pacer_commit(&policy.pacer, m.live, sweep_is_done());
    publish(&m);
    set_scavenger(load_relaxed(&gc.goal));
    lock_drop(&policy.lock);
}

/* A full bucket spills.  Its two states last as long as a window each, and a
 * window of assists fills it by more than one without assists empties it: what
 * spilled is poured in again, else the collector had two thirds and not half.
 * What nobody could make up for soon is forgotten. */
static uint64_t carried(void)
{
    uint64_t spilled = policy.limiter.overflow - policy.told_overflow;
    policy.told_overflow = policy.limiter.overflow;
    return spilled < CARRIED_MAX ? spilled : CARRIED_MAX;
}

/* What the limiter weighs is CPU time that was measured, on both sides.  Where
 * other processes have the processors, a quarter of them is more than the
 * collector gets, and a thread that waits for it by the clock loses nothing to
 * it.  So idle time is all that this process did not use, and:
 *
 *     GC = assists (told as they end) + background workers while nothing else
 *          would run; not the idle ones
 *
 * While threads are held what counts is what they would have used: else a
 * program with one thread would seem to lose all processors. */
static void tell_limiter(uint64_t now)
{
    limiter_add_assist(&policy.limiter, carried());
    uint64_t cpu = os_process_cpu(), workers = drain_background();
    uint64_t idlers = drain_idle();
    uint64_t wall = now - policy.told, had = wall * (uint64_t)policy.procs;
    uint64_t used = cpu - policy.told_cpu, unused;
    used = used < had ? used : had;
    if (!policy.held && wall > LEAST_WINDOW && !load_relaxed(&gc.marking))
        policy.busy = (double)used / (double)wall;
    if (policy.held) {
        used = (uint64_t)(policy.busy * (double)wall);
        limiter_add_assist(&policy.limiter, used);
    } else if (policy.told) {
        limiter_add_assist(&policy.limiter, workers - policy.told_workers);
    }
    unused = had - used;
    if (!policy.held)
        unused += idlers - policy.told_idlers;
    if (policy.told)
        limiter_add_idle(&policy.limiter, unused);
    policy.told = now;
    policy.told_cpu = cpu;
    policy.told_workers = workers;
    policy.told_idlers = idlers;
}

/* Cycles hold all threads while they mark. */
static bool holds(void)
{
    return !gc.explicit_barriers || knobs.gcstoptheworld;
}

void policy_cycle_start(uint64_t now, bool periodic)
{
    lock_take(&policy.lock);
    tell_limiter(now);
    policy.held = holds();
    struct pacer_memory m = count();
    pacer_start(&policy.pacer, &m, now,
                policy.held ? PACER_HELD
                : periodic  ? PACER_PERIODIC
                            : PACER_NORMAL);
    limiter_update(&policy.limiter, now);
    policy.assist_at_start = load_relaxed(&assist_ns);
    policy.revised = now;
    publish(&m);
    if (policy_report_hook)
        policy_report_hook(&policy.pacer, 0);
    lock_drop(&policy.lock);
}

void policy_revise(void)
{
    uint64_t now = os_now();
    if (now - load_relaxed(&policy.revised) < 200000 || !lock_try(&policy.lock))
        return;
    store_relaxed(&policy.revised, now);
    struct pacer_memory m = count();
    pacer_revise(&policy.pacer, &m, load_relaxed(&gc.scan_work));
    assist_set_ratio(pacer_work_per_byte(&policy.pacer));
    store_relaxed(&gc.goal, pacer_goal(&policy.pacer, &m));
    if (limiter_due(&policy.limiter, now)) {
        tell_limiter(now);
        limiter_update(&policy.limiter, now);
    }
    lock_drop(&policy.lock);
}

/* Threads that are held can't be spared a part of the work: all that can be
 * done is to let as much time pass before the next cycle as this one took. */
static void rest_after(uint64_t now, uint64_t start)
{
    bool full = limiter_update(&policy.limiter, now) && policy.held;
    store_relaxed(&policy.rest_until, full ? now + (now - start) : 0);
    policy.held = false;
}

/* With the lock, between cycles. */
static void take_procs(uint64_t now)
{
    int procs = policy.procs_wanted;
    if (procs == policy.procs)
        return;
    tell_limiter(now);
    limiter_procs(&policy.limiter, now, procs);
    store_relaxed(&policy.procs, procs);
    policy.share = PACER_BACKGROUND * procs;
    apply();
}

int policy_max_procs(int set)
{
    lock_take(&policy.lock);
    int old = policy.procs_wanted;
    bool between = set && policy.pacer.triggered == PACER_IDLE;
    if (set)
        policy.procs_wanted = set;
    if (between)
        take_procs(os_now());
    lock_drop(&policy.lock);
    if (between)
        policy_goals();
    return old;
}

void policy_cycle_end(uint64_t now, bool forced)
{
    struct drain_times d;
    drain_times(&d);
    lock_take(&policy.lock);
    struct pacer_memory m = count();
    uint64_t stacks = load_relaxed(&gc.stack_scanned);
    uint64_t globals = load_relaxed(&gc.globals_scanned);
    struct pacer_end e = {
        .now = now,
        .assist_time = load_relaxed(&assist_ns) - policy.assist_at_start,
        .idle_time = d.idle,
        .heap_scan_work = load_relaxed(&gc.scan_work),
        .stack_scan_work = stacks,
        .globals_scan_work = globals};
    policy.pacer.stack_scan_max = stacks;
    policy.pacer.globals_scan = globals;
    pacer_end(&policy.pacer, &m, &e);
    if (policy_report_hook)
        policy_report_hook(&policy.pacer, 1);
    tell_limiter(now);
    rest_after(now, policy.pacer.start_time);
    policy.scan_base = e.heap_scan_work;
    policy.live_base = load_relaxed(&gc.heap_marked);
    policy.in_use = load_relaxed(&heap.pages_in_use) * PAGE_SIZE;
    pacer_reset_live(&policy.pacer, policy.live_base);
    take_procs(now);
    lock_drop(&policy.lock);
    policy_goals();
}

/* Nothing was found out.  The next one comes when the heap has grown as if all
 * of it were alive. */
void policy_cycle_abandoned(uint64_t now)
{
    lock_take(&policy.lock);
    tell_limiter(now);
    rest_after(now, policy.pacer.start_time);
    pacer_reset_live(&policy.pacer, gc_heap_live());
    take_procs(now);
    lock_drop(&policy.lock);
    policy_goals();
}

/* ---- Limits ------------------------------------------------------------ */

/* Between cycles nobody else updates: who would be held back looks again. */
bool policy_limited(void)
{
    if (likely(!limiter_limiting(&policy.limiter)))
        return false;
    uint64_t now = os_now();
    if (limiter_due(&policy.limiter, now) && lock_try(&policy.lock)) {
        tell_limiter(now);
        limiter_update(&policy.limiter, now);
        lock_drop(&policy.lock);
    }
    return limiter_limiting(&policy.limiter);
}

/* Not longer than until the heap has doubled: a cycle then is no worse than
 * one without a limit. */
bool policy_rests(void)
{
    uint64_t until = load_relaxed(&policy.rest_until);
    return unlikely(until) && os_now() < until &&
           gc_heap_live() < 2 * load_relaxed(&gc.heap_marked);
}

void policy_add_assist(uint64_t ns)
{
    limiter_add_assist(&policy.limiter, ns);
}

bool policy_awaited(void) { return load_relaxed(&policy.waiters) > 0; }

/* In pieces: the limiter may have had enough meanwhile. */
static bool wait_for_cycle(struct thread *t)
{
    add_relaxed(&policy.waiters, 1);
    bool waited = cycle_wait(t, holds() ? UINT64_MAX : LIMIT_WAIT);
    sub_relaxed(&policy.waiters, 1);
    return waited;
}

/* What can't be given back now may be once the cycle that is under way, or
 * was asked for and waits for a CPU, has ended.  The limiter bounds it. */
void policy_fit_limit(struct thread *t, size_t n)
{
    uint64_t over;
    if (likely(policy.limit == INT64_MAX))
        return;
    while (!policy_limited() && (over = scavenge_for_limit(n)) &&
           scavenge_now(over, true) < over && wait_for_cycle(t))
        continue;
}

void policy_reset_locks(void) { lock_reset(&policy.lock); }
