/* family.c: what malloc and its kin promise, line by line.  links: malloc
 *
 * Semantics are glibc's manual, POSIX and C23.  The same program runs on the C
 * library's own malloc (test/shell/malloc_family.sh), which proves the tests.
 */
#include "../check.h"
#include <malloc.h>

#define TOO_MUCH ((size_t)PTRDIFF_MAX + 1)

/* The compiler must not know what a size is. */
static size_t hide(size_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

#define NO_MEMORY(call)                  \
    do {                                 \
        errno = 0;                       \
        CHECK((call) == NULL);           \
        CHECK_EQ(errno, ENOMEM);         \
    } while (0)

static void fill(void *p, size_t n, int c) { memset(p, c, n); }

static void holds(const void *p, size_t n, int c)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(b[i], c);
}

/* ---- Sizes ------------------------------------------------------------- */

TEST(zero_is_a_block_of_its_own)
{
    void *p = malloc(hide(0)), *q = malloc(hide(0));
    CHECK(p && q && p != q);
    free(p);
    free(q);
    CHECK((p = calloc(hide(0), 8)));
    free(p);
    CHECK((p = calloc(8, hide(0))));
    free(p);
}

TEST(too_much_is_no_memory)
{
    static const size_t sizes[] = {TOO_MUCH, SIZE_MAX, SIZE_MAX - 1,
                                   SIZE_MAX - 14, SIZE_MAX - 15,
                                   SIZE_MAX - 16, SIZE_MAX - 4095};
    void *old = malloc(10);
    for (unsigned i = 0; i < 7; i++) {
        size_t n = hide(sizes[i]);
        void *p = old;
        NO_MEMORY(malloc(n));
        NO_MEMORY(calloc(1, n));
        NO_MEMORY(calloc(n, 1));
        NO_MEMORY(realloc(old, n));
        NO_MEMORY(realloc(NULL, n));
        NO_MEMORY(reallocarray(old, n, 1));
        NO_MEMORY(aligned_alloc(64, n));
        NO_MEMORY(memalign(64, n));
        NO_MEMORY(valloc(n));
        NO_MEMORY(pvalloc(n));
        CHECK_EQ(posix_memalign(&p, 64, n), ENOMEM);
        CHECK_EQ(p, old);
    }
    free(old);
}

TEST(products_that_overflow)
{
    size_t half = hide((size_t)1 << 32);
    void *old = malloc(10);
    NO_MEMORY(calloc(half, half));
    NO_MEMORY(calloc(SIZE_MAX / 2 + 1, hide(2)));
    NO_MEMORY(calloc(SIZE_MAX / 2 + 2, hide(2)));
    NO_MEMORY(reallocarray(old, half, half));
    NO_MEMORY(reallocarray(NULL, half, half));
    free(old);
}

TEST(every_size_to_a_page_and_around_each_power)
{
    for (size_t n = 1; n < 5000; n++) {
        unsigned char *p = malloc(n);
        CHECK(p && (uintptr_t)p % 16 == 0);
        CHECK(malloc_usable_size(p) >= n);
        fill(p, malloc_usable_size(p), 0x5a);
        free(p);
    }
    for (size_t bit = 4096; bit <= (size_t)256 << 20; bit *= 2)
        for (size_t n = bit - 17; n <= bit + 17; n++) {
            unsigned char *p = malloc(n);
            CHECK(p && (uintptr_t)p % 16 == 0);
            CHECK(malloc_usable_size(p) >= n);
            p[0] = p[n / 2] = p[malloc_usable_size(p) - 1] = 1;
            free(p);
        }
}

TEST(blocks_do_not_overlap)
{
    enum { N = 20000 };
    static unsigned char *p[N];
    static size_t size[N];
    uint64_t seed = test_seed() | 1;
    for (int i = 0; i < 10 * N; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        unsigned k = (unsigned)(seed >> 33) % N;
        if (p[k])
            holds(p[k], size[k], (int)(k & 255));
        free(p[k]);
        size[k] = (seed >> 20 & 15 ? 400 : 20000) * (seed >> 40 & 1023) / 1024;
        CHECK((p[k] = malloc(size[k])));
        fill(p[k], size[k], (int)(k & 255));
    }
}

/* ---- calloc, realloc --------------------------------------------------- */

TEST(calloc_is_zero_on_dirty_memory)
{
    static const size_t sizes[] = {1, 16, 100, 1000, 5000, 32768, 32769,
                                   100000, 1000000, 9000000};
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < 10; i++) {
            void *p = calloc(1, sizes[i]), *q = calloc(sizes[i], 1);
            CHECK(p && q);
            holds(p, sizes[i], 0);
            holds(q, sizes[i], 0);
            fill(p, malloc_usable_size(p), 0xff);
            fill(q, malloc_usable_size(q), 0xff);
            free(p);
            free(q);
        }
}

TEST(realloc_of_nothing_is_malloc)
{
    void *p = realloc(NULL, 100);
    CHECK(p);
    fill(p, 100, 1);
    free(p);
}

TEST(realloc_to_nothing_frees)
{
    for (int i = 0; i < 100000; i++) {
        void *p = malloc(1000), *q = malloc(100000);
        fill(p, 1000, 1);
        CHECK(realloc(p, hide(0)) == NULL);
        CHECK(realloc(q, hide(0)) == NULL);
    }
}

TEST(realloc_keeps_contents)
{
    static const size_t sizes[] = {1, 17, 48, 100, 500, 1500, 4096, 20000,
                                   32768, 33000, 70000, 300000, 5000000};
    for (int i = 0; i < 13; i++)
        for (int k = 0; k < 13; k++) {
            size_t both = sizes[i] < sizes[k] ? sizes[i] : sizes[k];
            void *p = malloc(sizes[i]);
            fill(p, sizes[i], i + 1);
            p = realloc(p, sizes[k]);
            CHECK(p && malloc_usable_size(p) >= sizes[k]);
            holds(p, both, i + 1);
            fill(p, sizes[k], k + 1);
            free(p);
        }
}

TEST(realloc_by_steps)
{
    unsigned char *p = NULL;
    size_t n = 0;
    for (size_t step = 1; n < 3000000; step += step / 8 + 1) {
        CHECK((p = realloc(p, n + step)));
        memset(p + n, (int)(n & 255), step);
        n += step;
    }
    for (size_t at = 0, step = 1; at < n; step += step / 8 + 1) {
        holds(p + at, step, (int)(at & 255));
        at += step;
    }
    for (; n > 100; n -= n / 10) {
        CHECK((p = realloc(p, n)));
        CHECK_EQ(p[0], 0);
    }
    free(p);
}

TEST(realloc_that_fails_leaves_the_block)
{
    for (size_t n = 10; n < 1000000; n *= 10) {
        void *p = malloc(n);
        fill(p, n, 7);
        NO_MEMORY(realloc(p, hide(TOO_MUCH)));
        NO_MEMORY(realloc(p, hide((size_t)1 << 46)));
        holds(p, n, 7);
        free(p);
    }
}

TEST(realloc_of_aligned_blocks)
{
    for (size_t align = 32; align <= 1 << 20; align *= 2)
        for (size_t n = 100; n < 1000000; n *= 10) {
            void *p = aligned_alloc(align, n);
            fill(p, n, 3);
            CHECK((p = realloc(p, 2 * n)));
            holds(p, n, 3);
            free(p);
        }
}

/* ---- Alignment --------------------------------------------------------- */

TEST(aligned_to_any_power)
{
    static const size_t sizes[] = {0, 1, 24, 100, 1000, 4097, 40000, 200000};
    for (size_t align = 8; align <= (size_t)1 << 30; align *= 2)
        for (int i = 0; i < 8; i++) {
            void *p[3];
            CHECK_EQ(posix_memalign(&p[0], align, sizes[i]), 0);
            CHECK((p[1] = aligned_alloc(align, sizes[i])));
            CHECK((p[2] = memalign(align, sizes[i])));
            for (int k = 0; k < 3; k++) {
                CHECK_EQ((uintptr_t)p[k] % align, 0);
                CHECK(malloc_usable_size(p[k]) >= sizes[i]);
                fill(p[k], malloc_usable_size(p[k]) < 300000
                               ? malloc_usable_size(p[k]) : sizes[i], 1);
            }
            for (int k = 0; k < 3; k++)
                free(p[k]);
        }
}

TEST(alignments_that_are_none)
{
    void *same = &same, *p = same;
    CHECK_EQ(posix_memalign(&p, hide(3), 10), EINVAL);
    CHECK_EQ(posix_memalign(&p, hide(4), 10), EINVAL);
    CHECK_EQ(posix_memalign(&p, hide(0), 10), EINVAL);
    CHECK_EQ(posix_memalign(&p, hide(48), 10), EINVAL);
    CHECK_EQ(p, same);
    CHECK((p = memalign(hide(48), 100)));
    CHECK_EQ((uintptr_t)p % 64, 0);
    free(p);
    CHECK((p = memalign(hide(0), 100)));
    free(p);
    errno = 0;
    CHECK(!memalign(hide(SIZE_MAX / 2 + 2), 10));
    CHECK_EQ(errno, EINVAL);
}

TEST(pages)
{
    void *p = valloc(100), *q = pvalloc(100), *r = pvalloc(4097);
    CHECK_EQ((uintptr_t)p % 4096, 0);
    CHECK_EQ((uintptr_t)q % 4096, 0);
    CHECK(malloc_usable_size(q) >= 4096);
    CHECK(malloc_usable_size(r) >= 8192);
    fill(r, 8192, 1);
    free(p);
    free(q);
    free(r);
}

/* ---- free and its kin -------------------------------------------------- */

TEST(free_of_nothing)
{
    free(NULL);
    CHECK_EQ(malloc_usable_size(NULL), 0);
}

TEST(free_keeps_errno)
{
    for (size_t n = 1; n < 100000000; n *= 3) {
        void *p = malloc(n);
        errno = 12345;
        free(p);
        CHECK_EQ(errno, 12345);
    }
}

__attribute__((weak)) void free_sized(void *, size_t);
__attribute__((weak)) void free_aligned_sized(void *, size_t, size_t);

TEST(sized_frees)
{
    if (!free_sized || !free_aligned_sized)
        SKIP("this C library has none");
    for (size_t n = 0; n < 100000; n += n / 7 + 1) {
        free_sized(malloc(n), n);
        free_sized(calloc(1, n), n);
        free_aligned_sized(aligned_alloc(256, n), 256, n);
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 16, 10);
}

/* ---- Questions --------------------------------------------------------- */

TEST(mallinfo_counts)
{
    enum { N = 1000 };
    static void *p[N];
    struct mallinfo2 before = mallinfo2(), with;
    for (int i = 0; i < N; i++)
        p[i] = malloc(1000);
    with = mallinfo2();
    CHECK(with.uordblks - before.uordblks >= 1000 * N);
    CHECK(with.uordblks - before.uordblks < 1300 * N);
    for (int i = 0; i < N; i++)
        free(p[i]);
    CHECK(mallinfo2().uordblks < before.uordblks + 300 * N);
}

TEST(malloc_info_is_xml)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    void *p = malloc(100);
    CHECK_EQ(malloc_info(0, f), 0);
    CHECK_EQ(malloc_info(1, f), EINVAL);
    fclose(f);
    CHECK(!strncmp(text, "<malloc version=\"1\">", 20));
    CHECK(strstr(text, "<heap nr=\"0\">") && strstr(text, "</malloc>"));
    free(p);
}

TEST(mallopt_and_trim_answer)
{
    CHECK_EQ(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    CHECK_EQ(mallopt(M_ARENA_MAX, 2), 1);
    for (int i = 0; i < 100; i++)
        free(malloc((size_t)i * 10000));
    malloc_trim(0);
    void *p = calloc(1, 100000);
    holds(p, 100000, 0);
    free(p);
}

/* ---- Limits ------------------------------------------------------------ */

static void limit_addresses(size_t n)
{
    struct rlimit l = {n, n};
    CHECK_EQ(setrlimit(RLIMIT_AS, &l), 0);
}

TEST(out_of_memory_and_back)
{
    static void *p[200000];
    static const size_t sizes[] = {100, 3000, 40000, 1000000};
    int n;
    free(malloc(1));
    limit_addresses((size_t)300 << 20);
    for (int i = 0; i < 4; i++) {
        errno = 0;
        for (n = 0; n < 200000 && (p[n] = malloc(sizes[i])); n++)
            *(char *)p[n] = 1;
        CHECK(n == 200000 || errno == ENOMEM);
        CHECK((size_t)n * sizes[i] > (size_t)20000000 - 1000000);
        while (n > 0)
            free(p[--n]);
    }
    char *all = malloc((size_t)30 << 20);
    CHECK(all);
    free(all);
}
