/* links: src/collect/pacer.c
 *
 * What the pacer decides before a cycle: workers for every count of
 * processors, goals and triggers for percentages from off to absurd, empty
 * heaps, limits with and without memory that isn't heap.
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

/* ---- Workers ----------------------------------------------------------- */

TEST(workers_for_each_count_of_processors)
{
    static const struct { int procs, dedicated; double fractional; } t[] = {
        {1, 0, 0.25}, {2, 0, 0.25}, {3, 0, 0.25}, {4, 1, 0}, {5, 1, 0},
        {6, 1, 0.5 / 6}, {7, 2, 0}, {8, 2, 0}, {64, 16, 0}, {1000, 250, 0},
        {0, 0, 0.25}};
    struct pacer_memory m = AT(0);
    struct pacer p;
    size_t i;

    for (i = 0; i < COUNT(t); i++) {
        pacer_init(&p, 100, PACER_NO_LIMIT, t[i].procs);
        pacer_start(&p, &m, 0, PACER_NORMAL);
        CHECK_EQ(p.dedicated, t[i].dedicated);
        CHECK(p.fractional > t[i].fractional - 1e-12);
        CHECK(p.fractional < t[i].fractional + 1e-12);
        CHECK_EQ(p.max_idle, p.procs - t[i].dedicated);
    }
}

TEST(all_processors_mark_while_threads_are_held)
{
    struct pacer_memory m = AT(0);
    struct pacer p;
    int n;

    for (n = 1; n <= 64; n++) {
        pacer_init(&p, 100, PACER_NO_LIMIT, n);
        pacer_start(&p, &m, 0, PACER_HELD);
        CHECK_EQ(p.dedicated, n);
        CHECK(p.fractional == 0);
        CHECK_EQ(p.max_idle, 0);
    }
}

TEST(periodic_cycle_has_one_sure_worker)
{
    struct pacer_memory m = AT(0);
    struct pacer p;
    int n;

    for (n = 1; n <= 64; n++) {
        pacer_init(&p, 100, PACER_NO_LIMIT, n);
        pacer_start(&p, &m, 0, PACER_PERIODIC);
        CHECK_EQ(p.max_idle, p.dedicated > 0 ? 0 : 1);
    }
}

/* ---- Goals ------------------------------------------------------------- */

TEST(empty_heap_starts_with_the_minimum)
{
    struct pacer_memory m = AT(0);
    struct pacer_trigger t;
    struct pacer p;

    pacer_init(&p, 100, PACER_NO_LIMIT, 4);
    t = pacer_trigger(&p, &m);
    CHECK_EQ(t.goal, MIB(4));
    CHECK_EQ(t.trigger, MIB(4) / 64 * 61);
}

TEST(goal_grows_with_percent)
{
    struct pacer_memory m = AT(MIB(100));
    struct pacer p = after(0, PACER_NO_LIMIT, MIB(100));

    CHECK_EQ(pacer_goal(&p, &m), MIB(100));
    CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(100));
    p = after(1, PACER_NO_LIMIT, MIB(100));
    CHECK_EQ(pacer_goal(&p, &m), MIB(101));
    p = after(100, PACER_NO_LIMIT, MIB(100));
    CHECK_EQ(pacer_goal(&p, &m), MIB(200));
    p = after(100000, PACER_NO_LIMIT, MIB(100));
    CHECK_EQ(pacer_goal(&p, &m), MIB(100100));
}

TEST(minimum_goes_with_percent)
{
    struct pacer_memory m = AT(0);
    struct pacer p = after(1, PACER_NO_LIMIT, 0);

    CHECK_EQ(pacer_goal(&p, &m), MIB(4) / 100);
    p = after(100000, PACER_NO_LIMIT, 0);
    CHECK_EQ(pacer_goal(&p, &m), MIB(4000));
    p = after(0, PACER_NO_LIMIT, 0);
    CHECK_EQ(pacer_trigger(&p, &m).trigger, 0);
}

TEST(stacks_and_globals_count_as_heap)
{
    struct pacer_memory m = AT(MIB(10));
    struct pacer p = after(50, PACER_NO_LIMIT, MIB(10));

    p.last_stack_scan = MIB(20);
    p.globals_scan = MIB(30);
    pacer_commit(&p, MIB(10), true);
    CHECK_EQ(pacer_goal(&p, &m), MIB(40));
    CHECK_EQ(pacer_expected(&p), MIB(60));
}

TEST(nothing_starts_when_off)
{
    struct pacer_memory m = AT(GIB(100));
    struct pacer p = after(-1, PACER_NO_LIMIT, MIB(100));

    CHECK_EQ(pacer_goal(&p, &m), UINT64_MAX);
    CHECK(pacer_trigger(&p, &m).trigger > UINT64_MAX - MIB(5));
    p = after(-77, -77, MIB(100));
    CHECK_EQ(p.gc_percent, -1);
    CHECK_EQ(p.memory_limit, PACER_NO_LIMIT);
    CHECK_EQ(pacer_goal(&p, &m), UINT64_MAX);
    pacer_start(&p, &m, 0, PACER_NORMAL); /* by force */
    CHECK(sound(pacer_work_per_byte(&p)));
    CHECK(sound(pacer_bytes_per_work(&p)));
    CHECK(pacer_work_per_byte(&p) < 1e-6);
}

TEST(settings_change_at_any_time)
{
    struct pacer_memory m = AT(MIB(100));
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    pacer_set(&p, 50, MIB(120), 8);
    pacer_commit(&p, m.live, true);
    CHECK_EQ(pacer_goal(&p, &m), MIB(120) - MIB(120) / 100 * 3);
    pacer_set(&p, 10, -1, 8);
    pacer_commit(&p, m.live, true);
    CHECK_EQ(p.memory_limit, MIB(120));
    CHECK_EQ(pacer_goal(&p, &m), MIB(110));
    CHECK_EQ(p.procs, 8);
}

TEST(sweeping_gets_its_distance)
{
    struct pacer_memory m = AT(MIB(300));
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));
    struct pacer_trigger t;

    pacer_commit(&p, MIB(300), false);
    t = pacer_trigger(&p, &m);
    CHECK_EQ(t.trigger, MIB(301));
    CHECK_EQ(t.goal, MIB(301));
    pacer_commit(&p, MIB(300), true);
    CHECK_EQ(pacer_trigger(&p, &m).goal, MIB(200));
}

TEST(late_start_still_has_a_runway)
{
    struct pacer_memory m = AT(MIB(250));
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    pacer_start(&p, &m, 0, PACER_NORMAL);
    CHECK_EQ(pacer_goal(&p, &m), MIB(250) + KIB(64));
    pacer_set(&p, 100, MIB(150), 4);
    CHECK_EQ(pacer_goal(&p, &m), MIB(150) - MIB(150) / 100 * 3);
}

TEST(trigger_within_its_bounds)
{
    struct pacer_memory m = AT(MIB(128));
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(128));

    CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(256) - MIB(4));
    p.runway = MIB(20);
    CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(236));
    p.runway = MIB(100);
    CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(128 + 90));
    p.runway = UINT64_MAX;
    CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(128 + 90));
    p = after(100, PACER_NO_LIMIT, MIB(32)); /* 5 % are less than 4 MiB */
    CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(32) + KIB(512) * 61);
}

TEST(trigger_before_commit_is_the_old_goal)
{
    struct pacer_memory m = AT(MIB(300));
    struct pacer p = after(100, PACER_NO_LIMIT, MIB(100));

    pacer_reset_live(&p, MIB(300));
    CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(200));
    CHECK_EQ(pacer_trigger(&p, &m).goal, MIB(200));
}

TEST(what_is_too_large_sticks)
{
    struct pacer_memory m = AT(0);
    struct pacer p = after(INT32_MAX, PACER_NO_LIMIT, 1ull << 62);

    CHECK_EQ(pacer_goal(&p, &m), UINT64_MAX);
    p = after(100, PACER_NO_LIMIT, UINT64_MAX - 5);
    CHECK_EQ(pacer_goal(&p, &m), UINT64_MAX);
    CHECK_EQ(pacer_trigger(&p, &m).trigger, UINT64_MAX - 5);
    p = after(100, PACER_NO_LIMIT, MIB(1));
    pacer_commit(&p, UINT64_MAX - 5, false);
    CHECK_EQ(pacer_goal(&p, &m), UINT64_MAX);
    p.cons_mark = 1e30;
    pacer_commit(&p, 0, true);
    CHECK_EQ(p.runway, UINT64_MAX);
}

/* ---- Limits ------------------------------------------------------------ */

TEST(limit_leaves_out_what_is_not_heap)
{
    struct pacer p = after(-1, MIB(500), MIB(100));
    struct pacer_memory m = {.live = MIB(100), .mapped_ready = MIB(450),
                             .heap_free = MIB(150), .heap_alloc = MIB(200)};

    CHECK_EQ(pacer_goal(&p, &m), MIB(400) - MIB(12));
    m.mapped_ready = MIB(550); /* 200 not heap, 50 above the limit */
    CHECK_EQ(pacer_goal(&p, &m), MIB(250) - MIB(250) / 100 * 3);
    m.mapped_ready = MIB(100); /* read while it changed */
    CHECK_EQ(pacer_goal(&p, &m), MIB(500) - MIB(15));
}

TEST(headroom_is_a_mebibyte_at_least)
{
    struct pacer_memory m = AT(0);
    struct pacer p = after(-1, MIB(20), 0);

    CHECK_EQ(pacer_goal(&p, &m), MIB(19));
    p = after(-1, KIB(1536), 0);
    CHECK_EQ(pacer_goal(&p, &m), MIB(1));
}

TEST(tiny_limit_means_all_the_time)
{
    static const int64_t limit[] = {0, 1, 4096, MIB(1)};
    struct pacer_memory m = {.live = MIB(8), .mapped_ready = MIB(30),
                             .heap_alloc = MIB(8)};
    struct pacer p;
    size_t i;

    for (i = 0; i < COUNT(limit); i++) {
        p = after(100, limit[i], MIB(8));
        CHECK_EQ(pacer_goal(&p, &m), MIB(8));
        CHECK_EQ(pacer_trigger(&p, &m).trigger, MIB(8));
        pacer_start(&p, &m, 0, PACER_NORMAL);
        CHECK(sound(pacer_work_per_byte(&p)));
        CHECK(pacer_work_per_byte(&p) > 1e6); /* all by assists */
    }
}
