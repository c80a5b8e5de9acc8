/* links: os base page heap
 *
 * Size classes, by trying all of them: sizes, waste, pages, magic divisors.
 */
#include "model.h"

TEST(sizes_rise_in_steps_of_16)
{
    size_t before = 0;
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        size_t size = size_of_class(c);
        CHECK_EQ(size % 16, 0);
        CHECK(size > before);
        CHECK_EQ(size_class(size), c);
        before = size;
    }
    CHECK_EQ(size_of_class(0), 16);
    CHECK_EQ(size_of_class(SIZE_CLASSES - 1), SMALL_MAX);
}

TEST(each_size_gets_the_smallest_that_fits)
{
    CHECK_EQ(size_class(0), 0);
    for (size_t n = 1; n <= SMALL_MAX; n++) {
        unsigned c = size_class(n);
        CHECK(c < SIZE_CLASSES);
        CHECK(size_of_class(c) >= n);
        if (c)
            CHECK(size_of_class(c - 1) < n);
    }
}

TEST(rounding_wastes_less_than_an_eighth)
{
    for (size_t n = 1; n <= SMALL_MAX; n++) {
        size_t waste = size_of_class(size_class(n)) - n;
        if (n <= 128)
            CHECK(waste < 16);
        else
            CHECK(waste * 8 < n);
    }
}

TEST(powers_of_two_are_sizes)
{
    for (size_t n = 16; n <= SMALL_MAX; n *= 2)
        CHECK_EQ(size_of_class(size_class(n)), n);
}

static bool tail_is_small(unsigned pages, size_t size)
{
    size_t bytes = pages * PAGE_SIZE;
    return bytes >= size && (bytes % size) * 8 <= bytes;
}

TEST(pages_are_the_fewest_with_a_small_tail)
{
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        unsigned n = size_class_pages(c);
        size_t size = size_of_class(c);
        CHECK(n >= 1 && n <= SPAN_PAGES_MAX);
        CHECK(tail_is_small(n, size));
        for (unsigned k = 1; k < n; k++)
            CHECK(!tail_is_small(k, size));
        CHECK(n * PAGE_SIZE / size <= SLOTS_MAX);
    }
}

/* The marker divides any offset by multiplying: also offsets in the tail
 * must come out behind the last slot. */
TEST(magic_division_is_exact)
{
    heap_up();
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        const struct class *k = &classes[CLASS_CONSERVATIVE + c];
        uint64_t bytes = k->npages * PAGE_SIZE;
        for (uint64_t off = 0; off < bytes; off++)
            if (off * k->magic >> 32 != off / k->size)
                test_fail(__FILE__, __LINE__, "%lu / %u is not %lu",
                          (unsigned long)off, k->size,
                          (unsigned long)(off * k->magic >> 32));
    }
}
