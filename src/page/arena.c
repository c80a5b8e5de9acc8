/* arena.c: one range of addresses for the whole heap, reserved once.
 *
 *   0        1 TiB                                64 TiB            128 TiB
 *   |          |. . . . . [== the range ==] . . . . . |  program, libraries |
 *                         ^ random, multiple of 64 MiB
 *
 * Size: 1 TiB, or four times the physical memory where that is more; with an
 * address-space limit most of what is left; then halved until the system
 * agrees.  Reserved addresses cost nothing but the limit, and the tables that
 * the pages need are reserved in proportion.
 *
 * No locks: set once, before there is a second thread.
 */
#include "page_private.h"
#include <errno.h>

struct arena_range arenas;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Page numbers are 32 bits: 16 TiB are 2^31 pages, and NO_PAGE stays free. */
#define SIZE_LARGEST GIB(16384)
#define SIZE_USUAL GIB(1024)
/* The sanitizers' shadows leave less room for one mapping. */
#define SIZE_SANITIZED GIB(256)
/* Kept for stacks, libraries and our tables when addresses are limited. */
#define LIMIT_RESERVE MIB(16)

/* Random bases lie from 1 TiB to 64 TiB: above what a non-PIE program has,
 * below where Linux puts PIE programs (0x55...) and libraries (0x7f...), so
 * the hint is free.  63 TiB of 64 MiB steps give 20 bits. */
#define BASE_LOWEST GIB(1024)
#define BASE_STEPS ((uint64_t)63 * 1024 * 16)
/* Taken four times out of four means that someone owns the middle of the
 * address space; then the kernel may choose. */
#define BASE_TRIES 4

static size_t size_wanted(void)
{
    size_t size = SIZE_USUAL;
    size_t physical = (size_t)os_physical_memory();
    if (SANITIZED)
        size = SIZE_SANITIZED;
    else if (physical > SIZE_LARGEST / 4)
        size = SIZE_LARGEST;
    else if (physical > size / 4)
        size = align_up(physical * 4, ARENA_SIZE);
    size_t left = os_address_space_left();
    if (left == SIZE_MAX)
        return size;
    size_t share = left / 4 * 3;
    share = share > LIMIT_RESERVE ? share - LIMIT_RESERVE : 0;
    return align_down(min_size(size, share), ARENA_SIZE);
}

/* An address for the kernel to try; 0 leaves the choice to it. */
static uintptr_t next_hint(uint64_t *seed)
{
    if (SANITIZED) /* only parts of the address space have a shadow */
        return 0;
    uint64_t r = rng_next(seed) >> 8; /* xorshift's low bits are its worst */
    return BASE_LOWEST + r % BASE_STEPS * ARENA_SIZE;
}

static uintptr_t reserve(size_t size)
{
    uint64_t seed = knobs.seed ? (uint64_t)knobs.seed : os_random();
    if (!seed) /* a generator of this kind never leaves 0 */
        seed = 1;
    for (int i = 0; i < 8; i++) /* spreads a small seed over all bits */
        rng_next(&seed);
    for (int i = 0; i <= BASE_TRIES; i++) {
        uintptr_t hint = i < BASE_TRIES ? next_hint(&seed) : 0;
        void *p = os_reserve(size, ARENA_SIZE, hint);
        if (p)
            return (uintptr_t)p;
    }
    return 0;
}

int arena_init(void)
{
    if (arenas.size)
        return 0;
    for (size_t size = size_wanted(); size >= ARENA_SIZE;
         size = align_down(size / 2, ARENA_SIZE)) {
        uintptr_t base = reserve(size);
        if (!base)
            continue;
        os_name((void *)base, size, "sancai: heap", OS_USE_HEAP);
        arenas.base = base;
        arenas.pages = (uint32_t)(size >> PAGE_SHIFT);
        arenas.size = size;
        return 0;
    }
    return ENOMEM;
}
