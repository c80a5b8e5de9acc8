/* foreign.c: frees of what is not the start of a block. */
#include "misuse.h"

static char data[256] __attribute__((aligned(16))) = {1};
static char zeros[256] __attribute__((aligned(16)));

static void of_data(size_t n, size_t by) { free(hide(data + by)); }
static void of_zeros(size_t n, size_t by) { free(hide(zeros + by)); }
static void of_number(size_t n, size_t by) { free(hide((void *)n)); }
static void of_literal(size_t n, size_t by)
{
    free(hide((void *)(uintptr_t)"a string literal of some length"));
}
static void of_function(size_t n, size_t by)
{
    free(hide((void *)(uintptr_t)&of_data));
}

static void of_stack(size_t n, size_t by)
{
    char here[256] __attribute__((aligned(16))) = {0};
    free(hide(here + by));
}

static void of_mapping(size_t n, size_t prot)
{
    char *p = mmap(NULL, n, (int)prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(hide(p + 64));
}

static void realloc_stack(size_t n, size_t by)
{
    char here[256] __attribute__((aligned(16))) = {0};
    hide(realloc(hide(here + 16), n));
}

static void size_of_data(size_t n, size_t by)
{
    seen(malloc_usable_size(hide(data + by)) > 0);
}

/* Far behind what is used. */
static void beside(size_t n, size_t by)
{
    char *p = malloc(n);
    free(hide(p + by));
}

/* A pointer that was never set, in a block that somebody used before. */
static void never_set(size_t n, size_t by)
{
    void **p = malloc(n);
    memset(hide(p), 0x41, n);
    free(hide(p));
    p = hide(malloc(n));
    if (!p[2])
        seen(0); /* by chance */
    free(hide(p[2]));
}

static void inside(size_t n, size_t by)
{
    char *p = malloc(n);
    memset(p, 0, n);
    free(hide(p + by));
}

static void inside_aligned(size_t n, size_t by)
{
    char *p = aligned_alloc(n, n);
    memset(p, 0, n);
    free(hide(p + by));
}

static void realloc_inside(size_t n, size_t by)
{
    char *p = calloc(1, n);
    hide(realloc(hide(p + by), 2 * n));
}

static void size_inside(size_t n, size_t by)
{
    char *p = calloc(1, n);
    seen(malloc_usable_size(hide(p + by)) > 0);
}

/* The start of a block that nobody asked for. */
static void next_one(size_t n, size_t by)
{
    char *p = malloc(n);
    memset(p, 0, n);
    free(hide(p + by));
    seen(hide(malloc(n)) == hide(malloc(n)) || 1);
}

#define F "free"
CASES(
    {"stack", of_stack, 0, 16, F, FOREIGN, FOREIGN},
    {"stack_unaligned", of_stack, 0, 9, F, FOREIGN, FOREIGN},
    {"data", of_data, 0, 16, F, FOREIGN, FOREIGN},
    {"zeros", of_zeros, 0, 16, F, FOREIGN, FOREIGN},
    {"literal", of_literal, 0, 0, F, FOREIGN, FOREIGN},
    {"function", of_function, 0, 0, F, FOREIGN, FOREIGN},
    {"small_number", of_number, 0x40, 0, F, FOREIGN, FOREIGN},
    {"no_address", of_number, 0xdeadbeefdeadbee0, 0, F, FOREIGN, FOREIGN},
    {"mapping", of_mapping, 8192, PROT_READ | PROT_WRITE, F, FOREIGN, FOREIGN},
    {"mapping_without_access", of_mapping, 8192, PROT_NONE, F, FOREIGN,
     FOREIGN},
    {"realloc_stack", realloc_stack, 1000, 0, "realloc", FOREIGN, FOREIGN},
    {"size_of_data", size_of_data, 0, 16, "malloc_usable_size", FOREIGN,
     FOREIGN},
    {"far_behind", beside, 100, MIB(3), F, PAGES, PAGES},
    {"never_set", never_set, 100, 0, F, FOREIGN, SAFE},
    {"inside_by_1", inside, 100, 1, F, INSIDE, INSIDE},
    {"inside_by_8", inside, 100, 8, F, INSIDE, INSIDE},
    {"inside_by_16", inside, 100, 16, F, INSIDE, INSIDE},
    {"inside_3000", inside, 3000, 1600, F, INSIDE, INSIDE},
    {"inside_40_kib", inside, KIB(40), 64, F, INSIDE, INSIDE},
    {"inside_1_mib", inside, MIB(1), KIB(512), F, INSIDE, INSIDE},
    {"inside_aligned", inside_aligned, 4096, 2048, F, INSIDE, INSIDE},
    {"realloc_inside", realloc_inside, 1000, 512, "realloc", INSIDE, INSIDE},
    {"size_inside", size_inside, 1000, 512, "malloc_usable_size", INSIDE,
     INSIDE},
    {"next_one_never_given_out", next_one, 112, 112, F, MISSED, INSIDE},
)
