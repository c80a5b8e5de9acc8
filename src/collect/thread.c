/* thread.c: the threads that have called us, and when they may be interrupted.
 *
 *        attach                 block_begin           collector
 *   none ------> RUNNING ------------------> BLOCKED ----------> HELD
 *    ^              |  ^                        |  ^               |
 *    +--- detach ---+  +------- block_end ------+  +--- release ---+
 *
 * RUNNING threads answer handshakes themselves: in the signal handler, or at
 * thread_leave if the signal found them inside us (busy).  For BLOCKED ones
 * the collector answers, holding them by the state word.
 *
 * Invariants: busy and pending are touched by their thread alone (and by
 * handlers that run on it).  A thread that waits for threads.lock waits
 * BLOCKED, so the holder's handshake never waits for it.  While it waits so
 * inside of us, no handler of the program runs on it: that could store.
 * Lock: threads.lock for the list.
 */
#include <errno.h>
#include <string.h>

#include "collect.h"

_Thread_local struct thread *thread_self;
static _Thread_local bool was_detached;
_Atomic uint32_t thread_gate;
struct threads threads = {LOCK_INIT(RANK_THREADS), 0, 0, 0, 0};
void (*thread_joined_hook)(struct thread *);
void (*thread_leaving_hook)(struct thread *);

/* Records of ended threads, used again first.  Under threads.lock. */
static struct thread *spare;

static struct thread *new_record(void)
{
    struct thread *t = spare;
    if (!t)
        return meta_map(align_up(sizeof *t, os_page_size()), META_THREAD);
    spare = t->next;
    /* The cache was retired: run[].end, span[] and nused are zero already;
     * not clearing them keeps untouched pages untouched. */
    size_t from = offsetof(struct thread, next);
    memset((char *)t + from, 0, sizeof *t - from);
    t->cache.alloc_bytes = t->cache.alloc_objects = 0;
    t->cache.live_flushed = 0;
    t->cache.tiny.end = 0;
    return t;
}

static void link_thread(struct thread *t)
{
    t->next = threads.all;
    t->prev = 0;
    if (t->next)
        t->next->prev = t;
    threads.all = t;
    threads.n++;
}

static void unlink_thread(struct thread *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        threads.all = t->next;
    if (t->next)
        t->next->prev = t->prev;
    threads.n--;
}

static int attach(void)
{
    struct os_stack stack;
    if (os_stack_self(&stack))
        return ENOMEM;
    /* What the C library needs for it is allocated now: as soon as handshakes
     * wait for us we must not wait for a lock that a held thread may have. */
    os_exit_arm(&threads);
    lock_take(&threads.lock);
    struct thread *t = new_record();
    if (t) {
        t->stack = stack;
        t->tid = os_tid();
        t->busy = 1; /* until attached: handshakes wait for leave */
        t->cache.black = load_relaxed(&gc.black);
        t->cache.gen = load_relaxed(&heap.gen);
        link_thread(t);
        thread_self = t;
        cache_set_self(&t->cache);
        thread_joined_hook(t);
    }
    lock_drop(&threads.lock);
    if (!t)
        return ENOMEM;
    was_detached = false;
    os_exit_arm(t);
    thread_leave(t);
    return 0;
}

/* A store by a handler of the program must not begin it anew. */
int thread_attach(void)
{
    struct os_signals was;
    if (thread_self)
        return 0;
    os_signals_hold(&was);
    int e = thread_self ? 0 : attach();
    os_signals_release(&was);
    return e;
}

static void detach(struct thread *t, bool by_call)
{
    t->busy++;
    thread_lock(t, &threads.lock);
    thread_leaving_hook(t);
    cache_retire(&t->cache, false, false);
    threads.dead_alloc_bytes += t->cache.alloc_bytes;
    threads.dead_alloc_objects += t->cache.alloc_objects;
    unlink_thread(t);
    thread_self = 0;
    cache_set_self(0);
    t->next = spare;
    spare = t;
    lock_drop(&threads.lock);
    was_detached = by_call;
    if (by_call)
        os_exit_disarm();
}

void thread_detach(struct thread *t, bool by_call)
{
    struct os_signals was;
    os_signals_hold(&was);
    detach(t, by_call);
    os_signals_release(&was);
}

static void thread_exit(void *arg)
{
    struct thread *t = arg;
    if (thread_self != t)
        return;
    remains_add(t);
    thread_detach(t, false);
}

int thread_init(void) { return os_exit_init(thread_exit); }

/* A store may be the first call of all: no heap yet, so nothing to do. */
COLD struct thread *thread_enter_unattached(void)
{
    if (!thread_joined_hook)
        return 0;
    if (was_detached)
        say("a function of Sancai was called after sc_thread_detach; call "
            "sc_thread_attach first. The thread is attached again.");
    return thread_attach() ? 0 : thread_enter();
}

/* Outside of us, so that the handshake which closes the gate is answered. */
COLD void thread_wait_at_gate(struct thread *t)
{
    do {
        store_relaxed(&t->busy, 0);
        fence_signal();
        if (load_relaxed(&t->pending))
            handshake_answer(t);
        os_wait(&thread_gate, 1, UINT64_MAX);
        store_relaxed(&t->busy, 1);
        fence_signal();
    } while (load_relaxed(&thread_gate));
}

/* ---- Blocking ---------------------------------------------------------- */

/* As a rule the thread is on its own stack, and there is nothing to ask. */
uintptr_t thread_alternate_end(const struct thread *t, uintptr_t sp)
{
    bool own = sp - t->stack.lo < t->stack.hi - t->stack.lo;
    return own ? 0 : os_alternate_end(sp);
}

/* From here on the collector may answer for it.  If it was asked before, it is
 * told so, rather than that it finds out by looking. */
static void blocked(struct thread *t)
{
    t->saved_alt_hi = thread_alternate_end(t, t->saved_sp);
    store_seq(&t->state, THREAD_BLOCKED);
    if (likely(!load_seq(&t->pending)))
        return;
    add_seq(&handshake_answers, 1);
    os_wake(&handshake_answers, 1);
}

NOINLINE void thread_block_begin(struct thread *t)
{
    save_registers(t->saved_regs);
    t->saved_sp = stack_pointer(); /* our caller's frames are above */
    blocked(t);
}

/* For a caller whose own frame will be gone while the thread is blocked. */
void thread_block_at(struct thread *t, uintptr_t sp, const uintptr_t *regs,
                     int n)
{
    memcpy(t->saved_regs, regs, (size_t)n * sizeof *regs);
    t->saved_sp = sp;
    blocked(t);
}

NOINLINE void thread_block_end(struct thread *t)
{
    uint32_t s = THREAD_BLOCKED;
    while (!cas_seq(&t->state, &s, THREAD_RUNNING)) {
        os_wait(&t->state, THREAD_HELD, UINT64_MAX);
        s = THREAD_BLOCKED;
    }
    fence_signal();
    if (load_relaxed(&t->pending) && !load_relaxed(&t->busy))
        handshake_answer(t);
}

void thread_lock(struct thread *t, struct lock *l)
{
    if (lock_try(l))
        return;
    struct os_signals was;
    os_signals_hold(&was);
    thread_block_begin(t);
    lock_take(l);
    thread_block_end(t);
    os_signals_release(&was);
}

void thread_wait(struct thread *t, _Atomic uint32_t *w, uint32_t v,
                 uint64_t ns)
{
    struct os_signals was;
    os_signals_hold(&was);
    thread_block_begin(t);
    os_wait(w, v, ns);
    thread_block_end(t);
    /* It goes on inside of us.  Running before the look: else the handshake
     * that closes the gate might have been answered for it in between. */
    while (unlikely(load_seq(&thread_gate))) {
        thread_block_begin(t);
        os_wait(&thread_gate, 1, UINT64_MAX);
        thread_block_end(t);
    }
    os_signals_release(&was);
}

/* ---- fork -------------------------------------------------------------- */

/* In the child only the caller lives: the others' caches go back. */
void thread_fork_child(void)
{
    lock_reset(&threads.lock);
    for (struct thread *t = threads.all, *next; t; t = next) {
        next = t->next;
        if (t == thread_self) {
            t->tid = os_tid();
            t->want = t->done;
            t->pending = 0;
            continue;
        }
        cache_retire(&t->cache, true, false);
        threads.dead_alloc_bytes += t->cache.alloc_bytes;
        threads.dead_alloc_objects += t->cache.alloc_objects;
        unlink_thread(t);
        t->next = spare;
        spare = t;
    }
}
