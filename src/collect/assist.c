/* assist.c: who allocates while marking goes on, marks.
 *
 *   bytes allocated --> debt --x ratio--> scan work owed
 *                                 |-- paid from the workers' credit, else
 *                                 +-- by scanning here
 *
 * The ratio (pacer.c) is such that marking ends before the heap reaches its
 * goal, however fast the program allocates.  Debt is paid in pieces of at
 * least 64 KiB of work, so that the price of asking is spread (Go's
 * gcOverAssistWork); what was paid too much is kept as credit of the thread.
 *
 * Sweeping is paid for in the same place, before marking can be owed.
 */
#include "collect.h"

#define OVER_ASSIST KIB(64)
/* A thread is asked for less than this at a time, so that a handshake never
 * waits long for it (about 20 us of scanning). */
#define ASSIST_PIECE KIB(32)
/* Longest wait for workers in one go: 20 x 500 us, about what a scheduler lets
 * a preempted one wait. */
#define WAITS 20
#define WAIT_NS 500000ull

_Atomic uint64_t assist_ns;
static _Atomic double ratio;

void assist_set_ratio(double work_per_byte)
{
    atomic_store_explicit(&ratio, work_per_byte, memory_order_relaxed);
}

static double get_ratio(void)
{
    return atomic_load_explicit(&ratio, memory_order_relaxed);
}

/* Takes up to n from the credit of the background workers. */
static int64_t take_credit(int64_t n)
{
    int64_t have = load_relaxed(&gc.credit);
    if (have <= 0)
        return 0;
    int64_t some = have < n ? have : n;
    sub_relaxed(&gc.credit, some);
    return some;
}

/* Lets a waiting handshake in between two pieces. */
static void breathe(struct thread *t)
{
    if (!load_relaxed(&t->pending) || load_relaxed(&t->busy) != 1)
        return;
    thread_leave(t);
    thread_enter();
}

static int64_t scan_here(struct thread *t, int64_t owed)
{
    int64_t done = 0;
    uint64_t begin = os_thread_cpu();
    while (done < owed && drain_is_on() &&
           load_relaxed(&gc.state) == GC_MARKING) {
        size_t n = drain(&t->work, ASSIST_PIECE);
        done += (int64_t)n;
        if (!n)
            break;
        breathe(t);
    }
    work_flush(&t->work);
    uint64_t ns = os_thread_cpu() - begin;
    t->assist_ns += ns;
    add_relaxed(&assist_ns, ns);
    policy_add_assist(ns);
    return done;
}

/* Nothing to scan here, yet marking goes on: the workers hold what is left, and
 * may not have had a CPU for a while.  Below the goal that does no harm.  Above
 * it the heap must not grow on: this thread lends them its CPU. */
static bool wait_for_workers(struct thread *t, int tries)
{
    if (tries >= WAITS || load_relaxed(&gc.state) != GC_MARKING ||
        gc_heap_live() < load_relaxed(&gc.goal) || policy_limited())
        return false;
    static _Atomic uint32_t never;
    thread_wait(t, &never, 0, WAIT_NS);
    return true;
}

static void pay(struct thread *t)
{
    double per_byte = get_ratio();
    int64_t owed = (int64_t)((double)t->assist_debt * per_byte), paid = 0;
    if (owed < (int64_t)OVER_ASSIST)
        owed = OVER_ASSIST;
    for (int tries = 0; paid < owed; tries++) {
        paid += take_credit(owed - paid);
        if (paid < owed)
            paid += scan_here(t, owed - paid);
        if (paid < owed && !wait_for_workers(t, tries))
            break;
    }
    /* Nothing left to scan: the cycle is ending, the debt is void. */
    if (paid < owed)
        t->assist_debt = 0;
    else
        t->assist_debt -= (int64_t)((double)paid / per_byte) + 1;
}

/* Debts are of one cycle. */
static void new_cycle(struct thread *t)
{
    uint32_t c = load_relaxed(&gc.cycle);
    if (t->seen_cycle != c) {
        t->seen_cycle = c;
        t->assist_debt = 0;
    }
}

/* One cycle for every N allocations, really: the last one must have ended
 * before the next is asked for; meanwhile the others allocate on. */
static void stress(struct thread *t)
{
    if (!knobs.gcstress || ++t->stress % (uint64_t)knobs.gcstress)
        return;
    cycle_wait(t, UINT64_MAX);
    cycle_request();
}

/* A cycle was asked for, but the collector has not had a CPU yet and the heap
 * is past its goal already: this thread lends it one, for 10 ms at most. */
static void wait_for_start(struct thread *t)
{
    static _Atomic uint32_t never;
    for (int i = 0; i < WAITS && cycle_asked() &&
                    gc_heap_live() >= load_relaxed(&gc.goal); i++)
        thread_wait(t, &never, 0, WAIT_NS);
}

static void ask_for_cycle(struct thread *t)
{
    cycle_request();
    wait_for_start(t);
}

void assist_before(struct thread *t, size_t bytes)
{
    sweep_pay(bytes);
    cache_flush_counts(&t->cache);
    if (load_relaxed(&gc.marking) && t->cache.black) {
        new_cycle(t);
        t->assist_debt += (int64_t)bytes;
        if (t->assist_debt > 0 && !policy_limited() && get_ratio() > 0)
            pay(t);
    }
    if (!load_relaxed(&gc.marking) &&
        gc_heap_live() >= load_relaxed(&gc.trigger) && !policy_rests())
        ask_for_cycle(t);
    if (unlikely(knobs.gcstress))
        stress(t);
}
