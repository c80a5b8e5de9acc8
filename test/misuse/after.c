/* after.c: use after free, and what was never set. */
#include "misuse.h"

/* The harm: the next owner's bytes are changed. */
static void write_then_reuse(size_t n, size_t by)
{
    char *p = malloc(n), *q;
    free(hide(p));
    memset(hide(p), 'W', n);
    for (int i = 0; i < 100; i++) {
        q = hide(malloc(n));
        if (q == p)
            seen(1);
    }
    for (int i = 0; i < 30000; i++) /* its turn comes */
        free(hide(malloc(n)));
}

static void write_at_the_end(size_t n, size_t by)
{
    char *p = malloc(n);
    free(hide(p));
    ((char *)hide(p))[by] = 'W';
}

static void write_after_realloc(size_t n, size_t by)
{
    char *p = malloc(n), *q = malloc(n);
    hide(realloc(hide(p), 20 * n));
    memset(hide(p), 'W', n);
    free(hide(q));
}

/* The harm: what it held is still there. */
static void read_it(size_t n, size_t by)
{
    char *p = memset(malloc(n), 'S', n);
    free(hide(p));
    seen(((volatile char *)p)[by] == 'S');
}

/* The harm: what somebody put there is taken for one's own. */
static void read_then_reuse(size_t n, size_t by)
{
    char *p = memset(malloc(n), 'S', n);
    free(hide(p));
    for (int i = 0; i < 10; i++)
        memset(hide(malloc(n)), 'E', n);
    seen(((volatile char *)p)[by] == 'E');
}

/* The harm: what a block held is given to the next owner. */
static void never_set(size_t n, size_t by)
{
    static char *p[500];
    int many = n > 10000 ? 20 : 500, found = 0;
    for (int i = 0; i < many; i++)
        p[i] = memset(hide(malloc(n)), 'S', n);
    for (int i = 0; i < many; i++)
        free(p[i]);
    for (int i = 0; i < many; i++)
        found |= ((volatile char *)hide(malloc(n)))[by] == 'S';
    seen(found);
}

static void never_set_grown(size_t n, size_t to)
{
    char *p = memset(hide(malloc(to)), 'S', to);
    free(hide(p));
    p = hide(realloc(memset(hide(malloc(n)), 0, n), to));
    seen(((volatile char *)p)[to - 1] == 'S');
}

#define F "free"
CASES(
    {"write_32", write_then_reuse, 32, 0, F, MISSED, LATE},
    {"write_100", write_then_reuse, 100, 0, F, MISSED, LATE},
    {"write_1000", write_then_reuse, 1000, 0, F, MISSED, LATE},
    {"write_8000", write_then_reuse, 8000, 0, F, MISSED, LATE},
    {"write_30000", write_then_reuse, 30000, 0, F, MISSED, LATE},
    {"write_40_kib", write_then_reuse, KIB(40), 0, "write", MISSED, GONE},
    {"write_1_mib", write_then_reuse, MIB(1), 0, "write", MISSED, GONE},
    {"write_to_the_end_64", write_at_the_end, 64, 63, "exit", MISSED, LATE},
    {"write_to_the_end_1000", write_at_the_end, 1000, 20, "exit", MISSED,
     LATE},
    {"write_to_what_moved_64", write_after_realloc, 64, 0, "exit", MISSED,
     LATE},
    {"write_to_what_moved_1_mib", write_after_realloc, MIB(1), 0, "write",
     MISSED, GONE},
    {"read_32", read_it, 32, 20, "", MISSED, SAFE},
    {"read_1000", read_it, 1000, 500, "", MISSED, SAFE},
    {"read_30000", read_it, 30000, 20000, "", MISSED, SAFE},
    {"read_40_kib", read_it, KIB(40), KIB(20), "read", MISSED, GONE},
    {"read_1_mib", read_it, MIB(1), KIB(600), "read", MISSED, GONE},
    {"read_reused_64", read_then_reuse, 64, 30, "", MISSED, SAFE},
    {"read_reused_8000", read_then_reuse, 8000, 4000, "", MISSED, SAFE},
    {"read_reused_1_mib", read_then_reuse, MIB(1), 3, "read", MISSED, GONE},
    {"never_set_16", never_set, 16, 3, "", MISSED, SAFE},
    {"never_set_100", never_set, 100, 50, "", MISSED, SAFE},
    {"never_set_5000", never_set, 5000, 3000, "", MISSED, SAFE},
    {"never_set_40_kib", never_set, KIB(40), KIB(30), "", MISSED, SAFE},
    {"never_set_grown", never_set_grown, 100, 150, "", MISSED, SAFE},
)
