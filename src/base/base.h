/* base.h: messages, locks, knobs, histograms: what every layer uses.
 *
 * Rooms: say.c (text without allocation), lock.c (locks with a rank), knob.c
 * (the table of settings, its rows in knob.def), hist.c (histograms of times).
 * The random number generator is four lines, at the end of this file.
 */
#ifndef SC_BASE_H
#define SC_BASE_H

#include "../os/os.h"

/* ---- say.c: one line, without allocating ------------------------------ */

/* vsnprintf's %d %u %ld %lu %zu %llu %x %lx %p %s %c %% with widths, left
 * alignment, zero padding, and %.Nf; async-signal-safe.  Length as snprintf. */
int say_format(char *to, size_t n, const char *fmt, ...) PRINTF(3, 4);
int say_vformat(char *to, size_t n, const char *fmt, __builtin_va_list);
/* Writes "sancai: " fmt "\n" on standard error, in one write. */
void say(const char *fmt, ...) PRINTF(1, 2);
/* The same without the prefix (gctrace lines). */
void say_raw(const char *fmt, ...) PRINTF(1, 2);
/* Corruption of our own data: says it and aborts. */
_Noreturn void fatal(const char *fmt, ...) PRINTF(1, 2) COLD;

/* Always on, cheap; a failure is our defect or memory that was overwritten. */
#define insist(x)                                                  \
    (likely(x) ? (void)0                                           \
               : fatal("internal: %s at %s:%d; the heap's own data " \
                       "is damaged", #x, __FILE__, __LINE__))
/* Only in debug builds. */
#ifdef SC_DEBUG
#define check(x) insist(x)
#else
#define check(x) ((void)sizeof(x))
#endif

/* ---- lock.c: locks with a rank ---------------------------------------- */

/* A thread takes locks in rising rank only; debug builds check it. */
enum lock_rank {
    RANK_CYCLE,   /* one cycle, fork or setting change at a time */
    RANK_THREADS, /* the list of threads */
    RANK_ROOTS,   /* registered ranges */
    RANK_SPECIAL, /* specials of spans */
    RANK_LIFE,    /* cleanup queue */
    RANK_LAYOUT,  /* shape table */
    RANK_CENTRAL, /* span lists of one class */
    RANK_LARGE,   /* list of large spans */
    RANK_POLICY,  /* pacer and limiter */
    RANK_PAGES,   /* page allocator */
    RANK_WORK,    /* mark work lists */
    RANK_META,    /* memory for metadata */
    RANK_LEAF
};
struct lock {
    _Atomic uint32_t word; /* 0 free, 1 taken, 2 taken with waiters */
    uint8_t rank;
};
#define LOCK_INIT(r) {0, (r)}
void lock_take(struct lock *);
bool lock_try(struct lock *);
void lock_drop(struct lock *);
bool lock_held(const struct lock *); /* by anyone */
void lock_reset(struct lock *);      /* child of a fork */

/* ---- knob.c: the settings, one table ----------------------------------- */

/* One row each in knob.def: K(name, type, default, "help").  Names under
 * SANCAI_DEBUG; the SANCAI_ variables are rows of their own. */
struct knobs {
    int64_t gc_percent;   /* SANCAI_GC: INT64_MIN if not set; -1 off */
    int64_t memory_limit; /* SANCAI_MEMLIMIT: 0 if not set */
    int64_t max_procs;    /* SANCAI_MAXPROCS: 0 if not set */
#define K(name, def, help) int64_t name;
#include "knob.def"
#undef K
};
extern struct knobs knobs;
/* Reads the environment once; warns of unknown names, with the nearest. */
void knob_init(void);
struct knob_row {
    const char *name, *env, *help;
    int64_t def, value;
};
/* Row i of the table, with the value in force; false past the end. */
bool knob_row(int i, struct knob_row *);
/* "512MiB", "1g", "4096", "off": bytes, or -1 if it can't be read. */
int64_t knob_parse_bytes(const char *);
/* Puts one NAME=VALUE,... list in force, as SANCAI_DEBUG does (tests). */
void knob_debug_list(const char *);

/* ---- hist.c: times in log-linear buckets, 1/16 wide -------------------- */

#define HIST_BUCKETS 976
struct hist {
    _Atomic uint64_t count, sum, max;
    _Atomic uint32_t bucket[HIST_BUCKETS];
};
void hist_add(struct hist *, uint64_t ns); /* any thread, any context */
uint64_t hist_quantile(const struct hist *, uint32_t permille10);
                                            /* 9990 is p99.9; upper edge */

/* ---- rng: xorshift, for victims and tests ------------------------------ */

INLINE uint64_t rng_next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

#endif
