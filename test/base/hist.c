/* links: os base
 *
 * Quantiles against the sorted values themselves: never below the true one,
 * at most a sixteenth above, never above the maximum.
 */
#include "../check.h"
#include <pthread.h>

#include "../../src/base/base.h"

static struct hist h;

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void expect_between(uint64_t q, uint64_t low, uint64_t high)
{
    if (q < low || q > high)
        test_fail(__FILE__, __LINE__, "%lu <= %lu <= %lu", low, q, high);
}

TEST(empty)
{
    CHECK_EQ(hist_quantile(&h, 5000), 0);
    CHECK_EQ(hist_quantile(&h, 10000), 0);
}

TEST(one_value_is_exact)
{
    static const uint64_t values[] = {0, 1, 15, 16, 17, 1000, 123456789,
                                      UINT64_MAX - 1, UINT64_MAX};
    size_t i;

    for (i = 0; i < COUNT(values); i++) {
        memset(&h, 0, sizeof(h));
        hist_add(&h, values[i]);
        CHECK_EQ(hist_quantile(&h, 0), values[i]);
        CHECK_EQ(hist_quantile(&h, 5000), values[i]);
        CHECK_EQ(hist_quantile(&h, 10000), values[i]);
        CHECK_EQ(h.max, values[i]);
    }
}

/* Below 32 every value has a bucket of its own. */
TEST(small_values_are_exact)
{
    uint64_t v;

    for (v = 0; v < 32; v++)
        hist_add(&h, v);
    for (v = 0; v < 32; v++)
        CHECK_EQ(hist_quantile(&h, (uint32_t)((v + 1) * 10000 / 32)), v);
}

/* Both sides of each power of two: where a bucket's shift changes. */
TEST(edges)
{
    unsigned e;
    int d;

    for (e = 1; e < 64; e++)
        for (d = -1; d <= 1; d++) {
            uint64_t v = (1ull << e) + (uint64_t)d, q;

            memset(&h, 0, sizeof(h));
            hist_add(&h, v);
            hist_add(&h, UINT64_MAX);
            q = hist_quantile(&h, 5000);
            expect_between(q, v, v + v / 16);
        }
}

TEST(random_quantiles)
{
    enum { N = 20000 };
    static uint64_t v[N];
    uint64_t seed = test_seed(), sum = 0;
    uint32_t q;
    int i;

    for (i = 0; i < N; i++) {
        v[i] = rng_next(&seed) >> (8 + rng_next(&seed) % 56);
        sum += v[i];
        hist_add(&h, v[i]);
    }
    qsort(v, N, sizeof(v[0]), by_size);
    CHECK_EQ(h.count, N);
    CHECK_EQ(h.sum, sum);
    CHECK_EQ(h.max, v[N - 1]);
    for (q = 1; q <= 10000; q += 7) {
        uint64_t rank = ((uint64_t)N * q + 9999) / 10000;
        uint64_t exact = v[rank - 1];
        uint64_t high = exact + exact / 16;

        expect_between(hist_quantile(&h, q), exact,
                       high < v[N - 1] ? high : v[N - 1]);
    }
    CHECK_EQ(hist_quantile(&h, 10000), v[N - 1]);
}

static void *add(void *arg)
{
    uint64_t i;

    for (i = 0; i < 20000; i++)
        hist_add(arg, i);
    return NULL;
}

TEST(many_threads_lose_nothing)
{
    pthread_t t[4];
    uint64_t all = 0;
    size_t i;

    for (i = 0; i < COUNT(t); i++)
        CHECK(pthread_create(&t[i], NULL, add, &h) == 0);
    for (i = 0; i < COUNT(t); i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    for (i = 0; i < HIST_BUCKETS; i++)
        all += h.bucket[i];
    CHECK_EQ(h.count, 80000);
    CHECK_EQ(all, 80000);
    CHECK_EQ(h.sum, 4ull * 19999 * 20000 / 2);
    CHECK_EQ(h.max, 19999);
}
