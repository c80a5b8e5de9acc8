/* links: os base page
 *
 * The reserved range: where, how much, and what remains of it when addresses
 * are scarce.
 */
#include "pages.h"

#define NO_LIMITS 77

/* Runs fn in a child with so much address space; its exit status. */
static int with_limit(size_t bytes, void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit r = {bytes, bytes};
        CHECK_EQ(setrlimit(RLIMIT_AS, &r), 0);
        if (os_address_space_left() > bytes) /* emulators ignore it */
            _exit(NO_LIMITS);
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(arena_is_large_and_aligned)
{
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(arenas.base % ARENA_SIZE, 0);
    CHECK_EQ(arenas.size % ARENA_SIZE, 0);
    CHECK_EQ(arenas.pages, arenas.size / PAGE_SIZE);
    if (os_address_space_left() == SIZE_MAX)
        CHECK(arenas.size >= (SANITIZED ? GIB(256) : GIB(1024)));
    CHECK(arenas.size <= GIB(16384));
    uintptr_t base = arenas.base;
    CHECK_EQ(arena_init(), 0); /* once is enough */
    CHECK_EQ(arenas.base, base);
}

TEST(arena_has_exactly_its_addresses)
{
    CHECK_EQ(arena_init(), 0);
    uintptr_t end = arenas.base + arenas.size;
    CHECK(arena_has(arenas.base) && arena_has(end - 1));
    CHECK(!arena_has(arenas.base - 1) && !arena_has(end));
    CHECK(!arena_has(0) && !arena_has(UINTPTR_MAX));
    CHECK_EQ(arena_page(arenas.base), 0);
    CHECK_EQ(arena_page(end - 1), arenas.pages - 1);
    CHECK_EQ(arena_address(arena_page(end - 1)), end - PAGE_SIZE);
}

/* The base that a fresh process chooses. */
static uintptr_t base_of_child(int64_t seed)
{
    int p[2];
    uintptr_t base = 0;
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        knobs.seed = seed;
        CHECK_EQ(arena_init(), 0);
        CHECK_EQ(write(p[1], &arenas.base, sizeof base), sizeof base);
        _exit(0);
    }
    CHECK_EQ(read(p[0], &base, sizeof base), sizeof base);
    waitpid(pid, NULL, 0);
    return base;
}

TEST(arena_base_is_random_or_seeded)
{
    if (SANITIZED)
        SKIP("the kernel chooses under a sanitizer");
    if (os_address_space_left() != SIZE_MAX)
        SKIP("address space is limited");
    uintptr_t a = base_of_child(0), b = base_of_child(0);
    uintptr_t c = base_of_child(0);
    CHECK(a != b || b != c); /* three the same: once in 10^12 */
    for (int64_t seed = 1; seed < 20; seed++) {
        CHECK_EQ(base_of_child(seed), base_of_child(seed));
        CHECK(base_of_child(seed) != base_of_child(seed + 1));
    }
}

/* Others have taken all large pieces of address space. */
TEST(arena_halves_until_it_fits)
{
    if (SANITIZED)
        SKIP("the sanitizers live in there");
    size_t taken = 0;
    for (size_t size = GIB(65536); size >= GIB(512); size /= 2)
        while (mmap(NULL, size, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                    0) != MAP_FAILED)
            taken += size;
    if (taken < GIB(65536))
        SKIP("only %zu GiB can be taken away", taken >> 30);
    CHECK_EQ(arena_init(), 0);
    CHECK(arenas.size >= ARENA_SIZE && arenas.size < GIB(512));
    CHECK_EQ(arenas.size % ARENA_SIZE, 0);
    bool zero;
    CHECK_EQ(page_take(100, &zero), 0);
    page_verify();
}

TEST(arena_survives_refusals)
{
    CHECK_EQ(arena_init(), 0);
    size_t usual = arenas.size;
    os_unreserve((void *)arenas.base, usual);
    arenas = (struct arena_range){0, 0, 0};
    os_fail_at(1, true); /* never */
    CHECK_EQ(arena_init(), ENOMEM);
    CHECK_EQ(arenas.size, 0);
    CHECK(!arena_has(0) && !arena_has(arenas.base));
    os_fail_at(1, false); /* another base */
    CHECK_EQ(arena_init(), 0);
    CHECK(arenas.size + ARENA_SIZE >= usual); /* a limit may be used up */
    CHECK(os_address_space_left() < SIZE_MAX || arenas.size == usual);
}

/* A heap in use, all tables of the upper layers reserved as well: 196 bytes
 * per page, of which a quarter is made ready. */
static void live_in_small_space(void)
{
    static struct meta_table tables[3];
    static const size_t per_page[3] = {4, 128, 64};
    bool zero;
    CHECK_EQ(arena_init(), 0);
    for (int i = 0; i < 3; i++) {
        size_t n = arenas.pages * per_page[i];
        CHECK_EQ(meta_table_init(&tables[i], n, META_BITS, "x"), 0);
        CHECK_EQ(meta_table_ready(&tables[i], 0, n / 4), 0);
    }
    uint32_t half = arenas.pages / 2;
    CHECK_EQ(page_take(half, &zero), 0);
    for (uint32_t i = 0; i < half; i += CHUNK_PAGES / 4)
        *(char *)arena_address(i) = 1;
    page_give(0, half);
    for (uint32_t i = 0; i < 1000; i++)
        CHECK_EQ(page_take(1, &zero), i);
    page_verify();
}

static void live_in_128_mib(void)
{
    live_in_small_space();
    CHECK_EQ(arenas.size, MIB(64));
}

static void none_at_all(void)
{
    bool zero;
    CHECK_EQ(arena_init(), ENOMEM);
    CHECK_EQ(page_take(1, &zero), NO_PAGE);
}

TEST(arena_lives_with_little_address_space)
{
    if (SANITIZED)
        SKIP("no address-space limit with a sanitizer");
    int status = with_limit(KIB(131072), live_in_128_mib);
    if (status == NO_LIMITS)
        SKIP("no address-space limits here");
    CHECK_EQ(status, 0);
    for (size_t mib = 140; mib < 5000; mib += 150 + rnd(300))
        CHECK_EQ(with_limit(MIB(mib), live_in_small_space), 0);
    CHECK_EQ(with_limit(MIB(80), none_at_all), 0);
}

/* Somebody sits in the middle of the usual bases. */
TEST(arena_moves_out_of_the_way)
{
    if (SANITIZED)
        SKIP("the kernel chooses under a sanitizer");
    for (uintptr_t a = GIB(1024); a < GIB(64 * 1024); a += GIB(512))
        mmap((void *)a, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(arenas.base % ARENA_SIZE, 0);
    CHECK_EQ(page_take(10, &zero), 0);
    memset((void *)arenas.base, 1, 10 * PAGE_SIZE);
}
