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
 * wait (microseconds to milliseconds, by their stack's size).
 *
 * With hold, every thread stays in its handler until handshake_release: that
 * is the only "stop" there is.
 *
 * Invariants: H1  one handshake at a time (threads.lock is held throughout).
 *             H2  fn never runs for a thread that is inside us.
 *             H3  a thread found inside the restartable store is moved back to
 *                 its start before it answers.
 */
#include <string.h>

#include "collect.h"

#define RESIGNAL_NS 20000000ull /* a signal is not lost; this is for safety */
#define BLOCKED_NS 200000000ull
#define COMPLAIN_NS 10000000000ull

struct hist hold_times, stop_times;

static struct {
    hand_fn fn;
    bool hold;
    _Atomic uint32_t number;
    _Atomic uint32_t answers;  /* futex of the collector */
    _Atomic uint32_t released; /* futex of held threads */
    uint64_t stop_begin;
} hs;

/* ---- Threads that never called us -------------------------------------- */

enum { GUEST_ASKED = 1, GUEST_HERE, GUEST_LEFT };
#define GUESTS 4096
struct guest {
    int tid;
    _Atomic uint32_t state;
    struct os_context *context;
    uintptr_t tp;
};
static struct {
    struct guest *slot;     /* hashed by tid */
    int *tids;              /* scratch for the kernel's list */
    uint32_t *seen;         /* tids dealt with in this handshake */
    uint32_t used;
    int exempt[64];
    _Atomic uint32_t nexempt;
    _Atomic uint32_t asking;
} guests;
#define SEEN 16384

void handshake_exempt(int tid)
{
    uint32_t i = add_relaxed(&guests.nexempt, 1);
    insist(i < COUNT(guests.exempt));
    guests.exempt[i] = tid;
}

static struct guest *guest_find(int tid)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        struct guest *g = &guests.slot[((uint32_t)tid + i) % GUESTS];
        if (g->tid == tid)
            return g;
        if (!g->tid)
            return 0;
    }
    return 0;
}

/* In the handler of such a thread: say where it is and wait. */
static void guest_signal(struct os_context *c)
{
    if (!load_acquire(&guests.asking))
        return;
    struct guest *g = guest_find(os_tid());
    if (!g || load_acquire(&g->state) != GUEST_ASKED)
        return;
    g->context = c;
    g->tp = os_thread_pointer();
    store_release(&g->state, GUEST_HERE);
    __atomic_fetch_add(&hs.answers, 1, __ATOMIC_SEQ_CST);
    os_wake(&hs.answers, 1);
    while (load_acquire(&g->state) == GUEST_HERE)
        os_wait(&g->state, GUEST_HERE, UINT64_MAX);
}

/* ---- The thread's side ------------------------------------------------- */

static void answered(struct thread *t, uint32_t n)
{
    store_seq(&t->done, n);
    __atomic_fetch_add(&hs.answers, 1, __ATOMIC_SEQ_CST);
    os_wake(&hs.answers, 1);
}

/* Runs what is asked, once; the thread is not inside us. */
static void answer(struct thread *t, struct hand *h)
{
    uint32_t n = load_seq(&t->want);
    if (n == load_relaxed(&t->done) || t->answering)
        return;
    uint64_t begin = os_now();
    t->answering = true;
    fence_signal();
    bool hold = hs.hold;
    h->thread = t;
    h->tp = t->stack.tp;
    h->hi = t->stack.hi;
    h->work = &t->work;
    t->held_sp = h->sp;
    hs.fn(h);
    answered(t, n);
    while (hold && load_acquire(&hs.released) != n)
        os_wait(&hs.released, n - 1, UINT64_MAX);
    fence_signal();
    t->answering = false;
    hist_add(&hold_times, os_now() - begin);
}

/* The fast allocation path lies in a section of its own (api/new.c). */
extern const char __start_sc_fast[] __attribute__((weak));
extern const char __stop_sc_fast[] __attribute__((weak));

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
    if (load_relaxed(&t->busy) || t->answering ||
        load_relaxed(&t->state) != THREAD_RUNNING) {
        store_relaxed(&t->pending, 1);
        return;
    }
    struct hand h = {.sp = c->sp,
                     .regs = c->regs,
                     .nregs = c->nregs,
                     .context = c};
    h.in_fast_path = pc - (uintptr_t)__start_sc_fast <
                     (uintptr_t)(__stop_sc_fast - __start_sc_fast);
    answer(t, &h);
}

NOINLINE void handshake_answer(struct thread *t)
{
    uintptr_t regs[SAVED_REGS] = {0};
    save_registers(regs);
    struct hand h = {.sp = (uintptr_t)__builtin_frame_address(0),
                     .regs = regs,
                     .nregs = SAVED_REGS};
    do {
        store_relaxed(&t->pending, 0);
        fence_signal();
        answer(t, &h);
        fence_signal();
    } while (load_relaxed(&t->pending));
}

/* ---- The collector's side ---------------------------------------------- */

static struct work guest_work;

/* Answers for a thread that declared itself blocking; false: it is running. */
static bool answer_for(struct thread *t, uint32_t n)
{
    uint32_t s = THREAD_BLOCKED;
    if (!cas_seq(&t->state, &s, THREAD_HELD))
        return false;
    struct hand h = {.thread = t,
                     .sp = t->saved_sp,
                     .hi = t->stack.hi,
                     .tp = t->stack.tp,
                     .regs = t->saved_regs,
                     .nregs = SAVED_REGS,
                     .work = &t->work};
    t->held_sp = h.sp;
    hs.fn(&h);
    store_seq(&t->done, n);
    if (!hs.hold) {
        store_seq(&t->state, THREAD_BLOCKED);
        os_wake(&t->state, 1);
    }
    return true;
}

/* A thread that ended without telling us (it left by the raw system call). */
static void bury(struct thread *t, uint32_t n)
{
    cache_retire(&t->cache, true, gc.black);
    store_seq(&t->done, n);
    t->tid = 0;
}

static void ask(struct thread *t, uint32_t n)
{
    if (load_seq(&t->done) == n || answer_for(t, n))
        return;
    if (t->tid == 0 || os_signal_thread(t->tid))
        bury(t, n);
}

static struct thread *unanswered(uint32_t n)
{
    for (struct thread *t = threads.all; t; t = t->next)
        if (load_seq(&t->done) != n)
            return t;
    return 0;
}

/* Waits for all; a thread may become BLOCKED instead of answering. */
static void wait_for_all(uint32_t n)
{
    uint64_t begin = os_now(), signalled = begin;
    bool complained = false;
    for (;;) {
        uint32_t seen = load_seq(&hs.answers);
        struct thread *t = unanswered(n);
        if (!t)
            return;
        if (answer_for(t, n))
            continue;
        os_wait(&hs.answers, seen, 1000000);
        uint64_t now = os_now();
        if (now - signalled > RESIGNAL_NS) {
            signalled = now;
            ask(t, n);
        }
        if (!complained && now - begin > COMPLAIN_NS) {
            complained = true;
            say("thread %d has not answered signal %d for 10 s; does it block "
                "it? Let it through, or declare the thread blocking.",
                t->tid, os_signal_number());
        }
    }
}

/* True if the tid was not in the set yet. */
static bool seen_add(int tid)
{
    for (uint32_t i = (uint32_t)tid;; i++) {
        uint32_t *e = &guests.seen[i % SEEN];
        if (*e == (uint32_t)tid)
            return false;
        if (!*e) {
            if (guests.used++ > SEEN * 3 / 4)
                return false;
            *e = (uint32_t)tid;
            return true;
        }
    }
}

static void guests_begin(void)
{
    memset(guests.seen, 0, SEEN * sizeof *guests.seen);
    memset(guests.slot, 0, GUESTS * sizeof *guests.slot);
    guests.used = 0;
    for (uint32_t i = 0; i < load_relaxed(&guests.nexempt); i++)
        seen_add(guests.exempt[i]);
    for (struct thread *t = threads.all; t; t = t->next)
        if (t->tid)
            seen_add(t->tid);
    store_seq(&guests.asking, 1);
}

static struct guest *guest_ask(int tid)
{
    struct guest *g = 0;
    for (uint32_t i = 0; i < GUESTS && !g; i++) {
        struct guest *at = &guests.slot[((uint32_t)tid + i) % GUESTS];
        if (!at->tid)
            g = at;
    }
    if (!g)
        return 0;
    store_relaxed(&g->state, GUEST_ASKED);
    store_seq(&g->tid, tid);
    if (os_signal_thread(tid))
        store_seq(&g->state, GUEST_LEFT);
    return g;
}

static void guest_done(struct guest *g)
{
    struct os_context *c = g->context;
    struct hand h = {.sp = c->sp,
                     .hi = os_mapping_end(c->sp),
                     .tp = g->tp,
                     .regs = c->regs,
                     .nregs = c->nregs,
                     .context = c,
                     .work = &guest_work};
    hs.fn(&h);
    if (hs.hold)
        return;
    store_seq(&g->state, GUEST_LEFT);
    os_wake(&g->state, 1);
}

/* Waits for one guest; false: it can't be reached. */
static bool guest_wait(struct guest *g)
{
    uint64_t begin = os_now();
    for (;;) {
        uint32_t seen = load_seq(&hs.answers);
        uint32_t s = load_seq(&g->state);
        if (s != GUEST_ASKED)
            return true;
        os_wait(&hs.answers, seen, 1000000);
        if (os_now() - begin < 5000000)
            continue;
        if (os_signal_thread(g->tid)) { /* gone */
            store_seq(&g->state, GUEST_LEFT);
            return true;
        }
        /* A thread that is just being made blocks all signals for a moment. */
        if (os_now() - begin > BLOCKED_NS && os_thread_blocks_signal(g->tid))
            return false;
    }
}

static bool guests_pass(bool *more)
{
    struct guest *asked[64];
    int n = os_threads(guests.tids, GUESTS), k = 0;
    bool ok = true;
    *more = false;
    n = n < GUESTS ? n : GUESTS;
    for (int i = 0; i < n && k < 64; i++)
        if (seen_add(guests.tids[i])) {
            *more = true;
            asked[k] = guest_ask(guests.tids[i]);
            if (asked[k])
                k++;
        }
    for (int i = 0; i < k; i++) {
        if (!guest_wait(asked[i]))
            ok = false;
        else if (load_seq(&asked[i]->state) == GUEST_HERE)
            guest_done(asked[i]);
    }
    return ok;
}

/* Until a pass finds no new thread: a thread that had not answered yet may
 * have started another one and handed it a pointer. */
static bool ask_guests(void)
{
    bool more = true, ok = true;
    guests_begin();
    while (more && ok)
        ok = guests_pass(&more);
    if (!hs.hold)
        store_seq(&guests.asking, 0);
    work_flush(&guest_work);
    return ok;
}

static void release_guests(void)
{
    store_seq(&guests.asking, 0);
    for (uint32_t i = 0; i < GUESTS; i++) {
        struct guest *g = &guests.slot[i];
        if (g->tid && load_seq(&g->state) == GUEST_HERE) {
            store_seq(&g->state, GUEST_LEFT);
            os_wake(&g->state, 1);
        }
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
    store_seq(&hs.number, n);
    for (struct thread *t = threads.all; t; t = t->next)
        store_seq(&t->want, n);
    for (struct thread *t = threads.all; t; t = t->next)
        ask(t, n);
    wait_for_all(n);
    bool ok = !strangers || ask_guests();
    if (!hold)
        lock_drop(&threads.lock);
    return ok;
}

void handshake_release(void)
{
    hist_add(&stop_times, os_now() - hs.stop_begin);
    for (struct thread *t = threads.all; t; t = t->next)
        if (load_seq(&t->state) == THREAD_HELD) {
            store_seq(&t->state, THREAD_BLOCKED);
            os_wake(&t->state, 1);
        }
    store_seq(&hs.released, load_relaxed(&hs.number));
    os_wake(&hs.released, INT32_MAX);
    release_guests();
    lock_drop(&threads.lock);
}

int handshake_init(void)
{
    guests.slot = meta_map(GUESTS * sizeof(struct guest), META_THREAD);
    guests.tids = meta_map(GUESTS * sizeof(int), META_THREAD);
    guests.seen = meta_map(SEEN * sizeof(uint32_t), META_THREAD);
    if (!guests.slot || !guests.tids || !guests.seen)
        return 12;
    return os_signal_init(on_signal);
}

void handshake_fork_child(void)
{
    store_relaxed(&guests.nexempt, 0);
    store_relaxed(&guests.asking, 0);
}
