/* start.c: the library comes to life at its first use, and survives fork.
 *
 * There is no constructor: a program may allocate from its own constructors,
 * and what is never used costs nothing.  The layers are started from below;
 * a failure (no address space) leaves the library unborn, and each later call
 * tries again: allocation returns NULL.
 *
 * Lock: start.lock.
 */
#include <errno.h>

#include "api.h"

static struct {
    struct lock lock;
    _Atomic bool up;
    bool knobs_read, paged, heaped, hooked;
    struct sc_config config;
} start = {.lock = LOCK_INIT(RANK_CYCLE)};

/* ---- fork: between two cycles, with all locks taken in rank order ------ */

static void fork_prepare(void)
{
    struct thread *t = thread_self;
    if (t)
        t->busy++;
    cycle_fork_prepare(t);
    root_lock();
    special_lock_all();
    life_lock();
    class_lock();
    central_lock_all();
    page_lock();
    meta_lock_all();
}

static void fork_parent(void)
{
    meta_unlock_all();
    page_unlock();
    central_unlock_all();
    class_unlock();
    life_unlock();
    special_unlock_all();
    root_unlock();
    cycle_fork_parent();
    if (thread_self)
        thread_leave(thread_self);
}

static void fork_child(void)
{
    meta_reset_locks();
    page_reset_locks();
    central_reset_locks();
    class_reset_lock();
    special_reset_locks();
    root_reset_locks();
    remains_reset_locks();
    work_reset_locks();
    policy_reset_locks();
    life_fork_child();
    cycle_fork_child();
    publish_fork_child();
    if (thread_self)
        thread_leave(thread_self);
}

/* ---- Start ------------------------------------------------------------- */

static int start_layers(void)
{
    int e = 0;
    if (!start.paged && !(e = arena_init()))
        start.paged = true;
    if (!e && !start.heaped && !(e = heap_init()))
        start.heaped = true;
    if (!e && !start.hooked && !(e = cycle_init())) {
        start.hooked = true;
        os_atfork(fork_prepare, fork_parent, fork_child);
    }
    return e ? e : policy_init(&start.config);
}

static void read_knobs(void)
{
    os_start_time();
    knob_init();
    if (knobs.oom)
        os_fail_at((uint64_t)knobs.oom, knobs.oomall);
    start.knobs_read = true;
}

static int start_locked(void)
{
    if (!start.knobs_read)
        read_knobs();
    int e = start_layers();
    if (e)
        return e;
    new_init();
    special_init();
    trace_init();
    publish_init();
    gc.explicit_barriers = start.config.barriers == SC_BARRIERS_EXPLICIT;
    store_release(&start.up, true);
    return 0;
}

static COLD bool start_now(void)
{
    lock_take(&start.lock);
    int e = start.up ? 0 : start_locked();
    lock_drop(&start.lock);
    return !e;
}

bool api_start(void)
{
    return likely(load_acquire(&start.up)) || start_now();
}

struct thread *api_enter(void)
{
    struct thread *t = api_start() ? thread_enter() : 0;
    if (!t)
        errno = ENOMEM;
    return t;
}

/* ---- Settings ---------------------------------------------------------- */

static int reconfigure(const struct sc_config *c)
{
    if (gc.explicit_barriers && c->barriers == SC_BARRIERS_NONE)
        return EBUSY;
    struct thread *t = api_enter();
    if (!t)
        return ENOMEM;
    if (c->barriers == SC_BARRIERS_EXPLICIT && !gc.explicit_barriers)
        cycle_set_explicit(t);
    if (c->gc_percent)
        policy_gc_percent(c->gc_percent, true);
    if (c->memory_limit)
        policy_memory_limit(c->memory_limit, true);
    if (c->max_procs)
        policy_max_procs(c->max_procs);
    thread_leave(t);
    return 0;
}

static bool valid(const struct sc_config *c)
{
    return c->gc_percent >= -1 && c->memory_limit >= 0 && c->max_procs >= 0 &&
           c->max_procs <= 4096 && c->barriers >= SC_BARRIERS_NONE &&
           c->barriers <= SC_BARRIERS_EXPLICIT;
}

SC_API int sc_init(const struct sc_config *c)
{
    static const struct sc_config none;
    c = c ? c : &none;
    if (!valid(c)) {
        misuse("sc_init: a member of sc_config is out of range (barriers %d, "
               "gc_percent %d, memory_limit %ld, max_procs %d); see sancai.h. "
               "Nothing was changed.", c->barriers, c->gc_percent,
               (long)c->memory_limit, c->max_procs);
        return EINVAL;
    }
    if (load_acquire(&start.up))
        return reconfigure(c);
    lock_take(&start.lock);
    bool up = start.up; /* another thread may have been first */
    if (!up)
        start.config = *c;
    lock_drop(&start.lock);
    int e = sc_thread_attach();
    return up && !e ? reconfigure(c) : e;
}

SC_API int sc_set_gc_percent(int percent)
{
    struct thread *t = api_enter();
    int old = t ? policy_gc_percent(percent, true) : 100;
    if (t)
        thread_leave(t);
    return old;
}

SC_API int64_t sc_set_memory_limit(int64_t bytes)
{
    struct thread *t = api_enter();
    int64_t old = t ? policy_memory_limit(bytes, true) : INT64_MAX;
    if (t)
        thread_leave(t);
    return old;
}
