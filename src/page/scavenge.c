/* scavenge.c: how much memory goes back to the system, and when.
 *
 *            0        retain                in use + free
 *   heap     |==========|xxxxxxxxxxxxxxxxxxxxxx|   x: to be given back
 *            0               95 %   limit
 *   all      |=================|xxx|----|          mapped, less released
 *
 * Two goals, set once per cycle (after the Go runtime's mgcscavenge.go).
 * Without a memory limit the heap keeps what the next cycle is expected to
 * need and a tenth more.  With one, all memory stays below 95 % of it, so that
 * the background is at work before the limit is reached.
 *
 * Who works:
 *   background   in pieces of 64 KiB for 1 ms, then sleeps 99 ms: 1 % of a CPU
 *   growth       a heap that grew while it had more than the goal gives back
 *                as much as it grew
 *   forced       for the limit, or because the program asked: all chunks
 *
 * Locks: none here; release.c takes pages.lock, and no lock is held while
 * the kernel works.  `duty` belongs to the one background worker.
 */
#include "page_private.h"

#define RETAIN_EXTRA 10 /* a tenth: free pages that need no new page fault */
#define LIMIT_EXTRA 20  /* a twentieth below the limit */
/* One request to the kernel by the background: about 5 us; so the worker ends
 * in time, and little is out of use while it works. */
#define QUANTUM KIB(64)
/* Work of one round.  Less, and the sleep of 99 times that would be too short
 * for the clock to keep; more, and it would be felt. */
#define ROUND_NS 1000000
#define DUTY 100 /* one part work in so many of time */
/* A worker that slept too long may catch up by one round's time, if nothing
 * else was said. */
#define CREDIT_NS (DUTY * ROUND_NS)

static struct {
    uint64_t retain, limit_goal; /* UINT64_MAX: no such goal */
    struct scavenge_stats stats;
    struct scavenge_duty duty;
} scav = {.retain = UINT64_MAX, .limit_goal = UINT64_MAX};

/* ---- Goals ------------------------------------------------------------- */

uint64_t scavenge_goal_percent(uint64_t heap_goal, uint64_t last_heap_goal,
                               uint64_t last_heap_in_use)
{
    if (!last_heap_goal) /* before the first cycle nothing is known */
        return UINT64_MAX;
    double keep = (double)last_heap_in_use * (double)heap_goal /
                  (double)last_heap_goal;
    keep += keep / RETAIN_EXTRA;
    if (keep >= 0x1p63)
        return UINT64_MAX;
    return align_up((uint64_t)keep, PAGE_SIZE);
}

uint64_t scavenge_goal_limit(uint64_t limit)
{
    return limit >= INT64_MAX ? UINT64_MAX : limit - limit / LIMIT_EXTRA;
}

/* The limit that has this goal, to a byte: 19/20 turned round. */
static uint64_t limit_of_goal(uint64_t goal)
{
    if (goal == UINT64_MAX)
        return UINT64_MAX;
    return goal + goal / (LIMIT_EXTRA - 1);
}

void scavenge_set_goals(uint64_t retain, uint64_t limit_goal)
{
    store_relaxed(&scav.retain, retain);
    store_relaxed(&scav.limit_goal, limit_goal);
}

/* Heap that is in use or free and not given back. */
static uint64_t retained(void)
{
    uint64_t released = load_relaxed(&pages.released);
    uint64_t top = load_relaxed(&pages.top);
    return top > released ? (top - released) * PAGE_SIZE : 0;
}

static bool goals_met(void)
{
    return retained() <= load_relaxed(&scav.retain) &&
           page_mapped_ready() <= load_relaxed(&scav.limit_goal);
}

void scavenge_new_cycle(void)
{
    lock_take(&pages.lock);
    release_new_cycle();
    lock_drop(&pages.lock);
}

/* ---- Work -------------------------------------------------------------- */

/* One run of about n bytes; 0 if there is none.  A run that the kernel won't
 * take (it may be locked in memory) stays as it is, and the next is tried. */
static uint64_t release_some(uint64_t n, bool force)
{
    uint32_t max = n < CHUNK_SIZE ? (uint32_t)((n - 1) / PAGE_SIZE + 1)
                                  : CHUNK_PAGES;
    for (;;) {
        struct release_run run = release_pick(max, force);
        if (!run.n)
            return 0;
        uint64_t bytes = (uint64_t)run.n * PAGE_SIZE;
        bool ok = !os_discard((void *)arena_address(run.page), bytes);
        release_done(run, ok);
        if (ok)
            return bytes;
    }
}

static void count(uint64_t *which, uint64_t bytes, uint64_t cpu)
{
    add_relaxed(which, bytes);
    add_relaxed(&scav.stats.total, bytes);
    add_relaxed(&scav.stats.cpu_ns, cpu);
}

uint64_t scavenge_now(uint64_t n, bool force)
{
    uint64_t done = 0, got, start = os_thread_cpu();
    while (done < n && (got = release_some(n - done, force)))
        done += got;
    count(&scav.stats.eager, done, os_thread_cpu() - start);
    return done;
}

void scavenge_after_growth(uint64_t bytes)
{
    uint64_t now = retained(), goal = load_relaxed(&scav.retain);
    if (now > goal)
        scavenge_now(now - goal < bytes ? now - goal : bytes, false);
}

uint64_t scavenge_for_limit(uint64_t need)
{
    uint64_t limit = limit_of_goal(load_relaxed(&scav.limit_goal)), sum;
    if (__builtin_add_overflow(page_mapped_ready(), need, &sum))
        sum = UINT64_MAX;
    return sum > limit ? sum - limit : 0;
}

/* ---- The background worker --------------------------------------------- */

/* Work and time are summed up, not judged round by round, so a sleep that was
 * too long or a round that was too dear is evened out by the next sleep. */
uint64_t scavenge_duty_sleep(struct scavenge_duty *d, uint64_t now,
                             uint64_t worked)
{
    uint64_t credit = d->credit ? d->credit : CREDIT_NS;
    d->worked += worked;
    uint64_t due = d->since + d->worked * DUTY;
    if (now > due + credit) { /* idle for long: forget most of it */
        d->since = now - credit;
        d->worked = worked;
        due = d->since + worked * DUTY;
    }
    return due > now + ROUND_NS ? due - now : ROUND_NS;
}

uint64_t scavenge_background(void)
{
    uint64_t start = os_thread_cpu(), worked = 0, done = 0, got = 1;
    while (worked < ROUND_NS && got && !goals_met()) {
        got = release_some(QUANTUM, false);
        done += got;
        worked = os_thread_cpu() - start;
    }
    count(&scav.stats.background, done, worked);
    if (!done)
        return UINT64_MAX;
    return scavenge_duty_sleep(&scav.duty, os_now(), worked);
}

void scavenge_stats(struct scavenge_stats *s)
{
    s->background = load_relaxed(&scav.stats.background);
    s->eager = load_relaxed(&scav.stats.eager);
    s->total = load_relaxed(&scav.stats.total);
    s->cpu_ns = load_relaxed(&scav.stats.cpu_ns);
}
