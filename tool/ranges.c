/* ranges.c: the library's list of what is its own, read from outside.
 *
 *   directory --> begun, ended, first --> block --> block --> ...
 *
 * The process goes on while we read.  So: `ended`, the blocks, `begun`, and
 * once more unless the two agree.  If they never do, each range is still what
 * it was a moment ago or nonsense, and nonsense is left out.
 *
 * Afterwards they are sorted; ranges do not overlap.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 20
/* More mappings a process can't have, by far: a list that goes on is torn. */
#define BLOCKS_MAX 4096
#define ADDRESS_MAX ((uint64_t)1 << 56)

static bool range_sane(const struct sc_range *r)
{
    return r->lo > 1 && r->lo < r->hi && r->hi < ADDRESS_MAX
        && r->kind < SC_METADATA_KINDS;
}

static void block_take(struct ranges *to, const struct sc_range_block *b)
{
    to->at = grow(to->at, (to->n + SC_RANGES_BLOCK) * sizeof *to->at);
    for (int i = 0; i < SC_RANGES_BLOCK; i++)
        if (range_sane(&b->range[i]))
            to->at[to->n++] = b->range[i];
}

/* One reading; false if the list changed meanwhile or can't be read. */
static bool read_once(struct ranges *to, int pid, uint64_t at)
{
    struct sc_ranges before, after;
    struct sc_range_block b;
    uint64_t next;
    to->n = 0;
    if (remote_read(pid, at, &before, sizeof before) != sizeof before)
        return false;
    next = before.first;
    for (int i = 0; next && i < BLOCKS_MAX; i++, next = b.next) {
        if (remote_read(pid, next, &b, sizeof b) != sizeof b)
            return false;
        block_take(to, &b);
    }
    if (remote_read(pid, at, &after, sizeof after) != sizeof after)
        return false;
    to->lost = after.lost;
    return next == 0 && after.begun == before.ended;
}

static int by_address(const void *a, const void *b)
{
    const struct sc_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void ranges_read(struct ranges *to, int pid, uint64_t at)
{
    *to = (struct ranges){.at = NULL};
    for (int i = 0; at && i < TRIES && !to->whole; i++)
        to->whole = read_once(to, pid, at);
    if (to->n > 1)
        qsort(to->at, to->n, sizeof *to->at, by_address);
}

const struct sc_range *range_at(const struct ranges *r, uint64_t a)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->at[mid].hi <= a)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->n && r->at[lo].lo <= a ? &r->at[lo] : NULL;
}

bool range_thread(const struct ranges *r, int tid)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->at[i].kind == SC_METADATA_STACK
            && r->at[i].thread == (uint32_t)tid)
            return true;
    return false;
}
