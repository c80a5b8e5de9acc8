/* links: os base page heap src/collect/work.c src/collect/queue.c
 * links: src/collect/mark.c src/collect/marklarge.c src/collect/markpage.c
 * links: src/collect/pick.c
 *
 * Marking against a slow one: a heap of objects of every kind and class, full
 * of pointers of every sort (to the start, inside, one past the end, to free
 * slots, to nowhere), and a reference that knows the layouts only as they were
 * declared and finds objects by dividing.
 */
#include "../heap/model.h"
#include "../../src/collect/ahead.h"

#include <pthread.h>

#include "../../src/collect/collect.h"

/* ---- What stands above mark.c ------------------------------------------ */

static _Atomic uint32_t key_calls;
static uintptr_t last_key;
void special_key_marked(struct work *w, uintptr_t object)
{
    atomic_fetch_add(&key_calls, 1);
    last_key = object;
}

static unsigned again_calls;
static bool again_answer;
bool verify_mark_again(uintptr_t parent, uintptr_t base, unsigned slot,
                       uint32_t page)
{
    again_calls++;
    return again_answer;
}

/* ---- The slow heap ----------------------------------------------------- */

#define SPANS 400
struct area { /* a span and what we know of it */
    struct model m; /* mark[]: what the reference reached */
    const struct sc_layout *layout;
    enum kind kind;
    size_t scanned; /* bytes of an object that are looked at */
    bool large, keys;
};
static struct area area[SPANS];
static unsigned nareas;

static struct {
    uintptr_t at;
    unsigned area, slot;
} grey[SPANS * SLOTS_MAX];
static size_t ngrey, work_expected, bytes_expected, keys_expected;

static bool word_is_pointer(const struct sc_layout *l, size_t w)
{
    for (uint32_t i = 0; i < l->nfields; i++) {
        uint32_t lo = l->fields[i].offset, hi = lo + l->fields[i].size;
        if (lo <= w * 8 && w * 8 + 8 <= hi)
            return true;
    }
    return false;
}

/* The custom trace function reports every third word, a few per call. */
#define TRACE_STEP 3
#define TRACE_PER_CALL 5
static size_t trace_thirds(const void *obj, size_t size, size_t cursor,
                           struct sc_marker *m)
{
    const uintptr_t *w = obj;
    for (int i = 0; i < TRACE_PER_CALL; i++, cursor += TRACE_STEP) {
        if (cursor >= size / 8)
            return 0;
        sc_mark(m, (void *)w[cursor]);
    }
    return cursor;
}

static bool holds_pointer(const struct area *a, size_t word)
{
    switch (a->kind) {
    case KIND_NOSCAN:
        return false;
    case KIND_CONSERVATIVE:
        return true;
    case KIND_TRACED:
        return word % TRACE_STEP == 0;
    default:
        return word_is_pointer(a->layout, word % (a->layout->size / 8));
    }
}

/* The area of each page, from 1; the heap of a test is small. */
static uint16_t owner[1 << 17];

static void own(unsigned i)
{
    uint32_t page = span_page(area[i].m.s);
    CHECK(page + area[i].m.s->npages <= COUNT(owner));
    for (uint32_t p = 0; p < area[i].m.s->npages; p++)
        owner[page + p] = (uint16_t)(i + 1);
}

static void reach(uintptr_t a)
{
    uintptr_t page = (a - heap.base) / PAGE_SIZE;
    if (page >= COUNT(owner) || !owner[page])
        return;
    unsigned i = owner[page] - 1u;
    struct span *s = area[i].m.s;
    size_t slot = area[i].large ? 0 : (a - span_start(s)) / s->size;
    if (slot >= s->nslots || !area[i].m.alloc[slot] || area[i].m.mark[slot])
        return;
    area[i].m.mark[slot] = true;
    bytes_expected += area[i].large ? s->npages * PAGE_SIZE : s->size;
    keys_expected += area[i].keys;
    grey[ngrey].area = i;
    grey[ngrey++].at = span_start(s) + slot * s->size;
}

static void reach_all(const uintptr_t *root, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        reach(root[i]);
    for (size_t k = 0; k < ngrey; k++) {
        const struct area *a = &area[grey[k].area];
        const uintptr_t *word = (const uintptr_t *)grey[k].at;
        for (size_t i = 0; i < a->scanned / 8; i++)
            if (holds_pointer(a, i))
                reach(word[i]);
        if (a->kind != KIND_NOSCAN)
            work_expected += a->kind == KIND_TRACED ? a->m.s->size
                                                    : a->scanned;
    }
}

/* ---- Filling it -------------------------------------------------------- */

static uintptr_t any_pointer(void)
{
    const struct area *a = &area[rnd(nareas)];
    const struct span *s = a->m.s;
    uintptr_t start = span_start(s), bytes = s->npages * PAGE_SIZE;
    uintptr_t slot = start + rnd(s->nslots) * s->size;
    switch (rnd(12)) {
    case 0:
        return slot + rnd_word() % s->size; /* inside */
    case 1:
        return slot + s->size; /* past its end: the next one */
    case 2:
        return slot + s->size - 1;
    case 3:
        return start + rnd_word() % bytes; /* a free slot or the tail too */
    case 4:
        return start + bytes;
    case 5:
        return rnd_word();
    case 6:
        return heap.base + rnd_word() % GIB(2);
    default:
        return slot;
    }
}

static void fill_objects(unsigned percent)
{
    for (unsigned i = 0; i < nareas; i++) {
        struct span *s = area[i].m.s;
        uintptr_t *word = (uintptr_t *)span_start(s);
        for (size_t k = 0; k < s->npages * PAGE_SIZE / 8; k++)
            word[k] = rnd(1000) < percent ? any_pointer() : rnd(1000);
    }
}

static void add_small(unsigned c, const struct sc_layout *l,
                      struct page_cache *pages)
{
    struct area *a = &area[nareas++];
    CHECK(nareas <= SPANS);
    model_random(&a->m, c, 70, pages);
    a->layout = l;
    a->kind = (enum kind)classes[c].kind;
    a->scanned = a->m.s->size;
    own(nareas - 1);
}

static void add_large(size_t n, enum kind kind, struct sc_layout *l)
{
    struct area *a = &area[nareas++];
    bool zero;
    CHECK(nareas <= SPANS);
    a->m.s = span_new_large(n, kind, l ? shape_of(l) : 0, 2, &zero);
    CHECK(a->m.s);
    span_publish_large(a->m.s, false);
    a->m.alloc[0] = true;
    a->large = true;
    a->layout = l;
    a->kind = kind;
    a->scanned = kind == KIND_NOSCAN ? 0 : n / 8 * 8;
    own(nareas - 1);
}

/* Layouts whose periods fit words of the map, do not, are odd, are long. */
static const unsigned periods[] = {1, 2, 3, 5, 7, 12, 21, 32, 63, 64, 65,
                                   67, 100, 127, 128, 129, 300, 1000};
static struct sc_layout layouts[COUNT(periods)], by_hand;
static struct sc_field fields[COUNT(periods)][8];

static void make_layouts(void)
{
    for (unsigned i = 0; i < COUNT(periods); i++) {
        unsigned n = 1 + rnd(8);
        for (unsigned k = 0; k < n; k++) {
            fields[i][k].offset = 8 * rnd(periods[i]);
            fields[i][k].size = 8;
        }
        if (periods[i] > 66) { /* an array across words of the map */
            fields[i][0].offset = 8 * 60;
            fields[i][0].size = 8 * 6;
        }
        layouts[i] = layout(8 * periods[i], fields[i], n);
    }
    by_hand = traced(48, trace_thirds);
}

static void add_everything(void)
{
    static struct page_cache pages;
    make_layouts();
    for (unsigned c = 0; c < CLASS_SHAPES; c++)
        add_small(c, 0, &pages);
    for (unsigned i = 0; i < COUNT(periods); i++) {
        struct sc_layout *l = &layouts[i];
        for (int k = 0; k < 6; k++) {
            size_t n = l->size * (k ? 1 + rnd((uint32_t)(SMALL_MAX / l->size))
                                    : 1);
            add_small(class_of_shape(shape_of(l), n), l, &pages);
        }
        add_large(SMALL_MAX + 1 + rnd(KIB(700)), KIND_PRECISE, l);
    }
    for (int k = 0; k < 10; k++)
        add_small(class_of_shape(shape_of(&by_hand), 1 + rnd(SMALL_MAX)), 0,
                  &pages);
    add_large(KIB(300) + 8 * rnd(1000), KIND_TRACED, &by_hand);
    for (int k = 0; k < 5; k++) {
        add_large(SMALL_MAX + 1 + rnd(MIB(1)), KIND_CONSERVATIVE, 0);
        add_large(SMALL_MAX + 1 + rnd(MIB(1)), KIND_NOSCAN, 0);
    }
    add_large(OBLET, KIND_CONSERVATIVE, 0);
    add_large(2 * OBLET, KIND_CONSERVATIVE, 0);
    add_large(2 * OBLET + 7, KIND_CONSERVATIVE, 0);
}

/* ---- Comparing --------------------------------------------------------- */

#define ROOTS 40
static uintptr_t root[ROOTS];

/* Sparse enough for a good part of the heap to stay white. */
static void setup(unsigned per_mille)
{
    heap_up();
    add_everything();
    fill_objects(per_mille);
    for (unsigned i = 0; i < ROOTS; i++)
        root[i] = any_pointer();
}

static void compare_marks(void)
{
    unsigned marked = 0, white = 0;
    for (unsigned i = 0; i < nareas; i++) {
        if (!area[i].large)
            area[i].m.s->search = 0;
        model_compare(&area[i].m);
        marked += model_count(area[i].m.mark);
        white += model_count(area[i].m.alloc) - model_count(area[i].m.mark);
    }
    CHECK(marked > 0);
    CHECK(white > 0);
}

/* One entry or page, as drain.c does it; 0 when there is none. */
static size_t drain_one(struct work *w, struct far *f)
{
    uintptr_t e = work_get(w);
    if (e)
        return mark_scan(w, e) + 1;
    uint32_t page = queue_get(w);
    if (page == NO_PAGE) {
        far_settle(w, f);
        page = queue_get(w);
    }
    if (page == NO_PAGE)
        return 0;
    return mark_scan_page(w, f, page, queue_peek(w, 0)) + 1;
}

static size_t drain_all(struct work *w)
{
    struct far f;
    size_t sum = 0, n;
    far_begin(&f);
    while ((n = drain_one(w, &f)))
        sum += n - 1;
    return sum;
}

static void mark_and_compare(unsigned per_mille)
{
    struct work w = {0};
    setup(per_mille);
    reach_all(root, ROOTS);
    mark_range(&w, (uintptr_t)root, (uintptr_t)(root + ROOTS));
    CHECK_EQ(drain_all(&w), work_expected);
    CHECK_EQ(w.bytes_marked, bytes_expected);
    compare_marks();
    CHECK(!load_relaxed(&gc.overflow));
    CHECK_EQ(key_calls, 0);
}

TEST(every_kind_sparse) { mark_and_compare(1); }
TEST(every_kind_2) { mark_and_compare(2); }
TEST(every_kind_5) { mark_and_compare(5); }
TEST(every_kind_20) { mark_and_compare(20); }
TEST(every_kind_dense) { mark_and_compare(300); }

/* What the words of object o of an area refer to, the slow way. */
static void reach_fields(const struct area *a, uintptr_t base)
{
    const uintptr_t *word = (const uintptr_t *)base;
    for (size_t i = 0; i < a->scanned / 8; i++)
        if (holds_pointer(a, i))
            reach(word[i]);
}

/* Finalizable objects: all that they lead to is marked, they are not. */
TEST(fields_of_objects_that_stay_white)
{
    struct work w = {0};
    setup(5);
    for (unsigned i = 0; i < nareas; i += 1 + rnd(5)) {
        struct span *s = area[i].m.s;
        uintptr_t base = span_start(s) + rnd(s->nslots) * s->size;
        reach_fields(&area[i], base);
        mark_fields(&w, base);
    }
    reach_all(0, 0);
    CHECK_EQ(drain_all(&w), work_expected);
    compare_marks();
}

/* Spans that hold keys of ephemerons: each key that is marked is told of,
 * once, also those of kinds that are not scanned. */
TEST(keys_are_told_of)
{
    struct work w = {0};
    setup(5);
    for (unsigned i = 0; i < nareas; i++)
        if (rnd(2)) {
            area[i].keys = true;
            for (uint32_t p = 0; p < area[i].m.s->npages; p++)
                heap.desc[span_page(area[i].m.s) + p] |= DESC_KEYS;
        }
    reach_all(root, ROOTS);
    mark_range(&w, (uintptr_t)root, (uintptr_t)(root + ROOTS));
    CHECK_EQ(drain_all(&w), work_expected);
    compare_marks();
    CHECK(keys_expected > 0);
    CHECK_EQ(key_calls, keys_expected);
}

/* The first and the last words of a range, and no others. */
TEST(ranges_are_cut_to_whole_words)
{
    static struct page_cache pages;
    struct work w = {0};
    heap_up();
    add_small(CLASS_NOSCAN + 5, 0, &pages);
    struct model *m = &area[0].m;
    uintptr_t words[8], base = span_start(m->s);
    for (unsigned lo = 0; lo <= 64; lo++)
        for (unsigned hi = lo; hi <= 64; hi++) {
            for (unsigned i = 0; i < 8; i++) {
                words[i] = base + i * m->s->size;
                m->alloc[i] = true;
                m->mark[i] = lo <= i * 8 && i * 8 + 8 <= hi;
            }
            for (unsigned i = 0; i < 8; i++) {
                store_relaxed(&span_bits(m->s)->w[i].alloc, i ? 0 : 255);
                store_relaxed(&span_bits(m->s)->w[i].mark, 0);
            }
            mark_range(&w, (uintptr_t)words + lo, (uintptr_t)words + hi);
            for (unsigned i = 0; i < 8; i++)
                CHECK_EQ(bit_of(&span_bits(m->s)->w[0].mark, i), m->mark[i]);
        }
}

/* ---- Without memory for queues ----------------------------------------- */

/* What was dropped is found again by going over the marked objects. */
static void mark_overflowed(struct work *w)
{
    while (load_relaxed(&gc.overflow)) {
        store_relaxed(&gc.overflow, false);
        for (uint32_t p = 0; p < load_relaxed(&heap.top); p++)
            mark_page_again(w, p);
        drain_all(w);
    }
}

TEST(no_queue_at_all)
{
    struct work w = {0};
    setup(3);
    reach_all(root, ROOTS);
    os_fail_at(1, true);
    mark_range(&w, (uintptr_t)root, (uintptr_t)(root + ROOTS));
    drain_all(&w);
    CHECK(load_relaxed(&gc.overflow));
    mark_overflowed(&w);
    compare_marks();
    CHECK_EQ(w.bytes_marked, bytes_expected);
}

/* Almost full with one object that is reached anyway. */
static void fill_queue(struct work *w)
{
    size_t k = 0;
    while (area[grey[k].area].kind == KIND_NOSCAN || area[grey[k].area].large)
        k++;
    for (int i = 0; i < 2 * WORK_ENTRIES - 20; i++)
        work_put(w, grey[k].at);
}

TEST(queues_run_out)
{
    struct work w = {0}, others[15] = {{0}};
    setup(300);
    reach_all(root, ROOTS);
    for (unsigned i = 0; i < COUNT(others); i++) { /* hold all but two */
        work_put(&others[i], heap.base);
        CHECK(work_get(&others[i]));
    }
    os_fail_at(1, true);
    fill_queue(&w);
    mark_range(&w, (uintptr_t)root, (uintptr_t)(root + ROOTS));
    drain_all(&w);
    CHECK(load_relaxed(&gc.overflow));
    mark_overflowed(&w);
    compare_marks();
}

TEST(clear_all_clears_all)
{
    struct work w = {0};
    setup(5);
    mark_range(&w, (uintptr_t)root, (uintptr_t)(root + ROOTS));
    drain_all(&w);
    mark_clear_all();
    for (unsigned i = 0; i < nareas; i++) {
        if (!area[i].large)
            area[i].m.s->search = 0;
        model_compare(&area[i].m); /* whose marks were never made */
    }
}

/* ---- The second marking ------------------------------------------------ */

/* gccheckmark: mark bits stay as they are, another room decides. */
TEST(checking_asks_verify)
{
    static struct page_cache pages;
    struct work w = {.checking = true, .slow = DESC_PAGED};
    heap_up();
    add_small(CLASS_NOSCAN + 5, 0, &pages);
    add_small(CLASS_CONSERVATIVE + 5, 0, &pages);
    for (int scan = 0; scan < 2; scan++) {
        struct model *m = &area[scan].m;
        for (unsigned i = 0; i < m->s->nslots; i++)
            for (int yes = 0; yes < 2; yes++) {
                again_calls = 0;
                again_answer = yes;
                mark_word(&w, span_start(m->s) + i * m->s->size);
                CHECK_EQ(again_calls, m->alloc[i]);
                CHECK_EQ(!!work_get(&w), m->alloc[i] && yes && scan);
            }
        CHECK_EQ(bit_of(&span_bits(m->s)->w[0].mark, 0), 0);
    }
    CHECK_EQ(w.bytes_marked, 0);
}

/* ---- Several markers --------------------------------------------------- */

#define MARKERS 3
static _Atomic uint32_t idle;

static void *marker(void *arg)
{
    static _Atomic unsigned next;
    struct work w = {0};
    unsigned i;
    bool resting = false;
    struct far f;
    far_begin(&f);
    while ((i = atomic_fetch_add(&next, 1)) < ROOTS)
        mark_word(&w, root[i]);
    while (atomic_load(&idle) < MARKERS) {
        bool some = drain_one(&w, &f);
        if (some && resting)
            atomic_fetch_sub(&idle, 1), resting = false;
        else if (!some && !resting)
            atomic_fetch_add(&idle, 1), resting = true;
        work_balance(&w);
    }
    /* Late work of another one that was resting when we looked. */
    drain_all(&w);
    work_flush(&w);
    return 0;
}

TEST(markers_at_the_same_time)
{
    pthread_t id[MARKERS];
    struct work w = {0};
    setup(20);
    reach_all(root, ROOTS);
    for (int i = 0; i < MARKERS; i++)
        CHECK_EQ(pthread_create(&id[i], 0, marker, 0), 0);
    for (int i = 0; i < MARKERS; i++)
        pthread_join(id[i], 0);
    drain_all(&w);
    work_flush(&w);
    compare_marks();
    CHECK_EQ(load_relaxed(&gc.bytes_marked), bytes_expected);
}
