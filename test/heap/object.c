/* links: os base page heap
 *
 * From an address to its object: every address of spans of every class,
 * against division and an array of slots.
 */
#include "model.h"

static void check_small(const struct model *m, uintptr_t a)
{
    struct object o;
    const struct span *s = m->s;
    uintptr_t off = a - span_start(s);
    unsigned slot = (unsigned)(off / s->size);
    bool found = object_find(a, &o);
    if (found != (slot < s->nslots && m->alloc[slot]))
        test_fail(__FILE__, __LINE__, "class %u, offset %lu: found %d",
                  s->class, (unsigned long)off, found);
    if (!found)
        return;
    CHECK(o.span == s);
    CHECK_EQ(o.slot, slot);
    CHECK_EQ(o.size, s->size);
    CHECK_EQ(o.base, span_start(s) + slot * s->size);
    CHECK_EQ(o.kind, s->kind);
    CHECK_EQ(object_marked(&o), m->mark[slot]);
}

static void every_address(unsigned c, struct page_cache *pages)
{
    struct model m;
    model_random(&m, c, 60, pages);
    for (unsigned i = 0; i < m.s->nslots; i++)
        if (m.alloc[i] && rnd(2)) {
            m.mark[i] = true;
            mark_slot(m.s, i);
        }
    uintptr_t lo = span_start(m.s), hi = lo + m.s->npages * PAGE_SIZE;
    for (uintptr_t a = lo; a < hi; a++)
        check_small(&m, a);
    span_free(m.s);
    struct object o;
    for (uintptr_t a = lo; a < hi; a += 16)
        CHECK(!object_find(a, &o));
}

TEST(every_address_of_noscan_spans)
{
    struct page_cache pages = {0};
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        every_address(CLASS_NOSCAN + c, &pages);
}

TEST(every_address_of_conservative_spans)
{
    struct page_cache pages = {0};
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        every_address(CLASS_CONSERVATIVE + c, &pages);
}

TEST(every_address_of_shaped_spans)
{
    static const struct sc_field f[] = {{8, 8}};
    struct sc_layout l = layout(24, f, 1);
    struct page_cache pages = {0};
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c += 3)
        every_address(class_of_shape(shape_of(&l), size_of_class(c)), &pages);
}

/* ---- Large ------------------------------------------------------------- */

static void check_large(const struct span *s, uintptr_t a)
{
    struct object o;
    uintptr_t lo = span_start(s);
    bool in = a - lo < s->npages * PAGE_SIZE;
    if (object_find(a, &o) != in)
        test_fail(__FILE__, __LINE__, "%u pages, offset %ld: found %d",
                  s->npages, (long)(a - lo), !in);
    if (in) {
        CHECK(o.span == s);
        CHECK_EQ(o.base, lo);
        CHECK_EQ(o.size, s->size);
        CHECK_EQ(o.slot, 0);
        CHECK_EQ(o.kind, s->kind);
    }
}

static void large(size_t n, enum kind kind)
{
    struct object o;
    bool zero;
    struct span *s = span_new_large(n, kind, 0, 2, &zero);
    CHECK(s);
    uintptr_t lo = span_start(s), bytes = align_up(n, PAGE_SIZE);
    CHECK_EQ(s->npages * PAGE_SIZE, bytes);
    CHECK(!object_find(lo, &o)); /* not before it is published */
    CHECK(!object_find(lo + bytes - 1, &o));
    bool black = rnd(2);
    span_publish_large(s, black);
    span_check(s);
    CHECK(object_find(lo, &o));
    CHECK_EQ(object_marked(&o), black);
    for (uintptr_t p = 0; p < bytes; p += PAGE_SIZE) {
        check_large(s, lo + p);
        check_large(s, lo + p + rnd(PAGE_SIZE));
        check_large(s, lo + p + PAGE_SIZE - 1);
    }
    check_large(s, lo - 1);
    check_large(s, lo + bytes);
    span_free(s);
    for (uintptr_t p = 0; p < bytes; p += PAGE_SIZE)
        CHECK(!object_find(lo + p, &o));
}

TEST(large_objects)
{
    heap_up();
    for (size_t n = SMALL_MAX + 1; n < KIB(200); n += 1 + rnd(999))
        large(n, (enum kind)rnd(2));
    for (int i = 0; i < 20; i++)
        large(1 + rnd(MIB(40)), (enum kind)rnd(2));
    large(GIB(3) + 17, KIND_NOSCAN);
}

/* Small ones as well: efence gives each object a span of its own. */
TEST(large_of_one_byte)
{
    heap_up();
    large(1, KIND_NOSCAN);
    large(16, KIND_CONSERVATIVE);
    large(PAGE_SIZE, KIND_CONSERVATIVE);
}

TEST(pages_back_go_into_a_descriptor_and_out)
{
    uint32_t flags = DESC_IN_USE | DESC_LARGE | DESC_NOSCAN | DESC_TRACED |
                     DESC_KEYS | 1u << 19 | DESC_FIRST;
    for (uint32_t n = 0; n <= DESC_BACK_MAX; n++) {
        uint32_t d = desc_put_back(n);
        if ((d & flags) || desc_back(d) != n || desc_back(d | flags) != n)
            test_fail(__FILE__, __LINE__, "%u pages back give %#x", n, d);
    }
}

/* Descriptors of [from, to) as span_publish_large would write them; the
 * rest of so large an object is left out, it would take minutes. */
static void write_descriptors(uint32_t first, uint32_t from, uint32_t to)
{
    size_t lo = (size_t)(first + from) * 4, hi = (size_t)(first + to) * 4;
    CHECK_EQ(meta_table_ready(&heap.t_desc, lo, hi), 0);
    for (uint32_t i = from; i < to; i++)
        heap.desc[first + i] = DESC_LARGE | DESC_IN_USE |
            desc_put_back(i < DESC_BACK_MAX ? i : DESC_BACK_MAX) |
            (i ? 0 : DESC_FIRST);
}

/* More pages than a descriptor can count: the way back goes in hops. */
TEST(more_pages_back_than_a_descriptor_holds)
{
    struct object o;
    bool zero;
    heap_up();
    uint32_t hop = DESC_BACK_MAX, pages = 2 * hop + 2000;
    if (arenas.pages < pages + 100)
        SKIP("only %u pages of address space", arenas.pages);
    struct span *s = span_new_large(MIB(8), KIND_NOSCAN, 0, 2, &zero);
    CHECK(s);
    span_publish_large(s, false);
    uint32_t first = span_page(s);
    s->npages = pages;
    s->size = pages * PAGE_SIZE;
    write_descriptors(first, 0, 1000);
    write_descriptors(first, hop - 1000, hop + 1000);
    write_descriptors(first, 2 * hop - 1000, pages);
    store_relaxed(&heap.limit, (uintptr_t)(first + pages) << PAGE_SHIFT);
    for (uint32_t i = 2 * hop - 900; i < 2 * hop + 900; i++) {
        uintptr_t a = span_start(s) + i * PAGE_SIZE + rnd(PAGE_SIZE);
        CHECK(object_find(a, &o));
        CHECK(o.span == s);
        CHECK_EQ(o.base, span_start(s));
    }
    CHECK(object_find(span_start(s) + (hop - 1) * PAGE_SIZE, &o));
    CHECK(object_find(span_start(s) + hop * PAGE_SIZE, &o));
    CHECK(object_find(span_start(s) + (hop + 1) * PAGE_SIZE, &o));
    CHECK(!object_find(span_start(s) + pages * PAGE_SIZE, &o));
}

/* A descriptor that leads nowhere is no object: it was half written, or the
 * object went away under our eyes. */
TEST(torn_descriptors_are_no_object)
{
    struct object o;
    bool zero;
    heap_up();
    struct span *s = span_new_large(MIB(1), KIND_NOSCAN, 0, 2, &zero);
    span_publish_large(s, false);
    uint32_t first = span_page(s);
    uintptr_t a = span_start(s) + 20 * PAGE_SIZE;
    heap.desc[first] = 0;
    CHECK(!object_find(a, &o));
    heap.desc[first + 20] = DESC_LARGE | DESC_IN_USE;
    CHECK(!object_find(a, &o));
    heap.desc[first + 20] = DESC_LARGE | DESC_IN_USE |
                            desc_put_back(first + 21);
    CHECK(!object_find(a, &o));
}

/* ---- Any word ---------------------------------------------------------- */

TEST(random_words_never_fault)
{
    struct page_cache pages = {0};
    struct object o;
    struct model m[30];
    heap_up();
    for (unsigned i = 0; i < COUNT(m); i++)
        model_random(&m[i], rnd(CLASS_SHAPES), 50, &pages);
    for (unsigned i = 0; i < 1000000; i++)
        object_find(rnd_word(), &o);
    for (unsigned i = 0; i < 1000000; i++) {
        uintptr_t a = heap.base - MIB(1) + rnd_word() % MIB(8);
        bool found = object_find(a, &o), known = false;
        for (unsigned k = 0; k < COUNT(m); k++)
            if (a - span_start(m[k].s) < m[k].s->npages * PAGE_SIZE) {
                check_small(&m[k], a);
                known = true;
            }
        CHECK(known || !found);
    }
    CHECK(!object_find(0, &o));
    CHECK(!object_find(UINTPTR_MAX, &o));
    CHECK(!object_find(heap.base + load_relaxed(&heap.limit), &o));
}
