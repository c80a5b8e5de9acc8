/* release.c: which free pages go back to the system next.
 *
 *            background      forced            top
 *   |uuuuuuuuuu..u...u|..uu......u|rrrrrrrrrrrr|      u used, . free,
 *              <------|    <------|                   r released
 *
 * Highest addresses first: first fit fills the lowest pages, so the highest
 * are the last to be used again.  A cursor says "nothing to do above"; it
 * falls as pages go back, and rises when pages become free: the forced one at
 * once, the background's only when the next cycle begins, since what was just
 * freed is what will be used next.
 *
 * Dense chunks are left alone by the background: their few free pages will be
 * used before this cycle is over, and giving them back would break huge pages
 * (2 MiB) that the kernel has made.  A run is never cut in the middle of a
 * huge area that it covers.
 *
 * A run is taken out before it is discarded: its used bits are set and it is
 * noted in `moving`, so nobody gets these pages while the kernel takes them,
 * and the lock is free meanwhile.  They count as free, not as in use.
 *
 * Invariants (release_verify): the moving runs add up to pages.moving.
 * Locks: pages.lock.
 */
#include "page_private.h"

/* 31 of 32 pages: with fewer than 16 of 512 pages free a chunk is as full as
 * first fit makes it. */
#define DENSE (CHUNK_PAGES - CHUNK_PAGES / 32)
#define HUGE_PAGES (MIB(2) / PAGE_SIZE)
/* Threads that discard at the same time; more of them wait for each other
 * in the kernel anyway. */
#define MOVING 16

static struct {
    uint32_t background, forced; /* cursors: pages above have been seen to */
    uint32_t freed;              /* end of the highest run freed this cycle */
    struct release_run moving[MOVING];
} state;

static void raise_to(uint32_t *mark, uint32_t end)
{
    if (end > *mark)
        *mark = end;
}

void release_note_free(uint32_t end)
{
    raise_to(&state.forced, end);
    raise_to(&state.freed, end);
}

void release_new_cycle(void)
{
    pages.gen++;
    raise_to(&state.background, state.freed);
    raise_to(&state.forced, state.freed);
    state.freed = 0;
}

/* ---- Choosing ---------------------------------------------------------- */

struct release_run release_candidate(const struct chunk *c, uint32_t limit,
                                     uint32_t max, uint32_t whole)
{
    uint64_t ready[CHUNK_WORDS];
    uint32_t n;
    for (uint32_t w = 0; w < CHUNK_WORDS; w++)
        ready[w] = bits_whole(~(c->used[w] | c->released[w]), whole);
    limit = (uint32_t)align_up(limit, whole); /* groups stay together */
    bits_clear(ready, limit, CHUNK_PAGES - limit);
    uint32_t start = bits_last_run(ready, &n), end = start + n;
    max = (uint32_t)align_up(max, whole);
    if (n <= max)
        return (struct release_run){start, n};
    uint32_t cut = end - max, huge = cut & ~(uint32_t)(HUGE_PAGES - 1);
    if (huge >= start && huge + HUGE_PAGES <= end)
        cut = huge;
    return (struct release_run){cut, end - cut};
}

static bool dense(const struct chunk *c)
{
    return (c->gen == pages.gen ? c->peak : c->in_use) >= DENSE;
}

static bool has_ready(const struct chunk *c)
{
    return c->in_use + c->moving + c->nreleased < CHUNK_PAGES;
}

/* With the lock.  The cursor ends at the start of the run, or at 0. */
static struct release_run choose(uint32_t *cursor, uint32_t max, bool force)
{
    uint32_t whole = (uint32_t)(os_page_size() / PAGE_SIZE);
    while (*cursor > 0) {
        uint32_t base = (*cursor - 1) / CHUNK_PAGES * CHUNK_PAGES;
        struct chunk *c = chunk_of(base);
        struct release_run run = {0, 0};
        if (has_ready(c) && !force && dense(c))
            raise_to(&state.freed, *cursor); /* look again next cycle */
        else if (has_ready(c))
            run = release_candidate(c, *cursor - base, max,
                                    whole ? whole : 1);
        *cursor = base + run.page;
        if (run.n)
            return (struct release_run){base + run.page, run.n};
    }
    return (struct release_run){0, 0};
}

/* ---- Taking out and putting back --------------------------------------- */

static void take_out(struct release_run *slot, struct release_run run)
{
    struct chunk *c = chunk_of(run.page);
    *slot = run;
    bits_set(c->used, run.page % CHUNK_PAGES, run.n);
    c->moving = (uint16_t)(c->moving + run.n);
    pages.moving += run.n;
    palloc_resummarise(run.page / CHUNK_PAGES);
}

static void put_back(struct release_run *slot, bool discarded)
{
    struct release_run run = *slot;
    struct chunk *c = chunk_of(run.page);
    bits_clear(c->used, run.page % CHUNK_PAGES, run.n);
    c->moving = (uint16_t)(c->moving - run.n);
    pages.moving -= run.n;
    if (discarded) {
        bits_set(c->released, run.page % CHUNK_PAGES, run.n);
        c->nreleased = (uint16_t)(c->nreleased + run.n);
        store_relaxed(&pages.released, pages.released + run.n);
    } else
        raise_to(&state.freed, run.page + run.n); /* retry next cycle */
    if (run.page < pages.hint)
        pages.hint = run.page;
    palloc_resummarise(run.page / CHUNK_PAGES);
    *slot = (struct release_run){0, 0};
}

/* The entry of that run; of n == 0: a free entry.  NULL if there is none. */
static struct release_run *slot_of(uint32_t page, uint32_t n)
{
    for (uint32_t i = 0; i < MOVING; i++) {
        struct release_run *s = &state.moving[i];
        if (s->n == n && (n == 0 || s->page == page))
            return s;
    }
    return NULL;
}

struct release_run release_pick(uint32_t max, bool force)
{
    struct release_run run = {0, 0}, *slot;
    lock_take(&pages.lock);
    while (!(slot = slot_of(0, 0))) {
        lock_drop(&pages.lock);
        os_yield();
        lock_take(&pages.lock);
    }
    run = choose(force ? &state.forced : &state.background, max, force);
    if (run.n)
        take_out(slot, run);
    lock_drop(&pages.lock);
    return run;
}

void release_done(struct release_run run, bool discarded)
{
    lock_take(&pages.lock);
    struct release_run *slot = slot_of(run.page, run.n);
    insist(slot);
    put_back(slot, discarded);
    lock_drop(&pages.lock);
}

/* Whether the kernel had taken these pages when the process was copied is
 * not known; saying "not released" is right in both cases. */
void release_settle(void)
{
    for (uint32_t i = 0; i < MOVING; i++)
        if (state.moving[i].n)
            put_back(&state.moving[i], false);
}

void release_verify(void)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < MOVING; i++)
        n += state.moving[i].n;
    insist(n == pages.moving);
    insist(state.background <= pages.top && state.forced <= pages.top);
}
