/* give.c: when free pages go back to the system.
 *
 *             peak of the last seconds
 *   in use    ___/\____                  what is kept: that peak, a tenth more
 *             |        \______           all else goes back, by a thread of
 *   kept      |=========|------          ours, at 1 % of a processor
 *             0    KEEP_SECONDS
 *
 * Freed pages stay for a while, since what was needed once is often needed
 * again; after KEEP_SECONDS without need they go, also if the program sleeps
 * or the threads that used them are dead.  The worker starts when WORTH pages
 * were freed, and sleeps without a timer when there is nothing to give.
 *
 * Locks: none; `freed` is atomic, the rest is the worker's.
 */
#include "malloc.h"

#define KEEP_SECONDS 3
#define KEEP_LEAST MIB(1)
#define TICK_NS 1000000000ull
#define WORTH 512 /* pages: 4 MiB */
/* At 1 % of a processor; but work of 60 ms that was not done before may be
 * done at once. */
#define CREDIT_NS 6000000000ull

static struct {
    _Atomic uint32_t freed;   /* pages since the worker looked */
    _Atomic uint32_t awake;   /* the worker is at work; it sleeps on this */
    _Atomic bool started;
    uint64_t peak[KEEP_SECONDS];
    unsigned at;
    struct scavenge_duty duty;
} give = {.duty = {.credit = CREDIT_NS}};

/* No more can have been in use since the last look. */
static uint64_t use_since(uint32_t freed)
{
    struct page_stats p;
    page_stats(&p);
    return p.in_use + min_size(p.free, (uint64_t)freed * PAGE_SIZE);
}

/* What may stay, by the highest use of the last seconds. */
static uint64_t keep(uint32_t freed)
{
    uint64_t most = 0;
    give.peak[give.at++ % KEEP_SECONDS] = use_since(freed);
    for (unsigned i = 0; i < KEEP_SECONDS; i++)
        if (give.peak[i] > most)
            most = give.peak[i];
    return most + most / 10 + KEEP_LEAST;
}

static uint64_t excess(uint64_t goal)
{
    struct page_stats p;
    page_stats(&p);
    uint64_t ready = p.in_use + p.free;
    return ready > goal ? ready - goal : 0;
}

/* For about a second: gives back what is over the goal, in pieces. */
static void tick(uint64_t goal)
{
    uint64_t end = os_now() + TICK_NS, now;
    while (excess(goal) && (now = os_now()) < end) {
        uint64_t cpu = os_thread_cpu();
        if (!scavenge_now(min_size(excess(goal), CHUNK_SIZE), true))
            break;
        now = os_now();
        os_sleep(min_size(scavenge_duty_sleep(&give.duty, now,
                                              os_thread_cpu() - cpu),
                          now < end ? end - now : 1));
    }
    if ((now = os_now()) < end)
        os_sleep(end - now);
}

/* What the lists keep for the next request. */
static void trim(void)
{
    mcentral_trim();
    mspan_reserve_flush();
}

/* Nothing was freed for so long that all peaks are of now: what the lists keep
 * for the next request goes too, and the worker may sleep. */
static bool settled(unsigned idle, uint64_t goal)
{
    if (idle == KEEP_SECONDS)
        trim();
    return idle > KEEP_SECONDS && !excess(goal);
}

static void sleep_until_freed(void)
{
    store_seq(&give.awake, 0);
    while (load_seq(&give.freed) < WORTH)
        os_wait(&give.awake, 0, UINT64_MAX);
    store_seq(&give.awake, 1);
}

static void work(void *unused)
{
    uint64_t goal;
    for (unsigned idle = 0;;) {
        uint32_t freed = swap_relaxed(&give.freed, 0);
        idle = freed ? 0 : idle + 1;
        tick(goal = keep(freed));
        info_publish(false);
        if (settled(idle, goal)) {
            sleep_until_freed();
            idle = 0;
        }
    }
}

static COLD void start(void)
{
    if (!mbegun() || swap_seq(&give.started, true))
        return;
    store_seq(&give.awake, 1);
    give.duty.since = os_start_time();
    if (os_thread_start(work, NULL, "sancai-give"))
        store_seq(&give.started, false);
}

/* Making a thread allocates: nobody may hold a lock here. */
void give_begin(uint32_t soon)
{
    if (unlikely(!load_relaxed(&give.started)) &&
        load_relaxed(&give.freed) + soon >= WORTH)
        start();
}

void give_note(uint32_t npages)
{
    uint32_t before = add_seq(&give.freed, npages);
    if (unlikely(before + npages >= WORTH) && load_relaxed(&give.started) &&
        !load_seq(&give.awake))
        os_wake(&give.awake, 1);
}

uint64_t give_all(void)
{
    tcache_flush();
    trim();
    return scavenge_now(UINT64_MAX, true);
}

bool give_emergency(void)
{
    struct page_stats before, after;
    page_stats(&before);
    tcache_flush();
    trim();
    page_stats(&after);
    return after.in_use < before.in_use;
}

void give_fork_child(void)
{
    store_seq(&give.started, false);
    store_seq(&give.awake, 0);
}
