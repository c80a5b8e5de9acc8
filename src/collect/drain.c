/* drain.c: grey objects become black: the loop, and the workers that run it.
 *
 *   work buffer (LIFO) --> ring of 16, prefetched --> scan, in ring order
 *   queue of pages (FIFO), when no object is left --> markpage.c
 *
 * An object that leaves the buffer is prefetched and scanned sixteen objects
 * later, when it has arrived: a first-in-first-out ring in front of a stack
 * visits random graphs several times faster than either alone (Cher, Hosking,
 * Vijaykumar 2004; docs/design.md).
 *
 * Workers.  The collector's thread marks, and so do up to procs - 1 helpers.
 * Together they may use a quarter of the processors (Go's dedicated and
 * fractional workers in one budget); beyond that a worker runs as an idle one,
 * as long as it finds that nobody else wants its CPU: a slice that took much
 * longer on the clock than on the CPU means that somebody does.
 *
 *   busy--------drain: dry--------> asleep (1 ms, or until woken)
 *        <-------pool not empty-----
 *
 * Invariant: a worker is counted in crew.busy from before it takes from the
 * pool until after it has flushed.  So "busy == 0, pool empty, nothing put
 * meanwhile" means that no worker holds a grey object.
 */
#include "ahead.h"

#define RING 16
/* A piece of this size needs no prefetch, and others may want the next one. */
#define LARGE KIB(4)
/* A slice between looks at the clock: about 100 us of scanning. */
#define SLICE KIB(192)
/* An idle worker yields when more than a fifth of its time goes to others. */
#define CONTENDED 0.2
#define NAP_NS 500000ull
#define CREW_MAX 63

static struct {
    _Atomic uint32_t on;     /* marking: 1 + helpers that work; their futex */
    _Atomic uint32_t busy;
    _Atomic uint32_t wake;
    _Atomic uint32_t hungry; /* workers that found nothing and sleep */
    _Atomic uint64_t background, idle; /* CPU ns, of all cycles */
    uint64_t background_before, idle_before; /* of those before this one */
    uint64_t begin;
    bool periodic;
    _Atomic bool urgent;
    int helpers;
    int active;              /* of them, in the next cycle: the first ones */
    _Atomic uint32_t ready;  /* helpers that handshakes know */
} crew;

/* ---- The loop ---------------------------------------------------------- */

/* The next page, and the one behind it is on its way. */
static bool scan_next_page(struct work *w, struct far *f, size_t *done)
{
    uint32_t page = queue_get(w), next;
    if (page == NO_PAGE && !far_is_empty(f)) {
        far_settle(w, f);
        page = queue_get(w);
    }
    if (page == NO_PAGE)
        return false;
    if ((next = queue_peek(w, 1)) != NO_PAGE) {
        __builtin_prefetch(&heap.bits[next]);
        __builtin_prefetch((char *)&heap.bits[next] + 64);
        __builtin_prefetch(&heap.black[next]);
        __builtin_prefetch(&heap.desc[next]);
    }
    *done += mark_scan_page(w, f, page, queue_peek(w, 0)) + 64;
    return true;
}

/* Half of what there is goes to the pool if that is empty: at once if a worker
 * sleeps for want of it, else now and then, for threads that assist.  (Whole
 * buffers, now and then, kept 64 workers as busy as 7: docs/speed.md.) */
INLINE void share(struct work *w, unsigned n)
{
    if (unlikely(load_relaxed(&crew.hungry) || n % 256 == 0))
        work_balance(w);
}

/* Objects first: pages gain by waiting. */
size_t drain(struct work *w, size_t budget)
{
    uintptr_t ring[RING];
    struct far far;
    far_begin(&far);
    unsigned head = 0, tail = 0, room = 1, n = 0;
    size_t done = 0;
    while (done < budget) {
        while (tail - head < room) {
            uintptr_t e = work_get(w);
            if (!e)
                break;
            __builtin_prefetch((void *)e);
            __builtin_prefetch((char *)e + 64);
            ring[tail++ % RING] = e;
        }
        if (head != tail) {
            size_t bytes = mark_scan(w, ring[head++ % RING]);
            room = bytes < LARGE ? RING : 1;
            done += bytes + 16;
        } else if (!scan_next_page(w, &far, &done)) {
            break;
        }
        share(w, ++n);
    }
    while (head != tail)
        work_put(w, ring[head++ % RING]);
    far_settle(w, &far);
    w->parent = 0; /* else our own data would keep that object */
    w->scan_work += done;
    return done;
}

/* ---- Who may work ------------------------------------------------------ */

static uint64_t budget_used(void)
{
    return load_relaxed(&crew.background) - crew.background_before;
}

/* Within the quarter, or urgent: always.  So too while threads wait for the end
 * of the cycle: it is their time that is used.  Else only as an idle worker. */
static bool may_work(uint64_t now, double contended, bool *idle)
{
    double share = policy_background_share();
    double allowed = share * (double)(now - crew.begin) + 1e6;
    *idle = false;
    if (load_relaxed(&crew.urgent) || (double)budget_used() < allowed ||
        policy_awaited())
        return true;
    *idle = true;
    return !crew.periodic && !policy_limited() && contended < CONTENDED;
}

struct worker {
    struct work work;
    int number;       /* of the helper */
    double contended; /* share of recent slices that others had the CPU */
    uint64_t cpu, clock;
};

static void account(struct worker *k, bool idle)
{
    uint64_t cpu = os_thread_cpu(), now = os_now();
    double used = (double)(cpu - k->cpu), wall = (double)(now - k->clock);
    if (wall > 0)
        k->contended = 0.8 * k->contended + 0.2 * (1 - used / (wall + 1));
    add_relaxed(idle ? &crew.idle : &crew.background, cpu - k->cpu);
    k->cpu = cpu;
    k->clock = now;
}

/* One slice; false: nothing was there.  Rests first if it has to. */
static bool slice(struct worker *k)
{
    bool idle;
    k->cpu = os_thread_cpu();
    k->clock = os_now();
    if (!may_work(k->clock, k->contended, &idle)) {
        os_sleep(NAP_NS);
        k->contended *= 0.9; /* try again now and then */
        return true;
    }
    size_t n = drain(&k->work, SLICE);
    uint64_t credit = k->work.scan_work;
    account(k, idle);
    work_flush(&k->work);
    add_relaxed(&gc.credit, (int64_t)credit);
    policy_revise();
    return n != 0;
}

/* ---- Helpers ----------------------------------------------------------- */

static bool called(const struct worker *k)
{
    return load_acquire(&crew.on) > (uint32_t)k->number + 1;
}

static void sleep_until_called(const struct worker *k)
{
    uint32_t on;
    while ((on = load_acquire(&crew.on)) <= (uint32_t)k->number + 1)
        os_wait(&crew.on, on, UINT64_MAX);
}

static void helper_main(void *worker)
{
    struct worker *k = worker;
    handshake_exempt(os_tid());
    add_seq(&crew.ready, 1);
    for (;;) {
        sleep_until_called(k);
        uint32_t seen = load_seq(&crew.wake);
        add_seq(&crew.busy, 1);
        bool some = called(k) && !work_pool_empty() && slice(k);
        sub_seq(&crew.busy, 1);
        if (!some && called(k)) {
            add_relaxed(&crew.hungry, 1);
            os_wait(&crew.wake, seen, 1000000);
            add_relaxed(&crew.hungry, -1u);
        }
    }
}

int drain_start_workers(int n)
{
    static struct worker workers[CREW_MAX];
    if (n > CREW_MAX)
        n = CREW_MAX;
    crew.active = n;
    while (crew.helpers < n) {
        workers[crew.helpers].number = crew.helpers;
        if (os_thread_start(helper_main, &workers[crew.helpers],
                            "sancai-mark"))
            break;
        crew.helpers++;
    }
    /* Handshakes must know them before they see them. */
    while ((int)load_seq(&crew.ready) < crew.helpers)
        os_yield();
    return crew.helpers;
}

void drain_begin(bool periodic)
{
    crew.background_before = load_relaxed(&crew.background);
    crew.idle_before = load_relaxed(&crew.idle);
    crew.begin = os_now();
    crew.periodic = periodic;
    store_seq(&crew.on, 1 + (uint32_t)crew.active);
    os_wake(&crew.on, INT32_MAX);
}

bool drain_is_on(void) { return load_acquire(&crew.on); }

void drain_end(void)
{
    store_seq(&crew.on, 0);
    while (load_seq(&crew.busy))
        os_yield();
}

bool drain_is_idle(struct work *w)
{
    uint64_t puts = work_puts();
    return work_is_empty(w) && work_pool_empty() && !load_seq(&crew.busy) &&
           work_pool_empty() && work_puts() == puts;
}

void drain_until_idle(struct work *w, bool urgent)
{
    static struct worker self;
    store_relaxed(&crew.urgent, urgent);
    work_flush(w);
    for (;;) {
        add_seq(&crew.wake, 1);
        if (crew.helpers && !work_pool_empty())
            os_wake(&crew.wake, INT32_MAX);
        bool some = slice(&self);
        if (!some && drain_is_idle(&self.work))
            break;
        if (!some) { /* a helper or an assist holds the rest */
            add_relaxed(&crew.hungry, 1);
            os_sleep(20000);
            add_relaxed(&crew.hungry, -1u);
        }
    }
    work_flush(&self.work);
}

uint64_t drain_background(void) { return load_relaxed(&crew.background); }
uint64_t drain_idle(void) { return load_relaxed(&crew.idle); }

void drain_times(struct drain_times *t)
{
    t->background = budget_used();
    t->idle = load_relaxed(&crew.idle) - crew.idle_before;
}

void drain_fork_child(void)
{
    crew.helpers = 0;
    store_relaxed(&crew.ready, 0);
    store_relaxed(&crew.on, 0);
    store_relaxed(&crew.busy, 0);
    store_relaxed(&crew.hungry, 0);
}
