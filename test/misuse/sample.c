/* sample.c: blocks with pages of their own: each misuse faults at once.
 *
 * They have 32 KiB, as much as such pages hold, so that there is nothing left
 * before the block or behind it.
 */
#include "misuse.h"

#include <setjmp.h>
#include <signal.h>

static void over(size_t n, size_t by)
{
    char *p = hide(malloc(n));
    p[n + by] = 'A';
}

static void under(size_t n, size_t by)
{
    char *p = hide(malloc(n));
    p[-(long)by] = 'A';
}

static void write_late(size_t n, size_t by)
{
    char *p = malloc(n);
    free(hide(p));
    ((char *)hide(p))[by] = 'A';
}

static void read_late(size_t n, size_t by)
{
    char *p = malloc(n);
    free(hide(p));
    (void)((volatile char *)p)[by];
}

static void twice(size_t n, size_t by)
{
    void *p = malloc(n);
    free(hide(p));
    free(hide(p));
}

static void inside(size_t n, size_t by)
{
    char *p = malloc(n);
    free(hide(p + by));
}

/* Not at the edge of a page: found by the bytes around it. */
static void canary(size_t n, size_t by)
{
    char *p = hide(malloc(n));
    spoil(p + n, 1);
    free(p);
}

/* ---- The program has a handler ------------------------------------------- */

static sigjmp_buf back;
static struct sigaction before;

static void jumps(int sig) { siglongjmp(back, 1); }

static void own_handler(size_t n, size_t by)
{
    signal(SIGSEGV, jumps);
    if (!sigsetjmp(back, 1))
        over(n, by);
    seen(0);
}

static void calls_ours(int sig, siginfo_t *i, void *uc)
{
    before.sa_sigaction(sig, i, uc);
}

static void chained(size_t n, size_t by)
{
    struct sigaction mine = {.sa_sigaction = calls_ours};
    mine.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &mine, &before);
    over(n, by);
}

#define N KIB(32)
#define F "free"
CASES(
    {"write_behind", over, N, 0, "write", MISSED, BEHIND},
    {"write_before", under, N, 1, "write", MISSED, BEFORE},
    {"write_late", write_late, N, 100, "write", MISSED, BESIDE},
    {"read_late", read_late, N, 100, "read", MISSED, BESIDE},
    {"read_late_100", read_late, 100, 10, "read", MISSED, BESIDE},
    {"twice", twice, N, 0, F, FREED, FREED},
    {"twice_100", twice, 100, 0, F, FREED, FREED},
    {"inside", inside, N, 16, F, INSIDE, INSIDE},
    {"canary_by_1", canary, 99, 1, F, MISSED, OVER},
    {"own_handler", own_handler, N, 0, "", MISSED, SAFE},
    {"chained_handler", chained, N, 0, "write", MISSED, BEHIND},
)
