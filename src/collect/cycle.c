/* cycle.c: the phases of a collection.
 *
 *   IDLE --H1 barrier on--H2 black, scan stacks--> MARKING
 *    ^                                              | ^
 *    |                         dry: H3 flush        v | somebody had some
 *    +--sweep--H5 retire--H4 barrier off-- CENSUS <-- TERMINATING
 *
 * Why this order is right: docs/design.md; checked in model/cycle.pml.  With
 * SC_BARRIERS_NONE (or gcstoptheworld) H1 and H2 are one handshake that holds
 * all threads until marking has ended (mark_world_held).
 *
 * Everything here runs on one thread of ours (collector.c).
 *
 * Invariants: C1 no mark bit is set when a cycle begins.
 *             C2 sweeping begins after every thread has answered H4.
 *             C3 a thread allocates black from its H2 to its H5.
 */
#include "collect.h"
#include "pick.h"

void (*cycle_report_hook)(const struct cycle_report *);

static struct {
    struct work work;
    struct cycle_totals totals;
    struct cycle_report report;
    uint64_t live_at_black;
    _Atomic uint32_t flushed;       /* H3: somebody had something */
} cyc;

/* ---- Handshake functions ----------------------------------------------- */

static void hand_nothing(struct hand *h) {}

/* A handler on the alternate stack: what it interrupted is there, or where the
 * thread left its own stack. */
static void restart_alternate(const struct hand *h)
{
    struct os_context c = {.frame_lo = h->sp, .frame_hi = h->alt_hi};
    uintptr_t outer = os_outer_sp(&c, h->lo, h->hi);
    barrier_restart_frames(h->sp, h->alt_hi);
    if (outer)
        barrier_restart_frames(outer, h->hi);
}

/* H1: answering is all there is to it, but for stores that were interrupted
 * between their check and their store.  A thread that answers from inside us
 * may be there by a handler that interrupted such a store. */
static void hand_barrier_on(struct hand *h)
{
    const struct os_context *c = h->context;
    if (h->sp - h->lo < h->hi - h->lo)
        barrier_restart_frames(h->sp, h->hi);
    else if (h->alt_hi)
        restart_alternate(h);
    if (c && c->frame_lo)
        barrier_restart_frames(c->frame_lo, c->frame_hi);
}

/* H2: from here on this thread is black: its stack is scanned, what it
 * allocates is marked. */
static void hand_black(struct hand *h)
{
    struct thread *t = h->thread;
    if (t) {
        barrier_flush(t);
        /* The slot at cur stays: a signal may have hit the allocation's fast
         * path, directly or under a handler that then came here by a store. */
        cache_retire(&t->cache, true, true);
        t->cache.black = true;
        t->seen_cycle = load_relaxed(&gc.cycle);
        t->assist_debt = 0;
    }
    root_scan_thread(h);
    work_flush(h->work);
}

/* H3: all grey objects become visible. */
static void hand_flush(struct hand *h)
{
    if (!h->thread)
        return;
    barrier_flush(h->thread);
    work_flush(h->work);
    if (h->work->flushed)
        store_relaxed(&cyc.flushed, 1);
    h->work->flushed = false;
}

/* H4: this thread's barrier is off. */
static void hand_barrier_off(struct hand *h)
{
    if (!h->thread)
        return;
    barrier_flush(h->thread);
    work_flush(h->work);
}

/* H5: spans that must be swept are given back. */
static void hand_retire(struct hand *h)
{
    struct thread *t = h->thread;
    if (!t)
        return;
    cache_retire(&t->cache, true, false);
    t->cache.black = false;
    t->cache.gen = load_relaxed(&heap.gen);
}

/* A thread that attaches while others are black joins them.  Once marking may
 * have ended all that it can know is marked; but a dead word on its stack might
 * make an object grey that nobody scans any more. */
static void thread_joined(struct thread *t)
{
    if (!load_relaxed(&gc.marking) || load_seq(&gc.state) != GC_MARKING)
        return;
    uintptr_t regs[SAVED_REGS] = {0};
    save_registers(regs);
    struct hand h = {.thread = t,
                     .sp = stack_pointer(),
                     .lo = t->stack.lo,
                     .hi = t->stack.hi,
                     .tp = t->stack.tp,
                     .regs = regs,
                     .nregs = SAVED_REGS,
                     .work = &t->work};
    t->seen_cycle = load_relaxed(&gc.cycle);
    root_scan_thread(&h);
    work_flush(&t->work);
}

static void thread_leaving(struct thread *t)
{
    barrier_flush(t);
    work_flush(&t->work);
}

/* ---- Marking ----------------------------------------------------------- */

/* Work buffers ran out: goes over all marked objects, which needs none. */
static void mark_overflowed(struct work *w)
{
    while (load_relaxed(&gc.overflow)) {
        store_relaxed(&gc.overflow, false);
        uint32_t top = (uint32_t)(load_relaxed(&heap.limit) >> PAGE_SHIFT);
        for (uint32_t page = 0; page < top; page++)
            mark_page_again(w, page);
        drain_until_idle(w, true);
    }
}

static void mark_all(bool urgent, bool live)
{
    struct work *w = &cyc.work;
    root_scan_globals(w, live);
    special_scan(w);
    drain_until_idle(w, urgent);
    mark_overflowed(w);
}

/* One wave of H3.  True: marking has ended, the state is CENSUS. */
static bool terminate(void)
{
    store_relaxed(&cyc.flushed, 0);
    store_seq(&gc.state, GC_TERMINATING);
    handshake_run(hand_flush, false, false);
    uint32_t s = GC_TERMINATING;
    if (!load_relaxed(&cyc.flushed) && drain_is_idle(&cyc.work) &&
        !load_relaxed(&gc.overflow) && cas_seq(&gc.state, &s, GC_CENSUS))
        return true;
    store_seq(&gc.state, GC_MARKING);
    return false;
}

/* From here on threads that attach are black. */
static void go_black(void)
{
    store_relaxed(&gc.black, true);
    store_seq(&gc.state, GC_MARKING);
}

/* After H2: what each thread gave back of its runs is off the count by now. */
static void all_black(void)
{
    cyc.live_at_black = load_relaxed(&heap.live_bytes);
}

/* H2, until it was done with all libraries known: what a thread put into a
 * thread-local variable of one that was loaded meanwhile, before its own
 * answer, was not seen. */
static bool blacken(void)
{
    for (;;) {
        if (os_modules_load())
            return false;
        uint64_t known = os_modules_version();
        if (!handshake_run(hand_black, false, true) || os_modules_load())
            return false;
        if (os_modules_version() == known)
            return true;
    }
}

static bool mark_concurrently(bool urgent, bool periodic)
{
    struct cycle_report *r = &cyc.report;
    uint64_t t0 = os_now(), c0 = os_thread_cpu();
    store_seq(&gc.marking, 1);
    bool ok = handshake_run(hand_barrier_on, false, true);
    go_black();
    ok = ok && blacken();
    all_black();
    uint64_t t1 = os_now();
    r->begin_wall = t1 - t0;
    r->begin_cpu = os_thread_cpu() - c0;
    if (!ok)
        return false;
    drain_begin(periodic);
    mark_all(urgent, true);
    uint64_t t2 = os_now();
    while (!terminate()) {
        drain_until_idle(&cyc.work, urgent);
        mark_overflowed(&cyc.work);
        t2 = os_now();
    }
    r->mark_wall = t2 - t1;
    r->end_wall = os_now() - t2;
    return true;
}

static void reset_counts(void)
{
    store_relaxed(&gc.bytes_marked, 0);
    store_relaxed(&gc.scan_work, 0);
    store_relaxed(&gc.credit, 0);
    store_relaxed(&gc.stack_scanned, 0);
    store_relaxed(&gc.globals_scanned, 0);
    store_relaxed(&gc.overflow, false);
}

/* All threads are held and go on without barriers: a black object may get a
 * white child, a grey one may lose it.  So nobody was scanned, nothing was
 * marked. */
static void forget_roots(void)
{
    for (struct thread *t = threads.all; t; t = t->next)
        t->cache.black = false;
    work_discard(&cyc.work);
    mark_clear_all();
    reset_counts();
}

/* Holds all threads with their roots scanned, and with the loader's list of
 * libraries as it was taken stock of. */
static bool hold_world(hand_fn fn)
{
    for (int i = 0; i < 100; i++) {
        os_modules_load();
        bool ok = handshake_run(fn, true, true);
        if (ok && os_modules_current())
            return true;
        if (fn == hand_black)
            forget_roots();
        handshake_release();
        if (!ok)
            return false;
        os_sleep(100000);
    }
    return false;
}

/* The seam for write tracking: here "all threads held" stands for "no page
 * was written that has not been scanned since". */
static bool mark_world_held(void)
{
    struct cycle_report *r = &cyc.report;
    uint64_t t0 = os_now();
    r->stopped = true;
    if (!hold_world(hand_black))
        return false;
    /* Not before: a thread that attached meanwhile would have been black, with
     * objects that nobody scans, and without a barrier. */
    go_black();
    all_black();
    uint64_t t1 = os_now();
    drain_begin(false);
    mark_all(true, false);
    store_seq(&gc.state, GC_CENSUS);
    if (knobs.gccheckmark)
        verify_checkmark();
    if (knobs.verify)
        verify_heap("after marking");
    uint64_t t2 = os_now();
    handshake_release();
    r->begin_wall = t1 - t0;
    r->mark_wall = t2 - t1;
    r->end_wall = os_now() - t2;
    return true;
}

/* ---- After marking ----------------------------------------------------- */

static void verify_held(const char *when, bool checkmark)
{
    if (!hold_world(hand_nothing))
        return;
    if (checkmark)
        verify_checkmark();
    if (knobs.verify)
        verify_heap(when);
    handshake_release();
}

/* Weak pointers, cleanups, finalizers; then nothing is IDLE's business. */
static void census(void)
{
    special_census(&cyc.work);
    drain_until_idle(&cyc.work, true);
    mark_overflowed(&cyc.work);
    drain_end();
    work_flush(&cyc.work);
    store_seq(&gc.state, GC_IDLE);
}

/* C2: the generation moves after H4 was answered by all. */
static void flip(void)
{
    store_seq(&gc.marking, 0);
    handshake_run(hand_barrier_off, false, gc.explicit_barriers);
    uint64_t live = load_relaxed(&heap.live_bytes);
    lock_take(&threads.lock);
    store_relaxed(&gc.black, false);
    store_relaxed(&heap.unswept_pages,
                  (int64_t)load_relaxed(&heap.pages_in_use));
    add_relaxed(&heap.gen, 2);
    lock_drop(&threads.lock);
    handshake_run(hand_retire, false, false);
    int64_t black = (int64_t)(live - cyc.live_at_black);
    cyc.report.heap_end = load_relaxed(&gc.heap_marked) + live -
                          load_relaxed(&gc.live_base);
    store_relaxed(&gc.live_base, live);
    store_relaxed(&gc.heap_marked, load_relaxed(&gc.bytes_marked) +
                                       (uint64_t)(black > 0 ? black : 0));
    /* What caches had not counted yet is found live all the same. */
    cyc.report.heap_end = max_size(cyc.report.heap_end,
                                   load_relaxed(&gc.heap_marked));
}

/* A thread could not be reached, so what it holds is unknown: nothing may be
 * reclaimed.  Marks are taken back. */
static void abandon(void)
{
    say("a thread could not be reached, so this cycle reclaims nothing; let "
        "signal %d through in every thread.", os_signal_number());
    store_seq(&gc.state, GC_IDLE);
    store_seq(&gc.marking, 0);
    handshake_run(hand_barrier_off, false, false);
    lock_take(&threads.lock);
    store_relaxed(&gc.black, false);
    lock_drop(&threads.lock);
    handshake_run(hand_retire, false, false);
    work_discard(&cyc.work);
    mark_clear_all();
}

static void sum_up(uint64_t start, uint64_t assist_before_cycle)
{
    struct cycle_report *r = &cyc.report;
    struct drain_times d;
    drain_times(&d);
    r->background_cpu = d.background;
    r->idle_cpu = d.idle;
    r->assist_cpu = load_relaxed(&assist_ns) - assist_before_cycle;
    r->heap_marked = load_relaxed(&gc.heap_marked);
    r->stacks = load_relaxed(&gc.stack_scanned);
    r->globals = load_relaxed(&gc.globals_scanned);
    r->procs = policy_procs();
    r->start_ns = start;
    r->end_ns = os_now();
    struct cycle_totals *all = &cyc.totals; /* read by anybody, any time */
    store_relaxed(&all->num, all->num + 1);
    store_relaxed(&all->forced, all->forced + r->forced);
    store_relaxed(&all->mark_cpu_ns, all->mark_cpu_ns + r->begin_cpu +
                                         r->end_cpu + d.background + d.idle);
}

static void run_sweep(void)
{
    uint64_t live = gc_heap_live(), trigger = load_relaxed(&gc.trigger);
    sweep_begin(trigger > live ? trigger - live : 0);
    scavenge_new_cycle();
    if (knobs.gcstoptheworld < 2) {
        sweep_finish();
    } else if (hold_world(hand_nothing)) {
        sweep_finish();
        handshake_release();
    }
}

void cycle_run(bool forced, bool periodic)
{
    uint64_t start = os_now(), assists = load_relaxed(&assist_ns);
    cyc.report = (struct cycle_report){.forced = forced,
                                       .number = (uint32_t)cyc.totals.num + 1};
    sweep_finish();
    if (os_modules_load())
        return; /* no memory to list the roots: nothing may be reclaimed */
    drain_start_workers(policy_procs() - 1);
    reset_counts();
    add_relaxed(&gc.cycle, 1);
    if (knobs.verify)
        verify_held("before marking", false);
    cyc.report.heap_start = gc_heap_live();
    policy_cycle_start(start, periodic);
    cyc.report.goal = load_relaxed(&gc.goal);
    bool held = !gc.explicit_barriers || knobs.gcstoptheworld;
    if (!(held ? mark_world_held() : mark_concurrently(forced, periodic))) {
        abandon();
        policy_cycle_abandoned(os_now());
        return;
    }
    if (!held && (knobs.gccheckmark || knobs.verify))
        verify_held("after marking", knobs.gccheckmark);
    uint64_t t = os_thread_cpu();
    census();
    flip();
    work_trim();
    cyc.report.end_cpu = os_thread_cpu() - t;
    policy_cycle_end(os_now(), forced);
    sum_up(start, assists);
    life_start();
    run_sweep();
    if (knobs.verify)
        verify_held("after sweeping", false);
    if (cycle_report_hook)
        cycle_report_hook(&cyc.report);
}

void cycle_totals(struct cycle_totals *t)
{
    t->num = load_relaxed(&cyc.totals.num);
    t->forced = load_relaxed(&cyc.totals.forced);
    t->mark_cpu_ns = load_relaxed(&cyc.totals.mark_cpu_ns);
    t->gc_cpu_ns = t->mark_cpu_ns + load_relaxed(&sweep_ns) +
                   load_relaxed(&assist_ns);
}

int cycle_init(void)
{
    thread_joined_hook = thread_joined;
    thread_leaving_hook = thread_leaving;
    int e = handshake_init();
    if (!e)
        e = thread_init();
    if (!e)
        root_init();
    pick_init();
    return e;
}
