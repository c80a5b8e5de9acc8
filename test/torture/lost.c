/* lost.c: no object is lost while threads move the last pointer to it about
 * and marking goes on, and some are without the barrier.  links: lib
 *
 * The threads and what they do: moves.h.
 */
#include "moves.h"

TEST_BOTH(moves, 90)
{
    run(2.5);
}

/* Cycles only when the heap asks for them. */
TEST_BOTH(moves_at_its_own_pace, 90)
{
    driver_stop = 1;
    driver_nap_us = 1000000;
    run(1.5);
}

/* ---- Without the barrier -----------------------------------------------
 *
 * Most of these canaries live for a few hundred steps.  To lose one, it must
 * leave the shared object before that is scanned, and be looked at after the
 * sweep: so the way there is long, and the threads rest now and then. */

static int fails(uint64_t seed, const char *debug)
{
    const char *given = getenv("SANCAI_DEBUG");
    int status;

    if (given && strstr(given, "gcstoptheworld"))
        SKIP("held threads need no barrier");
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        test_seed_value = seed;
        debug_add(debug);
        debug_add("clobberfree=1,nobarrier=1");
        start(1);
        way_length = 50000;
        mover_nap_us = 1000;
        run(0.5);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status != 0;
}

/* Else the tests above show nothing. */
TEST_T(moves_without_barrier, 60)
{
    if (SIGNALS_LATE)
        SKIP("what is lost is often gone before it is looked at");
    for (uint64_t i = 0; i < 20; i++)
        if (fails(test_seed() + i, "clobberfree=1"))
            return;
    test_fail(__FILE__, __LINE__, "no object was lost without the barrier");
}

TEST_T(moves_without_barrier_checked, 60)
{
    for (uint64_t i = 0; i < 20; i++)
        if (fails(test_seed() + i, "gccheckmark=1"))
            return;
    test_fail(__FILE__, __LINE__, "gccheckmark saw no lost object");
}
