/* limiter.c: stops a death spiral: a heap so close to its limit that the
 * program would do nothing but collect.
 *
 *      GC time            the program's time
 *        |                       |
 *        v  +1 ns per ns         v  -1 ns per ns
 *     +-----------------------------+ capacity: 1 s per processor
 *     |~~~~~~~~~~~~~ fill ~~~~~~~~~~|     full: limiting
 *     +-----------------------------+ 0   anything below: not limiting
 *
 * In and out weigh the same, so what is held is one half of the CPU.  The
 * size of the bucket is how long the collector may take more than that.  It
 * has no credit below 0: a program that idled all night must not be allowed
 * to spiral all morning.
 *
 * A window is the time since the last update times the processors:
 *
 *     GC      = assists + 25 % of the window while marking (all while held)
 *     program = window - idle - GC
 *
 * Idle time is left out because a program of one busy thread on 32 processors
 * could never reach one half of them.
 *
 * Invariants: fill <= capacity; limiting implies fill == capacity.
 * Locks: none; see pacer.h.
 */
#include "pacer.h"

/* Any single duration is cut to this, 36 years: then twice the GC time plus
 * idle time of one window still fits 64 bits. */
#define LONGEST (INT64_MAX / 8)

static int64_t cut(uint64_t ns)
{
    return ns < LONGEST ? (int64_t)ns : LONGEST;
}

static int64_t window(uint64_t ns, int procs)
{
    uint64_t all;

    if (__builtin_mul_overflow(ns, (uint64_t)procs, &all))
        return LONGEST;
    return cut(all);
}

/* Readers are all threads that allocate: only write what changes. */
static void set_limiting(struct limiter *l, bool on)
{
    if (load_relaxed(&l->limiting) != on)
        store_relaxed(&l->limiting, on);
}

/* Moves the level.  A change of 0 while full leaves it limiting: exactly one
 * half is not yet less. */
static void flow(struct limiter *l, int64_t change)
{
    uint64_t room = l->capacity - l->fill;

    if (change > 0 && (uint64_t)change >= room) {
        if (__builtin_add_overflow(l->overflow, (uint64_t)change - room,
                                   &l->overflow))
            l->overflow = UINT64_MAX;
        l->fill = l->capacity;
        set_limiting(l, true);
        return;
    }
    if (change < 0 && (uint64_t)-change >= l->fill)
        l->fill = 0;
    else
        l->fill += (uint64_t)change;
    if (change != 0)
        set_limiting(l, false);
}

/* Closes the window at now.  While threads are held nobody assists: what is
 * in the pools belongs to the next window. */
static void account(struct limiter *l, uint64_t now)
{
    int64_t all, gc, idle;

    if (now < l->last_update) /* a stale clock; a later call counts it */
        return;
    all = window(now - l->last_update, l->procs);
    store_relaxed(&l->last_update, now);
    if (l->phase == LIMITER_HELD) {
        flow(l, all);
        return;
    }
    gc = cut(swap_relaxed(&l->assist, 0));
    idle = cut(swap_relaxed(&l->idle, 0));
    if (l->phase == LIMITER_MARK)
        gc += (int64_t)((double)all * PACER_BACKGROUND);
    flow(l, gc - (all - idle - gc));
}

static void resize(struct limiter *l, int procs)
{
    l->procs = procs < 1 ? 1 : procs;
    l->capacity = (uint64_t)l->procs * LIMITER_CAPACITY;
}

void limiter_init(struct limiter *l, uint64_t now, int procs)
{
    *l = (struct limiter){.last_update = now};
    resize(l, procs);
}

/* Fewer processors can leave the bucket full.  What is cut off is no
 * overflow: nobody did that work now. */
void limiter_procs(struct limiter *l, uint64_t now, int procs)
{
    account(l, now);
    resize(l, procs);
    if (l->fill > l->capacity) {
        l->fill = l->capacity;
        set_limiting(l, true);
    } else if (l->fill < l->capacity) {
        set_limiting(l, false);
    }
}

void limiter_phase(struct limiter *l, uint64_t now, enum limiter_phase phase)
{
    account(l, now);
    l->phase = phase;
}

void limiter_add_assist(struct limiter *l, uint64_t ns)
{
    add_relaxed(&l->assist, ns);
}

void limiter_add_idle(struct limiter *l, uint64_t ns)
{
    add_relaxed(&l->idle, ns);
}

bool limiter_due(const struct limiter *l, uint64_t now)
{
    uint64_t last = load_relaxed(&l->last_update);

    return now > last && now - last > LIMITER_PERIOD;
}

bool limiter_update(struct limiter *l, uint64_t now)
{
    account(l, now);
    return limiter_limiting(l);
}
