/* sizeclass.c: how many pages a span of each size has.
 *
 *   16 32 48 .. 128 | 144 160 .. 256 | 288 320 .. 512 | ... | .. 32768
 *      step 16      |    step 16     |    step 32     | step = size/8
 *
 * Eight sizes per doubling, so rounding wastes less than an eighth (from 129 B
 * on), and all are multiples of 16.  The sizes need no table: size_class and
 * size_of_class in heap.h compute them.  A span has the fewest pages whose
 * unused tail is at most an eighth: more pages would hold more memory per
 * partly used class, fewer would waste the tail.
 */
#include "heap.h"

unsigned size_class_pages(unsigned c)
{
    size_t size = size_of_class(c);
    for (unsigned n = 1; n < SPAN_PAGES_MAX; n++) {
        size_t bytes = n * PAGE_SIZE;
        if (bytes >= size && bytes % size <= bytes / 8)
            return n;
    }
    return SPAN_PAGES_MAX;
}
