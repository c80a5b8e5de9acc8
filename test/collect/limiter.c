/* links: src/collect/limiter.c
 *
 * The CPU limiter in the steps of Go's limiter test (14 processors, exact
 * numbers), each from a state of its own and all of them twice in a row on
 * one limiter; then what no real clock should do to it.
 *
 * Times are in ns of wall clock; all(t) is t on every processor.
 */
#include "../check.h"
#include "../../src/collect/pacer.h"
#include <pthread.h>

#define PROCS 14
#define US 1000ull
#define MS (1000 * US)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)

struct world {
    struct limiter l;
    uint64_t now;
};

static uint64_t all(uint64_t ns) { return ns * PROCS; }

static bool pass(struct world *w, uint64_t ns)
{
    return limiter_update(&w->l, w->now += ns);
}

/* Time in which the collector has this share of the CPUs, 25 to 100 %. */
static bool collect(struct world *w, uint64_t ns, double share)
{
    limiter_add_assist(&w->l, (uint64_t)((share - PACER_BACKGROUND)
                                         * (double)all(ns)));
    return pass(w, ns);
}

static struct world fresh(void)
{
    struct world w = {.now = 12345};

    limiter_init(&w.l, w.now, PROCS);
    return w;
}

static struct world marking(void)
{
    struct world w = fresh();

    limiter_phase(&w.l, w.now, LIMITER_MARK);
    return w;
}

static struct world full(void)
{
    struct world w = marking();

    CHECK(collect(&w, SECOND, 1));
    return w;
}

static void is(const struct world *w, uint64_t fill, bool limiting,
               uint64_t overflow)
{
    CHECK_EQ(w->l.fill, fill);
    CHECK_EQ(limiter_limiting(&w->l), limiting);
    CHECK_EQ(w->l.overflow, overflow);
}

/* ---- Go's steps, one by one -------------------------------------------- */

TEST(starts_empty_and_off)
{
    struct world w = fresh();

    CHECK_EQ(w.l.capacity, all(SECOND));
    is(&w, 0, false, 0);
}

TEST(program_earns_no_credit)
{
    struct world w = fresh();

    CHECK(!pass(&w, 10 * MS));
    CHECK(!pass(&w, SECOND));
    CHECK(!pass(&w, HOUR));
    is(&w, 0, false, 0);
    limiter_phase(&w.l, w.now, LIMITER_MARK);
    CHECK(collect(&w, SECOND, 1)); /* as soon as if it were new */
}

TEST(due_after_a_period)
{
    struct world w = fresh();

    CHECK(!limiter_due(&w.l, w.now));
    CHECK(!limiter_due(&w.l, w.now += 5 * MS));
    CHECK(!limiter_due(&w.l, w.now += 5 * MS));
    CHECK(limiter_due(&w.l, w.now += 5 * MS));
    pass(&w, 0);
    CHECK(!limiter_due(&w.l, w.now));
    CHECK(!limiter_due(&w.l, w.now - MS)); /* a stale clock */
}

TEST(held_threads_count_as_collecting)
{
    struct world w = fresh();

    limiter_phase(&w.l, w.now += 109 * MS, LIMITER_HELD);
    limiter_phase(&w.l, w.now += 2 * MS + US, LIMITER_MARK);
    is(&w, all(2 * MS + US), false, 0);
}

TEST(background_marking_drains)
{
    struct world w = fresh();
    uint64_t fill = 2 * MS + US;

    limiter_phase(&w.l, w.now, LIMITER_HELD);
    limiter_phase(&w.l, w.now += fill, LIMITER_MARK);
    pass(&w, 2 * (fill - 1)); /* 75 % out, 25 % in: one half of the time */
    is(&w, PROCS, false, 0);
    pass(&w, 28 * SECOND);
    is(&w, 0, false, 0);
}

TEST(one_half_moves_nothing)
{
    struct world w = marking();

    CHECK(!collect(&w, 10 * MS, 0.5));
    is(&w, 0, false, 0);
    CHECK(!collect(&w, MS, 1));
    is(&w, all(MS), false, 0);
    CHECK(!collect(&w, HOUR, 0.5));
    is(&w, all(MS), false, 0);
}

TEST(fills_exactly)
{
    struct world w = marking();

    CHECK(!collect(&w, MS, 1));
    is(&w, all(MS), false, 0);
    CHECK(!collect(&w, 998 * MS, 1));
    CHECK(collect(&w, MS, 1));
    is(&w, all(SECOND), true, 0);
}

/* Hysteresis of one kind only: exactly one half does not release. */
TEST(stays_on_at_one_half)
{
    struct world w = full();

    CHECK(collect(&w, SECOND, 0.5));
    is(&w, all(SECOND), true, 0);
    CHECK(!collect(&w, US, 0.25));
    is(&w, all(SECOND - US / 2), false, 0);
    CHECK(collect(&w, US / 2, 1));
    is(&w, all(SECOND), true, 0);
}

TEST(drains_by_half_and_overflows)
{
    struct world w = full();

    CHECK(!collect(&w, SECOND, 0.25));
    is(&w, all(SECOND / 2), false, 0);
    CHECK(collect(&w, SECOND, 1));
    is(&w, all(SECOND), true, all(SECOND / 2));
}

TEST(end_of_cycle_counts_what_is_left)
{
    struct world w = full();

    limiter_add_assist(&w.l, all(MS) / 4 * 3);
    limiter_phase(&w.l, w.now += MS, LIMITER_HELD);
    is(&w, all(SECOND), true, all(MS));
    limiter_phase(&w.l, w.now += 5 * MS, LIMITER_RUN);
    is(&w, all(SECOND), true, all(6 * MS));
    CHECK(!pass(&w, SECOND / 2));
    is(&w, all(SECOND / 2), false, all(6 * MS));
}

TEST(processors_come_and_go)
{
    struct world w = full();

    limiter_phase(&w.l, w.now, LIMITER_RUN);
    limiter_procs(&w.l, w.now, PROCS + 10);
    CHECK_EQ(w.l.capacity, all(SECOND) + 10 * SECOND);
    is(&w, all(SECOND), false, 0);
    limiter_procs(&w.l, w.now, PROCS - 10);
    is(&w, 4 * SECOND, true, 0);
    limiter_procs(&w.l, w.now += PROCS * SECOND, PROCS);
    is(&w, 0, false, 0);
    limiter_procs(&w.l, w.now, 0); /* one at least */
    CHECK_EQ(w.l.capacity, SECOND);
}

/* ---- The same, in one life, twice -------------------------------------- */

static void fill_and_drain(struct world *w, uint64_t lost)
{
    uint64_t brink = 2 * MS + US;

    pass(w, HOUR);
    is(w, 0, false, lost);
    limiter_phase(&w->l, w->now += 109 * MS, LIMITER_HELD);
    limiter_phase(&w->l, w->now += brink, LIMITER_MARK);
    is(w, all(brink), false, lost);
    pass(w, 2 * (brink - 1));
    is(w, PROCS, false, lost);
    pass(w, 2 * PROCS * SECOND);
    collect(w, 10 * MS, 0.5);
    is(w, 0, false, lost);
    collect(w, MS, 1);
    is(w, all(MS), false, lost);
    collect(w, SECOND - MS, 1);
    is(w, all(SECOND), true, lost);
    collect(w, SECOND, 0.5);
    is(w, all(SECOND), true, lost);
    collect(w, SECOND, 0.25);
    is(w, all(SECOND / 2), false, lost);
}

static uint64_t overfill_and_end(struct world *w, uint64_t lost)
{
    collect(w, SECOND, 1);
    is(w, all(SECOND), true, lost += all(SECOND / 2));
    limiter_add_assist(&w->l, all(MS) / 4 * 3);
    limiter_phase(&w->l, w->now += MS, LIMITER_HELD);
    is(w, all(SECOND), true, lost += all(MS));
    limiter_phase(&w->l, w->now += 5 * MS, LIMITER_RUN);
    is(w, all(SECOND), true, lost += all(5 * MS));
    limiter_procs(&w->l, w->now, PROCS + 10);
    is(w, all(SECOND), false, lost);
    limiter_procs(&w->l, w->now, PROCS - 10);
    is(w, 4 * SECOND, true, lost);
    limiter_procs(&w->l, w->now += PROCS * SECOND, PROCS);
    return lost;
}

TEST(two_lives)
{
    struct world w = fresh();
    uint64_t lost = 0;
    int i;

    for (i = 0; i < 2; i++) {
        CHECK_EQ(w.l.capacity, all(SECOND));
        is(&w, 0, false, lost);
        fill_and_drain(&w, lost);
        lost = overfill_and_end(&w, lost);
    }
    is(&w, 0, false, lost);
}

/* ---- Beyond Go's ------------------------------------------------------- */

/* One busy thread, 13 idle processors: background marking on 3.5 of them is
 * far more than one half of what is used. */
TEST(idle_processors_are_left_out)
{
    struct world w = marking();
    int i;

    for (i = 0; i < 1000; i++) {
        limiter_add_idle(&w.l, 10 * MS * 9);
        pass(&w, 10 * MS);
    }
    is(&w, all(SECOND), true, 10 * SECOND * 2 - all(SECOND));
    limiter_phase(&w.l, w.now, LIMITER_RUN);
    limiter_add_idle(&w.l, SECOND * 13);
    CHECK(!pass(&w, SECOND)); /* the one thread's second */
    CHECK_EQ(w.l.fill, all(SECOND) - SECOND);
}

TEST(pools_wait_while_held)
{
    struct world w = marking();

    limiter_add_assist(&w.l, all(MS) / 2);
    limiter_phase(&w.l, w.now, LIMITER_HELD);
    limiter_add_assist(&w.l, all(MS) / 4);
    limiter_phase(&w.l, w.now += MS, LIMITER_MARK);
    is(&w, all(2 * MS), false, 0);
    pass(&w, MS);
    CHECK_EQ(w.l.fill, all(2 * MS)); /* 1/4 assist and 1/4 background */
}

TEST(time_never_runs_back)
{
    struct world w = full();
    uint64_t later = w.now;

    limiter_add_assist(&w.l, all(SECOND));
    CHECK(limiter_update(&w.l, 0));
    CHECK(limiter_update(&w.l, later - 1));
    CHECK_EQ(w.l.last_update, later);
    CHECK_EQ(w.l.assist, all(SECOND)); /* still to be counted */
    is(&w, all(SECOND), true, 0);
}

/* Whatever was measured, some seconds of the program's time release it. */
TEST(huge_times_do_no_lasting_harm)
{
    struct limiter l;
    uint64_t now = UINT64_MAX - 200 * SECOND;
    int i;

    limiter_init(&l, 0, 1 << 20);
    limiter_phase(&l, now, LIMITER_HELD);
    CHECK_EQ(l.fill, 0);
    for (i = 0; i < 20; i++) {
        limiter_add_assist(&l, UINT64_MAX / 2);
        limiter_add_idle(&l, UINT64_MAX / 2);
        limiter_phase(&l, now += SECOND, (enum limiter_phase)(i % 3));
        CHECK(l.fill <= l.capacity);
        CHECK(!limiter_limiting(&l) || l.fill == l.capacity);
    }
    CHECK(l.overflow > 0);
    limiter_phase(&l, now, LIMITER_RUN);
    CHECK(!limiter_update(&l, now += 2 * SECOND));
    CHECK_EQ(l.fill, 0);
}

/* Such as a difference of two clocks that went below 0. */
TEST(one_absurd_report_costs_a_second)
{
    struct world w = marking();

    limiter_add_assist(&w.l, UINT64_MAX);
    CHECK(pass(&w, MS));
    limiter_phase(&w.l, w.now, LIMITER_RUN);
    CHECK(!pass(&w, SECOND));
    CHECK_EQ(w.l.fill, 0);
}

TEST(overflow_sticks)
{
    struct world w = full();

    w.l.overflow = UINT64_MAX - 5;
    collect(&w, SECOND, 1);
    is(&w, all(SECOND), true, UINT64_MAX);
}

/* Assists report from all threads while one accounts. */
#define REPORTERS 4
#define REPORTS 100000

static void *report(void *arg)
{
    struct limiter *l = arg;
    int i;

    for (i = 0; i < REPORTS; i++) {
        limiter_add_assist(l, 3);
        if (limiter_limiting(l) || limiter_due(l, 0))
            return "limiting, or due before time began";
    }
    return NULL;
}

TEST(no_report_is_lost)
{
    struct world w = marking();
    pthread_t t[REPORTERS];
    void *wrong;
    int i;

    for (i = 0; i < REPORTERS; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, report, &w.l), 0);
    for (i = 0; i < 1000; i++)
        pass(&w, 0);
    for (i = 0; i < REPORTERS; i++) {
        pthread_join(t[i], &wrong);
        CHECK(!wrong);
    }
    pass(&w, 0);
    is(&w, 2ull * 3 * REPORTERS * REPORTS, false, 0);
}
