/* links: bench/markers/graph.c bench/markers/lists.c
 * links: bench/markers/marker.c bench/markers/run.c
 *
 * The simulator of markers (bench/markers) on graphs made by hand, whose
 * answers can be worked out by hand: a list has a speed-up of one, two lists of
 * two, a star of N; what is done is the same however many do it; a buffer that
 * gets lost, or is there twice, does not go unnoticed.
 */
#include "../check.h"

#include "../../bench/markers/sim.h"

enum { MOST = 1 << 16 };

static struct heap_object object[MOST];
static uint32_t links[8 * MOST], root[MOST];
static struct heap_job job[16];
static struct heap_head head;
static struct graph g;
static struct outcome out;

/* Objects and words count, nothing else does; nobody sleeps for long. */
static const struct costs bare = {.word = 1, .object = 1, .poll = 1,
                                  .doze = 1, .wake = 1};

/* ---- Graphs -------------------------------------------------------------- */

/* The next object; its links are those added until the next one. */
static uint32_t add(uint32_t page, unsigned slot, unsigned flags,
                    uint32_t words)
{
    object[head.nobjects] = (struct heap_object){
        page, (uint16_t)slot, (uint16_t)flags, words, words * 8, 0};
    return head.nobjects++;
}

static void lead(uint32_t to)
{
    object[head.nobjects - 1].nlinks++;
    links[head.nlinks++] = to;
}

static void root_of(unsigned kind, uint32_t words, uint32_t to)
{
    job[head.njobs++] = (struct heap_job){kind, 1, words};
    root[head.nroots++] = to;
}

static void make(void)
{
    const char *bad = graph_make(&g, &head, object, job, links, root);
    if (bad)
        test_fail(__FILE__, __LINE__, "graph_make: %s", bad);
}

/* n objects, `each` of them on a page. */
static void list(uint32_t page, uint32_t n, uint32_t each)
{
    root_of(HEAP_THREAD, 0, head.nobjects);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t o = add(page + i / each, i % each, HEAP_PAGED, 1);
        if (i + 1 < n)
            lead(o + 1);
    }
}

/* In the order of levels, n objects. */
static void tree(uint32_t n, uint32_t each)
{
    root_of(HEAP_THREAD, 0, 0);
    for (uint32_t i = 0; i < n; i++) {
        add(i / each, i % each, HEAP_PAGED, 2);
        for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < n; k++)
            lead(k);
    }
}

/* One object, and n of so many words each, on pages of their own. */
static void star(uint32_t n, uint32_t words)
{
    root_of(HEAP_THREAD, 0, 0);
    add(0, 0, HEAP_PAGED, 1);
    for (uint32_t i = 1; i <= n; i++)
        lead(i);
    for (uint32_t i = 1; i <= n; i++)
        add(i, 0, HEAP_PAGED, words);
}

static uint64_t next_random(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return *x >> 33;
}

/* Anything: pages, sizes, kinds, parts, several roots; a list keeps all. */
static void anything(uint64_t *x, uint32_t n)
{
    static uint32_t whole[MOST];
    uint32_t page = 0, slot = 0, m = 0;
    for (uint32_t i = 0; i < n; i++) {
        static const unsigned flags[] = {HEAP_PAGED, HEAP_PAGED, 0,
                                         HEAP_NOSCAN};
        if (next_random(x) % 40 == 0 || slot >= 500) {
            page += 1 + (uint32_t)next_random(x) % 3;
            slot = 0;
        }
        unsigned f = flags[page % 4];
        uint32_t words = (uint32_t)next_random(x) % 20;
        whole[m++] = add(page, slot, f, words);
        if (!f && next_random(x) % 4 == 0)
            for (uint64_t k = next_random(x) % 30; k > 0; k--)
                add(page, slot, HEAP_PART, words);
        slot += 1 + (uint32_t)next_random(x) % 3;
    }
    uint32_t last = head.nobjects;
    for (uint32_t i = 0; i < last; i++) {
        uint32_t k = object[i].flags & HEAP_NOSCAN ? 0
                     : (uint32_t)next_random(x) % 4;
        object[i].nlinks = k;
        while (k--)
            links[head.nlinks++] = whole[next_random(x) % m];
    }
    job[head.njobs++] = (struct heap_job){HEAP_GLOBALS, 0, 100};
    for (uint32_t i = 0; i < m; i++)
        if (i % 50 == 0) {
            root[head.nroots++] = whole[i];
            job[0].nroots++;
        }
}

/* ---- Runs ---------------------------------------------------------------- */

static const struct sharing at_times = SHARING_AT_TIMES;
static const struct sharing on_demand = SHARING_ON_DEMAND;

static uint64_t run(unsigned n, const struct costs *c,
                    const struct sharing *how)
{
    struct setup s = {.n = n, .costs = *c, .sharing = *how, .seed = 1};
    markers_run(&g, &s, &out);
    if (out.wrong)
        test_fail(__FILE__, __LINE__, "%u markers: %s", n, out.wrong);
    CHECK_EQ(out.scanned, g.nobjects - g.nparts);
    return out.steps;
}

static double speed_up(unsigned n, const struct sharing *how)
{
    double one = (double)run(1, &bare, how);
    return one / (double)run(n, &bare, how);
}

/* ---- By hand ------------------------------------------------------------- */

TEST(list_on_one_page)
{
    list(0, 500, 500);
    make();
    CHECK_EQ(graph_depth(&g), 500);
    CHECK_EQ(graph_chain(&g, 2, 50), 499 * 2);
    CHECK_EQ(run(1, &bare, &at_times), 500 * 2); /* the object, its word */
    for (unsigned n = 2; n <= 64; n *= 2)
        CHECK(run(n, &bare, &on_demand) >= 500 * 2);
}

TEST(list_over_pages)
{
    const struct costs c = {.word = 1, .object = 1, .far = 3, .mark = 2,
                            .turn = 10, .entry = 1, .poll = 1, .doze = 1};
    list(7, 300, 1);
    make();
    CHECK_EQ(graph_chain(&g, 2, 50), 299 * 50);
    /* Out of the queue, the turn, the object and its word; then, but for the
     * last one, far, marked, and into the queue. */
    CHECK_EQ(run(1, &c, &at_times), 300 * (1 + 10 + 2) + 299 * (3 + 2 + 1));
    CHECK_EQ(out.turns, 300);
}

TEST(two_lists)
{
    list(0, 400, 400);
    list(1, 400, 400);
    make();
    CHECK_EQ(run(1, &bare, &at_times), 2 * 400 * 2);
    for (unsigned n = 2; n <= 64; n *= 4) {
        CHECK(speed_up(n, &at_times) > 1.95);
        CHECK(speed_up(n, &at_times) <= 2);
    }
}

TEST(star_is_as_wide_as_there_are_markers)
{
    star(6400, 1000);
    make();
    CHECK_EQ(graph_depth(&g), 2);
    CHECK_EQ(run(1, &bare, &on_demand), 2 + 6400 * 1001);
    for (unsigned n = 2; n <= 64; n *= 2) {
        CHECK(speed_up(n, &on_demand) <= n);
        CHECK(speed_up(n, &on_demand) > 0.75 * n);
    }
    /* Buffers of 254 pages: as long as one of them takes, all takes. */
    CHECK(speed_up(64, &at_times) <= 6400 / 254.);
    CHECK(speed_up(64, &at_times) > 25);
}

TEST(tree_of_levels)
{
    tree(1 << 15, 64);
    make();
    CHECK_EQ(graph_depth(&g), 16);
    CHECK(run(1, &bare, &on_demand) == 3 << 15);
    CHECK(speed_up(8, &on_demand) > 4);
    CHECK(speed_up(8, &on_demand) <= 8);
}

/* It is found by what is left when the idle time is taken out. */
TEST(the_same_work_for_any_number)
{
    tree(20000, 100);
    make();
    for (unsigned n = 1; n <= 64; n++) {
        run(n, &bare, n % 2 ? &at_times : &on_demand);
        CHECK_EQ(out.work, 20000 * 3);
        CHECK_EQ(out.waits, 0);
    }
}

TEST(parts_are_shared_out)
{
    const struct costs c = {.word = 1, .object = 1, .far = 5, .mark = 5,
                            .poll = 1, .doze = 1, .wake = 1};
    root_of(HEAP_THREAD, 0, 0);
    add(0, 0, 0, 16384);
    for (int i = 0; i < 63; i++)
        add(0, 0, HEAP_PART, 16384);
    lead(64); /* the last part does */
    add(1, 0, HEAP_NOSCAN, 0);
    make();
    CHECK_EQ(graph_depth(&g), 2);
    CHECK_EQ(graph_reached(&g), 2);
    uint64_t one = run(1, &c, &on_demand);
    CHECK_EQ(one, 64 * 16385 + 10);
    CHECK(one > 3 * run(4, &c, &on_demand));
    /* All in one buffer, which one marker at a time has. */
    CHECK(one < 3 * run(4, &c, &at_times));
}

/* The collector's own roots come out of its clock, others' do not. */
TEST(roots_of_the_collector)
{
    list(0, 10, 10);
    root_of(HEAP_GLOBALS, 700, 0);
    make();
    CHECK_EQ(run(1, &bare, &at_times), 700 + 20);
}

TEST(one_at_a_time_passes_a_lock)
{
    const struct setup setup = {.n = 4, .costs = {.lock = 10}};
    struct sim s = {.setup = &setup};
    struct sim_lock l = {0};
    for (int i = 0; i < 3; i++)
        lock_pass(&s, &s.m[i], &l);
    CHECK_EQ(s.m[2].clock, 30);
    CHECK_EQ(s.m[2].waits, 20);
    s.m[3].clock = 100;
    lock_pass(&s, &s.m[3], &l);
    CHECK_EQ(s.m[3].waits, 0);
    s.m[0].clock = 50; /* later in the program, sooner on the clock */
    lock_pass(&s, &s.m[0], &l);
    CHECK_EQ(s.m[0].clock, 60);
    s.m[1].clock = 95;
    lock_pass(&s, &s.m[1], &l);
    CHECK_EQ(s.m[1].clock, 120);
}

TEST(a_lock_is_what_stops_a_star_of_nothing)
{
    const struct costs c = {.lock = 100, .word = 1, .object = 1, .poll = 1,
                            .doze = 1, .wake = 1};
    struct sharing one = on_demand;
    one.entries = 1;
    star(2000, 1);
    make();
    uint64_t steps = run(16, &c, &one);
    CHECK(out.waits > 8 * steps);
}

/* ---- The same again ------------------------------------------------------ */

TEST(same_seed_same_result)
{
    struct setup s = {.n = 16, .costs = COSTS_USUAL,
                      .sharing = SHARING_ON_DEMAND, .seed = test_seed()};
    struct outcome first, again;
    tree(60000, 100);
    make();
    markers_run(&g, &s, &first);
    markers_run(&g, &s, &again);
    CHECK(!first.wrong);
    CHECK(!memcmp(&first, &again, sizeof first));
    s.seed++; /* other delays, but the same objects */
    markers_run(&g, &s, &again);
    CHECK(again.steps != first.steps);
    CHECK_EQ(again.scanned, first.scanned);
}

/* Whatever the graph and the rules: all that is reached is scanned once, and
 * what is not makes the run wrong. */
TEST(anything_is_scanned_once)
{
    uint64_t x = test_seed();
    for (int round = 0; round < 60; round++) {
        memset(&head, 0, sizeof head);
        memset(job, 0, sizeof job);
        anything(&x, 200 + (uint32_t)next_random(&x) % 3000);
        make();
        struct setup s = {.n = 1 + next_random(&x) % 64, .seed = x,
                          .costs = COSTS_USUAL,
                          .sharing = SHARING_ON_DEMAND};
        s.sharing.entries = 1 + (uint32_t)next_random(&x) % 254;
        s.sharing.slice = (uint32_t)next_random(&x) % 20000 + 1;
        s.sharing.balance = 1 + (uint32_t)next_random(&x) % 5;
        s.sharing.hungry = next_random(&x) % 2;
        s.sharing.split = next_random(&x) % 2;
        s.sharing.wake = next_random(&x) % 2;
        s.sharing.stash = (uint32_t)next_random(&x) % 3;
        markers_run(&g, &s, &out);
        CHECK_EQ(out.scanned, graph_reached(&g));
        CHECK_EQ(!out.wrong, graph_reached(&g) == g.nobjects - g.nparts);
        graph_free(&g);
    }
}

/* ---- It can fail --------------------------------------------------------- */

TEST(lost_and_doubled_buffers)
{
    struct setup s = {.n = 4, .costs = bare, .sharing = SHARING_AT_TIMES,
                      .seed = 1};
    star(3000, 100);
    make();
    markers_run(&g, &s, &out);
    CHECK(!out.wrong);
    s.lose = 3;
    markers_run(&g, &s, &out);
    CHECK(out.wrong && out.scanned < 3001);
    s.lose = 0;
    s.twice = 3;
    markers_run(&g, &s, &out);
    CHECK(out.wrong);
}

TEST(what_nothing_leads_to)
{
    list(0, 10, 10);
    add(1, 0, HEAP_PAGED, 1);
    make();
    CHECK_EQ(graph_reached(&g), 10);
    struct setup s = {.n = 2, .costs = bare, .sharing = SHARING_AT_TIMES};
    markers_run(&g, &s, &out);
    CHECK_STR(out.wrong, "objects were not scanned");
}

TEST(bad_recordings)
{
    list(0, 10, 5);
    make();
    links[3] = 10;
    CHECK(graph_make(&g, &head, object, job, links, root));
    links[3] = 4;
    CHECK(!graph_make(&g, &head, object, job, links, root));
    root[0] = 10;
    CHECK(graph_make(&g, &head, object, job, links, root));
    root[0] = 0;
    object[4].slot = 2;
    CHECK(graph_make(&g, &head, object, job, links, root));
    object[4].slot = 4;
    head.nlinks++;
    CHECK(graph_make(&g, &head, object, job, links, root));
    CHECK_STR(graph_load(&g, "/dev/null"), "not a recorded heap");
}
