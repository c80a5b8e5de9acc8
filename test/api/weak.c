/* links: lib
 *
 * Weak pointers: one per object, valid as long as it lives, never a moment
 * longer, and cheap by the million.
 */
#include "both.h"

#define MANY 2000
static void *keep[MANY]; /* roots */
static struct sc_weak *weak[MANY];

static size_t size_of(int i)
{
    return i % 100 == 0 ? 40000 : i % 4 == 1 ? 8 : 16 + (i * 37 % 2000);
}

static void make_all(void *unused)
{
    for (int i = 0; i < MANY; i++) {
        uint64_t *p = i % 4 == 1 ? sc_alloc_noscan(size_of(i))
                                 : sc_alloc(size_of(i));
        *p = (uint64_t)i;
        sc_store(&keep[i], p);
        sc_store(&weak[i], sc_weak_new(p));
        CHECK(weak[i]);
    }
}

/* In a thread of its own: what it loads must not stay on our stack. */
static void check_all(void *arg)
{
    const char *dead = arg;
    for (int i = 0; i < MANY; i++) {
        uint64_t *p = sc_weak_get(weak[i]);
        CHECK(p == keep[i]);
        if (p)
            CHECK_EQ(*p, i);
        CHECK_EQ(!p, dead[i]);
    }
}

/* Objects below 16 bytes share blocks, and these live as wholes; so only the
 * others are expected to go one by one. */
BOTH(valid_while_reachable)
{
    static char dead[MANY];
    apart(make_all, 0);
    for (int round = 0; round < 8; round++) {
        apart(check_all, dead);
        for (int i = 0; i < MANY; i++)
            if (i % 4 != 1 && rnd(4) == 0) {
                sc_store(&keep[i], 0);
                dead[i] = 1;
            }
        collect(2);
    }
    memset(dead, 1, sizeof dead);
    sc_clear(keep, sizeof keep);
    collect(2);
    apart(check_all, dead);
}

static void same_again(void *unused)
{
    char *p = sc_alloc(100);
    struct sc_weak *w = sc_weak_new(p);
    CHECK(w);
    for (int i = 0; i < 100; i++)
        CHECK(sc_weak_new(p) == w);
    CHECK(sc_weak_new(p + 8) != w); /* another pointer, another handle */
    CHECK(sc_weak_get(sc_weak_new(p + 8)) == p + 8);
    sc_store(&keep[0], p);
    keep[1] = (void *)~(uintptr_t)w; /* hidden */
}

static void still_same(void *unused)
{
    struct sc_weak *w = sc_weak_new(keep[0]);
    CHECK(w == (void *)~(uintptr_t)keep[1]);
    CHECK(sc_weak_get(w) == keep[0]);
}

/* Also when nobody held the handle for a while. */
BOTH(one_handle_per_object)
{
    apart(same_again, 0);
    collect(3);
    apart(still_same, 0);
}

BOTH(of_nothing)
{
    int local;
    errno = 0;
    CHECK(!sc_weak_new(&local));
    CHECK_EQ(errno, EINVAL);
    CHECK(!sc_weak_new(0));
    CHECK(!sc_weak_get(0));
}

/* The object's place is used again, by others: the old handle stays empty. */
static void use_places_again(void *unused)
{
    for (int i = 0; i < MANY; i++) {
        void *p = sc_alloc(64);
        sc_store(&keep[i], p);
        CHECK(sc_weak_new(p) != weak[0]);
    }
}

static void make_first(void *unused)
{
    for (int i = 0; i < MANY; i++)
        sc_store(&weak[i], sc_weak_new(sc_alloc(64)));
}

BOTH(handles_outlive_their_objects)
{
    apart(make_first, 0);
    collect(2);
    for (int round = 0; round < 3; round++) {
        apart(use_places_again, 0);
        for (int i = 0; i < MANY; i++)
            CHECK(!sc_weak_get(weak[i]));
        collect(1);
    }
}

static void chain_of_weak(void *unused)
{
    struct sc_weak *w = sc_weak_new(sc_alloc(10));
    for (int i = 0; i < 10; i++)
        w = sc_weak_new(w);
    sc_store(&weak[0], w);
}

/* A handle is an object like any other.  It lives as long as its target. */
BOTH(weak_pointers_to_weak_pointers)
{
    apart(chain_of_weak, 0);
    collect(12);
    CHECK(!sc_weak_get(weak[0]));
}

/* ---- While cycles run -------------------------------------------------- */

#define TABLE 4000
#define READERS 3
struct thing {
    uint64_t stamp, check; /* check == ~stamp */
    char rest[48];
};
static struct thing *thing[TABLE];    /* roots */
static struct sc_weak *handle[TABLE]; /* roots */
static struct thing *revived[READERS][64];
static _Atomic bool stop;
static _Atomic uint64_t got;
static int gone;

static void check_thing(const struct thing *p, uint64_t stamp)
{
    uint64_t s = *(volatile const uint64_t *)&p->stamp;
    if (s != stamp || p->check != ~stamp)
        test_fail(__FILE__, __LINE__, "stamp %#lx, %#lx: should be %#lx",
                  (long)s, (long)p->check, (long)stamp);
}

static void make_thing(uint64_t i)
{
    struct thing *p = sc_alloc(sizeof *p);
    p->stamp = i;
    p->check = ~i;
    sc_store(&handle[i], sc_weak_new(p));
    sc_store(&thing[i], p);
}

/* Each value of handle[i] leads to a thing with stamp i, or to nothing; what
 * was got stays good as long as it is held. */
static void *reader(void *arg)
{
    struct thing **mine = arg;
    while (!stop) {
        uint64_t i = rnd(TABLE);
        struct thing *p =
            sc_weak_get(__atomic_load_n(&handle[i], __ATOMIC_ACQUIRE));
        if (!p)
            continue;
        check_thing(p, i);
        uint32_t k = rnd(64);
        if (mine[k])
            check_thing(mine[k], mine[k]->stamp);
        sc_store(&mine[k], p);
        got++;
    }
    return 0;
}

BOTH(got_while_collecting)
{
    pthread_t id[READERS];
    for (uint64_t i = 0; i < TABLE; i++)
        make_thing(i);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&id[i], 0, reader, revived[i]), 0);
    for (int round = 0; round < 25; round++) {
        for (int k = 0; k < TABLE / 2; k++)
            sc_store(&thing[rnd(TABLE)], 0);
        sc_collect();
        for (int k = 0; k < TABLE / 2; k++)
            make_thing(rnd(TABLE));
    }
    stop = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(id[i], 0);
    CHECK(got > 100);
    sc_clear(thing, sizeof thing);
    sc_clear(revived, sizeof revived);
    collect(2);
    for (int i = 0; i < TABLE; i++)
        gone += !sc_weak_get(handle[i]);
    CHECK(gone >= TABLE - 10); /* a few may stand on our stack */
}

static void *target;
static struct sc_weak *theirs[READERS];
static pthread_barrier_t meet;

static void *maker(void *arg)
{
    struct sc_weak **mine = arg;
    for (int i = 0; i < 300; i++) {
        pthread_barrier_wait(&meet);
        struct sc_weak *w = sc_weak_new(target);
        sc_store(mine, w);
        pthread_barrier_wait(&meet);
        for (int k = 0; k < READERS; k++)
            CHECK(theirs[k] == w);
        if (pthread_barrier_wait(&meet) == PTHREAD_BARRIER_SERIAL_THREAD)
            sc_store(&target, sc_alloc(40));
    }
    return 0;
}

BOTH(one_handle_also_if_made_at_once)
{
    pthread_t id[READERS];
    sc_store(&target, sc_alloc(40));
    pthread_barrier_init(&meet, 0, READERS);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&id[i], 0, maker, &theirs[i]), 0);
    for (int i = 0; i < READERS; i++)
        pthread_join(id[i], 0);
}

/* ---- Numbers ----------------------------------------------------------- */

#define MILLION 1000000
static struct sc_weak **million; /* registered as a root */
static void **all;

static void make_million(void *arg)
{
    size_t n = *(size_t *)arg;
    for (size_t i = 0; i < n; i++) {
        sc_store(&all[i], sc_alloc_noscan(16));
        sc_store(&million[i], sc_weak_new(all[i]));
        CHECK(million[i]);
    }
}

/* CPU seconds to make n, to keep them through a cycle, to lose them. */
static double with_weak(size_t n)
{
    double begin = cpu_seconds();
    apart(make_million, &n);
    collect(1);
    for (size_t i = 0; i < n; i += 1000)
        CHECK(sc_weak_get(million[i]) == all[i]);
    sc_clear(all, n * sizeof *all);
    collect(2);
    double end = cpu_seconds();
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        left += sc_weak_get(million[i]) != 0;
    CHECK(left <= 20); /* the thousandths were on our stack */
    return end - begin;
}

BOTH_T(a_million_in_linear_time, 300)
{
    million = calloc(MILLION, sizeof *million);
    all = calloc(MILLION, sizeof *all);
    CHECK_EQ(sc_root_add(million, MILLION * sizeof *million), 0);
    CHECK_EQ(sc_root_add(all, MILLION * sizeof *all), 0);
    double small = with_weak(MILLION / 10) + 0.01, large = with_weak(MILLION);
    dprintf(1, "%.3f s, %.3f s for ten times as many\n", small, large);
    CHECK(large < 40 * small);
}
