/* bits.c: the bitmap of one chunk: 512 bits, eight words.
 *
 *   bit   0         64        128                               511
 *         |...111...|111......|..11.....| ... |................1111|
 *              run that straddles words          start, longest, end
 *
 * All searches treat a word at once.  A run of n ones in a word is found by
 * folding: x & x>>1 has ones where two ones start, folding that by two where
 * four start, and so on; runs over word borders are followed by a carry.
 *
 * Pure functions; no locks.
 */
#include "page_private.h"

/* Ones at the low end of x, 0 to 64.  The processor's count of zeros says
 * nothing about a word without ones, hence the test. */
static uint32_t low_ones(uint64_t x)
{
    return ~x ? (uint32_t)__builtin_ctzll(~x) : 64;
}

/* Ones at the high end. */
static uint32_t high_ones(uint64_t x)
{
    return ~x ? (uint32_t)__builtin_clzll(~x) : 64;
}

/* Bits lo .. lo+n-1 of a word; 1 <= n <= 64: shifting by 64 has no meaning
 * in C, so the ones come in from above. */
static uint64_t mask_of(uint32_t lo, uint32_t n)
{
    return (~(uint64_t)0 >> (64 - n)) << lo;
}

/* How much of a range of n bits from i on lies in the word of i. */
static uint32_t part_of(uint32_t i, uint32_t n)
{
    uint32_t room = 64 - i % 64;
    return n < room ? n : room;
}

void bits_set(uint64_t *b, uint32_t i, uint32_t n)
{
    for (uint32_t k; n; i += k, n -= k) {
        k = part_of(i, n);
        b[i / 64] |= mask_of(i % 64, k);
    }
}

void bits_clear(uint64_t *b, uint32_t i, uint32_t n)
{
    for (uint32_t k; n; i += k, n -= k) {
        k = part_of(i, n);
        b[i / 64] &= ~mask_of(i % 64, k);
    }
}

uint32_t bits_count(const uint64_t *b, uint32_t i, uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t k; n; i += k, n -= k) {
        k = part_of(i, n);
        sum += (uint32_t)__builtin_popcountll(b[i / 64] & mask_of(i % 64, k));
    }
    return sum;
}

/* In each word the run that began in an earlier one is looked at first: it
 * has the lower address.  Bits below `from` count as used. */
uint32_t bits_find(const uint64_t *used, uint32_t from, uint32_t n)
{
    uint32_t run = 0; /* zeros that end where the current word begins */
    uint64_t hide = ((uint64_t)1 << from % 64) - 1;
    for (uint32_t w = from / 64; w < CHUNK_WORDS; w++, hide = 0) {
        uint64_t x = ~(used[w] | hide);
        if (run + low_ones(x) >= n)
            return w * 64 - run;
        uint64_t y = n <= 64 ? bits_fold(x, n) : 0;
        if (y)
            return w * 64 + (uint32_t)__builtin_ctzll(y);
        run = ~x ? high_ones(x) : run + 64;
    }
    return CHUNK_PAGES;
}

/* The longest run of ones in x if it is longer than `max`, else `max`.  What
 * is not longer is not measured: most words end at the first fold. */
static uint32_t longest(uint64_t x, uint32_t max)
{
    if (max >= 64)
        return max;
    for (uint64_t y = bits_fold(x, max + 1); y; y &= y >> 1)
        max++;
    return max;
}

/* A run over a word border is seen by its carry, one inside a word by
 * folding; a word of zeros only lengthens the carry. */
uint64_t bits_summary(const uint64_t *used)
{
    uint32_t start = 0, max = 0, run = 0;
    bool open = true; /* only zeros so far */
    for (uint32_t w = 0; w < CHUNK_WORDS; w++) {
        uint64_t x = ~used[w];
        run += low_ones(x);
        if (open)
            start = run;
        if (!~x)
            continue;
        open = false;
        max = longest(x, max > run ? max : run);
        run = high_ones(x);
    }
    return sum_pack(start, max > run ? max : run, run);
}

/* From the top: the highest word with a one, then down while ones go on. */
uint32_t bits_last_run(const uint64_t *b, uint32_t *n)
{
    int w = CHUNK_WORDS - 1;
    while (w >= 0 && !b[w])
        w--;
    if (w < 0)
        return *n = 0;
    uint32_t end = (uint32_t)w * 64 + 64 - (uint32_t)__builtin_clzll(b[w]);
    uint32_t start = end;
    while (start) {
        uint32_t below = (start - 1) % 64 + 1; /* bits left in this word */
        uint32_t k = high_ones(b[(start - 1) / 64] << (64 - below));
        start -= k < below ? k : below;
        if (k < below)
            break;
    }
    *n = end - start;
    return start;
}

/* Three steps, shown for m = 4:
 *   x       ..11 1111 .111 1111      runs of any place and length
 *   folded  .... ..11 .... ...1      starts of four ones
 *   aligned .... ...1 .... ...1      starts at a multiple of four
 *   spread  .... 1111 .... 1111                                         */
uint64_t bits_whole(uint64_t x, uint32_t m)
{
    x = bits_fold(x, m);
    x &= m == 64 ? 1 : ~(uint64_t)0 / (((uint64_t)1 << m) - 1);
    for (uint32_t s = 1; s < m; s *= 2)
        x |= x << s;
    return x;
}
