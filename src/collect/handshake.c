/* handshake.c: running a function once in each thread.
 *
 *   collector                      thread
 *   want = n, signal   -------->   handler: busy? pending = 1, answer at leave
 *                                  else fn(), done = n
 *   wait until done == n <-------  wake            (hold: wait for release)
 *
 * A thread that declared itself blocking is not signalled: the collector takes
 * its state from BLOCKED to HELD, runs fn for it and gives it back.  Threads
 * that never called us are found in the kernel's list; they answer the same
 * signal with where their stack is, and the collector scans it while they
 * wait (guest.c).
 *
 * With hold, every thread stays in its handler until handshake_release: that
 * is the only "stop" there is.
 *
 * Invariants: H1  one handshake at a time (threads.lock is held throughout).
 *             H2  fn never runs for a thread that is inside us.
 *             H3  a thread found inside the restartable store is moved back to
 *                 its start before it answers.
 */
#include <errno.h>
#include <string.h>

#include "collect.h"

#define REMIND_NS 5000000ull /* then look why it does not answer */
/* As long as for a thread that never called us (guest.c). */
#define UNREACHED_NS 200000000ull
#define COMPLAIN_NS 10000000000ull

struct hist hold_times, hold_cpu_times, stop_times;
_Atomic uint32_t handshake_answers; /* futex of the collector */

static struct {
    hand_fn fn;
    bool hold;
    _Atomic uint32_t number;
    _Atomic int32_t left;      /* threads that have not answered */
    _Atomic uint32_t released; /* futex of held threads */
    uint64_t stop_begin;
} hs;

/* ---- The thread's side ------------------------------------------------- */

/* Only the last answer wakes the collector: it would take the CPU of who wakes
 * it.  (Should the count be wrong for once, it looks again after 1 ms.) */
static void answered(struct thread *t, uint32_t n)
{
    store_seq(&t->done, n);
    add_seq(&handshake_answers, 1);
    if (sub_seq(&hs.left, 1) <= 1)
        os_wake(&handshake_answers, 1);
}

/* By the collector, on behalf of the thread. */
static void answered_for(struct thread *t, uint32_t n)
{
    store_seq(&t->done, n);
    sub_seq(&hs.left, 1);
}

/* Runs what is asked, once. */
static void answer_next(struct thread *t, struct hand *h)
{
    uint32_t n = load_seq(&t->want);
    if (n == load_relaxed(&t->done))
        return;
    uint64_t begin = os_now(), cpu = os_thread_cpu();
    bool hold = hs.hold;
    h->thread = t;
    h->tp = t->stack.tp;
    h->lo = t->stack.lo;
    h->hi = t->stack.hi;
    h->work = &t->work;
    t->held_sp = h->sp;
    hs.fn(h);
    uint64_t end = os_now(), end_cpu = os_thread_cpu();
    answered(t, n);
    if (hold) {
        while (load_acquire(&hs.released) != n)
            os_wait(&hs.released, n - 1, UINT64_MAX);
        end = os_now();
    }
    hist_add(&hold_times, end - begin);
    hist_add(&hold_cpu_times, end_cpu - cpu);
}

/* The thread is not inside us.  The flag comes before the look at `want`: a
 * handler between the two would answer this handshake and later ones, and then
 * this one would be answered again. */
static void answer(struct thread *t, struct hand *h)
{
    if (load_relaxed(&t->answering))
        return;
    store_relaxed(&t->answering, true);
    fence_signal();
    answer_next(t, h);
    fence_signal();
    store_relaxed(&t->answering, false);
}

static void on_signal(struct os_context *c)
{
    uintptr_t pc = barrier_restart(c->pc);
    if (pc != c->pc)
        os_set_pc(c, pc);
    struct thread *t = thread_self;
    if (!t) {
        guest_signal(c);
        return;
    }
    /* Inside us, or blocking (the collector may answer for it, or else the
     * thread when it comes back), or answering an older one. */
    if (load_relaxed(&t->busy) || load_relaxed(&t->answering) ||
        load_relaxed(&t->state) != THREAD_RUNNING) {
        store_relaxed(&t->pending, 1);
        return;
    }
    struct hand h = {.sp = c->sp,
                     .alt_hi = c->on_alternate ? c->frame_hi : 0,
                     .regs = c->regs,
                     .nregs = c->nregs,
                     .context = c};
    answer(t, &h);
}

/* A handler of the program must not run in between: it would store into what
 * is being flushed, or while the thread counts as held. */
NOINLINE void handshake_answer(struct thread *t)
{
    uintptr_t regs[SAVED_REGS] = {0};
    struct os_signals was;
    save_registers(regs);
    os_signals_hold(&was);
    struct hand h = {.sp = stack_pointer(),
                     .alt_hi = thread_alternate_end(t, stack_pointer()),
                     .regs = regs,
                     .nregs = SAVED_REGS};
    do {
        store_relaxed(&t->pending, 0);
        fence_signal();
        answer(t, &h);
        fence_signal();
    } while (load_relaxed(&t->pending));
    os_signals_release(&was);
}

/* ---- The collector's side ---------------------------------------------- */

/* Answers for a thread that declared itself blocking; false: it is running. */
static bool answer_for(struct thread *t, uint32_t n)
{
    uint32_t s = THREAD_BLOCKED;
    if (!cas_seq(&t->state, &s, THREAD_HELD))
        return false;
    struct hand h = {.thread = t,
                     .sp = t->saved_sp,
                     .alt_hi = t->saved_alt_hi,
                     .lo = t->stack.lo,
                     .hi = t->stack.hi,
                     .tp = t->stack.tp,
                     .regs = t->saved_regs,
                     .nregs = SAVED_REGS,
                     .work = &t->work};
    t->held_sp = h.sp;
    hs.fn(&h);
    answered_for(t, n);
    if (!hs.hold) {
        store_seq(&t->state, THREAD_BLOCKED);
        os_wake(&t->state, 1);
    }
    return true;
}

/* A thread that ended without telling us (it left by the raw system call). */
static void bury(struct thread *t, uint32_t n)
{
    thread_leaving_hook(t);
    cache_retire(&t->cache, true, load_relaxed(&gc.black));
    answered_for(t, n);
    t->tid = 0;
}

/* A thread that has called us and blocks our signal.  If it is inside us, it
 * answers when it leaves. */
static void answer_traced(struct thread *t, uint32_t n)
{
    struct os_context *c;
    uintptr_t tp;
    struct os_held *held = os_trace_hold(t->tid, &c, &tp);
    if (!held)
        return;
    if (load_seq(&t->done) != n && !load_seq(&t->busy) &&
        !load_seq(&t->answering) && load_seq(&t->state) == THREAD_RUNNING) {
        uintptr_t pc = barrier_restart(c->pc);
        if (pc != c->pc)
            os_trace_set_pc(held, pc);
        struct hand h = {.thread = t,
                         .sp = c->sp,
                         .lo = t->stack.lo,
                         .hi = t->stack.hi,
                         .tp = t->stack.tp,
                         .regs = c->regs,
                         .nregs = c->nregs,
                         .context = c,
                         .work = &t->work};
        t->held_sp = h.sp;
        hs.fn(&h);
        answered_for(t, n);
        if (hs.hold) {
            t->traced = held;
            return;
        }
    }
    os_trace_release(held);
}

static void ask(struct thread *t, uint32_t n)
{
    if (load_seq(&t->done) == n || answer_for(t, n))
        return;
    store_seq(&t->pending, 1); /* in case it can't be signalled */
    if (t->tid == 0 || os_signal_thread(t->tid) == ESRCH)
        bury(t, n);
    else if (t->masked && (t->masked = os_thread_blocks_signal(t->tid)))
        answer_traced(t, n);
}

/* It was asked a while ago. */
static void remind(struct thread *t, uint32_t n)
{
    /* A sanitizer that runs handlers late blocks signals for moments, and could
     * not know that a traced thread stands still. */
    t->masked = !SIGNALS_LATE && os_thread_blocks_signal(t->tid);
    ask(t, n);
}

static struct thread *unanswered(uint32_t n)
{
    for (struct thread *t = threads.all; t; t = t->next)
        if (load_seq(&t->done) != n)
            return t;
    return 0;
}

static void complain(const struct thread *t)
{
    say("thread %d has not answered signal %d for 10 s; does it block it? Let "
        "it through, or declare the thread blocking.", t->tid,
        os_signal_number());
}

/* Waits for all; a thread may become BLOCKED instead of answering.  False: all
 * others are held for one that can't be reached, which must not last. */
static bool wait_for_all(uint32_t n)
{
    uint64_t begin = os_now(), reminded = begin;
    bool complained = false;
    for (;;) {
        uint32_t seen = load_seq(&handshake_answers);
        struct thread *t = unanswered(n);
        if (!t)
            return true;
        if (answer_for(t, n))
            continue;
        os_wait(&handshake_answers, seen, 1000000);
        uint64_t now = os_now();
        if (hs.hold && t->masked && now - begin > UNREACHED_NS)
            return false;
        if (!complained && now - begin > COMPLAIN_NS) {
            complained = true;
            complain(t);
        }
        if (now - reminded <= REMIND_NS)
            continue;
        reminded = now;
        os_signal_keep();
        for (t = threads.all; t; t = t->next)
            if (load_seq(&t->done) != n)
                remind(t, n);
    }
}

bool handshake_run(hand_fn fn, bool hold, bool strangers)
{
    lock_take(&threads.lock);
    uint32_t n = load_relaxed(&hs.number) + 1;
    hs.fn = fn;
    hs.hold = hold;
    hs.stop_begin = os_now();
    store_seq(&hs.released, n - 1);
    store_seq(&hs.left, (int32_t)threads.n);
    store_seq(&hs.number, n);
    os_signal_keep();
    for (struct thread *t = threads.all; t; t = t->next)
        store_seq(&t->want, n);
    for (struct thread *t = threads.all; t; t = t->next)
        ask(t, n);
    bool ok = wait_for_all(n) && (!strangers || guests_ask(fn, hold));
    if (!hold)
        lock_drop(&threads.lock);
    return ok;
}

void handshake_release(void)
{
    hist_add(&stop_times, os_now() - hs.stop_begin);
    for (struct thread *t = threads.all; t; t = t->next) {
        if (t->traced)
            os_trace_release(t->traced);
        t->traced = 0;
        if (load_seq(&t->state) == THREAD_HELD) {
            store_seq(&t->state, THREAD_BLOCKED);
            os_wake(&t->state, 1);
        }
    }
    store_seq(&hs.released, load_relaxed(&hs.number));
    os_wake(&hs.released, INT32_MAX);
    guests_release();
    lock_drop(&threads.lock);
}

int handshake_init(void)
{
    os_checker_find();
    int e = guests_init();
    return e ? e : os_signal_init(on_signal);
}
