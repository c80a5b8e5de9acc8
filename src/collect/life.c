/* life.c: the thread that runs cleanups and finalizers.
 *
 *   census --> queue -> item -> item --> this thread: fn(arg)
 *
 * One thread of the library, attached like any of the program's, because the
 * callbacks are the program's code: they may allocate, store and block.  Items
 * run in the order queued.  Queued items are roots: arg, and the object of a
 * finalizer.
 *
 * Lock: life.lock, for the queue.
 */
#include "collect.h"

static struct {
    struct lock lock;
    struct special *first, **last;
    struct special *current;    /* being run: a root as well */
    _Atomic uint32_t waiting;   /* items queued and not yet run */
    _Atomic uint32_t watchers;  /* threads that wait for `waiting` to change */
    _Atomic uint32_t wake;      /* futex of the thread */
    bool started;
    struct special_counts counts;
    int tid;
} life = {.lock = LOCK_INIT(RANK_LIFE), .last = &life.first};

void life_queue(const struct special_list *l)
{
    if (!l->first)
        return;
    lock_take(&life.lock);
    *life.last = l->first;
    life.last = l->last;
    add_relaxed(&life.waiting, l->n);
    if (l->first->kind == SPECIAL_CLEANUP)
        life.counts.cleanups_queued += l->n;
    else
        life.counts.finalizers_queued += l->n;
    lock_drop(&life.lock);
}

static void scan_item(struct work *w, const struct special *s)
{
    mark_word(w, (uintptr_t)s->arg);
    if (s->kind == SPECIAL_FINALIZER)
        mark_word(w, s->object);
}

void life_scan(struct work *w)
{
    lock_take(&life.lock);
    for (struct special *s = life.first; s; s = s->next)
        scan_item(w, s);
    if (life.current)
        scan_item(w, life.current);
    lock_drop(&life.lock);
}

/* Not thread_lock, which may leave us held with the lock taken, and the
 * collector needs it while threads are held. */
static struct special *take(void)
{
    lock_take(&life.lock);
    struct special *s = life.first;
    life.current = s;
    if (s && !(life.first = s->next))
        life.last = &life.first;
    lock_drop(&life.lock);
    return s;
}

/* The callback may have put arg or the object where no barrier is needed. */
static void done(struct thread *t, struct special *s)
{
    barrier_shade_if(t, s->arg);
    if (s->kind == SPECIAL_FINALIZER)
        barrier_shade_if(t, (void *)s->object);
    lock_take(&life.lock);
    life.current = 0;
    if (s->kind == SPECIAL_CLEANUP)
        life.counts.cleanups_run++;
    else
        life.counts.finalizers_run++;
    lock_drop(&life.lock);
    special_free(s);
    sub_seq(&life.waiting, 1);
    if (load_seq(&life.watchers)) /* or it sees the new number */
        os_wake(&life.waiting, INT32_MAX);
}

/* The callback runs outside of us: it may be interrupted at any point. */
static void run(struct special *s)
{
    if (s->kind == SPECIAL_CLEANUP)
        s->cleanup(s->arg);
    else
        s->finalizer((void *)s->exact, s->arg);
}

/* What callbacks left in dead frames must not keep their objects: the frames in
 * which this thread waits would otherwise begin with it. */
static NOINLINE void scrub_stack(void)
{
    volatile uint64_t dead[512];
    for (unsigned i = 0; i < COUNT(dead); i++)
        dead[i] = 0;
}

static void life_main(void *unused)
{
    os_signal_unblock();
    while (thread_attach())
        os_sleep(1000000);
    store_relaxed(&life.tid, os_tid());
    for (;;) {
        struct thread *t = thread_enter();
        uint32_t seen = load_seq(&life.wake);
        struct special *s = take();
        if (!s) {
            scrub_stack();
            thread_wait(t, &life.wake, seen, UINT64_MAX);
        }
        thread_leave(t);
        if (!s)
            continue;
        run(s);
        t = thread_enter();
        done(t, s);
        thread_leave(t);
    }
}

/* Called by the collector after a census, without locks. */
void life_start(void)
{
    if (!load_seq(&life.waiting))
        return;
    if (!life.started)
        life.started = !os_thread_start(life_main, 0, "sancai-life");
    add_seq(&life.wake, 1);
    os_wake(&life.wake, 1);
}

void life_wait(struct thread *t, uint64_t ns)
{
    uint64_t end = os_now() + ns;
    if (os_tid() == load_relaxed(&life.tid))
        return; /* a callback that collects must not wait for itself */
    add_seq(&life.watchers, 1);
    for (;;) {
        uint32_t n = load_seq(&life.waiting);
        uint64_t now = os_now();
        if (!n || now >= end)
            break;
        thread_wait(t, &life.waiting, n, end - now);
    }
    sub_seq(&life.watchers, 1);
}

void life_counts(struct special_counts *c)
{
    lock_take(&life.lock);
    *c = life.counts;
    lock_drop(&life.lock);
}

void life_lock(void) { lock_take(&life.lock); }
void life_unlock(void) { lock_drop(&life.lock); }

/* The callback that was being run goes on in the parent; unless it forked, then
 * in both. */
void life_fork_child(void)
{
    lock_reset(&life.lock);
    if (thread_self && thread_self->tid == life.tid) {
        life.tid = os_tid();
        return;
    }
    life.started = false;
    life.tid = 0;
    store_relaxed(&life.watchers, 0);
    if (life.current) {
        life.current = 0;
        sub_seq(&life.waiting, 1);
    }
}
