/* links: os base page heap
 *
 * The lists of spans: a heap of some threads and classes, with marks drawn
 * at random, against a set of objects.
 */
#include "model.h"

#include <pthread.h>

#define CACHES 3
#define OBJECTS 30000

static struct {
    uintptr_t at;
    unsigned class;
} obj[OBJECTS];
static unsigned nobj;
static struct cache *cache[CACHES];

static void setup(void)
{
    heap_up();
    for (int i = 0; i < CACHES; i++) {
        cache[i] = calloc(1, sizeof *cache[i]);
        CHECK(cache[i]);
        cache[i]->gen = load_relaxed(&heap.gen);
    }
}

static unsigned any_class(void)
{
    static const unsigned some[] = {0, 1, 7, 20, 40, 71, 72, 73, 80, 100, 143};
    return some[rnd(COUNT(some))];
}

static uintptr_t take(struct cache *k, unsigned c)
{
    struct run *r = cache_run(k, c);
    if (r->cur + classes[c].size > r->end && !cache_next_run(k, c)) {
        struct span *s = central_take(c, k->gen, &k->pages);
        CHECK(s);
        CHECK_EQ(s->class, c);
        CHECK_EQ(s->state, SPAN_CACHED);
        CHECK_EQ(s->gen, k->gen);
        CHECK(s->nalloc < s->nslots);
        CHECK_EQ(s->next, NO_PAGE);
        cache_set_span(k, c, s);
        CHECK(cache_next_run(k, c));
    }
    r->cur += classes[c].size;
    return r->cur - classes[c].size;
}

/* The object's own number stands in it: two of one place would show. */
static void allocate(struct cache *k)
{
    unsigned c = any_class();
    obj[nobj].at = take(k, c);
    obj[nobj].class = c;
    *(uint64_t *)obj[nobj].at = nobj;
    nobj++;
}

static void large(struct cache *k)
{
    bool zero;
    struct span *s = span_new_large(SMALL_MAX + 1 + rnd(MIB(1)), KIND_NOSCAN,
                                    0, k->gen, &zero);
    CHECK(s);
    span_publish_large(s, k->black);
    central_give_large(s);
    obj[nobj].at = span_start(s);
    obj[nobj].class = CLASS_LARGE;
    *(uint64_t *)obj[nobj].at = nobj;
    nobj++;
}

static void mark_object(unsigned i)
{
    struct object o;
    CHECK(object_find(obj[i].at, &o));
    CHECK_EQ(o.base, obj[i].at);
    mark_slot(o.span, o.slot);
}

/* Marks a part, forgets the rest; then the generation moves.  Caches hear of
 * it one after the other, and may allocate before they do. */
static void cycle(unsigned percent)
{
    unsigned kept = 0;
    for (int i = 0; i < CACHES; i++) { /* H2 */
        cache_retire(cache[i], false, true);
        cache[i]->black = true;
    }
    for (unsigned i = 0; i < nobj; i++)
        if (rnd(100) < percent) {
            mark_object(i);
            obj[kept] = obj[i];
            *(uint64_t *)obj[kept].at = kept;
            kept++;
        }
    nobj = kept;
    for (unsigned i = rnd(2000); i-- > 0 && nobj < OBJECTS;)
        allocate(cache[rnd(CACHES)]); /* black */
    store_relaxed(&heap.unswept_pages,
                  (int64_t)load_relaxed(&heap.pages_in_use));
    add_relaxed(&heap.gen, 2);
    for (int i = 0; i < CACHES; i++) { /* H5 */
        for (unsigned n = rnd(500); n-- > 0 && nobj < OBJECTS;)
            allocate(cache[rnd(CACHES)]); /* some black, some not any more */
        cache_retire(cache[i], false, false);
        cache[i]->black = false;
        cache[i]->gen = load_relaxed(&heap.gen);
    }
}

static bool is_first(uint32_t d)
{
    return d & DESC_IN_USE &&
           (d & DESC_LARGE ? d & DESC_FIRST : !DESC_INDEX(d));
}

/* After all is swept: the heap's objects are ours, no more and no less. */
static void compare(void)
{
    uint64_t objects = 0, pages = 0;
    for (uint32_t p = 0; p < load_relaxed(&heap.top); p++)
        if (is_first(heap.desc[p])) {
            span_check(span_at(p));
            CHECK(span_at(p)->nalloc > 0);
            CHECK_EQ(span_at(p)->gen, load_relaxed(&heap.gen));
            objects += span_at(p)->nalloc;
            pages += span_at(p)->npages;
        }
    CHECK_EQ(objects, nobj);
    CHECK_EQ(load_relaxed(&heap.pages_in_use), pages);
    for (unsigned i = 0; i < nobj; i++) {
        struct object o;
        CHECK(object_find(obj[i].at, &o));
        CHECK(!object_marked(&o));
        CHECK_EQ(*(uint64_t *)obj[i].at, i);
    }
}

static void sweep_all(void)
{
    uint32_t cursor = 0;
    while (central_sweep_one(&cursor))
        continue;
    store_relaxed(&heap.unswept_pages, 0); /* as sweep_finish does */
}

TEST(cycles_keep_what_is_marked)
{
    setup();
    for (int round = 0; round < 40; round++) {
        for (unsigned n = rnd(8000); n-- > 0 && nobj < OBJECTS;) {
            if (rnd(300) == 0)
                large(cache[rnd(CACHES)]);
            else
                allocate(cache[rnd(CACHES)]);
        }
        for (int i = 0; i < CACHES; i++)
            cache_retire(cache[i], false, false);
        sweep_all();
        compare();
        cycle(round % 10 == 9 ? 0 : rnd(101));
        if (rnd(2))
            sweep_all();
    }
}

/* Who needs a span sweeps one of its class before taking fresh pages. */
TEST(unswept_spans_come_before_fresh_ones)
{
    setup();
    while (nobj < 20000) {
        unsigned c = CLASS_CONSERVATIVE + 3;
        obj[nobj].class = c;
        obj[nobj].at = take(cache[0], c);
        nobj++;
    }
    cycle(50);
    uint64_t pages = load_relaxed(&heap.pages_in_use);
    for (int n = 0; n < 8000; n++) /* of about 10000 that died */
        take(cache[0], CLASS_CONSERVATIVE + 3);
    CHECK(load_relaxed(&heap.pages_in_use) <= pages);
}

/* A thread that is a generation behind sweeps nothing: the marks of what it
 * would sweep are still being made use of. */
TEST(a_thread_behind_does_not_sweep)
{
    setup();
    while (nobj < 5000) {
        obj[nobj].at = take(cache[0], 80);
        nobj++;
    }
    cache_retire(cache[0], false, false);
    uint32_t behind = load_relaxed(&heap.gen);
    uint64_t freed = load_relaxed(&heap.swept_free_objects);
    store_relaxed(&heap.unswept_pages, 1000);
    add_relaxed(&heap.gen, 2);
    for (int i = 0; i < 500; i++) {
        struct span *s = central_take(80, behind, &cache[1]->pages);
        CHECK_EQ(s->gen, behind);
        struct run r;
        while (span_take_run(s, true, &r))
            continue;
        central_give(s);
    }
    CHECK_EQ(load_relaxed(&heap.swept_free_objects), freed);
}

/* ---- Threads ----------------------------------------------------------- */

#define THREADS 4
#define PER_THREAD 15000
#define ROUNDS 8

static pthread_barrier_t meet;
static uintptr_t theirs[THREADS][PER_THREAD];

static void mark_own(const uintptr_t *mine, unsigned n)
{
    struct object o;
    for (unsigned i = 0; i < n; i++) {
        CHECK(object_find(mine[i], &o));
        CHECK_EQ(*(uint64_t *)mine[i], (uint64_t)mine);
        mark_slot(o.span, o.slot);
    }
}

/* All allocate at once and sweep while they do; between rounds everybody
 * marks what he still wants. */
static void *allocator(void *arg)
{
    uintptr_t *mine = arg;
    struct cache *k = calloc(1, sizeof *k);
    uint64_t random = (uint64_t)(uintptr_t)mine ^ test_seed();
    unsigned n = 0;
    for (int round = 0; round < ROUNDS; round++) {
        k->gen = load_relaxed(&heap.gen);
        pthread_barrier_wait(&meet);
        while (n < PER_THREAD) {
            mine[n] = take(k, rng_next(&random) >> 40 & 1 ? 75 : 3);
            *(uint64_t *)mine[n] = (uint64_t)mine;
            n++;
        }
        cache_retire(k, false, false);
        pthread_barrier_wait(&meet);
        n = (unsigned)(rng_next(&random) >> 30) % PER_THREAD;
        mark_own(mine, n);
        uint32_t cursor = 0;
        while (central_sweep_one(&cursor)) /* the round before's rest */
            CHECK(0);
        if (pthread_barrier_wait(&meet) == PTHREAD_BARRIER_SERIAL_THREAD) {
            store_relaxed(&heap.unswept_pages,
                          (int64_t)load_relaxed(&heap.pages_in_use));
            add_relaxed(&heap.gen, 2);
        }
        pthread_barrier_wait(&meet);
        for (int i = 0; round % 2 && i < 50; i++)
            central_sweep_one(&cursor);
    }
    return 0;
}

TEST(threads_share_the_lists)
{
    pthread_t id[THREADS];
    heap_up();
    pthread_barrier_init(&meet, 0, THREADS);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&id[i], 0, allocator, theirs[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(id[i], 0);
    for (uint32_t p = 0; p < load_relaxed(&heap.top); p++)
        if (is_first(heap.desc[p]))
            span_check(span_at(p));
}
