/* links: os base page heap
 *
 * Spans against plain arrays: runs, giving back, marks, sweeping.
 */
#include "model.h"

static size_t trace_nothing(const void *obj, size_t size, size_t cursor,
                            struct sc_marker *m)
{
    return 0;
}

/* ---- Random sequences -------------------------------------------------- */

struct play {
    struct model m;
    unsigned from, to; /* the run in hand: slots not handed out yet */
    uint64_t freed_objects, freed_bytes;
};

static unsigned first_free(const struct model *m)
{
    unsigned i = 0;
    while (i < m->s->nslots && m->alloc[i])
        i++;
    return i;
}

static bool all_zero(uintptr_t a, size_t n)
{
    for (size_t i = 0; i < n / 8; i++)
        if (((uint64_t *)a)[i])
            return false;
    return true;
}

/* The run begins at the lowest free slot, ends at the latest before the next
 * one in use, and holds zeroes if the kind promises that. */
static void take_run(struct play *p)
{
    struct run r = {0, 0};
    struct span *s = p->m.s;
    bool black = rnd(2);
    unsigned i, e, want = first_free(&p->m);
    if (!span_take_run(s, black, &r)) {
        CHECK_EQ(want, s->nslots);
        return;
    }
    run_slots(s, &r, &i, &e);
    CHECK_EQ(i, want);
    if (s->kind != KIND_NOSCAN)
        CHECK(all_zero(r.cur, r.end - r.cur));
    for (unsigned k = i; k < e; k++) {
        CHECK(!p->m.alloc[k]);
        p->m.alloc[k] = true;
        p->m.mark[k] |= black;
    }
    p->from = i;
    p->to = e;
}

/* The program writes into what it was given, up to slot `to`. */
static void hand_out(struct play *p, unsigned to)
{
    uintptr_t start = span_start(p->m.s), size = p->m.s->size;
    memset((void *)(start + p->from * size), 0x5a, (to - p->from) * size);
}

/* Some of the run was handed out; the rest goes back. */
static void give_run(struct play *p)
{
    uintptr_t start = span_start(p->m.s), size = p->m.s->size;
    unsigned from = p->from + rnd(p->to - p->from + 1);
    hand_out(p, from);
    span_give_run(p->m.s, start + from * size, start + p->to * size);
    for (unsigned k = from; k < p->to; k++)
        p->m.alloc[k] = p->m.mark[k] = false;
    p->from = p->to = 0;
}

static void mark_some(struct play *p, unsigned percent)
{
    for (unsigned i = 0; i < p->m.s->nslots; i++)
        if (p->m.alloc[i] && rnd(100) < percent) {
            mark_slot(p->m.s, i);
            p->m.mark[i] = true;
        }
}

/* A marker may hit a slot that was allocated when it looked and was given
 * back by the time it set the bit. */
static void mark_late(struct play *p)
{
    unsigned i = first_free(&p->m);
    if (i < p->m.s->nslots)
        mark_slot(p->m.s, i);
}

static void sweep(struct play *p)
{
    unsigned live = 0;
    if (p->from != p->to)
        give_run(p); /* a span is swept by its owner, without a run */
    if (!rnd(3))
        mark_late(p);
    for (unsigned i = 0; i < p->m.s->nslots; i++) {
        bool stays = p->m.alloc[i] && p->m.mark[i];
        p->freed_objects += p->m.alloc[i] && !stays;
        live += stays;
        p->m.alloc[i] = stays;
        p->m.mark[i] = false;
    }
    CHECK_EQ(span_sweep(p->m.s), live == 0);
    p->freed_bytes = p->freed_objects * p->m.s->size;
    CHECK_EQ(load_relaxed(&heap.swept_free_objects), p->freed_objects);
    CHECK_EQ(load_relaxed(&heap.swept_free_bytes), p->freed_bytes);
}

static void play(unsigned c, int steps, struct page_cache *pages)
{
    struct play p;
    memset(&p, 0, sizeof p);
    p.m.s = span_new(c, 2, pages);
    CHECK(p.m.s);
    CHECK_EQ(p.m.s->nslots, classes[c].nslots);
    CHECK_EQ(p.m.s->state, SPAN_CACHED);
    store_relaxed(&heap.swept_free_objects, 0);
    store_relaxed(&heap.swept_free_bytes, 0);
    model_compare(&p.m);
    for (int i = 0; i < steps; i++) {
        unsigned what = rnd(10);
        if (what < 6 && p.from == p.to)
            take_run(&p);
        else if (what < 7 && p.from != p.to)
            give_run(&p);
        else if (what < 9)
            hand_out(&p, p.to), p.from = p.to = 0;
        else if (rnd(4) == 0)
            mark_some(&p, rnd(101)), sweep(&p);
        model_compare(&p.m);
    }
    span_free(p.m.s);
    CHECK_EQ(load_relaxed(&heap.pages_in_use), 0);
}

TEST(random_runs_of_noscan_spans)
{
    struct page_cache pages = {0};
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        play(CLASS_NOSCAN + c, 300, &pages);
}

TEST(random_runs_of_conservative_spans)
{
    struct page_cache pages = {0};
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        play(CLASS_CONSERVATIVE + c, 300, &pages);
}

TEST(random_runs_of_shaped_spans)
{
    static const struct sc_field f[] = {{0, 8}};
    struct sc_layout l = layout(16, f, 1), t = traced(16, trace_nothing);
    struct page_cache pages = {0};
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c += 5) {
        play(class_of_shape(shape_of(&l), size_of_class(c)), 300, &pages);
        play(class_of_shape(shape_of(&t), size_of_class(c)), 300, &pages);
    }
}

/* A run is zeroed in one go: it stays short enough for the cache. */
TEST(runs_are_short)
{
    struct page_cache pages = {0};
    struct run r;
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        struct span *s = span_new(CLASS_CONSERVATIVE + c, 2, &pages);
        CHECK(span_take_run(s, false, &r));
        CHECK(r.end - r.cur <= max_size(KIB(4), s->size));
    }
}

/* gcstress makes each allocation a slow one. */
TEST(stress_makes_runs_of_one)
{
    struct page_cache pages = {0};
    struct run r;
    heap_up();
    knobs.gcstress = 1;
    struct span *s = span_new(CLASS_CONSERVATIVE, 2, &pages);
    for (unsigned i = 0; i < s->nslots; i++) {
        CHECK(span_take_run(s, false, &r));
        CHECK_EQ(r.cur, span_start(s) + i * 16);
        CHECK_EQ(r.end - r.cur, 16);
    }
    CHECK(!span_take_run(s, false, &r));
}

/* Pages that were used before are not known to be zero. */
TEST(used_pages_are_zeroed_again)
{
    struct page_cache pages = {0};
    struct run r;
    heap_up();
    struct span *s = span_new(CLASS_NOSCAN + 5, 2, &pages);
    uintptr_t at = span_start(s);
    CHECK(span_take_run(s, false, &r));
    memset((void *)at, 0xff, PAGE_SIZE);
    span_free(s);
    page_cache_flush(&pages);
    s = span_new(CLASS_CONSERVATIVE + 5, 2, &pages);
    CHECK_EQ(span_start(s), at);
    CHECK(s->needzero);
    CHECK(span_take_run(s, false, &r));
    CHECK(all_zero(r.cur, r.end - r.cur));
}

/* ---- Descriptors, large spans ------------------------------------------ */

TEST(descriptors_of_small_spans)
{
    struct page_cache pages = {0};
    struct sc_layout t = traced(16, trace_nothing);
    heap_up();
    unsigned by_hand = class_of_shape(shape_of(&t), SMALL_MAX);
    for (unsigned c = 0; c <= by_hand; c++) {
        struct span *s = span_new(c, 2, &pages);
        uint32_t page = span_page(s), n = s->npages;
        uint32_t kind = c < SIZE_CLASSES ? DESC_NOSCAN
                        : c == by_hand   ? DESC_TRACED
                                         : 0;
        kind |= classes[c].paged ? DESC_PAGED : 0;
        for (uint32_t i = 0; i < n; i++)
            CHECK_EQ(heap.desc[page + i], c | i << 10 | DESC_IN_USE | kind);
        CHECK_EQ(load_relaxed(&heap.pages_in_use), n);
        span_free(s);
        for (uint32_t i = 0; i < n; i++)
            CHECK_EQ(heap.desc[page + i], 0);
        CHECK_EQ(s->state, SPAN_FREE);
    }
}

TEST(sweeping_large_spans)
{
    bool zero;
    heap_up();
    for (int black = 0; black < 2; black++) {
        struct span *s = span_new_large(MIB(1), KIND_NOSCAN, 0, 2, &zero);
        CHECK_EQ(zero, !black); /* the second time pages that were used */
        CHECK_EQ(s->state, SPAN_LARGE);
        span_publish_large(s, black);
        span_check(s);
        CHECK_EQ(span_sweep(s), !black);
        CHECK_EQ(s->nalloc, black);
        if (black)
            CHECK(span_sweep(s)); /* the mark was taken */
        span_free(s);
    }
    CHECK_EQ(load_relaxed(&heap.swept_free_bytes), 2 * MIB(1));
    CHECK_EQ(load_relaxed(&heap.pages_in_use), 0);
}

TEST(sizes_beyond_the_range_are_refused)
{
    bool zero;
    heap_up();
    CHECK(!span_new_large(SIZE_MAX, KIND_NOSCAN, 0, 2, &zero));
    CHECK(!span_new_large(SIZE_MAX - PAGE_SIZE, KIND_NOSCAN, 0, 2, &zero));
    CHECK(!span_new_large(arenas.size + 1, KIND_NOSCAN, 0, 2, &zero));
    CHECK(!span_new_large(arenas.size, KIND_NOSCAN, 0, 2, &zero));
}

/* Each request that fails leaves nothing behind. */
TEST(no_memory_for_a_span)
{
    struct page_cache pages = {0};
    bool zero;
    heap_up();
    for (uint64_t k = 1; k < 12; k++) {
        os_fail_at(k, true);
        struct span *s = span_new(CLASS_CONSERVATIVE + 40, 2, &pages);
        struct span *l = span_new_large(MIB(64), KIND_NOSCAN, 0, 2, &zero);
        os_fail_at(0, false);
        uint64_t have = (s ? s->npages : 0) + (l ? l->npages : 0);
        CHECK_EQ(load_relaxed(&heap.pages_in_use), have);
        if (l)
            span_publish_large(l, false), span_free(l);
        if (s)
            span_free(s);
        page_cache_flush(&pages);
        struct page_stats st;
        page_stats(&st);
        CHECK_EQ(st.in_use, 0);
        page_verify();
    }
}

/* Slots of the span that a page scan would take for scanned. */
static unsigned count_black(const struct span *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 8; i++)
        n += (unsigned)__builtin_popcountll(heap.black[span_page(s)].w[i]);
    return n;
}

/* What is allocated while marking needs no scan; what is given back or has
 * been swept, and may be white the next time, does. */
TEST(black_runs_are_as_good_as_scanned)
{
    struct page_cache pages = {0};
    struct run r;
    heap_up();
    struct span *s = span_new(CLASS_CONSERVATIVE + 3, 2, &pages);
    CHECK(s->paged);
    CHECK(span_take_run(s, true, &r));
    CHECK_EQ(count_black(s), (r.end - r.cur) / s->size);
    span_give_run(s, r.cur + 2 * s->size, r.end);
    CHECK_EQ(count_black(s), 2);
    CHECK(!span_sweep(s));
    CHECK_EQ(count_black(s), 0);
    CHECK(span_take_run(s, false, &r));
    CHECK_EQ(count_black(s), 0);
    span_give_run(s, r.cur, r.end);
    CHECK(!span_new(CLASS_NOSCAN + 3, 2, &pages)->paged);
}

/* ---- Debug aids -------------------------------------------------------- */

TEST(clobberfree_fills_the_dead)
{
    struct page_cache pages = {0};
    struct run r;
    heap_up();
    knobs.clobberfree = 1;
    struct span *s = span_new(CLASS_CONSERVATIVE + 3, 2, &pages);
    CHECK(span_take_run(s, false, &r));
    mark_slot(s, 1);
    span_sweep(s);
    for (unsigned i = 0; i < 3; i++)
        for (unsigned k = 0; k < s->size / 4; k++)
            CHECK_EQ(((uint32_t *)(r.cur + i * s->size))[k],
                     i == 1 ? 0 : 0xdeadbeef);
}

TEST(sweeping_forgets_what_was_freed_by_hand)
{
    static _Atomic uint64_t freed[8];
    struct page_cache pages = {0};
    struct run r;
    heap_up();
    struct span *s = span_new(CLASS_CONSERVATIVE, 2, &pages);
    CHECK(span_take_run(s, false, &r));
    s->freed = freed;
    freed[0] = 7;
    mark_slot(s, 1); /* something still points there */
    span_sweep(s);
    CHECK_EQ(freed[0], 2);
}

/* The addresses of guarded spans are burnt: a late use faults. */
TEST(guarded_pages_are_not_used_again)
{
    bool zero;
    char c;
    heap_up();
    struct span *s = span_new_large(100, KIND_CONSERVATIVE, 0, 2, &zero);
    s->guarded = 1;
    span_publish_large(s, false);
    uintptr_t a = span_start(s);
    CHECK_EQ(os_read_memory(&c, (void *)a, 1), 1);
    span_free(s);
    CHECK_EQ(os_read_memory(&c, (void *)a, 1), 0);
    s = span_new_large(100, KIND_CONSERVATIVE, 0, 2, &zero);
    CHECK(span_start(s) != a);
}

/* ---- span_check says so ------------------------------------------------ */

static void damage(int how, struct span *s)
{
    struct bits *b = span_bits(s);
    if (how == 0)
        b->w[0].alloc ^= 1;
    if (how == 1)
        s->nalloc++;
    if (how == 2) { /* a bit behind the last slot, the count kept right */
        b->w[s->nslots / 64].alloc |= 1ull << s->nslots % 64;
        b->w[0].alloc &= ~1ull;
    }
    if (how == 3) { /* a free slot below search */
        b->w[0].alloc &= ~1ull;
        s->nalloc--;
    }
}

TEST(damage_is_noticed)
{
    struct page_cache pages = {0};
    struct run r;
    heap_up();
    struct span *s = span_new(CLASS_CONSERVATIVE + 9, 2, &pages);
    CHECK(span_take_run(s, false, &r));
    CHECK(s->nslots % 64 && s->nalloc > 2);
    span_check(s);
    for (int how = 0; how < 4; how++) {
        pid_t pid = fork();
        int status;
        if (!pid) {
            damage(how, s);
            span_check(s);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    span_check(s);
}
