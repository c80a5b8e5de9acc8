/* guest.c: threads that never called us: found, asked, scanned, let go.
 *
 *   kernel's list of threads --> not ours, not seen --> signal
 *   its handler: where is your stack? HERE, waits    (or the tracing interface
 *   collector: scans its stack, registers, TLS        holds it: it blocks our
 *   LEFT --> it goes on                               signal)
 *
 * A guest works on a slot that the collector prepared for its thread id, and
 * runs nothing of ours but a few lines of the handler.
 *
 * Invariant: seen[] holds each thread id that was dealt with in this
 * handshake, ours included.  All of it is the collector's, except that a
 * guest's handler moves its slot from ASKED to HERE.
 */
#include <errno.h>
#include <string.h>

#include "collect.h"

#define BLOCKED_NS 200000000ull
#define COMPLAIN_NS 10000000000ull

/* ---- Threads that never called us -------------------------------------- */

enum { GUEST_ASKED = 1, GUEST_COMING, GUEST_HERE, GUEST_LEFT };
#define GUESTS 16384 /* a power of two: slots, and threads in the list */
struct guest {
    int tid;
    _Atomic uint32_t state;
    struct os_context *context;
    uintptr_t tp;
    struct os_held *held;   /* by tracing: it blocks our signal */
};
static struct {
    struct guest *slot;     /* hashed by tid */
    int *tids;              /* scratch for the kernel's list */
    uint64_t *seen;         /* round << 32 | tid: dealt with in this round */
    uint32_t round, used;
    uint32_t *asked;        /* slots in use */
    uint32_t nasked;
    int exempt[64];
    _Atomic uint32_t nexempt;
    _Atomic uint32_t asking;
} guests;
#define SEEN 32768

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
        int there = load_acquire(&g->tid);
        if (there == tid)
            return g;
        if (!there)
            return 0;
    }
    return 0;
}

/* In the handler of such a thread: say where it is and wait. */
void guest_signal(struct os_context *c)
{
    if (!load_acquire(&guests.asking))
        return;
    struct guest *g = guest_find(os_tid());
    uint32_t s = GUEST_ASKED;
    if (!g || !cas_seq(&g->state, &s, GUEST_COMING))
        return;
    g->context = c;
    g->tp = os_thread_pointer();
    store_release(&g->state, GUEST_HERE);
    add_seq(&handshake_answers, 1);
    os_wake(&handshake_answers, 1);
    while (load_acquire(&g->state) == GUEST_HERE)
        os_wait(&g->state, GUEST_HERE, UINT64_MAX);
}

static struct work guest_work;
static hand_fn guest_fn;
static bool guest_hold;

/* True if the tid was not in the set yet.  Entries of older rounds count as
 * empty, so nothing has to be cleared. */
static bool seen_add(int tid)
{
    uint64_t mine = (uint64_t)guests.round << 32 | (uint32_t)tid;
    for (uint32_t i = (uint32_t)tid;; i++) {
        uint64_t *e = &guests.seen[i % SEEN];
        if (*e == mine)
            return false;
        if (*e >> 32 != guests.round) {
            if (guests.used++ > SEEN * 3 / 4)
                return false;
            *e = mine;
            return true;
        }
    }
}

static void guests_begin(void)
{
    for (uint32_t i = 0; i < guests.nasked; i++)
        memset(&guests.slot[guests.asked[i]], 0, sizeof *guests.slot);
    guests.nasked = guests.used = 0;
    guests.round++;
    for (uint32_t i = 0; i < load_relaxed(&guests.nexempt); i++)
        seen_add(guests.exempt[i]);
    for (struct thread *t = threads.all; t; t = t->next)
        if (t->tid)
            seen_add(t->tid);
    store_seq(&guests.asking, 1);
}

static struct guest *guest_ask(int tid)
{
    uint32_t i = (uint32_t)tid % GUESTS;
    if (guests.nasked == GUESTS / 2)
        return 0;
    while (guests.slot[i].tid)
        i = (i + 1) % GUESTS;
    struct guest *g = &guests.slot[i];
    guests.asked[guests.nasked++] = i;
    store_relaxed(&g->state, GUEST_ASKED);
    store_seq(&g->tid, tid);
    if (os_signal_thread(tid))
        store_seq(&g->state, GUEST_LEFT);
    return g;
}

static void guest_release(struct guest *g)
{
    if (g->held)
        os_trace_release(g->held);
    g->held = 0;
    store_seq(&g->state, GUEST_LEFT);
    os_wake(&g->state, 1);
}

/* False: nobody can tell where its stack is. */
static bool guest_done(struct guest *g)
{
    struct os_context *c = g->context;
    struct os_stack s = {0, 0, 0};
    bool ok = os_stack_of(g->tid, g->tp, c->sp, &s);
    struct hand h = {.sp = c->sp,
                     .lo = s.lo,
                     .hi = s.hi,
                     .tp = g->tp,
                     .regs = c->regs,
                     .nregs = c->nregs,
                     .context = c,
                     .work = &guest_work};
    if (ok)
        guest_fn(&h);
    if (!guest_hold)
        guest_release(g);
    return ok;
}

/* A thread that blocks our signal is held by tracing; H3 as in the handler. */
static bool guest_trace(struct guest *g)
{
    uint32_t s = GUEST_ASKED;
    if (!cas_seq(&g->state, &s, GUEST_COMING))
        return true; /* it got the signal after all */
    g->held = os_trace_hold(g->tid, &g->context, &g->tp);
    if (!g->held) {
        store_seq(&g->state, GUEST_ASKED);
        return false;
    }
    uintptr_t pc = barrier_restart(g->context->pc);
    if (pc != g->context->pc)
        os_trace_set_pc(g->held, pc);
    store_seq(&g->state, GUEST_HERE);
    return true;
}

/* Waits for one guest; false: it can't be reached. */
static bool guest_wait(struct guest *g)
{
    uint64_t begin = os_now();
    for (;;) {
        uint32_t seen = load_seq(&handshake_answers);
        uint32_t s = load_seq(&g->state);
        if (s != GUEST_ASKED && s != GUEST_COMING)
            return true;
        os_wait(&handshake_answers, seen, 1000000);
        if (os_now() - begin < 5000000)
            continue;
        os_signal_keep();
        if (os_signal_thread(g->tid)) { /* gone */
            store_seq(&g->state, GUEST_LEFT);
            return true;
        }
        /* A thread that is just being made blocks all signals for a moment, and
         * so does one that ends; it may have ended while we tried. */
        if (os_thread_blocks_signal(g->tid) && !guest_trace(g) &&
            os_now() - begin > BLOCKED_NS && !os_signal_thread(g->tid))
            return false;
    }
}

static bool guests_pass(bool *more)
{
    struct guest *asked[64];
    int n = os_threads(guests.tids, GUESTS), k = 0;
    bool ok = true;
    *more = false;
    if (n > GUESTS) /* more threads than we can look at */
        return false;
    for (int i = 0; i < n && k < 64; i++)
        if (seen_add(guests.tids[i])) {
            *more = true;
            asked[k] = guest_ask(guests.tids[i]);
            if (asked[k])
                k++;
            else
                ok = false;
        }
    for (int i = 0; i < k; i++) {
        if (!guest_wait(asked[i]) ||
            (load_seq(&asked[i]->state) == GUEST_HERE &&
             !guest_done(asked[i])))
            ok = false;
    }
    return ok;
}

/* Those that were given up may come yet: they must not wait for us. */
void guests_release(void)
{
    store_seq(&guests.asking, 0);
    for (uint32_t i = 0; i < guests.nasked; i++) {
        struct guest *g = &guests.slot[guests.asked[i]];
        uint32_t s = GUEST_ASKED;
        if (cas_seq(&g->state, &s, GUEST_LEFT))
            continue;
        while (load_seq(&g->state) == GUEST_COMING)
            os_yield();
        if (load_seq(&g->state) == GUEST_HERE)
            guest_release(g);
    }
}

/* Until a pass finds no new thread: a thread that had not answered yet may
 * have started another one and handed it a pointer. */
bool guests_ask(hand_fn fn, bool hold)
{
    guest_fn = fn;
    guest_hold = hold;
    bool more = true, ok = true;
    guests_begin();
    while (more && ok)
        ok = guests_pass(&more);
    if (!guest_hold)
        guests_release();
    work_flush(&guest_work);
    return ok;
}

int guests_init(void)
{
    if (!guests.slot)
        guests.slot = meta_map(GUESTS * sizeof(struct guest), META_THREAD);
    if (!guests.tids)
        guests.tids = meta_map(GUESTS * sizeof(int), META_THREAD);
    if (!guests.seen)
        guests.seen = meta_map(SEEN * sizeof(uint64_t), META_THREAD);
    if (!guests.asked)
        guests.asked = meta_map(GUESTS * sizeof(uint32_t), META_THREAD);
    bool ok = guests.slot && guests.tids && guests.seen && guests.asked;
    return ok ? 0 : ENOMEM; /* what there is serves the next attempt */
}

void guests_fork_child(void)
{
    store_relaxed(&guests.nexempt, 0);
    store_relaxed(&guests.asking, 0);
}
