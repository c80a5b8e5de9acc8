/* links: os base page
 *
 * Chunk bitmaps against one byte per bit.
 */
#include "pages.h"

/* Random bitmaps of every character: sparse, dense, in long runs, striped. */
static void fill(uint64_t *b, unsigned char *slow)
{
    uint32_t style = rnd(5), run = 1 + rnd(style == 4 ? 300 : 40), left = 0;
    int bit = 0;
    memset(b, 0, CHUNK_PAGES / 8);
    for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
        if (style < 3)
            bit = rnd(style == 0 ? 2 : 30) == 0 ? style != 2 : style == 2;
        else if (!left--) {
            left = rnd(run) + 1;
            bit = !bit;
        }
        slow[i] = (unsigned char)bit;
        b[i / 64] |= (uint64_t)bit << i % 64;
    }
    if (rnd(20) == 0) {
        memset(slow, (int)(style & 1), CHUNK_PAGES);
        memset(b, style & 1 ? 0xff : 0, CHUNK_PAGES / 8);
    }
}

static void same(const uint64_t *b, const unsigned char *slow)
{
    for (uint32_t i = 0; i < CHUNK_PAGES; i++)
        CHECK_EQ(b[i / 64] >> i % 64 & 1, slow[i]);
}

static uint32_t slow_find(const unsigned char *s, uint32_t from, uint32_t n)
{
    uint32_t run = 0;
    for (uint32_t i = from; i < CHUNK_PAGES; i++) {
        run = s[i] ? 0 : run + 1;
        if (run == n)
            return i + 1 - n;
    }
    return CHUNK_PAGES;
}

static uint64_t slow_summary(const unsigned char *s)
{
    uint32_t start = 0, end = 0, max = 0, run = 0;
    while (start < CHUNK_PAGES && !s[start])
        start++;
    while (end < CHUNK_PAGES && !s[CHUNK_PAGES - 1 - end])
        end++;
    for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
        run = s[i] ? 0 : run + 1;
        max = run > max ? run : max;
    }
    return sum_pack(start, max, end);
}

TEST(bits_set_clear_count)
{
    uint64_t b[CHUNK_WORDS];
    unsigned char slow[CHUNK_PAGES];
    for (int k = 0; k < 2000; k++) {
        fill(b, slow);
        uint32_t i = rnd(CHUNK_PAGES), n = rnd(CHUNK_PAGES - i + 1), sum = 0;
        for (uint32_t j = i; j < i + n; j++)
            sum += slow[j];
        CHECK_EQ(bits_count(b, i, n), sum);
        if (k & 1)
            bits_set(b, i, n);
        else
            bits_clear(b, i, n);
        memset(slow + i, k & 1, n);
        same(b, slow);
    }
}

TEST(bits_find_lowest_run)
{
    uint64_t b[CHUNK_WORDS];
    unsigned char slow[CHUNK_PAGES];
    for (int k = 0; k < 20000; k++) {
        fill(b, slow);
        uint32_t n = 1 + rnd(k % 3 ? 40 : CHUNK_PAGES);
        uint32_t from = k % 2 ? 0 : rnd(CHUNK_PAGES + 1);
        CHECK_EQ(bits_find(b, from, n), slow_find(slow, from, n));
    }
}

TEST(bits_summary_random)
{
    uint64_t b[CHUNK_WORDS];
    unsigned char slow[CHUNK_PAGES];
    for (int k = 0; k < 20000; k++) {
        fill(b, slow);
        CHECK_EQ(bits_summary(b), slow_summary(slow));
    }
}

TEST(bits_summary_of_every_single_run)
{
    unsigned char slow[CHUNK_PAGES];
    for (uint32_t i = 0; i < CHUNK_PAGES; i += 1 + rnd(5))
        for (uint32_t n = 1; i + n <= CHUNK_PAGES; n += 1 + rnd(5)) {
            uint64_t b[CHUNK_WORDS];
            memset(b, 0xff, sizeof b);
            memset(slow, 1, sizeof slow);
            bits_clear(b, i, n);
            memset(slow + i, 0, n);
            CHECK_EQ(bits_summary(b), slow_summary(slow));
            CHECK_EQ(bits_find(b, 0, n), i);
        }
}

TEST(bits_last_run_random)
{
    uint64_t b[CHUNK_WORDS];
    unsigned char slow[CHUNK_PAGES];
    for (int k = 0; k < 20000; k++) {
        fill(b, slow);
        uint32_t end = CHUNK_PAGES, start, n;
        while (end > 0 && !slow[end - 1])
            end--;
        for (start = end; start > 0 && slow[start - 1];)
            start--;
        uint32_t at = bits_last_run(b, &n);
        CHECK_EQ(n, end - start);
        if (n)
            CHECK_EQ(at, start);
    }
}

TEST(bits_whole_groups)
{
    uint64_t b[CHUNK_WORDS];
    unsigned char slow[CHUNK_PAGES];
    for (int k = 0; k < 3000; k++) {
        fill(b, slow);
        for (uint32_t m = 1; m <= 64; m *= 2)
            for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
                uint32_t sum = 0, g = i / m * m;
                for (uint32_t j = g; j < g + m; j++)
                    sum += slow[j];
                CHECK_EQ(bits_whole(b[i / 64], m) >> i % 64 & 1, sum == m);
            }
    }
}

TEST(sum_packs_all_values)
{
    uint32_t v[] = {0, 1, 511, 512, SUM_FULL - 1};
    for (uint32_t i = 0; i < 125; i++) {
        uint32_t a = v[i % 5], m = v[i / 5 % 5], z = v[i / 25];
        uint64_t s = sum_pack(a, m, z);
        CHECK_EQ(sum_start(s), a);
        CHECK_EQ(sum_max(s), m);
        CHECK_EQ(sum_end(s), z);
    }
    uint64_t s = sum_pack(SUM_FULL, SUM_FULL, SUM_FULL);
    CHECK_EQ(sum_start(s), SUM_FULL);
    CHECK_EQ(sum_max(s), SUM_FULL);
    CHECK_EQ(sum_end(s), SUM_FULL);
}
