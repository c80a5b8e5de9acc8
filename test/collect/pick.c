/* links: os base src/collect/pick.c
 *
 * Every way of picking words that this processor has picks what the plain one
 * does, which is compared with a loop that has nothing clever: for each size of
 * object, density of slots, and share of words that point into the heap.
 */
#include "../check.h"

#include "../../src/collect/pick.h"

#define PAGE 8192u
#define BASE 0xc000000000ul
#define LIMIT (64u << 20)

static uint64_t state;
static uint64_t any(void)
{
    state += 0x9e3779b97f4a7c15;
    uint64_t x = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
    return (x ^ x >> 27) * 0x94d049bb133111eb ^ x >> 31;
}

static uint64_t bits_of_density(unsigned of_64)
{
    uint64_t m = 0;
    for (unsigned i = 0; i < 64; i++)
        m |= (uint64_t)(any() % 64 < of_64) << i;
    return m;
}

/* On both edges of the range too, and words that a signed comparison would take
 * for small. */
static uintptr_t word_of_density(unsigned of_64)
{
    static const uintptr_t outside[] = {
        0, 1, BASE - 1, BASE + LIMIT, (uintptr_t)-1,
        1ull << 63, BASE + (1ull << 63), BASE - (1ull << 63)};
    if (any() % 64 >= of_64)
        return any() % 2 ? outside[any() % 8] : any();
    switch (any() % 8) {
    case 0: return BASE;
    case 1: return BASE + LIMIT - 1;
    default: return BASE + any() % LIMIT;
    }
}

/* All that is inside, by the definition. */
static unsigned all_inside(const struct pick_from *f, uint64_t slots,
                           uintptr_t *off)
{
    unsigned n = 0;
    for (unsigned s = 0; s < 64; s++)
        for (unsigned i = 0; i < 64; i++) {
            if (!(slots >> s & 1) || !(f->map >> i & 1))
                continue;
            uintptr_t w = ((uintptr_t *)(f->start + s * f->size))[i];
            if (w >= BASE && w - BASE < f->limit)
                off[n++] = w - BASE;
        }
    return n;
}

static unsigned all_picked(const struct pick_kernel *k,
                           const struct pick_from *f, uint64_t slots,
                           uintptr_t *off)
{
    unsigned n = 0;
    while (slots) {
        struct picked p;
        uint64_t before = slots;
        p.n = 0;
        slots = k->fn(f, slots, &p);
        CHECK(slots != before && !(slots & ~before));
        CHECK(p.n < PICK_ENOUGH + 64 && (!slots || p.n >= PICK_ENOUGH));
        memcpy(off + n, p.off, p.n * sizeof *off);
        n += p.n;
    }
    return n;
}

static void compare(const struct pick_kernel *k, const struct pick_from *f,
                    uint64_t slots)
{
    static uintptr_t want[64 * 64], got[64 * 64];
    unsigned n = all_inside(f, slots, want);
    CHECK_EQ(all_picked(k, f, slots, got), n);
    if (memcmp(want, got, n * sizeof *want))
        test_fail(__FILE__, __LINE__,
                  "%s: size %lu, map %lx, slots %lx: another word", k->name,
                  (long)f->size, (long)f->map, (long)slots);
}

/* Behind the objects no memory is mapped: masked words must not be read. */
static uintptr_t memory(void)
{
    char *p = mmap(0, 65 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(mprotect(p, 64 * PAGE, PROT_READ | PROT_WRITE), 0);
    return (uintptr_t)p + 64 * PAGE;
}

static void compare_all(const struct pick_kernel *k, uintptr_t end,
                        size_t size)
{
    static const unsigned density[] = {0, 1, 8, 32, 63, 64};
    uint64_t whole = size == 512 ? ~0ull : (1ull << size / 8) - 1;
    struct pick_from f = {end - 64 * size, size, 0, -BASE, LIMIT};
    for (unsigned i = 0; i < 6 * 6 * 6; i++) {
        unsigned full = density[i / 6 % 6];
        for (uintptr_t *w = (uintptr_t *)f.start; w < (uintptr_t *)end; w++)
            *w = word_of_density(full);
        f.map = bits_of_density(density[i / 36]) & whole;
        compare(k, &f, bits_of_density(density[i % 6]));
    }
}

TEST(every_kernel_size_and_density)
{
    uintptr_t end = memory();
    unsigned n = 0;
    state = test_seed();
    for (const struct pick_kernel *k = pick_kernels; k->fn; k++) {
        if (!k->runs_here())
            continue;
        for (size_t size = 8; size <= 512; size += 8)
            compare_all(k, end, size);
        n++;
    }
    CHECK(n >= 1);
}

TEST(the_widest_is_chosen)
{
    const struct pick_kernel *last = pick_kernels;
    for (const struct pick_kernel *k = pick_kernels; k->fn; k++)
        if (k->runs_here())
            last = k;
    pick_init();
    CHECK(pick == last->fn);
}

/* What is there stays there, and what is left can be picked later. */
TEST(stops_when_it_is_enough)
{
    uintptr_t end = memory(), start = end - 64 * 512;
    struct pick_from f = {start, 512, ~0ull, -BASE, LIMIT};
    for (uintptr_t *w = (uintptr_t *)start; w < (uintptr_t *)end; w++)
        *w = BASE + 8;
    for (const struct pick_kernel *k = pick_kernels; k->fn; k++) {
        struct picked p;
        if (!k->runs_here())
            continue;
        p.n = PICK_ENOUGH - 1;
        p.off[0] = 77;
        CHECK_EQ(k->fn(&f, ~0ull, &p), ~0ull << 1);
        CHECK_EQ(p.n, PICK_ENOUGH + 63);
        CHECK_EQ(p.off[0], 77);
        CHECK_EQ(k->fn(&f, 2, &p), 2);
        CHECK_EQ(p.n, PICK_ENOUGH + 63);
    }
}
