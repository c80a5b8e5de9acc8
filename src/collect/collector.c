/* collector.c: the thread that runs the cycles.
 *
 *   asked by allocation (cycle_request), by somebody who waits for it
 *   (cycle_collect: a ticket), or two minutes without a cycle
 *      --> one cycle --> free pages back to the system until the next
 *
 * It starts with the first request.  A ticket is served by a cycle that began
 * after the ticket was drawn.  fork takes the lock to get between two cycles.
 *
 * Lock: col.lock, held through a cycle.
 */
#include "collect.h"

static struct {
    struct lock lock;          /* held through a cycle */
    struct lock start_lock;
    bool started;              /* the thread exists */
    bool complained;           /* that it can't be started */
    _Atomic uint32_t wake;     /* its futex */
    _Atomic uint32_t requested; /* a cycle was asked for */
    _Atomic uint32_t tickets;  /* cycles that somebody waits for */
    _Atomic uint32_t served;   /* futex of those who wait */
    _Atomic uint32_t running;
    _Atomic uint32_t ended;    /* cycles; futex of those who wait for any */
    uint64_t last_end;
} col = {.lock = LOCK_INIT(RANK_CYCLE), .start_lock = LOCK_INIT(RANK_CYCLE)};

static uint64_t until_periodic(void)
{
    uint64_t period = (uint64_t)knobs.gcperiod * 1000000000ull;
    uint64_t now = os_now(), due = col.last_end + period;
    if (!period || policy_gc_percent(0, false) < 0)
        return UINT64_MAX;
    return due > now ? due - now : 0;
}

static void serve(uint32_t tickets, bool periodic)
{
    lock_take(&col.lock);
    store_seq(&col.running, 1);
    bool forced = tickets != load_relaxed(&col.served);
    store_seq(&col.requested, 0);
    cycle_run(forced, periodic);
    store_seq(&col.running, 0);
    add_seq(&col.ended, 1);
    os_wake(&col.ended, INT32_MAX);
    col.last_end = os_now();
    lock_drop(&col.lock);
    store_seq(&col.served, tickets);
    os_wake(&col.served, INT32_MAX);
}

static void collector_main(void *unused)
{
    handshake_exempt(os_tid());
    for (;;) {
        uint32_t seen = load_seq(&col.wake);
        uint32_t tickets = load_seq(&col.tickets);
        uint64_t wait = until_periodic();
        bool asked = load_seq(&col.requested) ||
                     tickets != load_relaxed(&col.served);
        if (asked || !wait) {
            serve(tickets, !asked);
            continue;
        }
        lock_take(&col.lock); /* fork must not find us giving pages back */
        uint64_t nap = scavenge_background();
        lock_drop(&col.lock);
        os_wait(&col.wake, seen, nap < wait ? nap : wait);
    }
}

static bool start_thread(void)
{
    if (load_acquire(&col.started))
        return true;
    lock_take(&col.start_lock);
    if (!col.started) {
        col.last_end = os_now();
        bool ok = !os_thread_start(collector_main, 0, "sancai-collect");
        if (!ok && !col.complained)
            say("the collector's thread can't be started, so nothing is "
                "reclaimed; raise the process's limit on threads or memory.");
        col.complained = !ok; /* once, until it has worked */
        store_release(&col.started, ok);
    }
    lock_drop(&col.start_lock);
    return col.started;
}

static void wake(void)
{
    add_seq(&col.wake, 1);
    os_wake(&col.wake, 1);
}

void cycle_start_thread(void) { start_thread(); }

void cycle_request(void)
{
    if (load_relaxed(&col.requested) || load_relaxed(&col.running))
        return;
    store_seq(&col.requested, 1);
    if (start_thread())
        wake();
    else
        store_seq(&col.requested, 0);
}

void cycle_collect(struct thread *t)
{
    if (!start_thread())
        return;
    uint32_t mine = add_seq(&col.tickets, 1) + 1, s;
    wake();
    while ((int32_t)((s = load_seq(&col.served)) - mine) < 0)
        thread_wait(t, &col.served, s, UINT64_MAX);
}

/* Asked for, and not begun. */
bool cycle_asked(void)
{
    return load_relaxed(&col.requested) && !load_relaxed(&col.running);
}

bool cycle_running(void) { return load_seq(&col.running); }

bool cycle_wait(struct thread *t, uint64_t ns)
{
    uint32_t seen = load_seq(&col.ended);
    if (!load_seq(&col.requested) && !load_seq(&col.running))
        return false;
    thread_wait(t, &col.ended, seen, ns);
    return true;
}

/* The promise comes between two cycles. */
void cycle_set_explicit(struct thread *t)
{
    thread_lock(t, &col.lock);
    gc.explicit_barriers = true;
    lock_drop(&col.lock);
}

/* ---- fork -------------------------------------------------------------- */

static void hand_outside(struct hand *h) {}

/* Between two cycles, and with no other thread inside us: the child has only
 * the caller, and what another was in the middle of (a span half swept, say)
 * would stay half done there.  The gate keeps threads from entering; when each
 * has answered a handshake, those that were inside have left. */
void cycle_fork_prepare(struct thread *t)
{
    struct os_signals was;
    os_signals_hold(&was);
    if (t)
        thread_lock(t, &col.lock);
    else
        lock_take(&col.lock);
    store_seq(&thread_gate, 1);
    if (t)
        thread_block_begin(t);
    handshake_run(hand_outside, false, false);
    if (t)
        thread_block_end(t);
    lock_take(&threads.lock); /* free: who would take it waits at the gate */
    os_signals_release(&was);
}

static void open_gate(void)
{
    store_seq(&thread_gate, 0);
    os_wake(&thread_gate, INT32_MAX);
}

void cycle_fork_parent(void)
{
    lock_drop(&threads.lock);
    open_gate(); /* before the next to fork may close it */
    lock_drop(&col.lock);
}

/* The collector and its helpers did not come along; the next request starts
 * them anew. */
void cycle_fork_child(void)
{
    lock_reset(&col.lock);
    lock_reset(&col.start_lock);
    col.started = false;
    store_relaxed(&col.requested, 0);
    store_relaxed(&col.served, load_relaxed(&col.tickets));
    open_gate();
    guests_fork_child();
    drain_fork_child();
    thread_fork_child();
}
