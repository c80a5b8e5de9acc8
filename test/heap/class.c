/* links: os base page heap
 *
 * Span classes and shapes against maps drawn word by word.
 */
#include "model.h"

#include <pthread.h>

/* What a layout means, said slowly: word w holds a pointer if some field
 * covers it whole. */
static bool word_is_pointer(const struct sc_layout *l, uint32_t w)
{
    for (uint32_t i = 0; i < l->nfields; i++) {
        uint32_t lo = l->fields[i].offset, hi = lo + l->fields[i].size;
        if (lo <= w * 8 && w * 8 + 8 <= hi)
            return true;
    }
    return false;
}

static bool shape_says(const struct sc_shape *s, uint32_t w)
{
    return s->map[w / 64] >> (w % 64) & 1;
}

static size_t trace_nothing(const void *obj, size_t size, size_t cursor,
                            struct sc_marker *m)
{
    return 0;
}

/* A layout of any number of fields, some of them arrays, some not aligned. */
static void random_layout(struct sc_layout *l, struct sc_field *f, size_t size)
{
    uint32_t n = 1 + rnd(12);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = rnd((uint32_t)size);
        if (rnd(8))
            at &= ~7u;
        f[i].offset = at;
        f[i].size = min_size(rnd(4) ? 8 : rnd(600), size - at);
    }
    *l = layout(size, f, n);
}

TEST(fixed_classes)
{
    heap_up();
    CHECK_EQ(load_relaxed(&class_count), CLASS_SHAPES);
    for (unsigned c = 0; c < CLASS_SHAPES; c++) {
        const struct class *k = &classes[c];
        unsigned sc = c % SIZE_CLASSES;
        CHECK_EQ(k->kind, c < SIZE_CLASSES ? KIND_NOSCAN : KIND_CONSERVATIVE);
        CHECK_EQ(k->size, size_of_class(sc));
        CHECK_EQ(k->size_class, sc);
        CHECK_EQ(k->npages, size_class_pages(sc));
        CHECK_EQ(k->nslots, k->npages * PAGE_SIZE / k->size);
        CHECK(!k->whole && !k->map && !k->shape);
    }
}

TEST(maps_of_random_layouts)
{
    heap_up();
    for (int round = 0; round < 3000; round++) {
        struct sc_field f[12];
        struct sc_layout l;
        size_t size = 8 * (1 + rnd(rnd(2) ? 64 : 600));
        random_layout(&l, f, size);
        const struct sc_shape *s = shape_of(&l);
        CHECK(s);
        CHECK(l.shape == s);
        CHECK_EQ(s->period, size / 8);
        CHECK_EQ(s->large, KIND_PRECISE);
        for (uint32_t w = 0; w < s->period; w++)
            CHECK_EQ(shape_says(s, w), word_is_pointer(&l, w));
        for (uint32_t w = s->period; w % 64; w++)
            CHECK(!shape_says(s, w)); /* no stray bits behind the last word */
    }
}

/* The map of a class that covers its slot: the layout's, again and again. */
static void check_class_map(const struct class *k, const struct sc_shape *s)
{
    uint32_t words = k->size / 8;
    CHECK_EQ(k->kind, KIND_PRECISE);
    CHECK(k->shape == s);
    CHECK_EQ(k->period, s->period);
    CHECK_EQ(k->whole, words <= 64);
    for (uint32_t w = 0; k->whole && w < 64; w++)
        CHECK_EQ(k->map >> w & 1,
                 w < words && shape_says(s, w % s->period));
}

TEST(class_maps_repeat_the_layout)
{
    heap_up();
    for (int round = 0; round < 100; round++) {
        struct sc_field f[12];
        struct sc_layout l;
        random_layout(&l, f, 8 * (1 + rnd(70)));
        const struct sc_shape *s = shape_of(&l);
        for (int i = 0; i < 8; i++) {
            size_t n = l.size * (1 + rnd(40));
            if (n > SMALL_MAX)
                continue;
            unsigned c = class_of_shape(s, n);
            CHECK(c >= CLASS_SHAPES && c < load_relaxed(&class_count));
            CHECK_EQ(classes[c].size, size_of_class(size_class(n)));
            check_class_map(&classes[c], s);
            CHECK_EQ(class_of_shape(s, n), c);
        }
    }
}

TEST(equal_maps_are_shared)
{
    static const struct sc_field one[] = {{8, 8}, {0, 8}, {24, 16}};
    static const struct sc_field other[] = {{32, 8}, {0, 16}, {24, 8}};
    struct sc_layout a = layout(48, one, 3), b = layout(48, other, 3);
    struct sc_layout longer = layout(56, one, 3), less = layout(48, one, 2);
    struct sc_layout by_hand = traced(48, trace_nothing);
    a.name = "A";
    heap_up();
    CHECK(shape_of(&a) == shape_of(&b));
    CHECK(shape_of(&a) != shape_of(&longer));
    CHECK(shape_of(&a) != shape_of(&less));
    CHECK(shape_of(&a) != shape_of(&by_hand));
    CHECK_EQ(class_of_shape(shape_of(&a), 48), class_of_shape(b.shape, 33));
    CHECK(class_of_shape(a.shape, 48) != class_of_shape(a.shape, 49));
    CHECK(class_of_shape(a.shape, 48) != class_of_shape(less.shape, 48));
    /* The first name stays: what the tool shows. */
    CHECK_STR(b.shape->name, "A");
}

/* Equal but for words behind the 64th. */
TEST(long_maps_are_compared_to_the_end)
{
    static const struct sc_field one[] = {{0, 8}, {8 * 150, 8}};
    static const struct sc_field other[] = {{0, 8}, {8 * 151, 8}};
    struct sc_layout a = layout(1600, one, 2), b = layout(1600, other, 2);
    heap_up();
    CHECK(shape_of(&a) != shape_of(&b));
}

TEST(kinds_of_layouts)
{
    static const struct sc_field f[] = {{0, 8}};
    static const struct sc_field half[] = {{4, 8}};
    struct sc_layout odd = layout(20, f, 1), none = layout(40, 0, 0);
    struct sc_layout nothing = layout(0, 0, 0), unaligned = layout(24, half, 1);
    struct sc_layout by_hand = traced(24, trace_nothing);
    heap_up();
    /* Elements that do not tile words have no map; all words are looked at. */
    CHECK_EQ(shape_of(&odd)->large, KIND_CONSERVATIVE);
    CHECK_EQ(class_of_shape(odd.shape, 20), CLASS_CONSERVATIVE + 1);
    CHECK_EQ(shape_of(&none)->large, KIND_NOSCAN);
    CHECK_EQ(class_of_shape(none.shape, 40), CLASS_NOSCAN + 2);
    CHECK_EQ(class_of_shape(none.shape, 16), CLASS_NOSCAN);
    CHECK_EQ(shape_of(&nothing)->large, KIND_NOSCAN);
    CHECK_EQ(shape_of(&unaligned)->large, KIND_PRECISE);
    CHECK_EQ(unaligned.shape->map[0], 0);
    CHECK_EQ(shape_of(&by_hand)->large, KIND_TRACED);
    unsigned c = class_of_shape(by_hand.shape, 24);
    CHECK_EQ(classes[c].kind, KIND_TRACED);
    CHECK(classes[c].shape->trace == trace_nothing);
}

/* All 880 numbers go; after that layouts are scanned conservatively, traced
 * ones get spans of their own, and what was handed out does not change. */
TEST(class_numbers_run_out)
{
    static struct sc_layout l[CLASSES];
    static struct sc_field f[CLASSES];
    static unsigned had[CLASSES];
    struct sc_layout by_hand = traced(24, trace_nothing);
    unsigned n = CLASSES - CLASS_SHAPES;
    heap_up();
    for (unsigned i = 0; i < CLASSES; i++) {
        f[i] = (struct sc_field){i % 200 * 8, 8};
        l[i] = layout(8 * (200 + i / 200), &f[i], 1);
        had[i] = class_of_shape(shape_of(&l[i]), l[i].size);
        unsigned sc = size_class(l[i].size);
        CHECK_EQ(had[i], i < n ? CLASS_SHAPES + i : CLASS_CONSERVATIVE + sc);
    }
    CHECK_EQ(load_relaxed(&class_count), CLASSES);
    CHECK_EQ(class_of_shape(shape_of(&by_hand), 24), CLASSES);
    CHECK_EQ(class_of_shape(shape_of(&by_hand), 24), CLASSES);
    for (unsigned i = 0; i < CLASSES; i++)
        CHECK_EQ(class_of_shape(shape_of(&l[i]), l[i].size), had[i]);
    for (unsigned i = 0; i < n; i++)
        check_class_map(&classes[had[i]], l[i].shape);
}

/* A shape that can't be made for want of memory is made the next time. */
TEST(no_memory_for_a_shape)
{
    static const struct sc_field f[] = {{0, 8}};
    struct sc_layout l = layout(MIB(8), f, 1); /* a map of 128 KiB */
    heap_up();
    os_fail_at(1, true);
    CHECK(!shape_of(&l));
    CHECK(!l.shape);
    os_fail_at(0, false);
    CHECK(shape_of(&l));
    CHECK(shape_says(l.shape, 0));
}

/* ---- Threads ----------------------------------------------------------- */

#define THREADS 4
#define LAYOUTS 60
static struct sc_layout shared[LAYOUTS];
static struct sc_field shared_field[LAYOUTS];
static unsigned seen[THREADS][LAYOUTS];

static void *use_all(void *arg)
{
    unsigned *mine = arg;
    for (unsigned i = 0; i < LAYOUTS; i++)
        mine[i] = class_of_shape(shape_of(&shared[i]), shared[i].size);
    return 0;
}

TEST(threads_agree)
{
    pthread_t id[THREADS];
    heap_up();
    for (unsigned i = 0; i < LAYOUTS; i++) {
        shared_field[i] = (struct sc_field){i / 2 * 8, 8};
        shared[i] = layout(400, &shared_field[i], 1);
    }
    for (unsigned t = 0; t < THREADS; t++)
        CHECK_EQ(pthread_create(&id[t], 0, use_all, seen[t]), 0);
    for (unsigned t = 0; t < THREADS; t++)
        pthread_join(id[t], 0);
    CHECK_EQ(load_relaxed(&class_count), CLASS_SHAPES + LAYOUTS / 2);
    for (unsigned i = 0; i < LAYOUTS; i++)
        for (unsigned t = 0; t < THREADS; t++) {
            CHECK_EQ(seen[t][i], seen[0][i]);
            CHECK_EQ(seen[t][i], seen[0][i ^ 1]); /* equal in pairs */
        }
}
