/* links: lib
 *
 * Ephemerons: the value lives if key and ephemeron do, whatever the value
 * refers to, in whatever order they are found.
 */
#include "both.h"

typedef struct pair {
    struct pair *key; /* some value's way back */
    struct sc_ephemeron *e;
    uint64_t stamp;
} pair;
SC_LAYOUT(pair, key, e)

#define MANY 1000
static void *key[MANY]; /* roots */
static struct sc_ephemeron *eph[MANY];
static struct sc_weak *weak[MANY]; /* to the values */

static pair *make_pair(uint64_t stamp)
{
    pair *p = sc_new(pair);
    CHECK(p);
    p->stamp = stamp;
    return p;
}

/* Keys of all kinds; the value leads back to the key. */
static void *make_key(uint64_t i)
{
    size_t n = i % 16 == 0 ? 40000 + i * 500 : 16 + i;
    switch (i % 4) {
    case 0:
        return sc_alloc(n);
    case 1:
        return sc_alloc_noscan(n);
    case 2:
        return make_pair(i);
    default:
        return (char *)sc_alloc(n) + n / 2; /* a pointer inside */
    }
}

static void make_one(uint64_t i)
{
    pair *v = make_pair(i);
    sc_store(&key[i], make_key(i));
    sc_store(&v->key, (pair *)key[i]);
    sc_store(&eph[i], sc_ephemeron_new(key[i], v));
    CHECK(eph[i]);
    sc_store(&weak[i], sc_weak_new(v));
    CHECK(sc_ephemeron_key(eph[i]) == key[i]);
    CHECK(sc_ephemeron_value(eph[i]) == v);
}

static void make_all(void *unused)
{
    for (uint64_t i = 0; i < MANY; i++)
        make_one(i);
}

enum { LIVES, KEY_DEAD, EPHEMERON_DEAD };
static char state[MANY];

static void check_all(void *unused)
{
    for (uint64_t i = 0; i < MANY; i++) {
        pair *v = sc_weak_get(weak[i]);
        CHECK_EQ(!!v, state[i] == LIVES);
        if (v) {
            CHECK_EQ(v->stamp, i);
            CHECK(v->key == key[i]);
            CHECK(sc_ephemeron_key(eph[i]) == key[i]);
            CHECK(sc_ephemeron_value(eph[i]) == v);
        }
        if (state[i] == KEY_DEAD) {
            CHECK(!sc_ephemeron_key(eph[i]));
            CHECK(!sc_ephemeron_value(eph[i]));
        }
    }
}

BOTH(values_live_with_their_keys)
{
    apart(make_all, 0);
    for (int round = 0; round < 8; round++) {
        collect(2);
        apart(check_all, 0);
        for (int i = 0; i < MANY; i++)
            if (state[i] == LIVES && rnd(4) == 0) {
                if (rnd(2)) {
                    state[i] = KEY_DEAD;
                    sc_store(&key[i], 0);
                } else {
                    state[i] = EPHEMERON_DEAD;
                    sc_store(&eph[i], 0);
                }
            }
    }
}

BOTH(of_nothing)
{
    int local;
    errno = 0;
    CHECK(!sc_ephemeron_new(&local, 0));
    CHECK_EQ(errno, EINVAL);
    CHECK(!sc_ephemeron_new(0, 0));
    CHECK(!sc_ephemeron_key(0));
    CHECK(!sc_ephemeron_value(0));
    void *k = sc_alloc(8);
    struct sc_ephemeron *e = sc_ephemeron_new(k, 0);
    CHECK(e && !sc_ephemeron_value(e) && sc_ephemeron_key(e) == k);
    e = sc_ephemeron_new(k, &local); /* a value that is not in the heap */
    CHECK(sc_ephemeron_value(e) == &local);
    sc_collect();
    CHECK(sc_ephemeron_value(e) == &local && sc_ephemeron_key(e) == k);
}

/* ---- Several on one key ------------------------------------------------ */

static void crowd(void *unused)
{
    sc_store(&key[0], sc_alloc(10));
    for (uint64_t i = 0; i < MANY; i++) {
        pair *v = make_pair(i);
        sc_store(&weak[i], sc_weak_new(v));
        sc_store(&eph[i], sc_ephemeron_new(key[0], v));
    }
}

static int living(void)
{
    int n = 0;
    for (int i = 0; i < MANY; i++)
        n += sc_weak_get(weak[i]) != 0;
    return n;
}

static void check_living(void *arg)
{
    CHECK_EQ(living(), *(int *)arg);
}

BOTH(many_on_one_key)
{
    int all = MANY, half = MANY / 2, none = 0;
    apart(crowd, 0);
    collect(2);
    apart(check_living, &all);
    for (int i = 0; i < MANY; i += 2)
        sc_store(&eph[i], 0);
    collect(2);
    apart(check_living, &half);
    sc_store(&key[0], 0);
    collect(2);
    apart(check_living, &none);
}

/* ---- With other facts about the same objects --------------------------- */

static _Atomic int runs;
static void look_at_key(void *obj, void *arg)
{
    CHECK_EQ(((pair *)obj)->stamp, 77);
    CHECK(!sc_ephemeron_key(eph[0])); /* cleared before, as weak ones are */
    CHECK(!sc_ephemeron_value(eph[0]));
    runs++;
}

static void finalizable_key(void *unused)
{
    pair *k = make_pair(77), *v = make_pair(78);
    sc_store(&v->key, k);
    sc_store(&eph[0], sc_ephemeron_new(k, v));
    sc_store(&weak[0], sc_weak_new(v));
    CHECK_EQ(sc_finalizer(k, look_at_key, 0), 0);
    sc_store(&key[0], k);
}

BOTH(keys_with_finalizers)
{
    apart(finalizable_key, 0);
    collect(2);
    CHECK_EQ(runs, 0);
    sc_store(&key[0], 0);
    collect(2);
    CHECK_EQ(runs, 1);
    CHECK(!sc_weak_get(weak[0]));
}

/* An ephemeron that its own finalizer revives was judged before: it is empty,
 * not full of stale pointers. */
static void look_at_ephemeron(void *obj, void *arg)
{
    struct sc_ephemeron *e = obj;
    pair *k = sc_ephemeron_key(e), *v = sc_ephemeron_value(e);
    CHECK(!k == !v);
    if (v)
        CHECK_EQ(v->stamp, 78);
    sc_store(&eph[1], e);
    runs++;
}

static void finalizable_ephemeron(void *unused)
{
    struct sc_ephemeron *e;
    sc_store(&key[0], make_pair(77));
    e = sc_ephemeron_new(key[0], make_pair(78));
    CHECK_EQ(sc_finalizer(e, look_at_ephemeron, 0), 0);
}

static void look_later(void *unused)
{
    look_at_ephemeron(eph[1], 0);
}

BOTH(ephemerons_with_finalizers)
{
    apart(finalizable_ephemeron, 0);
    for (int i = 1; i < 10; i++) {
        collect(1);
        CHECK_EQ(runs, i);
        apart(look_later, 0);
    }
}

/* ---- Chains ------------------------------------------------------------ */

#define CHAIN 100000
static struct sc_ephemeron **link_of; /* CHAIN of them, registered as roots */
static pair *first;                   /* the first key */

/* The value of one is the key of the next: all live by the first key. */
static void make_chain(void *arg)
{
    size_t n = *(size_t *)arg;
    pair *k = make_pair(0);
    sc_store(&first, k);
    for (size_t i = 0; i < n; i++) {
        pair *v = make_pair(i + 1);
        sc_store(&link_of[i], sc_ephemeron_new(k, v));
        k = v;
    }
}

/* From the last to the first, so that ephemerons and keys are found in the
 * other order. */
static void make_backward(void *arg)
{
    size_t n = *(size_t *)arg;
    pair *v = make_pair(n);
    for (size_t i = n; i-- > 0;) {
        pair *k = make_pair(i);
        sc_store(&link_of[i], sc_ephemeron_new(k, v));
        v = k;
    }
    sc_store(&first, v);
}

static void check_chain(void *arg)
{
    size_t n = *(size_t *)arg;
    pair *k = first;
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(k->stamp, i);
        CHECK(sc_ephemeron_key(link_of[i]) == k);
        k = sc_ephemeron_value(link_of[i]);
        CHECK(k);
    }
    CHECK_EQ(k->stamp, n);
}

static void cut_in_the_middle(void *arg)
{
    size_t n = *(size_t *)arg;
    sc_store(&link_of[n / 2], 0);
}

static void check_half(void *arg)
{
    size_t n = *(size_t *)arg;
    for (size_t i = 0; i < n; i++) {
        if (i != n / 2)
            CHECK_EQ(!sc_ephemeron_key(link_of[i]), i > n / 2);
        if (i != n / 2)
            CHECK_EQ(!sc_ephemeron_value(link_of[i]), i > n / 2);
    }
}

static double run_chain(void (*make)(void *), size_t n)
{
    double begin = cpu_seconds();
    apart(make, &n);
    collect(2);
    apart(check_chain, &n);
    apart(cut_in_the_middle, &n);
    collect(2);
    apart(check_half, &n);
    sc_store(&first, 0);
    sc_clear(link_of, n * sizeof *link_of);
    collect(1);
    return cpu_seconds() - begin;
}

static void chains(void (*make)(void *))
{
    link_of = calloc(CHAIN, sizeof *link_of);
    CHECK_EQ(sc_root_add(link_of, CHAIN * sizeof *link_of), 0);
    run_chain(make, 100);
    double small = run_chain(make, CHAIN / 10) + 0.01;
    double large = run_chain(make, CHAIN);
    dprintf(1, "%.3f s, %.3f s for ten times as many\n", small, large);
    CHECK(large < 40 * small); /* a square would be 100 */
}

BOTH_T(a_long_chain_forward, 200) { chains(make_chain); }
BOTH_T(a_long_chain_backward, 200) { chains(make_backward); }

/* ---- While cycles run -------------------------------------------------- */

#define TABLE 2000
#define READERS 3
static pair *tkey[TABLE];
static struct sc_ephemeron *teph[TABLE];
static pair *kept[READERS][64];
static _Atomic bool stop;
static _Atomic uint64_t got;

static void replace(uint64_t i)
{
    pair *k = make_pair(i), *v = make_pair(i);
    sc_store(&v->key, k);
    sc_store(&v->e, sc_ephemeron_new(k, v));
    sc_store(&teph[i], v->e);
    sc_store(&tkey[i], k);
}

static void *reader(void *arg)
{
    pair **mine = arg;
    while (!stop) {
        uint64_t i = rnd(TABLE);
        struct sc_ephemeron *e =
            __atomic_load_n(&teph[i], __ATOMIC_ACQUIRE);
        pair *v = sc_ephemeron_value(e);
        pair *k = sc_ephemeron_key(e);
        if (v) {
            CHECK_EQ(v->stamp, i);
            CHECK_EQ(v->key->stamp, i);
            CHECK(k == v->key); /* v holds it, so it is there */
            sc_store(&mine[rnd(64)], v);
            got++;
        }
        v = mine[rnd(64)];
        if (v)
            CHECK_EQ(v->stamp, v->key->stamp);
    }
    return 0;
}

BOTH(read_while_collecting)
{
    pthread_t id[READERS];
    for (uint64_t i = 0; i < TABLE; i++)
        replace(i);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&id[i], 0, reader, kept[i]), 0);
    for (int round = 0; round < 25; round++) {
        for (int k = 0; k < TABLE / 2; k++)
            sc_store(&tkey[rnd(TABLE)], 0);
        sc_collect();
        for (int k = 0; k < TABLE / 2; k++)
            replace(rnd(TABLE));
    }
    stop = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(id[i], 0);
    CHECK(got > 100);
}
