/* beyond.c: writes and reads behind a block and before it. */
#include "misuse.h"

/* What is spoilt is read first: that is the access that faults. */

/* n bytes, with others before and behind. */
static char *block(size_t n)
{
    hide(malloc(n));
    char *p = hide(malloc(n));
    hide(malloc(n));
    return memset(p, 'a', n);
}

static void over(size_t n, size_t by)
{
    char *p = block(n);
    spoil(p + n, by);
    free(hide(p));
}

/* Of a string, only its end is too much. */
static void over_string(size_t n, size_t by)
{
    char *p = block(n);
    p[n] = 0;
    free(hide(p));
}

static void over_then_realloc(size_t n, size_t to)
{
    char *p = block(n);
    spoil(p + n, 1);
    hide(realloc(hide(p), to));
}

static void over_far(size_t n, size_t by)
{
    char *p = block(n);
    spoil(p + n + by, 1);
    free(hide(p));
}

/* Of several, as nobody looks before the first of a span. */
static void under(size_t n, size_t by)
{
    char *p[8];
    for (int i = 0; i < 8; i++)
        do
            p[i] = block(n);
        while (n < KIB(8) && !((uintptr_t)p[i] & (KIB(8) - 1)));
    for (int i = 0; i < 8; i++)
        spoil(p[i] - by, by);
    for (int i = 0; i < 8; i++)
        free(hide(p[i]));
}

/* The secret is what lies behind. */
static void read_over(size_t n, size_t by)
{
    static char *p[3000];
    int found = 0;
    for (int i = 0; i < 3000; i++)
        p[i] = memset(hide(malloc(n)), 'S', n);
    for (int i = 0; i < 2500; i++)
        found |= ((volatile char *)p[i])[n + by] == 'S';
    seen(found);
}

static void read_far(size_t n, size_t by)
{
    char *p = block(n);
    (void)((volatile char *)hide(p))[n + by];
}

/* The count of another block is what an attacker would change. */
static void neighbour(size_t n, size_t by)
{
    char *p[64];
    for (int i = 0; i < 64; i++)
        p[i] = memset(hide(malloc(n)), 0, n);
    spoil(p[32] + n, by);
    for (int i = 0; i < 64; i++)
        free(p[i]);
}

#define F "free"
CASES(
    {"by_1_of_16", over, 16, 1, F, MISSED, OVER},
    {"by_1_of_24", over, 24, 1, F, MISSED, OVER},
    {"by_1_of_100", over, 100, 1, F, MISSED, OVER},
    {"by_1_of_1024", over, 1024, 1, F, MISSED, OVER},
    {"by_1_of_30000", over, 30000, 1, F, MISSED, OVER},
    {"by_1_of_40_kib", over, KIB(40), 1, F, MISSED, OVER},
    {"by_1_of_1_mib", over, MIB(1), 1, F, MISSED, OVER},
    {"by_8_of_16", over, 16, 8, F, MISSED, OVER},
    {"by_8_of_24", over, 24, 8, F, MISSED, OVER},
    {"by_8_of_100", over, 100, 8, F, MISSED, OVER},
    {"by_8_of_1024", over, 1024, 8, F, MISSED, OVER},
    {"by_8_of_30000", over, 30000, 8, F, MISSED, OVER},
    {"by_8_of_1_mib", over, MIB(1), 8, F, MISSED, OVER},
    {"by_a_page_of_1_mib", over, MIB(1), KIB(20), "read", MISSED, BEHIND},
    {"string_of_32", over_string, 32, 0, F, MISSED, OVER},
    {"string_of_1000", over_string, 1000, 0, F, MISSED, OVER},
    {"then_realloc_100", over_then_realloc, 100, 5000, "realloc", MISSED,
     OVER},
    {"then_realloc_in_place", over_then_realloc, 100, 101, "realloc", MISSED,
     OVER},
    {"then_realloc_1_mib", over_then_realloc, MIB(1), MIB(2), "realloc",
     MISSED, OVER},
    {"far_of_64", over_far, 64, 4096, F, MISSED, MISSED},
    {"far_of_1_mib", over_far, MIB(1), KIB(9), "read", MISSED, BEHIND},
    {"neighbour_64", neighbour, 64, 64, F, MISSED, OVER},
    {"neighbour_1024", neighbour, 1024, 1024, F, MISSED, OVER},
    {"before_by_1_of_32", under, 32, 1, F, MISSED, UNDER},
    {"before_by_1_of_100", under, 100, 1, F, MISSED, UNDER},
    {"before_by_8_of_100", under, 100, 8, F, MISSED, UNDER},
    {"before_by_8_of_1000", under, 1000, 8, F, MISSED, UNDER},
    {"before_by_16_of_3000", under, 3000, 16, F, MISSED, UNDER},
    {"before_by_1_of_1_mib", under, MIB(1), 1, "read", MISSED, BEHIND},
    {"read_next_64", read_over, 64, 16, "", MISSED, MISSED},
    {"read_far_of_1_mib", read_far, MIB(1), KIB(9), "read", MISSED, BEHIND},
)
