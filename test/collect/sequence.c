/* links: os base page heap collect
 *
 * Restartable stores of compiled code: which program counters go back. */
#include "../check.h"

#include <sancai_cc.h>

#include "../../src/collect/collect.h"

/* Sequences over text that is not run, out of order as a linker may leave
 * them, two of them next to each other. */
enum { N = 7 };
static char text[4096];
static const struct { int at, length; } want[N] = {
    {900, 13}, {40, 10}, {50, 9}, {3000, 16}, {41 + 100, 1}, {2000, 12},
    {1000, 15}};
static struct sc_cc_record records[N];

static uintptr_t expected(size_t pc)
{
    for (int i = 0; i < N; i++)
        if (pc >= (size_t)want[i].at
            && pc < (size_t)(want[i].at + want[i].length))
            return (uintptr_t)text + (uintptr_t)want[i].at;
    return (uintptr_t)text + pc;
}

static void every_counter(void)
{
    for (size_t pc = 0; pc < sizeof text; pc++)
        CHECK(barrier_restart((uintptr_t)text + pc) == expected(pc));
    CHECK(barrier_restart(0) == 0);
    CHECK(barrier_restart(UINTPTR_MAX) == UINTPTR_MAX);
    CHECK(barrier_restart((uintptr_t)text - 1) == (uintptr_t)text - 1);
}

/* What a handler of the program will return to. */
static void frames(void)
{
    uintptr_t stack[5] = {1, (uintptr_t)text + 905, (uintptr_t)text + 913,
                          (uintptr_t)text + 3015, (uintptr_t)text + 55};
    barrier_restart_frames((uintptr_t)stack, (uintptr_t)(stack + 4));
    CHECK(stack[0] == 1);
    CHECK(stack[1] == (uintptr_t)text + 900);
    CHECK(stack[2] == (uintptr_t)text + 913); /* its end: the store is done */
    CHECK(stack[3] == (uintptr_t)text + 3000);
    CHECK(stack[4] == (uintptr_t)text + 55); /* outside of the range */
}

static void records_give(void)
{
    for (int i = 0; i < N; i++) {
        uintptr_t at = (uintptr_t)text + (uintptr_t)want[i].at;
        records[i].start = (int)(at - (uintptr_t)&records[i].start);
        records[i].length = (unsigned)want[i].length;
    }
    CHECK_EQ(sc_cc_records(records, N), 0);
}

TEST(without_records_nothing_moves)
{
    CHECK_EQ(sc_cc_records(NULL, 0), 0);
    CHECK(barrier_restart((uintptr_t)text) == (uintptr_t)text);
}

TEST(every_counter_goes_to_its_start)
{
    records_give();
    every_counter();
}

TEST(counters_in_frames_are_rewritten)
{
    records_give();
    frames();
}

TEST(a_second_table_is_refused)
{
    records_give();
    CHECK_EQ(sc_cc_records(records, N), -1);
    every_counter();
}
