/* torture.h: what the torture tests share: objects that notice, a collector
 * that never rests, and chance that can be replayed.
 *
 *   canary   magic | next, other | id | sum(id)     48 bytes, precise layout
 *
 * A reclaimed canary is 0xdeadbeef (clobberfree) or zero or another one with
 * another id, so each look at one through canary_check says whether it was
 * lost.  Pointers that must not be seen by the collector are kept as their
 * complement ("masked").
 *
 *   LONG=n   n times as much work (soak)      SANCAI_DEBUG   passed through
 */
#ifndef SC_TORTURE_H
#define SC_TORTURE_H

#include "../check.h"
#include <pthread.h>
#include <sancai.h>

typedef struct Canary {
    uint64_t magic;
    struct Canary *next, *other;
    uint64_t id, sum;
} Canary;
SC_LAYOUT(Canary, next, other)

#define MAGIC 0x5ca1ab1edeadd0d0ull

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* ---- Settings ---------------------------------------------------------- */

/* Work scaled by LONG. */
TEST_UNUSED static long scaled(long n)
{
    const char *s = getenv("LONG");
    long k = s ? strtol(s, NULL, 10) : 1;
    return n * (k > 0 ? k : 1);
}

/* A slice of the time that a test may take, scaled by LONG. */
TEST_UNUSED static double until(double seconds)
{
    return test_clock() + (double)scaled(1) * seconds;
}

static int explicit_mode; /* the program promised barriers */

/* Adds to SANCAI_DEBUG; before the library starts.  What the caller of the
 * test gave stands last and wins. */
TEST_UNUSED static void debug_add(const char *what)
{
    const char *old = getenv("SANCAI_DEBUG");
    char all[400];

    snprintf(all, sizeof(all), "%s%s%s", what, old && *old ? "," : "",
             old ? old : "");
    setenv("SANCAI_DEBUG", all, 1);
}

TEST_UNUSED static void start(int explicit_barriers)
{
    struct sc_config c = {.barriers = explicit_barriers ? SC_BARRIERS_EXPLICIT
                                                        : SC_BARRIERS_NONE};

    explicit_mode = explicit_barriers;
    CHECK_EQ(sc_init(&c), 0);
}

/* One test for each promise of the program. */
#define TEST_BOTH(name, seconds)                                          \
    static void body_##name(void);                                        \
    TEST_T(name##_explicit, seconds)                                      \
    {                                                                     \
        debug_add("clobberfree=1");                                       \
        start(1);                                                         \
        body_##name();                                                    \
    }                                                                     \
    TEST_T(name##_none, seconds)                                          \
    {                                                                     \
        debug_add("clobberfree=1");                                       \
        start(0);                                                         \
        body_##name();                                                    \
    }                                                                     \
    static void body_##name(void)

/* ---- Chance ------------------------------------------------------------ */

static _Thread_local uint64_t rng_state;

TEST_UNUSED static void rng_seed(uint64_t n)
{
    rng_state = mix(test_seed() * 0x9e3779b97f4a7c15ull + n + 1);
}

TEST_UNUSED static uint64_t rng(void)
{
    rng_state += 0x9e3779b97f4a7c15ull;
    return mix(rng_state);
}

/* 0 .. n-1 */
TEST_UNUSED static unsigned pick(unsigned n)
{
    return (unsigned)(rng() >> 32) % n;
}

/* ---- Stores as the promise wants them ---------------------------------- */

#define STORE(slot, v)                                                    \
    (explicit_mode ? sc_store((slot), (v))                                \
                   : (void)__atomic_store_n((slot), (v), __ATOMIC_RELEASE))
#define LOAD(slot) __atomic_load_n((slot), __ATOMIC_ACQUIRE)
#define EXCHANGE(slot, v)                                                 \
    (explicit_mode ? sc_exchange((slot), (v))                             \
                   : __atomic_exchange_n((slot), (v), __ATOMIC_SEQ_CST))

/* ---- Canaries ---------------------------------------------------------- */

TEST_UNUSED static Canary *canary_new(uint64_t id)
{
    Canary *c = sc_new(Canary);

    if (!c)
        test_fail(__FILE__, __LINE__, "no memory for a canary");
    if (c->magic || c->next || c->other || c->id || c->sum)
        test_fail(__FILE__, __LINE__, "fresh object %p is not zero: %lx %p",
                  (void *)c, (long)c->magic, (void *)c->next);
    c->id = id;
    c->sum = mix(id);
    c->magic = MAGIC;
    return c;
}

#define canary_check(c) canary_look((c), __FILE__, __LINE__)
TEST_UNUSED static uint64_t canary_look(const Canary *c, const char *file,
                                        int line)
{
    if (c->magic != MAGIC || c->sum != mix(c->id))
        test_fail(file, line, "lost: %p magic %lx id %lx sum %lx", (void *)c,
                  (long)c->magic, (long)c->id, (long)c->sum);
    return c->id;
}

TEST_UNUSED static void canary_is(const Canary *c, uint64_t id)
{
    if (canary_check(c) != id)
        test_fail(__FILE__, __LINE__, "%p is object %lx now, was %lx",
                  (void *)c, (long)c->id, (long)id);
}

/* A canary with one that hangs on it alone, so that marking must not only
 * find but also follow it.  Masked. */
__attribute__((noinline)) TEST_UNUSED static uintptr_t
canary_masked(uint64_t id)
{
    Canary *c = canary_new(id);
    Canary *d = canary_new(~id);

    STORE(&c->next, d);
    return ~(uintptr_t)c;
}

__attribute__((noinline)) TEST_UNUSED static void
canary_unmasked_is(uintptr_t masked, uint64_t id)
{
    Canary *c = (Canary *)~masked;

    canary_is(c, id);
    canary_is(c->next, ~id);
}

/* Registers that functions do not preserve: what stands there is dead. */
TEST_UNUSED static void scrub_registers(void)
{
#if defined(__x86_64__)
    __asm__ volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx;"
                     "xor %%esi, %%esi; xor %%edi, %%edi; xor %%r8d, %%r8d;"
                     "xor %%r9d, %%r9d; xor %%r10d, %%r10d;"
                     "xor %%r11d, %%r11d"
                     : : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
                     "r10", "r11", "cc");
#define ZERO(n) "vpxorq %%zmm" #n ", %%zmm" #n ", %%zmm" #n ";"
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile(ZERO(16) ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21)
                         ZERO(22) ZERO(23) ZERO(24) ZERO(25) ZERO(26) ZERO(27)
                         ZERO(28) ZERO(29) ZERO(30) ZERO(31) : :);
#undef ZERO
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" : : : "xmm0", "xmm1", "xmm2", "xmm3",
                         "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                         "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    else
        __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1"
                         : : : "xmm0", "xmm1");
#elif defined(__aarch64__)
    __asm__ volatile("movi v0.2d, #0; movi v1.2d, #0; movi v30.2d, #0;"
                     "movi v31.2d, #0; mov x0, #0; mov x1, #0; mov x2, #0;"
                     "mov x3, #0; mov x8, #0; mov x9, #0; mov x16, #0;"
                     "mov x17, #0" : : : "v0", "v1", "v30", "v31", "x0", "x1",
                     "x2", "x3", "x8", "x9", "x16", "x17");
#endif
}

/* Old pointers, below the stack pointer or in dead registers, would hide a
 * loss, or keep what the test waits to see dead.  No redzones: they would be
 * gaps. */
__attribute__((noinline, no_sanitize("address"))) TEST_UNUSED static void
scrub(void)
{
    volatile char dead[6000];

    memset((char *)dead, 0, sizeof(dead));
    __asm__ volatile("" : : "r"(dead) : "memory");
    scrub_registers();
}

/* ---- A collector that never rests -------------------------------------- */

/* Cycles that have begun and ended; asm of places.c reads it by name. */
__attribute__((used)) TEST_UNUSED _Atomic uint64_t cycles_done;
TEST_UNUSED static _Atomic int driver_stop;
TEST_UNUSED static pthread_t driver;
TEST_UNUSED static _Atomic unsigned driver_nap_us;

TEST_UNUSED static void *driver_main(void *unused)
{
    while (!driver_stop) {
        sc_collect();
        cycles_done++;
        if (driver_nap_us)
            usleep(driver_nap_us);
    }
    return NULL;
}

TEST_UNUSED static void driver_start(void)
{
    driver_stop = 0;
    CHECK_EQ(pthread_create(&driver, NULL, driver_main, NULL), 0);
}

TEST_UNUSED static void driver_end(void)
{
    driver_stop = 1;
    CHECK_EQ(pthread_join(driver, NULL), 0);
}

/* Until n cycles have begun and ended from now on. */
__attribute__((noinline)) TEST_UNUSED static void wait_cycles(unsigned n)
{
    uint64_t target = cycles_done + n + 1;

    while (cycles_done < target)
        usleep(100);
}

/* Garbage, so that what was lost is used again soon. */
__attribute__((noinline)) TEST_UNUSED static void litter(unsigned n)
{
    while (n--)
        canary_new(n);
}

TEST_UNUSED static pthread_t spawn(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    int e = pthread_create(&t, NULL, fn, arg);

    if (e)
        test_fail(__FILE__, __LINE__, "pthread_create: %s", strerror(e));
    return t;
}

#endif
