/* single.c: the small programs of one thread.
 *
 *   sh6           sizes weighted to the small ones; freed first in first out,
 *                 last in first out, and in between, by turns
 *   alloc-test    a table of blocks of any age, most of them small
 *   glibc-simple  a few sizes, 400 at a time, freed in order or backwards
 *   malloc-large  5 to 25 MiB, 16 of them alive, one byte a page written
 *   rptest        sizes that are as often small as large, one in four grown
 */
#include "micro.h"

/* Mostly small: each step up is half as likely. */
static size_t weighted(uint64_t *s, unsigned steps)
{
    unsigned k = (unsigned)__builtin_ctzll(rng(s) | 1ull << (steps - 1));
    return rng_between(s, 8ul << k, 16ul << k);
}

/* ---- sh6 ---------------------------------------------------------------- */

enum { SH_LIVE = 4096 };

static uint64_t shell_game(struct work *w)
{
    void **at = calloc(SH_LIVE, sizeof(*at));
    uint64_t sum = 0, s = w->seed;
    size_t rounds = part(w, 30000);
    for (size_t r = 0; r < rounds; r++) {
        size_t first = rng_between(&s, 0, SH_LIVE / 2);
        for (size_t i = 0; i < SH_LIVE / 2; i++) {
            size_t k = first + (r % 3 == 0   ? i
                                : r % 3 == 1 ? SH_LIVE / 2 - 1 - i
                                             : (i * 1021) % (SH_LIVE / 2));
            sum += block_end(at[k]);
            at[k] = block_new(weighted(&s, 7));
        }
    }
    for (size_t i = 0; i < SH_LIVE; i++)
        sum += block_end(at[i]);
    free(at);
    return sum;
}

/* ---- alloc-test ---------------------------------------------------------- */

enum { ALLOC_TEST_SLOTS = 1 << 17 };

static uint64_t alloc_test(struct work *w)
{
    void **at = calloc(ALLOC_TEST_SLOTS, sizeof(*at));
    uint64_t sum = 0, s = w->seed;
    size_t n = part(w, 24000000);
    for (size_t i = 0; i < n; i++) {
        void **p = &at[rng_between(&s, 0, ALLOC_TEST_SLOTS - 1)];
        if (*p) {
            sum += block_end(*p);
            *p = NULL;
        }
        else
            *p = block_new(weighted(&s, 6));
    }
    for (size_t i = 0; i < ALLOC_TEST_SLOTS; i++)
        sum += block_end(at[i]);
    free(at);
    return sum;
}

/* ---- glibc-simple -------------------------------------------------------- */

enum { SIMPLE_BATCH = 400 };

static uint64_t batch(void **at, size_t size, unsigned times)
{
    uint64_t sum = 0;
    for (unsigned r = 0; r < times; r++) {
        for (unsigned i = 0; i < SIMPLE_BATCH; i++)
            at[i] = block_new(size);
        for (unsigned i = 0; i < SIMPLE_BATCH; i++)
            sum += block_end(at[r & 1 ? i : SIMPLE_BATCH - 1 - i]);
    }
    return sum;
}

static uint64_t glibc_simple(struct work *w)
{
    static const unsigned short sizes[] = {8, 16, 24, 32, 48, 64, 96, 128,
                                           192, 256, 384, 512, 1024, 2048};
    void *at[SIMPLE_BATCH];
    uint64_t sum = 0;
    size_t rounds = part(w, 800);
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
            sum += batch(at, sizes[i], 5);
    return sum;
}

/* ---- malloc-large -------------------------------------------------------- */

static uint64_t malloc_large(struct work *w)
{
    void *at[16] = {NULL};
    uint64_t sum = 0, s = w->seed;
    size_t n = part(w, 600);
    for (size_t i = 0; i < n; i++) {
        void **p = &at[rng_between(&s, 0, 15)];
        sum += block_end(*p);
        size_t size = rng_between(&s, 5 << 20, 25 << 20);
        char *b = *p = block_new(size);
        for (size_t k = 4096; k < size - 1; k += 4096)
            b[k] = (char)i;
    }
    for (int i = 0; i < 16; i++)
        sum += block_end(at[i]);
    return sum;
}

/* ---- rptest -------------------------------------------------------------- */

enum { RP_SLOTS = 1 << 12 };

static void *grown(void *v, uint64_t *sum)
{
    char *p = v;
    size_t old = *(uint32_t *)p, n = old + old / 2;
    if (p[old - 1] != (char)old)
        micro_die("a block has changed");
    p = realloc(p, n);
    if (!p)
        micro_die("realloc");
    *sum += *(uint32_t *)p;
    *(uint32_t *)p = (uint32_t)n;
    p[n - 1] = (char)n;
    return p;
}

static uint64_t rptest(struct work *w)
{
    void **at = calloc(RP_SLOTS, sizeof(*at));
    uint64_t sum = 0, s = w->seed;
    size_t n = part(w, 10000000);
    for (size_t i = 0; i < n; i++) {
        void **p = &at[rng_between(&s, 0, RP_SLOTS - 1)];
        if (*p && i % 4 == 0 && *(uint32_t *)*p < 16000)
            *p = grown(*p, &sum);
        else {
            sum += block_end(*p);
            *p = block_new(rng_between(&s, 16, 16ul << rng_between(&s, 0, 10)));
        }
    }
    for (size_t i = 0; i < RP_SLOTS; i++)
        sum += block_end(at[i]);
    free(at);
    return sum;
}

const struct micro micro_single[] = {
    {"sh6", shell_game},           {"alloc-test", alloc_test},
    {"glibc-simple", glibc_simple}, {"malloc-large", malloc_large},
    {"rptest", rptest},            {NULL, NULL},
};
