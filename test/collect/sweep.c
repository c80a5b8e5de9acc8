/* links: os base page heap src/collect/sweep.c
 *
 * When garbage is swept: the share that each allocation pays is enough, and
 * finishing leaves nothing, also when several pay at once.
 */
#include "../heap/model.h"

#include <pthread.h>

#include "../../src/collect/collect.h"

#define MANY 3000

static uint64_t objects;

/* A heap of swept spans, some of their slots allocated, on their lists. */
static void make_spans(unsigned n)
{
    static struct page_cache pages;
    struct model m;
    for (unsigned i = 0; i < n; i++) {
        model_random(&m, rnd(CLASS_SHAPES), rnd(3) ? 100 : rnd(101), &pages);
        objects += m.s->nalloc;
        central_give(m.s);
    }
}

static void mark_half(struct span *s)
{
    for (unsigned i = 0; i < s->nslots; i++)
        if (bit_of(&span_bits(s)->w[0].alloc, i) && rnd(2))
            mark_slot(s, i);
        else
            objects -= bit_of(&span_bits(s)->w[0].alloc, i);
}

/* Marks a part and moves the generation; number of pages to sweep. */
static uint64_t flip(void)
{
    for (uint32_t p = 0; p < load_relaxed(&heap.top); p++)
        if (desc_begins(heap.desc[p]))
            mark_half(span_at(p));
    uint64_t n = load_relaxed(&heap.pages_in_use);
    store_relaxed(&heap.unswept_pages, (int64_t)n);
    add_relaxed(&heap.gen, 2);
    return n;
}

static void all_is_swept(void)
{
    uint64_t n = 0;
    for (uint32_t p = 0; p < load_relaxed(&heap.top); p++)
        if (desc_begins(heap.desc[p])) {
            span_check(span_at(p));
            CHECK_EQ(span_at(p)->gen, load_relaxed(&heap.gen));
            n += span_at(p)->nalloc;
        }
    CHECK_EQ(n, objects);
}

/* By the time the next cycle may begin everything is swept, and on the way
 * nobody is ever behind by more than rounding. */
static void pay_in_pieces(size_t until_trigger, size_t piece)
{
    heap_up();
    make_spans(MANY);
    for (int round = 0; round < 3; round++) {
        double pages = (double)flip(), paid = 0;
        double until = (double)until_trigger - (double)MIB(1);
        sweep_begin(until_trigger);
        CHECK(!sweep_is_done());
        for (unsigned calls = 0; paid < until; calls++) {
            size_t n = 1 + rnd((uint32_t)piece);
            sweep_pay(n);
            paid += (double)n;
            double swept = pages - (double)load_relaxed(&heap.unswept_pages);
            double owed = pages * (paid < until ? paid / until : 1);
            CHECK(swept + 1 + calls * 0.5 >= owed);
        }
        sweep_finish();
        all_is_swept();
        CHECK(sweep_is_done());
        CHECK_EQ(load_relaxed(&heap.unswept_pages), 0);
        sweep_pay(MIB(100)); /* no debt any more, nothing happens */
        make_spans(MANY / 3);
    }
}

TEST(large_pieces_pay) { pay_in_pieces(MIB(40), MIB(1)); }
TEST(spans_pay) { pay_in_pieces(MIB(64), KIB(16)); }
TEST(little_time_until_the_trigger) { pay_in_pieces(MIB(2), KIB(64)); }

/* Sweeping is paid for by the piece: not much more than the share. */
TEST(the_share_is_not_exceeded)
{
    heap_up();
    make_spans(MANY);
    double pages = (double)flip(), until = (double)MIB(63);
    sweep_begin(MIB(64));
    for (double paid = 0; paid < until / 2; paid += (double)KIB(64))
        sweep_pay(KIB(64));
    double swept = pages - (double)load_relaxed(&heap.unswept_pages);
    CHECK(swept > pages * 0.45 && swept < pages * 0.55 + SPAN_PAGES_MAX);
    sweep_finish();
    all_is_swept();
}

TEST(finish_alone)
{
    heap_up();
    make_spans(MANY);
    flip();
    sweep_begin(0);
    uint64_t before = load_relaxed(&sweep_ns);
    sweep_finish();
    all_is_swept();
    CHECK(sweep_is_done());
    CHECK(load_relaxed(&sweep_ns) > before);
}

/* ---- Threads ----------------------------------------------------------- */

static void *payer(void *arg)
{
    for (int i = 0; i < 400; i++)
        sweep_pay(KIB(16));
    return 0;
}

TEST(threads_pay_at_once)
{
    pthread_t id[4];
    heap_up();
    make_spans(MANY);
    for (int round = 0; round < 5; round++) {
        flip();
        sweep_begin(MIB(1) + 4 * 400 * KIB(16));
        for (unsigned i = 0; i < COUNT(id); i++)
            CHECK_EQ(pthread_create(&id[i], 0, payer, 0), 0);
        sweep_finish(); /* as the collector does, in the background */
        for (unsigned i = 0; i < COUNT(id); i++)
            pthread_join(id[i], 0);
        all_is_swept();
        make_spans(MANY / 4);
    }
}
