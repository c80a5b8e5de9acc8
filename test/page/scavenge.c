/* links: os base page
 *
 * Goals as numbers, the order in which pages go back, what is left alone,
 * and the background worker's share of a CPU on a clock of our own.
 */
#include "pages.h"
#include <sys/syscall.h>

#define DENSE_PAGES 496

/* ---- Pure parts -------------------------------------------------------- */

TEST(goal_percent)
{
    CHECK_EQ(scavenge_goal_percent(MIB(8), 0, MIB(4)), UINT64_MAX);
    CHECK_EQ(scavenge_goal_percent(MIB(8), MIB(8), 10 * PAGE_SIZE),
             11 * PAGE_SIZE);
    CHECK_EQ(scavenge_goal_percent(MIB(16), MIB(8), 10 * PAGE_SIZE),
             22 * PAGE_SIZE);
    CHECK_EQ(scavenge_goal_percent(MIB(4), MIB(8), 20 * PAGE_SIZE),
             11 * PAGE_SIZE);
    CHECK_EQ(scavenge_goal_percent(MIB(8), MIB(8), 1), PAGE_SIZE);
    CHECK_EQ(scavenge_goal_percent(UINT64_MAX, 1, GIB(1)), UINT64_MAX);
}

TEST(goal_limit)
{
    CHECK_EQ(scavenge_goal_limit(INT64_MAX), UINT64_MAX);
    CHECK_EQ(scavenge_goal_limit(UINT64_MAX), UINT64_MAX);
    CHECK_EQ(scavenge_goal_limit(1000000), 950000);
    CHECK_EQ(scavenge_goal_limit(0), 0);
}

TEST(for_limit_is_what_exceeds_it)
{
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(1000, &zero), 0);
    uint64_t ready = page_mapped_ready();
    CHECK_EQ(scavenge_for_limit(GIB(64)), 0); /* no limit yet */
    for (uint64_t room = 0; room < MIB(1); room = room * 3 + 1) {
        scavenge_set_goals(UINT64_MAX, scavenge_goal_limit(ready + room));
        uint64_t got = scavenge_for_limit(MIB(1));
        uint64_t exact = MIB(1) - room; /* the goal keeps it to a byte */
        CHECK(got + 1 >= exact && got <= exact + 1);
        CHECK(scavenge_for_limit(room ? room - 1 : 0) <= 1);
    }
}

TEST(duty_is_one_percent)
{
    struct scavenge_duty d = {0};
    uint64_t now = 12345678901, start = now, worked = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t work = 1000000 + rnd(9) * 300000; /* some rounds are dear */
        worked += work;
        now += work;
        now += scavenge_duty_sleep(&d, now, work);
        now += rnd(20) * 1000000; /* sleeps last longer than asked */
    }
    uint64_t permyriad = worked * 10000 / (now - start);
    CHECK(permyriad >= 90 && permyriad <= 102);
}

TEST(duty_forgets_idle_time)
{
    struct scavenge_duty d = {0};
    uint64_t now = 1000000000000, worked = 0, start = now;
    for (int i = 0; i < 20; i++) { /* after hours of nothing to do */
        now += 1000000;
        worked += 1000000;
        now += scavenge_duty_sleep(&d, now, 1000000);
    }
    CHECK(now - start >= 17 * 100 * (uint64_t)1000000);
    CHECK_EQ(worked, 20000000);
}

TEST(duty_credit_is_worked_off_at_once)
{
    struct scavenge_duty d = {.credit = 1000 * (uint64_t)1000000};
    uint64_t now = 1000000000000, slept = 0;
    for (int i = 0; i < 10; i++) { /* a credit of 10 ms of work */
        slept += scavenge_duty_sleep(&d, now, 1000000);
        now += 1000000;
    }
    CHECK(slept <= 10 * 1000000);
    slept = scavenge_duty_sleep(&d, now, 10000000);
    CHECK(slept >= 980 * (uint64_t)1000000);
}

/* ---- Candidates -------------------------------------------------------- */

static struct chunk *chunk_all(int used)
{
    static struct chunk c;
    memset(c.used, used ? 0xff : 0, sizeof c.used);
    memset(c.released, 0, sizeof c.released);
    return &c;
}

TEST(candidate_is_highest)
{
    struct chunk *c = chunk_all(1);
    CHECK_EQ(release_candidate(c, 512, 512, 1).n, 0);
    bits_clear(c->used, 3, 2);
    bits_clear(c->used, 100, 70);
    bits_set(c->released, 165, 5);
    struct release_run r = release_candidate(c, 512, 512, 1);
    CHECK_EQ(r.page, 100);
    CHECK_EQ(r.n, 65);
    r = release_candidate(c, 512, 10, 1);
    CHECK_EQ(r.page, 155);
    CHECK_EQ(r.n, 10);
    r = release_candidate(c, 120, 512, 1);
    CHECK_EQ(r.page, 100);
    CHECK_EQ(r.n, 20);
    r = release_candidate(c, 100, 512, 1);
    CHECK_EQ(r.page, 3);
    CHECK_EQ(r.n, 2);
}

TEST(candidate_keeps_huge_pages_whole)
{
    struct chunk *c = chunk_all(0);
    struct release_run r = release_candidate(c, 512, 8, 1);
    CHECK_EQ(r.page, 256); /* all of the upper 2 MiB, not 8 pages of it */
    CHECK_EQ(r.n, 256);
    bits_set(c->used, 300, 1);
    r = release_candidate(c, 512, 8, 1);
    CHECK_EQ(r.page, 504); /* that one is not whole any more */
    CHECK_EQ(r.n, 8);
    r = release_candidate(c, 300, 100, 1);
    CHECK_EQ(r.page, 200 - 200 % 256);
    CHECK_EQ(r.n, 300);
}

TEST(candidate_respects_os_pages)
{
    for (uint32_t whole = 1; whole <= 64; whole *= 2)
        for (int k = 0; k < 300; k++) {
            struct chunk *c = chunk_all(0);
            for (uint32_t i = 0; i < CHUNK_PAGES; i++)
                if (rnd(whole * 2) == 0)
                    bits_set(rnd(2) ? c->used : c->released, i, 1);
            struct release_run r = release_candidate(
                c, 1 + rnd(CHUNK_PAGES), 1 + rnd(30), whole);
            CHECK_EQ(r.n % whole, 0);
            CHECK(r.n == 0 || r.page % whole == 0);
            CHECK_EQ(bits_count(c->used, r.page, r.n), 0);
            CHECK_EQ(bits_count(c->released, r.page, r.n), 0);
        }
}

/* ---- The whole --------------------------------------------------------- */

/* n pages in use at the start of a fresh heap, in a cycle of their own. */
static void heap_of(uint32_t n)
{
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(page_take(n, &zero), 0);
    scavenge_new_cycle();
}

static uint32_t lowest_released(void)
{
    for (uint32_t i = 0; i < pages.top; i++)
        if (page_state(i) == RELEASED)
            return i;
    return pages.top;
}

TEST(highest_goes_first)
{
    heap_of(16 * CHUNK_PAGES);
    for (uint32_t c = 0; c < 16; c++)
        page_give(c * CHUNK_PAGES + 10, 100);
    uint32_t last = 16 * CHUNK_PAGES;
    for (uint32_t c = 16; c-- > 0;)
        for (int part = 0; part < 4; part++) {
            CHECK_EQ(scavenge_now(25 * PAGE_SIZE, true), 25 * PAGE_SIZE);
            uint32_t low = lowest_released();
            CHECK(low < last);
            CHECK_EQ(low / CHUNK_PAGES, c);
            last = low;
        }
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 0);
    page_verify();
}

TEST(forced_releases_everything)
{
    struct page_stats s;
    heap_of(8 * CHUNK_PAGES);
    uint32_t given = 0;
    for (uint32_t p = 0; p < 8 * CHUNK_PAGES; p += 2 + rnd(60)) {
        page_give(p, 1); /* most chunks stay dense */
        given++;
    }
    CHECK_EQ(scavenge_now(UINT64_MAX, true), given * PAGE_SIZE);
    page_stats(&s);
    CHECK_EQ(s.free, 0);
    CHECK_EQ(s.released, given * PAGE_SIZE);
    page_verify();
}

TEST(dense_chunks_are_left_alone)
{
    heap_of(2 * CHUNK_PAGES);
    page_give(0, CHUNK_PAGES - DENSE_PAGES);               /* dense */
    page_give(CHUNK_PAGES, CHUNK_PAGES - DENSE_PAGES + 1); /* not quite */
    CHECK_EQ(scavenge_now(UINT64_MAX, false), 0); /* all freed just now */
    scavenge_new_cycle();
    CHECK_EQ(scavenge_now(UINT64_MAX, false),
             (CHUNK_PAGES - DENSE_PAGES + 1) * PAGE_SIZE);
    CHECK(lowest_released() >= CHUNK_PAGES);
    CHECK_EQ(scavenge_now(UINT64_MAX, true),
             (CHUNK_PAGES - DENSE_PAGES) * PAGE_SIZE);
    page_verify();
}

TEST(dense_for_a_while_counts_for_the_cycle)
{
    bool zero;
    heap_of(CHUNK_PAGES);
    page_give(0, 100);
    scavenge_new_cycle();
    CHECK_EQ(page_take(100, &zero), 0); /* full once in this cycle */
    page_give(0, 100);
    CHECK_EQ(scavenge_now(UINT64_MAX, false), 0);
    scavenge_new_cycle(); /* nothing changes in it: sparse from its start */
    CHECK_EQ(scavenge_now(UINT64_MAX, false), 100 * PAGE_SIZE);
}

/* A dense chunk is skipped with free pages at its end.  When it is dense no
 * more, by pages freed below those, they go back too. */
TEST(skipped_chunk_is_not_forgotten)
{
    heap_of(2 * CHUNK_PAGES);
    page_give(CHUNK_PAGES - 8, 8);
    scavenge_new_cycle();
    CHECK_EQ(scavenge_now(UINT64_MAX, false), 0);
    scavenge_new_cycle();
    CHECK_EQ(scavenge_now(UINT64_MAX, false), 0);
    page_give(0, 20);
    scavenge_new_cycle();
    CHECK_EQ(scavenge_now(UINT64_MAX, false), 28 * PAGE_SIZE);
}

/* Pages that come back from the kernel are found again, also if the heap was
 * full and grew meanwhile. */
TEST(moving_pages_come_back)
{
    bool zero = false;
    heap_of(CHUNK_PAGES);
    page_give(5, 10);
    struct release_run run = release_pick(512, true);
    CHECK_EQ(run.page, 5);
    CHECK_EQ(run.n, 10);
    CHECK_EQ(page_take(1, &zero), CHUNK_PAGES);
    page_verify();
    release_done(run, true);
    page_verify();
    CHECK_EQ(page_take(10, &zero), 5);
    CHECK(zero);
}

TEST(growth_is_offset)
{
    bool zero;
    struct scavenge_stats s;
    heap_of(4 * CHUNK_PAGES);
    page_give(0, 2 * CHUNK_PAGES - 1); /* one page too short */
    scavenge_new_cycle();
    scavenge_set_goals(3 * CHUNK_SIZE, UINT64_MAX);
    CHECK_EQ(page_take(2 * CHUNK_PAGES, &zero), 4 * CHUNK_PAGES);
    scavenge_stats(&s);
    CHECK_EQ(s.eager, (2 * CHUNK_PAGES - 1) * PAGE_SIZE);
    CHECK_EQ(s.total, s.eager);
    CHECK(s.cpu_ns > 0);
    page_verify();
}

TEST(background_reaches_its_goals)
{
    struct page_stats s;
    struct scavenge_stats t;
    uint64_t ns, rounds = 0;
    heap_of(64 * CHUNK_PAGES);
    memset((void *)arena_address(0), 1, 64 * CHUNK_SIZE);
    CHECK_EQ(scavenge_background(), UINT64_MAX); /* no goal */
    page_give(0, 60 * CHUNK_PAGES);
    scavenge_set_goals(8 * CHUNK_SIZE, UINT64_MAX);
    CHECK_EQ(scavenge_background(), UINT64_MAX); /* all freed just now */
    scavenge_new_cycle();
    while ((ns = scavenge_background()) != UINT64_MAX) {
        CHECK(ns >= 1000000);
        rounds++;
    }
    page_stats(&s);
    CHECK(s.in_use + s.free <= 8 * CHUNK_SIZE);
    CHECK(s.in_use + s.free > 7 * CHUNK_SIZE); /* and not much further */
    scavenge_stats(&t);
    CHECK_EQ(t.background, s.released);
    CHECK(rounds >= 1);
    CHECK(t.cpu_ns > 0);
    scavenge_set_goals(UINT64_MAX, scavenge_goal_limit(6 * CHUNK_SIZE));
    while (scavenge_background() != UINT64_MAX)
        ;
    CHECK(page_mapped_ready() <= 6 * CHUNK_SIZE / 20 * 19);
    page_verify();
}

static size_t resident(void)
{
    static unsigned char in[1 << 16];
    size_t n = (size_t)pages.top * PAGE_SIZE / os_page_size(), k = 0;
    CHECK(n <= sizeof in);
    CHECK_EQ(mincore((void *)arenas.base, n * os_page_size(), in), 0);
    for (size_t i = 0; i < n; i++)
        k += in[i] & 1;
    return k * os_page_size();
}

TEST(kernel_has_the_pages_back)
{
    heap_of(8 * CHUNK_PAGES);
    memset((void *)arenas.base, 1, 8 * CHUNK_SIZE);
    CHECK_EQ(resident(), 8 * CHUNK_SIZE);
    page_give(CHUNK_PAGES, 7 * CHUNK_PAGES);
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 7 * CHUNK_SIZE);
    CHECK_EQ(resident(), CHUNK_SIZE);
}

/* Locked memory can't be discarded: it stays free and not released, others
 * go on, and a later cycle tries again. */
TEST(refused_pages_stay)
{
    struct page_stats s;
    heap_of(2 * CHUNK_PAGES);
    page_give(CHUNK_PAGES, 4);
    page_give(0, 8);
    scavenge_new_cycle();
    /* The sanitizers turn mlock itself into nothing. */
    if (syscall(SYS_mlock, arena_address(CHUNK_PAGES), 4 * PAGE_SIZE))
        SKIP("mlock: %s", strerror(errno));
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 8 * PAGE_SIZE);
    page_stats(&s);
    CHECK_EQ(s.free, 4 * PAGE_SIZE);
    page_verify();
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 0);
    syscall(SYS_munlock, arena_address(CHUNK_PAGES), 4 * PAGE_SIZE);
    scavenge_new_cycle();
    CHECK_EQ(scavenge_now(UINT64_MAX, true), 4 * PAGE_SIZE);
    page_verify();
}

/* The child of a fork finishes what another thread had taken out. */
TEST(fork_settles_what_was_moving)
{
    int status;
    struct page_stats s;
    heap_of(CHUNK_PAGES);
    page_give(5, 50);
    struct release_run run = release_pick(20, true);
    CHECK_EQ(run.page, 35);
    CHECK_EQ(run.n, 20);
    page_verify();
    page_stats(&s);
    CHECK_EQ(s.free, 50 * PAGE_SIZE);
    page_lock();
    pid_t pid = fork();
    if (pid == 0) {
        page_reset_locks();
        page_verify();
        page_stats(&s);
        CHECK_EQ(s.free, 50 * PAGE_SIZE);
        scavenge_new_cycle();
        CHECK_EQ(scavenge_now(UINT64_MAX, true), 50 * PAGE_SIZE);
        _exit(0);
    }
    page_unlock();
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    release_done(run, true);
    page_verify();
    page_stats(&s);
    CHECK_EQ(s.released, 20 * PAGE_SIZE);
}
