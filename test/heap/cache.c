/* links: os base page heap
 *
 * A thread's runs: the fast path played in slow motion, with a handshake
 * between any two of its steps.
 */
#include "model.h"

static struct cache *new_cache(void)
{
    struct cache *k = calloc(1, sizeof *k);
    heap_up();
    CHECK(k);
    k->gen = load_relaxed(&heap.gen);
    return k;
}

static struct span *cached(const struct cache *k, unsigned c)
{
    return k->span[c] ? span_at(k->span[c] - 1) : 0;
}

/* What new_small does, and the fast path before it. */
static uintptr_t take(struct cache *k, unsigned c)
{
    struct run *r = cache_run(k, c);
    uintptr_t p = r->cur;
    if (p + classes[c].size > r->end) {
        if (!cache_next_run(k, c)) {
            cache_set_span(k, c, central_take(c, k->gen, &k->pages));
            CHECK(cache_next_run(k, c));
        }
        p = r->cur;
    }
    r->cur = p + classes[c].size;
    return p;
}

static bool allocated(uintptr_t p, bool *marked)
{
    struct object o;
    if (!object_find(p, &o))
        return false;
    if (marked)
        *marked = object_marked(&o);
    return true;
}

/* ---- Single threads, random classes ------------------------------------ */

#define OBJECTS 20000
static struct {
    uintptr_t at;
    unsigned class;
} obj[OBJECTS];

/* Every object handed out is allocated and its own; what was not handed out
 * is free again after a retire; the counts are exact. */
static void allocate_and_retire(bool black, bool keep)
{
    struct cache *k = new_cache();
    uint64_t bytes = 0, objects = 0, in_spans = 0;
    k->black = black;
    for (unsigned i = 0; i < OBJECTS; i++) {
        obj[i].class = rnd(3) ? rnd(20) : rnd(CLASS_SHAPES);
        obj[i].at = take(k, obj[i].class);
        uint64_t *w = (uint64_t *)obj[i].at;
        if (obj[i].class >= CLASS_CONSERVATIVE)
            CHECK_EQ(*w, 0); /* nobody else's either */
        *w = i + 1;
        bytes += classes[obj[i].class].size;
        if (rnd(200) == 0)
            cache_retire(k, keep && rnd(2), black);
    }
    cache_retire(k, false, black);
    for (unsigned i = 0; i < OBJECTS; i++) {
        bool marked;
        CHECK(allocated(obj[i].at, &marked));
        CHECK_EQ(marked, black);
        CHECK_EQ(*(uint64_t *)obj[i].at, i + 1);
    }
    for (uint32_t page = 0; page < load_relaxed(&heap.top); page++)
        if (heap.desc[page] && !DESC_INDEX(heap.desc[page])) {
            span_check(span_at(page));
            objects += span_at(page)->nalloc;
            in_spans += span_at(page)->nalloc * span_at(page)->size;
        }
    CHECK_EQ(k->alloc_objects, objects);
    CHECK_EQ(k->alloc_bytes, in_spans);
    CHECK_EQ(load_relaxed(&heap.live_bytes), in_spans);
    if (!keep) {
        CHECK_EQ(objects, OBJECTS);
        CHECK_EQ(in_spans, bytes);
    }
}

TEST(random_classes_white) { allocate_and_retire(false, false); }
TEST(random_classes_black) { allocate_and_retire(true, false); }
TEST(random_classes_interrupted) { allocate_and_retire(true, true); }

/* ---- C2: the slot at cur ----------------------------------------------- */

/* The fast path is: p = cur; e = p + size; if (e > end) slow; cur = e.
 * `step` is where the handshake comes; afterwards the path goes on. */
static void interrupt(struct cache *k, unsigned c, int step, bool mark)
{
    struct run *r = cache_run(k, c);
    struct span *s = cached(k, c);
    uintptr_t p, e, next;
    bool marked;
    if (step == 0)
        cache_retire(k, true, mark);
    p = r->cur;
    e = p + classes[c].size;
    if (step == 1)
        cache_retire(k, true, mark);
    if (e > r->end)
        return; /* end was taken away: the slow path, no object */
    if (step == 2)
        cache_retire(k, true, mark);
    r->cur = e;
    if (step == 3)
        cache_retire(k, true, mark);
    CHECK(allocated(p, &marked)); /* p is returned to the program */
    CHECK(marked || !mark || step == 3);
    span_check(s);
    CHECK_EQ(r->end, 0);
    CHECK(!cached(k, c));
    next = take(k, c); /* slow, whatever became of cur */
    CHECK(next != p);
    CHECK(allocated(next, 0));
}

TEST(handshake_at_each_step)
{
    struct cache *k = new_cache();
    for (int round = 0; round < 3000; round++) {
        unsigned c = rnd(CLASS_SHAPES);
        for (unsigned i = rnd(20); i-- > 0;)
            take(k, c);
        if (cached(k, c) && cache_run(k, c)->cur < cache_run(k, c)->end)
            interrupt(k, c, (int)rnd(4), rnd(2));
    }
}

/* Nothing of a run is left, so there is nothing to keep. */
TEST(retire_at_the_end_of_a_run)
{
    struct cache *k = new_cache();
    take(k, 0);
    struct span *s = cached(k, 0);
    while (cache_run(k, 0)->cur < cache_run(k, 0)->end)
        take(k, 0);
    unsigned n = s->nalloc;
    cache_retire(k, true, true);
    CHECK_EQ(s->nalloc, n);
    span_check(s);
}

/* One of each class: the list of used ones holds them all. */
TEST(all_classes_at_once)
{
    static struct sc_field f[CLASSES];
    struct cache *k = new_cache();
    for (unsigned i = 0; load_relaxed(&class_count) < CLASSES; i++) {
        f[i] = (struct sc_field){i / 64 * 8, 8};
        struct sc_layout l = layout(8 * (16 + i % 64), &f[i], 1);
        class_of_shape(shape_of(&l), l.size);
    }
    for (int round = 0; round < 3; round++) {
        for (unsigned c = 0; c < CLASSES; c++)
            take(k, c);
        CHECK_EQ(k->nused, CLASSES);
        cache_retire(k, false, false);
        CHECK_EQ(k->nused, 0);
        for (unsigned c = 0; c < CLASSES; c++)
            CHECK(!k->span[c] && !cache_run(k, c)->end);
    }
    CHECK_EQ(k->alloc_objects, 3 * CLASSES);
}
