/* begin.c: the allocator comes to life at the first call, and survives fork.
 *
 *   first call     range, tables            may be the loader's, before main,
 *                                           before anybody else is up
 *   constructor    fork, ends of threads    these may allocate themselves
 *
 * Lock: begin.lock, for the first call only.
 */
#include "secure.h"

static struct {
    struct lock lock;
    _Atomic bool up, hooked;
} begin = {.lock = LOCK_INIT(RANK_CYCLE)};

/* ---- fork: all locks, in rank order ------------------------------------ */

static void fork_prepare(void)
{
    tcache_lock();
    secure_lock();
    mcentral_lock_all();
    mheap_lock();
    page_lock();
    meta_lock_all();
}

static void fork_parent(void)
{
    meta_unlock_all();
    page_unlock();
    mheap_unlock();
    mcentral_unlock_all();
    secure_unlock();
    tcache_unlock();
}

static void fork_child(void)
{
    meta_reset_locks();
    page_reset_locks();
    mheap_reset_lock();
    mcentral_reset_locks();
    secure_fork_child();
    os_ranges_fork_child();
    give_fork_child();
    info_fork_child();
    tcache_fork_child();
}

/* ---- Start ------------------------------------------------------------- */

/* The environment may not be there at the first call, then knob_init does
 * nothing: it is read in the constructor. */
static void read_knobs(void)
{
    bool known = knobs.oom;
    knob_init();
    if (knobs.oom && !known)
        os_fail_at((uint64_t)knobs.oom, knobs.oomall);
}

static COLD bool begin_now(void)
{
    lock_take(&begin.lock);
    if (!begin.up) {
        os_start_time();
        knobs.misuseabort = 1; /* unlike a collected heap's */
        read_knobs();
        if (!arena_init() && !mheap_init()) {
            secure_begin();
            store_release(&begin.up, true);
        }
    }
    lock_drop(&begin.lock);
    return begin.up;
}

bool mbegin(void)
{
    return likely(load_acquire(&begin.up)) || begin_now();
}

bool mbegun(void) { return load_acquire(&begin.hooked); }

__attribute__((constructor)) static void hook(void)
{
    if (!mbegin())
        return;
    read_knobs();
    secure_begin();
    tcache_hook_exit();
    os_atfork(fork_prepare, fork_parent, fork_child);
    info_open();
    store_release(&begin.hooked, true);
    secure_hook();
}
