/* pick.c: words -> offsets of those that point into the heap (pick.h).
 *
 *   plain     one word, no branch: stored always, counted if it is inside
 *   avx2      four words; a table says how to close the gaps
 *   avx512    eight words; the processor closes them
 *   neon      two words
 *
 * A branch on "is it a pointer" would be foreseen by half the time at best: in
 * a binary tree half of all pointers are NULL.
 *
 * All are RACY: the program changes the words meanwhile.  A vector is read a
 * word at a time as far as that matters: on x86-64 and aarch64 an aligned word
 * inside a vector is read whole.  Masked words are not read, even where they
 * would not be mapped.  The vectors are cleared at the end: a thread's
 * registers are roots, and it may not use that one for a long time.
 *
 * Invariant: every kernel picks what plain picks, in the same order
 *            (test/collect/pick.c).
 * Locks: none.
 */
#include "pick.h"

#include "../base/base.h"

static RACY uint64_t pick_plain(const struct pick_from *f, uint64_t slots,
                                struct picked *out)
{
    uintptr_t minus_base = f->minus_base, limit = f->limit;
    unsigned n = out->n;
    for (; slots && n < PICK_ENOUGH; slots &= slots - 1) {
        uintptr_t at = f->start + (size_t)__builtin_ctzll(slots) * f->size;
        for (uint64_t map = f->map; map; map &= map - 1) {
            const uintptr_t *word = (uintptr_t *)at + __builtin_ctzll(map);
            uintptr_t off = load_relaxed(word) + minus_base;
            out->off[n] = off;
            n += off < limit;
        }
    }
    out->n = n;
    return slots;
}

static bool always(void) { return true; }

#ifdef __x86_64__
#include <immintrin.h>

/* Lanes of 64 bits as pairs of 32, the chosen ones to the front. */
#define L(a, b, c, d) \
    {2 * (a), 2 * (a) + 1, 2 * (b), 2 * (b) + 1, \
     2 * (c), 2 * (c) + 1, 2 * (d), 2 * (d) + 1}
static const uint32_t front[16][8] __attribute__((aligned(32))) = {
    L(0, 1, 2, 3), L(0, 1, 2, 3), L(1, 0, 2, 3), L(0, 1, 2, 3),
    L(2, 0, 1, 3), L(0, 2, 1, 3), L(1, 2, 0, 3), L(0, 1, 2, 3),
    L(3, 0, 1, 2), L(0, 3, 1, 2), L(1, 3, 0, 2), L(0, 1, 3, 2),
    L(2, 3, 0, 1), L(0, 2, 3, 1), L(1, 2, 3, 0), L(0, 1, 2, 3),
};
#undef L
static const int64_t lanes[16][4] __attribute__((aligned(32))) = {
    {0, 0, 0, 0},  {-1, 0, 0, 0},  {0, -1, 0, 0},  {-1, -1, 0, 0},
    {0, 0, -1, 0}, {-1, 0, -1, 0}, {0, -1, -1, 0}, {-1, -1, -1, 0},
    {0, 0, 0, -1}, {-1, 0, 0, -1}, {0, -1, 0, -1}, {-1, -1, 0, -1},
    {0, 0, -1, -1}, {-1, 0, -1, -1}, {0, -1, -1, -1}, {-1, -1, -1, -1},
};

__attribute__((target("avx2,bmi,popcnt")))
static RACY uint64_t pick_avx2(const struct pick_from *f, uint64_t slots,
                               struct picked *out)
{
    /* Signed comparison of both with the highest bit turned. */
    __m256i minus_base = _mm256_set1_epi64x((int64_t)f->minus_base);
    __m256i high = _mm256_set1_epi64x(INT64_MIN);
    __m256i limit = _mm256_xor_si256(
        _mm256_set1_epi64x((int64_t)f->limit), high);
    unsigned n = out->n;
    for (; slots && n < PICK_ENOUGH; slots &= slots - 1) {
        uintptr_t at = f->start + (size_t)__builtin_ctzll(slots) * f->size;
        for (uint64_t map = f->map; map; map >>= 4, at += 32) {
            __m256i in = _mm256_load_si256((__m256i *)lanes[map & 15]);
            __m256i v = _mm256_maskload_epi64((long long *)at, in);
            v = _mm256_add_epi64(v, minus_base);
            in = _mm256_and_si256(
                in, _mm256_cmpgt_epi64(limit, _mm256_xor_si256(v, high)));
            unsigned k = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(in));
            __m256i order = _mm256_load_si256((__m256i *)front[k]);
            _mm256_storeu_si256((__m256i *)&out->off[n],
                                _mm256_permutevar8x32_epi32(v, order));
            n += (unsigned)__builtin_popcount(k);
        }
    }
    out->n = n;
    _mm256_zeroall();
    return slots;
}

/* Closed up in a register: closing up on the way to memory is slow on some.  No
 * wider than the map, for a masked vector that ends behind its object would
 * fetch the next line of memory all the same. */
#define PICK_AVX512(name, lanes, load, V, set1, add, cmp, compress, store)     \
    __attribute__((target("avx512f,avx512vl,bmi,popcnt")))                     \
    static RACY uint64_t name(const struct pick_from *f, uint64_t slots,       \
                              struct picked *out)                              \
    {                                                                          \
        V minus_base = set1((int64_t)f->minus_base);                           \
        V limit = set1((int64_t)f->limit);                                     \
        unsigned n = out->n;                                                   \
        for (; slots && n < PICK_ENOUGH; slots &= slots - 1) {                 \
            uintptr_t at = f->start +                                          \
                           (size_t)__builtin_ctzll(slots) * f->size;           \
            for (uint64_t m = f->map; m; m >>= lanes, at += 8 * lanes) {       \
                __mmask8 in = (__mmask8)(m & ((1u << lanes) - 1));             \
                V v = add(load(in, (void *)at), minus_base);                   \
                in = cmp(in, v, limit);                                        \
                store(&out->off[n], compress(in, v));                          \
                n += (unsigned)__builtin_popcount(in);                         \
            }                                                                  \
        }                                                                      \
        out->n = n;                                                            \
        _mm256_zeroall();                                                      \
        return slots;                                                          \
    }
PICK_AVX512(pick_by_8, 8, _mm512_maskz_loadu_epi64, __m512i,
            _mm512_set1_epi64, _mm512_add_epi64, _mm512_mask_cmplt_epu64_mask,
            _mm512_maskz_compress_epi64, _mm512_storeu_si512)
PICK_AVX512(pick_by_4, 4, _mm256_maskz_loadu_epi64, __m256i,
            _mm256_set1_epi64x, _mm256_add_epi64, _mm256_mask_cmplt_epu64_mask,
            _mm256_maskz_compress_epi64, _mm256_storeu_epi64)
PICK_AVX512(pick_by_2, 2, _mm_maskz_loadu_epi64, __m128i,
            _mm_set1_epi64x, _mm_add_epi64, _mm_mask_cmplt_epu64_mask,
            _mm_maskz_compress_epi64, _mm_storeu_epi64)

static RACY uint64_t pick_avx512(const struct pick_from *f, uint64_t slots,
                                 struct picked *out)
{
    if (f->map < 4)
        return pick_by_2(f, slots, out);
    if (f->map < 16)
        return pick_by_4(f, slots, out);
    return pick_by_8(f, slots, out);
}

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("popcnt");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

#ifdef __aarch64__
#include <arm_neon.h>

/* Of a pair whose second word is not in the map the first is read twice: the
 * second may lie behind the last page. */
static RACY uint64_t pick_neon(const struct pick_from *f, uint64_t slots,
                               struct picked *out)
{
    uint64x2_t minus_base = vdupq_n_u64(f->minus_base);
    uint64x2_t limit = vdupq_n_u64(f->limit);
    unsigned n = out->n;
    for (; slots && n < PICK_ENOUGH; slots &= slots - 1) {
        uintptr_t at = f->start + (size_t)__builtin_ctzll(slots) * f->size;
        for (uint64_t map = f->map; map; map >>= 2, at += 16) {
            const uint64_t *pair = (uint64_t *)at;
            uint64x2_t v = vld1q_dup_u64(pair);
            v = vld1q_lane_u64(pair + (map >> 1 & 1), v, 1);
            v = vaddq_u64(v, minus_base);
            uint64x2_t in = vcltq_u64(v, limit);
            out->off[n] = vgetq_lane_u64(v, 0);
            n += map & vgetq_lane_u64(in, 0) & 1;
            out->off[n] = vgetq_lane_u64(v, 1);
            n += map >> 1 & vgetq_lane_u64(in, 1) & 1;
        }
    }
    out->n = n;
    return slots;
}
#endif

const struct pick_kernel pick_kernels[] = {
    {"plain", pick_plain, always},
#ifdef __x86_64__
    {"avx2", pick_avx2, has_avx2},
    {"avx512", pick_avx512, has_avx512},
#endif
#ifdef __aarch64__
    {"neon", pick_neon, always},
#endif
    {0, 0, 0},
};

pick_fn *pick = pick_plain;

void pick_init(void)
{
    for (const struct pick_kernel *k = pick_kernels; k->fn; k++)
        if (k->runs_here())
            pick = k->fn;
}
