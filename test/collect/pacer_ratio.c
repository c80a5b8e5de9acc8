/* links: src/collect/pacer.c
 *
 * What the pacer decides while marking and learns at its end: assist ratios,
 * goals that move, cons/mark, cycles that are given up, clocks that go
 * backwards; and that no numbers at all lead to an answer without sense.
 */
#include "../check.h"
#include "../../src/collect/pacer.h"

#define AT(n) ((struct pacer_memory){.live = (n)})

static bool sound(double d) /* finite and above 0 */
{
    return d > 0 && d < 1e300;
}

/* A pacer after a cycle that marked so much heap. */
static struct pacer after(int percent, int64_t limit, uint64_t marked)
{
    struct pacer p;

    pacer_init(&p, percent, limit, 4);
    p.heap_work = marked;
    pacer_reset_live(&p, marked);
    pacer_commit(&p, marked, true);
    return p;
}

/* ---- Assist ratio ------------------------------------------------------ */

/* Marked 100 MiB, goal 200 MiB, started at 150 MiB. */
static struct pacer halfway(struct pacer_memory *m)
{
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    *m = (struct pacer_memory){.live = MIB(150), .scan = MIB(400)};
    pacer_start(&p, m, 0, PACER_NORMAL);
    return p;
}

TEST(ratio_spreads_the_work_over_the_runway)
{
    struct pacer_memory m;
    struct pacer p = halfway(&m);

    CHECK(pacer_work_per_byte(&p) == 2);
    CHECK(pacer_bytes_per_work(&p) == 0.5);
    m.live = MIB(175);
    pacer_revise(&p, &m, MIB(75));
    CHECK(pacer_work_per_byte(&p) == 1);
    pacer_revise(&p, &m, MIB(100)); /* as good as done */
    CHECK(pacer_work_per_byte(&p) == 1000.0 / (double)MIB(25));
}

TEST(grown_heap_keeps_its_pace_up_to_the_hard_goal)
{
    struct pacer_memory m;
    struct pacer p = halfway(&m);

    m.scan = MIB(300); /* three times the work: runway 3 * 50 MiB */
    m.live = MIB(200);
    pacer_revise(&p, &m, MIB(101));
    CHECK(pacer_work_per_byte(&p) == 199.0 / 100);
    m.scan = MIB(1000); /* 650 MiB would be needed, 400 MiB are the most */
    pacer_revise(&p, &m, MIB(101));
    CHECK(pacer_work_per_byte(&p) == 899.0 / 200);
}

TEST(past_the_goal_a_tenth_is_left)
{
    struct pacer_memory m;
    struct pacer p = halfway(&m);

    m.live = MIB(200) + 1;
    pacer_revise(&p, &m, MIB(50));
    CHECK(pacer_work_per_byte(&p) > 17.49);
    CHECK(pacer_work_per_byte(&p) < 17.51); /* (400 - 50) / 20 */
    m.live = MIB(230); /* past that too */
    pacer_revise(&p, &m, MIB(50));
    CHECK(pacer_work_per_byte(&p) == (double)MIB(350));
}

TEST(no_ratio_between_cycles)
{
    struct pacer_memory m;
    struct pacer p = halfway(&m);

    pacer_reset_live(&p, MIB(100));
    m.live = MIB(199);
    pacer_revise(&p, &m, 0);
    CHECK(pacer_work_per_byte(&p) == 2);
}

/* Nothing to extrapolate from: the hard goal, twice the late goal, at once. */
TEST(first_cycle_knows_no_work)
{
    struct pacer_memory m = {.live = MIB(4), .scan = MIB(4)};
    double left = (double)(2 * (MIB(4) + KIB(64)) - MIB(4));
    struct pacer p;

    pacer_init(&p, 100, PACER_NO_LIMIT, 4);
    pacer_start(&p, &m, 0, PACER_NORMAL);
    CHECK_EQ(pacer_expected(&p), 0);
    pacer_revise(&p, &m, MIB(1));
    CHECK(pacer_work_per_byte(&p) == (double)MIB(3) / left);
    m.scan = 0;
    pacer_revise(&p, &m, 1); /* a root where none was expected */
    CHECK(pacer_work_per_byte(&p) == 1000 / left);
}

TEST(worst_case_has_all_stacks_and_globals)
{
    struct pacer_memory m;
    struct pacer p = halfway(&m);

    m.scan = 0;
    p.stack_scan_max = MIB(40);
    p.globals_scan = MIB(60);
    m.live = MIB(250);
    pacer_revise(&p, &m, MIB(50)); /* 50 in 250 to 220, which is past */
    CHECK(pacer_work_per_byte(&p) == (double)MIB(50));
}

/* With the percentage off growth has no hard goal but the limit's. */
TEST(growth_is_free_when_percent_is_off)
{
    struct pacer_memory m = {.live = MIB(400), .scan = MIB(1000)};
    struct pacer p = after(-1, MIB(500), MIB(100));
    double goal = (double)(MIB(500) - MIB(15)), ratio;

    pacer_start(&p, &m, 0, PACER_NORMAL);
    pacer_revise(&p, &m, MIB(200));
    ratio = (double)MIB(800) / ((goal - (double)MIB(400)) * 10);
    CHECK(pacer_work_per_byte(&p) > ratio * 0.999);
    CHECK(pacer_work_per_byte(&p) < ratio * 1.001);
}

/* ---- Measuring --------------------------------------------------------- */

/* A cycle of 1 ms on 4 processors, so and so much allocated and scanned. */
static void one_cycle(struct pacer *p, uint64_t allocated, uint64_t scanned,
                      uint64_t assist, uint64_t idle)
{
    struct pacer_memory m = AT(MIB(100));
    struct pacer_end e = {.now = 2000000, .assist_time = assist,
                          .idle_time = idle, .heap_scan_work = scanned};

    pacer_start(p, &m, 1000000, PACER_NORMAL);
    m.live += allocated;
    pacer_end(p, &m, &e);
    pacer_reset_live(p, MIB(100));
    pacer_commit(p, MIB(100), true);
}

TEST(cons_mark_is_a_ratio_of_rates)
{
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    one_cycle(&p, MIB(30), MIB(100), 0, 0); /* 30/75 over 100/25 */
    CHECK(p.utilization == 0.25);
    CHECK(p.cons_mark > 0.0999 && p.cons_mark < 0.1001);
    CHECK(p.runway > MIB(30) - 9 && p.runway < MIB(30) + 9);
    CHECK_EQ(p.last_heap_goal, MIB(200));
    p = after(100, PACER_NO_LIMIT, MIB(100));
    one_cycle(&p, MIB(30), MIB(100), 1000000, 1000000);
    CHECK(p.utilization == 0.5);
    CHECK(p.cons_mark > 0.4499 && p.cons_mark < 0.4501);
}

TEST(highest_of_five_counts)
{
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));
    int i;

    one_cycle(&p, MIB(60), MIB(100), 0, 0);
    for (i = 0; i < PACER_CONS_MARK_HISTORY; i++) {
        one_cycle(&p, MIB(30), MIB(100), 0, 0);
        CHECK(p.cons_mark > 0.1999 && p.cons_mark < 0.2001);
    }
    one_cycle(&p, MIB(30), MIB(100), 0, 0);
    CHECK(p.cons_mark > 0.0999 && p.cons_mark < 0.1001);
}

TEST(empty_cycles_measure_nothing)
{
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    one_cycle(&p, MIB(30), MIB(100), 0, 0);
    one_cycle(&p, 0, MIB(100), 0, 0);
    one_cycle(&p, MIB(30), 0, 0, 0);
    CHECK(p.cons_mark > 0.0999 && p.cons_mark < 0.1001);
    CHECK(p.last_cons_mark[PACER_CONS_MARK_HISTORY - 2] == 0);
    CHECK_EQ(p.last_heap_scan, 0);
}

TEST(cycle_given_up_learns_nothing)
{
    struct pacer_memory m = AT(MIB(190));
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    one_cycle(&p, MIB(30), MIB(80), 0, 0);
    pacer_start(&p, &m, 0, PACER_NORMAL);
    pacer_reset_live(&p, m.live);
    pacer_commit(&p, m.live, true);
    CHECK_EQ(pacer_expected(&p), MIB(80));
    CHECK_EQ(pacer_goal(&p, &m), MIB(380));
}

TEST(clocks_may_be_wrong)
{
    struct pacer_memory m = AT(MIB(100));
    struct pacer_end e = {.now = 5, .assist_time = UINT64_MAX,
                          .idle_time = UINT64_MAX,
                          .heap_scan_work = MIB(100)};
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    pacer_start(&p, &m, 10, PACER_NORMAL); /* ends before it starts */
    m.live += MIB(30);
    pacer_end(&p, &m, &e);
    CHECK(p.utilization == 0.25);
    one_cycle(&p, MIB(30), MIB(100), UINT64_MAX, UINT64_MAX);
    CHECK(p.utilization < 1);
    CHECK(sound(p.cons_mark));
    CHECK(p.cons_mark < 1000);
}

/* ---- Any numbers at all ------------------------------------------------ */

static uint64_t any(uint64_t *s)
{
    uint64_t r;

    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    r = *s * 0x2545f4914f6cdd1du;
    switch (r >> 61) {
    case 0: return 0;
    case 1: return UINT64_MAX - (r & 3);
    default: return (r << 3) >> (r >> 55 & 63);
    }
}

static struct pacer_memory any_memory(uint64_t *s)
{
    return (struct pacer_memory){any(s), any(s), any(s), any(s), any(s)};
}

static void any_cycle(struct pacer *p, uint64_t *s)
{
    struct pacer_memory m = any_memory(s);
    struct pacer_trigger t = pacer_trigger(p, &m);
    struct pacer_end e = {any(s), any(s), any(s), any(s), any(s), any(s)};

    CHECK(t.trigger <= t.goal);
    CHECK_EQ(t.goal, pacer_goal(p, &m));
    CHECK(t.trigger >= p->heap_marked || t.trigger == t.goal);
    pacer_start(p, &m, any(s), (enum pacer_kind)(any(s) % 3));
    m = any_memory(s);
    pacer_revise(p, &m, any(s));
    CHECK(sound(pacer_work_per_byte(p)));
    CHECK(sound(pacer_bytes_per_work(p)));
    pacer_end(p, &m, &e);
    CHECK(p->utilization >= 0.25 && p->utilization < 1);
    CHECK(p->cons_mark >= 0 && p->cons_mark < 1e300);
    p->stack_scan_max = any(s);
    p->globals_scan = any(s);
    pacer_reset_live(p, any(s));
    pacer_commit(p, any(s), any(s) & 1);
}

TEST(no_number_breaks_it)
{
    uint64_t s = test_seed();
    struct pacer p;
    int i, j;

    for (i = 0; i < 20000; i++) {
        pacer_init(&p, (int)any(&s), (int64_t)any(&s), (int)any(&s));
        for (j = 0; j < 8; j++)
            any_cycle(&p, &s);
    }
}
