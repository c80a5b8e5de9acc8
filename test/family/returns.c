/* returns.c: what the family gives back, and errno.
 *
 * Each rule of the C library's manual, C11 and POSIX for zero, too large and
 * overflowing sizes, for realloc, and for sized frees of C23 where there are
 * any.
 */
#define _GNU_SOURCE
#include "case.h"

/* No object is larger than half of the address space. */
static const size_t too_large[] = {
    SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 5, SIZE_MAX - 15, SIZE_MAX - 16,
    SIZE_MAX - 4095, SIZE_MAX - 8192, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 4096,
    (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX + 2,
};

#define EACH_TOO_LARGE(n)                                               \
    for (size_t i_ = 0, n; i_ < COUNT(too_large) &&                     \
                           (n = hide_size(too_large[i_]), 1); i_++)

#define REFUSED(call)                                                   \
    do {                                                                \
        errno = 0;                                                      \
        void *p_ = hide(call);                                          \
        EXPECT(!p_, "%p", p_);                                          \
        EXPECT(errno == ENOMEM, "errno %d", errno);                     \
    } while (0)

CASE(malloc_zero_is_a_block_of_its_own)
{
    void *p = malloc(hide_size(0)), *q = malloc(hide_size(0));
    EXPECT(p && q && p != q, "%p %p", p, q);
    EXPECT(aligned_to(p, 16), "%p", p);
    free(p);
    free(q);
}

CASE(calloc_zero_is_a_block_of_its_own)
{
    void *p = calloc(0, hide_size(10)), *q = calloc(hide_size(10), 0);
    EXPECT(p && q && p != q, "%p %p", p, q);
    free(p);
    free(q);
}

CASE(free_null_does_nothing)
{
    errno = 77;
    free(hide(NULL));
    EXPECT(errno == 77, "errno %d", errno);
}

CASE(free_keeps_errno)
{
    static const size_t sizes[] = {1, 100, 5000, KIB(40), MIB(1), MIB(64)};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        void *p = malloc(sizes[i]);
        EXPECT(p, "no memory");
        errno = 4711;
        free(hide(p));
        EXPECT(errno == 4711, "errno %d after %zu", errno, sizes[i]);
    }
}

CASE(success_keeps_errno)
{
    for (size_t n = 1; n < MIB(64); n = n * 3 + 1) {
        errno = 4711;
        void *p = hide(malloc(n));
        p = hide(realloc(p, n + n / 2));
        EXPECT(p && errno == 4711, "errno %d after %zu", errno, n);
        free(p);
    }
}

CASE(malloc_too_large) { EACH_TOO_LARGE(n) REFUSED(malloc(n)); }

CASE(calloc_too_large)
{
    EACH_TOO_LARGE(n) {
        REFUSED(calloc(1, n));
        REFUSED(calloc(n, 1));
        REFUSED(calloc(n, n));
        REFUSED(calloc(n, 16));
    }
}

CASE(calloc_overflow)
{
    for (int shift = 32; shift < 64; shift++) {
        REFUSED(calloc(hide_size((size_t)1 << shift), (size_t)1 << 32));
        REFUSED(calloc(hide_size(((size_t)1 << shift) + 1),
                       ((size_t)1 << (64 - shift)) + 1));
    }
    REFUSED(calloc(hide_size(SIZE_MAX / 8 + 2), 8));
}

CASE(realloc_too_large_keeps_the_block)
{
    static const size_t sizes[] = {1, 24, 1000, KIB(40), MIB(2)};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        void *p = malloc(sizes[i]);
        fill(p, sizes[i], 5);
        EACH_TOO_LARGE(n) REFUSED(realloc(p, n));
        EXPECT(filled(p, sizes[i], 5) == sizes[i], "changed");
        free(p);
    }
    EACH_TOO_LARGE(n) REFUSED(realloc(NULL, n));
}

CASE(reallocarray_overflow_keeps_the_block)
{
    char *p = malloc(100);
    fill(p, 100, 9);
    REFUSED(reallocarray(p, hide_size(SIZE_MAX / 2), 3));
    REFUSED(reallocarray(p, hide_size((size_t)1 << 33), (size_t)1 << 33));
    REFUSED(reallocarray(p, 1, hide_size(SIZE_MAX)));
    REFUSED(reallocarray(NULL, hide_size(SIZE_MAX / 8 + 2), 8));
    EXPECT(filled(p, 100, 9) == 100, "changed");
    p = reallocarray(p, 50, 8);
    EXPECT(p && malloc_usable_size(p) >= 400, "%p", (void *)p);
    EXPECT(filled(p, 100, 9) == 100, "changed");
    free(p);
}

CASE(reallocarray_of_nothing)
{
    char *p = reallocarray(NULL, 7, 11);
    EXPECT(p && malloc_usable_size(p) >= 77, "%p", (void *)p);
    EXPECT(!reallocarray(p, hide_size(0), 8), "is a block");
}

CASE(aligned_alloc_too_large)
{
    for (size_t align = 1; align <= MIB(64); align *= 2)
        EACH_TOO_LARGE(n) REFUSED(aligned_alloc(align, n));
}

CASE(memalign_too_large)
{
    for (size_t align = 1; align <= MIB(64); align *= 2)
        EACH_TOO_LARGE(n) REFUSED(memalign(align, n));
}

CASE(valloc_too_large) { EACH_TOO_LARGE(n) REFUSED(valloc(n)); }

/* Also where the size wraps when it is rounded to a page. */
CASE(pvalloc_too_large) { EACH_TOO_LARGE(n) REFUSED(pvalloc(n)); }

CASE(posix_memalign_too_large)
{
    for (size_t align = 8; align <= MIB(64); align *= 2)
        EACH_TOO_LARGE(n) {
            void *p = &p;
            int e = posix_memalign(&p, align, n);
            EXPECT(e == ENOMEM, "%d", e);
            EXPECT(p == &p, "the pointer was changed");
        }
}

CASE(posix_memalign_refuses_other_alignments)
{
    static const size_t bad[] = {0, 1, 2, 3, 4, 7, 12, 24, 100, 4097, SIZE_MAX};
    for (size_t i = 0; i < COUNT(bad); i++) {
        void *p = &p;
        int e = posix_memalign(&p, hide_size(bad[i]), 10);
        EXPECT(e == EINVAL && p == &p, "align %zu: %d", bad[i], e);
    }
}

CASE(calloc_of_dirty_memory)
{
    static void *kept[512];
    for (size_t n = 1; n <= MIB(4); n = n * 3 / 2 + 3) {
        size_t many = n < KIB(64) ? COUNT(kept) : 4;
        for (size_t i = 0; i < many; i++)
            memset(kept[i] = hide(malloc(n)), 0xff, n);
        for (size_t i = 0; i < many; i++)
            free(kept[i]);
        for (size_t i = 0; i < many; i++) {
            char *p = kept[i] = hide(calloc(i % 2 ? 1 : n, i % 2 ? n : 1));
            EXPECT(p, "no memory");
            EXPECT(!*p && !memcmp(p, p + 1, n - 1), "%zu bytes", n);
            memset(p, 0xee, n);
        }
        for (size_t i = 0; i < many; i++)
            free(kept[i]);
    }
}

CASE(realloc_null_is_malloc)
{
    for (size_t n = 0; n < KIB(64); n = n * 2 + 1) {
        char *p = hide(realloc(NULL, n));
        EXPECT(p && malloc_usable_size(p) >= n, "%p", (void *)p);
        free(p);
    }
}

CASE(realloc_to_zero_frees)
{
    size_t before = resident();
    for (int i = 0; i < 1000; i++) {
        char *p = malloc(MIB(1));
        memset(p, 1, MIB(1));
        p = hide(realloc(p, hide_size(0)));
        EXPECT(!p, "%p", (void *)p);
    }
    EXPECT(resident() < before + MIB(64), "the blocks were not freed");
}

CASE(realloc_keeps_contents)
{
    static const size_t steps[] = {
        1, 16, 17, 24, 100, 50, 4000, 40, 5000, 32767, 32768, 32769, 40000,
        100, MIB(1), MIB(3), MIB(2), MIB(40), MIB(9), 70000, 31000, 8,
    };
    char *p = malloc(1);
    size_t has = 0;
    for (size_t i = 0; i < COUNT(steps); i++) {
        size_t n = steps[i], least = has < n ? has : n;
        p = hide(realloc(p, n));
        EXPECT(p && malloc_usable_size(p) >= n, "%p", (void *)p);
        EXPECT(filled(p, least, (unsigned)i) == least, "to %zu", n);
        fill(p, n, (unsigned)i + 1);
        has = n;
    }
    free(p);
}

/* Growing by little must not cost a copy each time: 64 MiB by 4 KiB. */
CASE(realloc_grows_a_large_block_by_steps)
{
    char *p = NULL;
    for (size_t n = KIB(4); n <= MIB(64); n += KIB(4)) {
        p = hide(realloc(p, n));
        EXPECT(p, "no memory at %zu", n);
        memset(p + n - KIB(4), (int)(n >> 12), KIB(4));
    }
    for (size_t n = KIB(4); n <= MIB(64); n += KIB(4))
        EXPECT(p[n - 1] == (char)(n >> 12), "at %zu", n);
    free(p);
}

CASE(usable_size_can_be_written)
{
    EXPECT(malloc_usable_size(hide(NULL)) == 0, "of NULL");
    for (size_t n = 0; n < MIB(8); n = n * 5 / 4 + 1) {
        unsigned char *p[3], *q;
        for (int i = 0; i < 3; i++)
            p[i] = hide(malloc(n));
        q = p[1];
        size_t all = malloc_usable_size(q);
        EXPECT(all >= n, "%zu of %zu", all, n);
        memset(q, 0xa5, all);
        EXPECT(malloc_usable_size(q) == all, "has changed");
        for (int i = 0; i < 3; i++)
            free(p[i]);
    }
}

CASE(usable_size_survives_realloc)
{
    for (size_t n = 1; n < MIB(2); n = n * 2 + 1) {
        unsigned char *p = hide(malloc(n));
        size_t all = malloc_usable_size(p);
        fill(p, all, 3);
        p = hide(realloc(p, all * 3));
        EXPECT(p && filled(p, all, 3) == all, "%zu of %zu", all, n);
        free(p);
    }
}

typedef void sized_fn(void *, size_t);
typedef void aligned_sized_fn(void *, size_t, size_t);

CASE(free_sized_of_every_size)
{
    sized_fn *give = (sized_fn *)found("free_sized");
    give(NULL, 0);
    give(NULL, 100);
    for (size_t n = 0; n < MIB(8); n += n / 16 + 1) {
        give(hide(malloc(n)), n);
        give(hide(calloc(1, n)), n);
        give(hide(realloc(malloc(n / 2 + 1), n + 1)), n + 1);
    }
}

/* The size is the one that realloc was given, wherever the block is then. */
CASE(free_sized_after_realloc)
{
    sized_fn *give = (sized_fn *)found("free_sized");
    for (size_t has = 1; has < MIB(4); has += has / 3 + 1)
        for (size_t n = 1; n < MIB(4); n += n / 3 + 1) {
            give(hide(realloc(malloc(has), n)), n);
            give(hide(realloc(aligned_alloc(64, has), n)), n);
        }
}

CASE(free_aligned_sized_of_every_size)
{
    aligned_sized_fn *give = (aligned_sized_fn *)found("free_aligned_sized");
    give(NULL, 64, 100);
    for (size_t align = 1; align <= MIB(4); align *= 2)
        for (size_t n = 0; n < MIB(1); n += n / 2 + 1)
            give(hide(aligned_alloc(align, n)), align, n);
}

CASE(free_sized_keeps_errno)
{
    sized_fn *give = (sized_fn *)found("free_sized");
    for (size_t n = 1; n < MIB(64); n *= 7) {
        void *p = hide(malloc(n));
        errno = 4711;
        give(p, n);
        EXPECT(errno == 4711, "errno %d", errno);
    }
}
