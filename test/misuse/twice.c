/* twice.c: blocks that are freed a second time. */
#include "misuse.h"

static void at_once(size_t n, size_t by)
{
    void *p = malloc(n);
    free(hide(p));
    free(hide(p));
}

static void after_another(size_t n, size_t by)
{
    void *p = malloc(n), *q = malloc(n);
    free(hide(p));
    free(hide(q));
    free(hide(p));
}

/* Every other one stays in use. */
static void delayed(size_t n, size_t many)
{
    static void *p[4000];
    for (size_t i = 0; i < many; i++)
        p[i] = hide(malloc(n));
    for (size_t i = 0; i < many; i += 2)
        free(p[i]);
    free(hide(p[many / 2]));
}

static void *frees(void *p)
{
    free(p);
    return NULL;
}

static void first_elsewhere(size_t n, size_t by)
{
    void *p = malloc(n);
    in_a_thread(frees, p);
    free(hide(p));
}

static void then_elsewhere(size_t n, size_t by)
{
    void *p = malloc(n);
    free(hide(p));
    in_a_thread(frees, p);
}

static void after_a_write(size_t n, size_t by)
{
    void *p = malloc(n);
    free(hide(p));
    memset(hide(p), 0, n);
    free(hide(p));
}

/* The second free is of somebody else's block. */
static void after_reuse(size_t n, size_t by)
{
    void *p = malloc(n);
    free(hide(p));
    for (int i = 0; i < 10; i++)
        hide(malloc(n));
    free(hide(p));
}

static void of_calloc(size_t n, size_t by)
{
    void *p = calloc(n, 1);
    free(hide(p));
    free(hide(p));
}

static void of_aligned(size_t n, size_t align)
{
    void *p = aligned_alloc(align, n);
    free(hide(p));
    free(hide(p));
}

static void moved(size_t n, size_t to)
{
    void *p = malloc(n), *q = malloc(n);
    void *r = realloc(hide(p), to);
    free(hide(p));
    free(hide(q));
    free(hide(r));
}

static void by_realloc(size_t n, size_t to)
{
    void *p = malloc(n);
    free(hide(p));
    hide(realloc(hide(p), to));
}

static void realloc_to_0(size_t n, size_t zero)
{
    void *p = malloc(n);
    hide(realloc(hide(p), zero));
    free(hide(p));
}

#define F "free"
CASES(
    {"of_1", at_once, 1, 0, F, FREED, FREED},
    {"of_16", at_once, 16, 0, F, FREED, FREED},
    {"of_100", at_once, 100, 0, F, FREED, FREED},
    {"of_1000", at_once, 1000, 0, F, FREED, FREED},
    {"of_8000", at_once, 8000, 0, F, FREED, FREED},
    {"of_32000", at_once, 32000, 0, F, FREED, FREED},
    {"of_40_kib", at_once, KIB(40), 0, F, PAGES, FREED},
    {"of_1_mib", at_once, MIB(1), 0, F, PAGES, FREED},
    {"after_another_100", after_another, 100, 0, F, FREED, FREED},
    {"after_another_8000", after_another, 8000, 0, F, FREED, FREED},
    {"after_another_1_mib", after_another, MIB(1), 0, F, PAGES, FREED},
    {"delayed_24", delayed, 24, 4000, F, FREED, FREED},
    {"delayed_500", delayed, 500, 4000, F, FREED, FREED},
    {"delayed_5000", delayed, 5000, 500, F, FREED, FREED},
    {"delayed_100_kib", delayed, KIB(100), 16, F, PAGES, FREED},
    {"first_elsewhere_64", first_elsewhere, 64, 0, F, FREED, FREED},
    {"first_elsewhere_large", first_elsewhere, KIB(100), 0, F, PAGES, FREED},
    {"then_elsewhere_64", then_elsewhere, 64, 0, F, FREED, FREED},
    {"then_elsewhere_large", then_elsewhere, KIB(100), 0, F, PAGES, FREED},
    {"after_a_write_64", after_a_write, 64, 0, F, MISSED, FREED},
    {"after_a_write_1000", after_a_write, 1000, 0, F, MISSED, FREED},
    {"after_reuse_64", after_reuse, 64, 0, F, MISSED, FREED},
    {"after_reuse_8000", after_reuse, 8000, 0, F, MISSED, FREED},
    {"of_calloc", of_calloc, 200, 0, F, FREED, FREED},
    {"of_aligned", of_aligned, 256, 256, F, FREED, FREED},
    {"moved", moved, 100, 9000, F, FREED, FREED},
    {"by_realloc", by_realloc, 100, 200, "realloc", FREED, FREED},
    {"realloc_to_0", realloc_to_0, 100, 0, F, FREED, FREED},
)
