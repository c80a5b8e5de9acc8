/* align.c: where blocks begin, of every kind, size and alignment.
 *
 * As glibc: 16 bytes for any size, and up to 1 GiB where it is asked for.  The
 * content of neighbours shows whether an aligned block is as long as it says.
 */
#define _GNU_SOURCE
#include "case.h"

CASE(malloc_is_aligned_to_16)
{
    for (size_t n = 0; n < MIB(4); n += n / 64 + 1) {
        void *p[4] = {hide(malloc(n)), hide(calloc(1, n)),
                      hide(realloc(NULL, n)), hide(realloc(malloc(3), n + 1))};
        for (int i = 0; i < 4; i++) {
            EXPECT(aligned_to(p[i], 16), "%d: %p of %zu", i, p[i], n);
            free(p[i]);
        }
    }
}

typedef void *align_fn(size_t, size_t);

static void *by_posix(size_t align, size_t n)
{
    void *p = NULL;
    return posix_memalign(&p, align < 8 ? 8 : align, n) ? NULL : p;
}

/* Three blocks at a time, written to their ends. */
static void some_of(align_fn *get, size_t align, size_t n)
{
    unsigned char *p[3];
    size_t all[3];
    for (unsigned i = 0; i < 3; i++) {
        p[i] = hide(get(align, n));
        EXPECT(p[i], "align %zu, %zu bytes", align, n);
        EXPECT(aligned_to(p[i], align), "%p: %zu, %zu bytes", (void *)p[i],
               align, n);
        all[i] = malloc_usable_size(p[i]);
        EXPECT(all[i] >= n, "%zu of %zu, align %zu", all[i], n, align);
        fill(p[i], all[i], i);
    }
    for (unsigned i = 0; i < 3; i++)
        EXPECT(filled(p[i], all[i], i) == all[i], "align %zu, %zu", align, n);
    for (unsigned i = 0; i < 3; i++)
        free(p[i]);
}

static void all_of(align_fn *get, size_t least)
{
    static const size_t sizes[] = {0, 1, 8, 15, 16, 17, 24, 48, 63, 64, 65, 100,
                                   255, 256, 1000, 4095, 4096, 4097, 8192, 9000,
                                   32768, 32769, 65535, 100000};
    for (size_t align = least; align <= MIB(1); align *= 2)
        for (size_t i = 0; i < COUNT(sizes); i++)
            some_of(get, align, sizes[i]);
}

CASE(aligned_alloc_to_1_mib) { all_of(aligned_alloc, 1); }
CASE(memalign_to_1_mib) { all_of(memalign, 1); }
CASE(posix_memalign_to_1_mib) { all_of(by_posix, 8); }

static void huge(align_fn *get)
{
    for (size_t align = MIB(2); align <= MIB(1024); align *= 2)
        for (size_t n = 0; n <= MIB(1); n = n * 64 + 1)
            for (int again = 0; again < 3; again++) {
                unsigned char *p = hide(get(align, n)), *q = malloc(n + 1);
                EXPECT(p, "align %zu, %zu bytes", align, n);
                EXPECT(aligned_to(p, align), "%p: %zu", (void *)p, align);
                fill(p, n, 1);
                fill(q, n + 1, 2);
                EXPECT(filled(p, n, 1) == n, "align %zu, %zu", align, n);
                free(q);
                free(p);
            }
}

CASE(aligned_alloc_to_1_gib) { huge(aligned_alloc); }
CASE(memalign_to_1_gib) { huge(memalign); }
CASE(posix_memalign_to_1_gib) { huge(by_posix); }

CASE(aligned_alloc_64_of_nothing)
{
    for (int i = 0; i < 100; i++) {
        void *p = hide(aligned_alloc(64, hide_size(0)));
        EXPECT(p && aligned_to(p, 64), "%p", p);
        if (i % 3)
            free(p);
    }
}

/* Newer C libraries refuse, older ones round up: one or the other. */
CASE(aligned_alloc_of_an_odd_alignment)
{
    static const size_t bad[] = {3, 17, 24, 48, 100, 4097};
    for (size_t i = 0; i < COUNT(bad); i++) {
        errno = 0;
        void *p = hide(aligned_alloc(hide_size(bad[i]), 100));
        size_t up = (size_t)1 << (64 - __builtin_clzl(bad[i]));
        EXPECT(p ? aligned_to(p, up) : errno == EINVAL, "%zu: %p, %d", bad[i],
               p, errno);
        free(p);
    }
}

CASE(memalign_rounds_up)
{
    static const size_t odd[] = {0, 1, 3, 5, 17, 24, 33, 48, 100, 4097, 70000};
    for (size_t i = 0; i < COUNT(odd); i++)
        for (int k = 0; k < 20; k++) {
            size_t up = 16;
            while (up < odd[i])
                up *= 2;
            void *p = hide(memalign(hide_size(odd[i]), 50 + (size_t)k * 13));
            EXPECT(p && aligned_to(p, up), "%zu: %p", odd[i], p);
            if (k % 2)
                free(p);
        }
}

CASE(memalign_of_more_than_half_of_all)
{
    errno = 0;
    void *p = hide(memalign(hide_size(SIZE_MAX / 2 + 2), 10));
    EXPECT(!p && errno == EINVAL, "%p, errno %d", p, errno);
    p = hide(memalign(hide_size(SIZE_MAX), 10));
    EXPECT(!p && errno == EINVAL, "%p, errno %d", p, errno);
}

CASE(valloc_gives_pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t n = 0; n < MIB(1); n = n * 2 + 1) {
        void *p = hide(valloc(n)), *q = malloc(n);
        EXPECT(p && aligned_to(p, page), "%p", p);
        EXPECT(malloc_usable_size(p) >= n, "%zu bytes", n);
        memset(p, 1, malloc_usable_size(p));
        free(q);
        free(p);
    }
}

CASE(pvalloc_rounds_to_pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t n = 1; n < MIB(1); n = n * 2 + 1) {
        size_t up = (n + page - 1) & ~(page - 1);
        void *p = hide(pvalloc(n)), *q = malloc(n);
        EXPECT(p && aligned_to(p, page), "%p", p);
        EXPECT(malloc_usable_size(p) >= up, "%zu bytes", n);
        memset(p, 1, up);
        free(q);
        free(p);
    }
    void *p = hide(pvalloc(hide_size(0)));
    EXPECT(p && aligned_to(p, page), "%p", p);
    free(p);
}

CASE(realloc_of_aligned_blocks)
{
    for (size_t align = 32; align <= MIB(2); align *= 4)
        for (size_t n = 1; n < MIB(1); n = n * 6 + 1) {
            unsigned char *p = hide(aligned_alloc(align, n));
            fill(p, n, 4);
            p = hide(realloc(p, n * 2 + 100));
            EXPECT(p && filled(p, n, 4) == n, "grown, %zu, %zu", align, n);
            EXPECT(aligned_to(p, 16), "%p", (void *)p);
            fill(p, n * 2 + 100, 6);
            p = hide(realloc(p, n / 2 + 1));
            EXPECT(p && filled(p, n / 2 + 1, 6) == n / 2 + 1, "shrunk");
            free(p);
        }
}
