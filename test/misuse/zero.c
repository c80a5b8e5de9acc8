/* zero.c: blocks of 0 bytes, and sizes that cannot be. */
#include "misuse.h"

static volatile size_t most = SIZE_MAX;

static void write_it(size_t n, size_t by)
{
    char *p = malloc(n);
    ((char *)hide(p))[by] = 'A';
    free(hide(p));
}

static void read_it(size_t n, size_t by)
{
    char *p = malloc(n);
    (void)((volatile char *)hide(p))[by];
}

static void twice(size_t n, size_t by)
{
    void *p = malloc(n);
    free(hide(p));
    free(hide(p));
}

/* The harm: a block that is too small. */
static void by_malloc(size_t n, size_t by) { seen(!!hide(malloc(most - by))); }
static void by_calloc(size_t n, size_t by)
{
    seen(!!hide(calloc(most / by + 1, by)));
}
static void by_realloc(size_t n, size_t by)
{
    seen(!!hide(realloc(malloc(n), most - by)));
}
static void by_array(size_t n, size_t by)
{
    seen(!!hide(reallocarray(malloc(n), most / by + 1, by)));
}
static void by_aligned(size_t n, size_t by)
{
    seen(!!hide(aligned_alloc(n, most - by)));
}

CASES(
    {"write", write_it, 0, 0, "write", MISSED, NOTHING},
    {"write_at_8", write_it, 0, 8, "write", MISSED, NOTHING},
    {"read", read_it, 0, 0, "read", MISSED, NOTHING},
    {"twice", twice, 0, 0, "free", FREED, FREED},
    {"too_large", by_malloc, 0, 0, "", SAFE, SAFE},
    {"too_large_by_little", by_malloc, 0, 4095, "", SAFE, SAFE},
    {"calloc_wraps", by_calloc, 0, 16, "", SAFE, SAFE},
    {"realloc_too_large", by_realloc, 100, 7, "", SAFE, SAFE},
    {"reallocarray_wraps", by_array, 100, 8, "", SAFE, SAFE},
    {"aligned_wraps", by_aligned, 4096, 100, "", SAFE, SAFE},
)
