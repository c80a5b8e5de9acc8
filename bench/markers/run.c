/* run.c: N markers from the roots to the end of marking: whose step is next,
 * who sleeps, and where the time goes.
 *
 *   collector (0)  roots of its own -> wakes all -> slice -> wakes all ..
 *                  found nothing: asleep for `poll`; nobody has any: the end
 *   helper         something in the lists? slice; else asleep, until woken or
 *                  for `doze`
 *
 * As in drain.c: drain_until_idle() and helper_main().  Each marker has a
 * processor of its own, and no thread of the program takes part.  Threads have
 * scanned their own stacks before the clock starts, as a handshake makes them
 * do; what they found is in the lists.  The collector's thread scans globals
 * and specials when it has started.
 *
 * The time of those who sleep is laid at somebody's door: while there are S
 * entries in the lists and P with markers, of I sleepers min(I, S) are asleep
 * though there is work, of the rest as many as P lack what others keep, and
 * what is left finds the graph too narrow, or waits for roots.
 *
 * Invariants: sim.order is a heap of markers by their clocks.
 *             At the end each object was scanned once, or the outcome is wrong.
 */
#include <stdlib.h>

#include "sim.h"

void wrong(struct sim *s, const char *what)
{
    if (!s->out->wrong)
        s->out->wrong = what;
    s->over = true;
}

/* ---- The order of clocks ------------------------------------------------- */

static bool before(const struct sim *s, unsigned i, unsigned j)
{
    const struct marker *a = &s->m[s->order[i]], *b = &s->m[s->order[j]];
    return a->clock != b->clock ? a->clock < b->clock : a->id < b->id;
}

static void sift(struct sim *s, unsigned i)
{
    for (unsigned n = s->setup->n, k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && before(s, k + 1, k))
            k++;
        if (before(s, i, k))
            return;
        unsigned t = s->order[i];
        s->order[i] = s->order[k];
        s->order[k] = t;
    }
}

static void sift_all(struct sim *s)
{
    for (unsigned i = s->setup->n / 2 + 1; i-- > 0;)
        sift(s, i);
}

/* ---- Sleep --------------------------------------------------------------- */

/* Half to one and a half times n. */
static uint64_t about(struct sim *s, uint64_t n)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return n / 2 + (s->random >> 33) % (n + 1);
}

static void fall_asleep(struct sim *s, struct marker *m, uint64_t steps)
{
    s->sleeping++;
    m->state = ASLEEP;
    m->called = false;
    m->clock += steps;
}

static void get_up(struct sim *s, struct marker *m)
{
    s->sleeping--;
    m->state = WAKING;
}

/* Helpers only: the collector's thread looks by itself soon enough. */
void wake(struct sim *s, struct marker *by, unsigned n)
{
    for (unsigned i = 1; i < s->setup->n && n; i++) {
        struct marker *m = &s->m[i];
        if (m->state != ASLEEP || m->called)
            continue;
        spend(by, s->setup->costs.call);
        uint64_t at = by->clock + about(s, s->setup->costs.wake);
        m->clock = at < m->clock ? at : m->clock;
        m->called = true;
        s->out->wakes++;
        s->disordered = true;
        n--;
    }
}

/* ---- What a marker does next --------------------------------------------- */

static void collector_begin(struct sim *s, struct marker *m)
{
    flush(s, m); /* roots, the first time */
    if (!lists_empty(s))
        wake(s, m, s->setup->n);
    slice_begin(s, m);
    s->busy++;
}

static void collector_rest(struct sim *s, struct marker *m)
{
    if (m->done) {
        collector_begin(s, m);
    } else if (lists_empty(s) && !s->busy) {
        s->over = true;
    } else {
        fall_asleep(s, m, about(s, s->setup->costs.poll));
    }
}

static void helper_rest(struct sim *s, struct marker *m)
{
    if (lists_empty(s)) {
        fall_asleep(s, m, s->setup->costs.doze);
        return;
    }
    slice_begin(s, m);
    s->busy++;
}

static void end_of_slice(struct sim *s, struct marker *m)
{
    slice_end(s, m);
    s->busy--;
    m->state = RESTING;
}

static void step(struct sim *s, struct marker *m)
{
    switch (m->state) {
    case ASLEEP:
        get_up(s, m);
        return;
    case WAKING:
    case RESTING:
        if (m->id)
            helper_rest(s, m);
        else if (m->state == RESTING)
            collector_rest(s, m);
        else
            collector_begin(s, m);
        return;
    case DRAINING:
    case TURNING:
        if (!marker_step(s, m))
            end_of_slice(s, m);
    }
}

/* ---- The clock ----------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void account(struct sim *s, uint64_t to)
{
    uint64_t idle = s->sleeping, dt = to - s->now;
    uint64_t asleep = least(idle, s->shared);
    uint64_t kept = least(idle - asleep, s->own);
    uint64_t rest = idle - asleep - kept;
    s->out->asleep += asleep * dt;
    if (s->now < s->roots_end) {
        s->out->roots += (kept + rest) * dt;
    } else {
        s->out->kept += kept * dt;
        s->out->narrow += rest * dt;
    }
    s->now = to;
}

static void go(struct sim *s)
{
    const uint64_t late = 1ull << 50;
    while (!s->over) {
        struct marker *m = &s->m[s->order[0]];
        account(s, m->clock);
        step(s, m);
        if (s->disordered)
            sift_all(s);
        else
            sift(s, 0);
        s->disordered = false;
        if (s->now > late)
            wrong(s, "marking does not end");
    }
}

/* ---- From roots to the outcome ------------------------------------------- */

/* Threads' jobs take no time; the collector's own come out of its clock. */
static void scan_jobs(struct sim *s)
{
    const struct graph *g = s->g;
    struct marker *m = &s->m[0];
    uint64_t spent = 0;
    const uint32_t *root = g->root;
    for (uint32_t j = 0; j < g->njobs; j++) {
        bool own = g->job[j].kind != HEAP_THREAD;
        m->clock = own ? spent + s->setup->costs.word * g->job[j].words : 0;
        for (uint32_t i = 0; i < g->job[j].nroots; i++)
            scan_root(s, m, *root++);
        spent = own ? m->clock : spent;
        if (!own)
            flush(s, m);
    }
    m->clock = s->roots_end = spent;
    m->waits = 0;
    s->pool.lock.n = s->line.lock.n = 0;
}

static void check_end(struct sim *s)
{
    uint32_t objects = s->g->nobjects - s->g->nparts;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < s->g->nobjects; i++)
        seen += s->scanned[i];
    if (s->out->scanned != objects || seen != s->g->nobjects)
        wrong(s, "objects were not scanned");
    for (uint32_t w = 0; w < 8 * s->g->npages; w++)
        if (s->mark[w] != s->g->word[w].exist)
            wrong(s, "mark bits are not those of the recording");
    if (s->own || s->shared)
        wrong(s, "entries were lost");
}

/* What nobody slept or waited was work. */
static void sum_up(struct sim *s)
{
    s->out->steps = s->now;
    for (unsigned i = 0; i < s->setup->n; i++)
        s->out->waits += s->m[i].waits;
    uint64_t lost = s->out->asleep + s->out->kept + s->out->narrow +
                    s->out->roots +
                    s->out->waits;
    s->out->work = s->setup->n * s->now - lost;
}

static void begin(struct sim *s, const struct graph *g,
                  const struct setup *setup, struct outcome *out)
{
    s->g = g;
    s->setup = setup;
    s->out = out;
    s->random = setup->seed;
    s->mark = calloc(8ul * g->npages, sizeof *s->mark);
    s->black = calloc(8ul * g->npages, sizeof *s->black);
    s->queued = calloc(g->npages, 1);
    s->scanned = calloc(g->nobjects + 1ul, 1);
    if (!s->mark || !s->black || !s->queued || !s->scanned)
        abort();
    for (unsigned i = 0; i < setup->n; i++) {
        s->m[i].id = s->order[i] = i;
        s->m[i].state = WAKING;
    }
    scan_jobs(s);
    for (unsigned i = 1; i < setup->n; i++) {
        fall_asleep(s, &s->m[i], about(s, setup->costs.wake));
        s->m[i].called = true;
    }
    sift_all(s);
}

void markers_run(const struct graph *g, const struct setup *setup,
                 struct outcome *out)
{
    struct sim *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    *out = (struct outcome){0};
    begin(s, g, setup, out);
    go(s);
    if (!out->wrong)
        check_end(s);
    sum_up(s);
    lists_free(s);
    free(s->mark);
    free(s->black);
    free(s->queued);
    free(s->scanned);
    free(s);
}
