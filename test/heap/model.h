/* model.h: a span as plain arrays, to compare the real one with.
 *
 *   model   alloc[] mark[]      one byte per slot, changed by loops
 *   span    bits, nalloc, ...   what the library says
 *
 * model_compare looks at every slot and lets span_check look as well.
 */
#ifndef SC_TEST_MODEL_H
#define SC_TEST_MODEL_H

#include "../check.h"

#include "../../src/heap/heap.h"

#define SLOTS_MAX 512

/* Random numbers from the test's seed. */
static uint64_t rnd_state;
TEST_UNUSED static uint32_t rnd(uint32_t below)
{
    if (!rnd_state)
        rnd_state = test_seed() * 2654435761u | 1;
    return (uint32_t)((rng_next(&rnd_state) >> 20) % below);
}

TEST_UNUSED static uint64_t rnd_word(void)
{
    return (uint64_t)rnd(1u << 22) << 44 ^ (uint64_t)rnd(1u << 22) << 22 ^
           rnd(1u << 22);
}

TEST_UNUSED static void heap_up(void)
{
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(heap_init(), 0);
}

/* What SC_LAYOUT and SC_TRACED declare. */
TEST_UNUSED static struct sc_layout layout(size_t size,
                                           const struct sc_field *f, unsigned n)
{
    return (struct sc_layout){.name = "T", .size = size, .fields = f,
                              .nfields = n};
}

TEST_UNUSED static struct sc_layout traced(size_t size, sc_trace_fn fn)
{
    return (struct sc_layout){.name = "T", .size = size, .trace = fn};
}

struct model {
    struct span *s;
    bool alloc[SLOTS_MAX], mark[SLOTS_MAX];
};

TEST_UNUSED static unsigned model_count(const bool *of)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SLOTS_MAX; i++)
        n += of[i];
    return n;
}

/* w: the first mark or alloc word; the two kinds alternate. */
static inline bool bit_of(const _Atomic uint64_t *w, unsigned i)
{
    return load_relaxed(&w[i / 64 * 2]) >> (i % 64) & 1;
}

TEST_UNUSED static void model_compare(const struct model *m)
{
    const struct bits *b = span_bits(m->s);
    span_check(m->s);
    for (unsigned i = 0; i < SLOTS_MAX; i++)
        if (bit_of(&b->w[0].alloc, i) != m->alloc[i] ||
            bit_of(&b->w[0].mark, i) != m->mark[i])
            test_fail(__FILE__, __LINE__,
                      "class %u slot %u of %u: alloc %d mark %d, should be "
                      "%d %d", m->s->class, i, m->s->nslots,
                      bit_of(&b->w[0].alloc, i), bit_of(&b->w[0].mark, i),
                      m->alloc[i], m->mark[i]);
    CHECK_EQ(m->s->nalloc, model_count(m->alloc));
}

/* Slots [i, e) that a run covers; it must be made of whole ones. */
TEST_UNUSED static void run_slots(const struct span *s, const struct run *r,
                                  unsigned *i, unsigned *e)
{
    uintptr_t from = r->cur - span_start(s), to = r->end - span_start(s);
    CHECK_EQ(from % s->size, 0);
    CHECK_EQ(to % s->size, 0);
    *i = (unsigned)(from / s->size);
    *e = (unsigned)(to / s->size);
    CHECK(*i < *e && *e <= s->nslots);
}

TEST_UNUSED static void mark_slot(struct span *s, unsigned i)
{
    __atomic_fetch_or(&span_bits(s)->w[i / 64].mark, 1ull << (i % 64),
                      __ATOMIC_RELAXED);
}

/* A span of class c in which each slot is allocated with that chance. */
TEST_UNUSED static void model_random(struct model *m, unsigned c,
                                     unsigned percent,
                                     struct page_cache *pages)
{
    struct bits *b;
    memset(m, 0, sizeof *m);
    m->s = span_new(c, load_relaxed(&heap.gen), pages);
    CHECK(m->s);
    b = span_bits(m->s);
    for (unsigned i = 0; i < m->s->nslots; i++)
        if (rnd(100) < percent) {
            m->alloc[i] = true;
            b->w[i / 64].alloc |= 1ull << (i % 64);
            m->s->nalloc++;
        }
}

#endif
