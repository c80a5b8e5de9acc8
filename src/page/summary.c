/* summary.c: where is the first run of n free pages, in a few cache lines.
 *
 *   level 0                [ 16 GiB ][ 16 GiB ] ...       (start, max, end)
 *   level 1        [2 GiB] x 8
 *   level 2     [256 MiB] x 8
 *   level 3   [32 MiB] x 8
 *   level 4  [4 MiB] x 8      one entry per chunk, from its bitmap
 *
 * Each entry says of its area how many free pages it starts with, how long
 * its longest run is, and how many it ends with.  Eight children are one cache
 * line, and their parent follows from them alone.  A search walks a level
 * from left to right, carrying the run that ends at the border; it stops where
 * the carried run is long enough, or goes down where a run lies inside.
 * (After the Go runtime's mpagealloc.go.)
 *
 * All levels lie in one table, small ones first, so that a small heap needs
 * two pieces of it.  Each level starts at a multiple of eight entries: a line
 * of siblings is never cut by the end of what is ready.
 *
 * Invariants (summary_verify): a parent is the merge of its eight children;
 * entries of areas that were never grown are 0, nothing free.
 * Locks: pages.lock, by the callers.
 */
#include "page_private.h"

#define LEVELS 5
#define LEAF (LEVELS - 1)
#define FAN_SHIFT 3 /* eight 8-byte entries: a line of 64 bytes */
#define FAN (1u << FAN_SHIFT)
#define CHUNK_SHIFT 9 /* CHUNK_PAGES */

static struct meta_table table;
static uint64_t *level[LEVELS];

/* An entry of level l covers 2^shift pages. */
static uint32_t shift_of(int l)
{
    return CHUNK_SHIFT + FAN_SHIFT * (uint32_t)(LEAF - l);
}

/* The entry of level l that covers the chunk. */
static uint32_t entry_of(int l, uint32_t chunk)
{
    return chunk >> FAN_SHIFT * (uint32_t)(LEAF - l);
}

int summary_init(uint32_t chunks)
{
    size_t at[LEVELS], n = 0;
    for (int l = 0; l < LEVELS; l++) {
        at[l] = n;
        n += align_up(entry_of(l, chunks - 1) + 1, FAN);
    }
    int e = meta_table_init(&table, n * sizeof(uint64_t), META_SPAN,
                            "sancai: summaries");
    if (e)
        return e;
    for (int l = 0; l < LEVELS; l++)
        level[l] = (uint64_t *)table.base + at[l];
    return 0;
}

/* The first growth makes most of the upper levels ready; later ones find them
 * so, and add a piece of leaves each 32 GiB. */
int summary_ready(uint32_t lo, uint32_t hi)
{
    int e = 0;
    for (int l = 0; l < LEVELS && !e; l++) {
        char *a = (char *)&level[l][entry_of(l, lo)];
        char *z = (char *)&level[l][entry_of(l, hi - 1) + 1];
        e = meta_table_ready(&table, (size_t)(a - table.base),
                             (size_t)(z - table.base));
    }
    return e;
}

uint64_t summary_leaf(uint32_t chunk)
{
    return level[LEAF][chunk];
}

void summary_set_leaf(uint32_t chunk, uint64_t sum)
{
    level[LEAF][chunk] = sum;
}

/* The parent of eight siblings, each of `full` pages. */
static uint64_t merge(const uint64_t *child, uint32_t full)
{
    uint32_t start = 0, max = 0, run = 0;
    bool open = true;
    for (uint32_t i = 0; i < FAN; i++) {
        uint32_t s = sum_start(child[i]), m = sum_max(child[i]);
        if (open)
            start += s;
        open = open && s == full;
        if (run + s > m)
            m = run + s;
        if (m > max)
            max = m;
        run = s == full ? run + full : sum_end(child[i]);
    }
    return sum_pack(start, max > run ? max : run, run);
}

/* Level by level, so that a parent of several changed children is merged
 * once.  Small changes in a big heap seldom reach the top. */
void summary_update(uint32_t lo, uint32_t hi)
{
    for (int l = LEAF - 1; l >= 0; l--) {
        bool changed = false;
        lo >>= FAN_SHIFT;
        hi >>= FAN_SHIFT;
        for (uint32_t i = lo; i <= hi; i++) {
            uint64_t s = merge(&level[l + 1][i * FAN], 1u << shift_of(l + 1));
            changed |= s != level[l][i];
            level[l][i] = s;
        }
        if (!changed) /* then nothing above changes either */
            return;
    }
}

/* One level of a search.  Walks entries [i, end) with no run carried in. */
struct walk {
    uint32_t n;     /* pages wanted */
    uint32_t i;     /* out: entry to go down into, or end */
    uint32_t first; /* out: first entry with a free page, or end */
    uint32_t start; /* out: start of a run over a border, or NO_PAGE */
};

static void walk_level(struct walk *w, const uint64_t *sum, uint32_t end,
                       uint32_t shift)
{
    uint32_t run = 0, at = 0, full = 1u << shift;
    w->start = NO_PAGE;
    w->first = end;
    for (; w->i < end; w->i++) {
        uint64_t s = sum[w->i];
        if (s && w->first == end)
            w->first = w->i;
        if (!run)
            at = w->i << shift;
        if (run + sum_start(s) >= w->n) {
            w->start = at;
            return;
        }
        if (sum_max(s) >= w->n)
            return;
        if (sum_start(s) == full)
            run += full;
        else {
            run = sum_end(s);
            at = ((w->i + 1) << shift) - run;
        }
    }
}

/* First fit on each level: left of where the walk stopped, no run of n begins
 * and ends; and what it goes down into is known to hold one.  On the way the
 * first entry that is not 0 bounds the first free page, as long as the path
 * goes through that very entry. */
bool summary_find(uint32_t n, uint32_t top, uint32_t *first, uint32_t *page,
                  uint32_t *chunk)
{
    uint32_t shift = shift_of(0), end = ((top - 1) >> shift) + 1;
    struct walk w = {.n = n, .i = *first >> shift};
    bool lowest = true; /* the path so far leads to the first free page */
    for (int l = 0;; l++) {
        shift = shift_of(l);
        walk_level(&w, level[l], end, shift);
        if (lowest && w.first < end && w.first << shift > *first)
            *first = w.first << shift;
        lowest = lowest && w.first == w.i;
        *page = w.start;
        *chunk = UINT32_MAX;
        if (w.start != NO_PAGE)
            return true;
        if (w.i == end) {
            insist(l == 0); /* a parent promised a run that is not there */
            return false;
        }
        if (l == LEAF)
            break;
        w.i *= FAN;
        end = w.i + FAN;
    }
    *chunk = w.i;
    return true;
}

void summary_verify(uint32_t chunks)
{
    for (int l = LEAF - 1; l >= 0 && chunks; l--)
        for (uint32_t i = 0; i <= entry_of(l, chunks - 1); i++)
            insist(level[l][i] ==
                   merge(&level[l + 1][i * FAN], 1u << shift_of(l + 1)));
}
