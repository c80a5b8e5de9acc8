/* runs.c: large blocks of the hardened mode.
 *
 *   | what was asked for      | canary |  no access  |
 *   p                       p + n     end            one page of ours
 *
 *   freed:
 *   | no access ................................... |   until WAITING_MOST
 *                                                       others were freed
 *
 * So a write far behind the block faults, one just behind is found when the
 * block is freed, and each use after the free faults while it waits; secure.c
 * says whose block it was.  Making pages inaccessible splits mappings, of which
 * a process may have some 65,000: beyond GUARDS_MOST there is only the canary.
 *
 * The span's record says `size` bytes as asked for, which is what messages
 * tell; its pages are npages as always.
 *
 * Locks: waiting.lock (RANK_SPECIAL), not held while pages change.
 */
#include "secure.h"

#define WAITING_MOST 32
#define WAITING_BYTES MIB(64) /* of addresses; they hold no memory */
#define GUARDS_MOST 8192

enum { USED = 1, WAITING };

struct large_run {
    _Atomic uint32_t state;
    uint32_t npages; /* that the program sees: without the guard */
    size_t n;        /* asked for; all of the pages: it has no canary */
};
static struct meta_pool pool = META_POOL(sizeof(struct large_run), META_SPAN);

static struct {
    struct lock lock;
    uint32_t n;
    size_t bytes;
    struct mspan *first, *last;
} waiting = {.lock = LOCK_INIT(RANK_SPECIAL)};
static _Atomic uint32_t guards;

static size_t pages_size(const struct large_run *r)
{
    return r->npages * PAGE_SIZE;
}

static struct large_run *run_of(const struct mspan *s)
{
    return record_get(mspan_page(s));
}

/* ---- The page behind ----------------------------------------------------- */

static bool guarded(const struct mspan *s, const struct large_run *r)
{
    return s->npages > r->npages;
}

static void *guard_page(const struct mspan *s, const struct large_run *r)
{
    return (void *)(mspan_start(s) + pages_size(r));
}

/* A large block that has one page more than it needs. */
static void guard_up(struct mspan *s, struct large_run *r)
{
    r->npages = s->npages - 1;
    if (add_relaxed(&guards, 1) < GUARDS_MOST &&
        !os_decommit(guard_page(s, r), PAGE_SIZE))
        return;
    sub_relaxed(&guards, 1);
    r->npages = s->npages;
}

/* ---- Giving out ---------------------------------------------------------- */

static bool record_run(struct mspan *s, size_t n)
{
    struct large_run *r = meta_pool_get(&pool);
    if (!r)
        return false;
    *r = (struct large_run){.state = USED, .npages = s->npages, .n = n};
    if (record_set(mspan_page(s), r))
        return true;
    meta_pool_put(&pool, r);
    return false;
}

void *run_new(size_t n, size_t align, bool *zero)
{
    struct mblock b;
    void *p = mlarge_new(n + CANARY + PAGE_SIZE, align, zero);
    if (!p)
        return NULL;
    mblock_find((uintptr_t)p, &b);
    if (!record_run(b.span, n)) {
        mlarge_free(b.span);
        return NULL;
    }
    struct large_run *r = run_of(b.span);
    guard_up(b.span, r);
    b.span->size = n;
    canary_write(p, n, pages_size(r));
    return p;
}

bool run_adopt(struct mspan *s) { return record_run(s, s->size); }

/* ---- Taking back --------------------------------------------------------- */

static const struct culprit large = {0};

/* To the page heap; false if there is no memory for that. */
static bool give_back(struct mspan *s)
{
    struct large_run *r = run_of(s);
    if (os_commit((void *)mspan_start(s), s->npages * PAGE_SIZE))
        return false;
    add_relaxed(&mheap.large_pages, s->npages);
    add_relaxed(&mheap.large_count, 1);
    if (guarded(s, r))
        sub_relaxed(&guards, 1);
    record_set(mspan_page(s), NULL);
    meta_pool_put(&pool, r);
    mlarge_free(s);
    return true;
}

/* Of a memory limit, which counts them as pages in use, only a part. */
static size_t waiting_most(void)
{
    return knobs.memory_limit
               ? min_size((size_t)knobs.memory_limit / 16, WAITING_BYTES)
               : WAITING_BYTES;
}

/* At the end of the queue, which is linked through the spans' records. */
static void wait_for_turn(struct mspan *s)
{
    lock_take(&waiting.lock);
    s->next = 0;
    if (waiting.last)
        waiting.last->next = mspan_page(s) + 1;
    else
        waiting.first = s;
    waiting.last = s;
    waiting.n++;
    waiting.bytes += s->npages * PAGE_SIZE;
    lock_drop(&waiting.lock);
}

/* If there are too many, or `all` are asked for. */
static struct mspan *oldest(bool all)
{
    struct mspan *s = NULL;
    lock_take(&waiting.lock);
    if (waiting.n && (all || waiting.n > WAITING_MOST ||
                      waiting.bytes > waiting_most())) {
        s = waiting.first;
        waiting.first = s->next ? mspan_at(s->next - 1) : NULL;
        if (!waiting.first)
            waiting.last = NULL;
        waiting.n--;
        waiting.bytes -= s->npages * PAGE_SIZE;
    }
    lock_drop(&waiting.lock);
    return s;
}

/* If the pages can't be made accessible again, it waits on. */
static bool release_oldest(bool all)
{
    struct mspan *s = oldest(all);
    if (!s || give_back(s))
        return s != NULL;
    wait_for_turn(s);
    return false;
}

/* It holds no memory from now on, so it does not count as used.  If the pages
 * stay accessible for want of mappings, the block is not in use all the same.
 */
static void retire(struct mspan *s)
{
    os_decommit((void *)mspan_start(s), s->npages * PAGE_SIZE);
    sub_relaxed(&mheap.large_pages, s->npages);
    sub_relaxed(&mheap.large_count, 1);
    wait_for_turn(s);
    while (release_oldest(false))
        ;
}

void run_flush(void)
{
    while (release_oldest(true))
        ;
}

static bool refused(const char *who, const struct mblock *b, uint32_t state,
                    size_t n)
{
    struct large_run *r = run_of(b->span);
    if (state != USED)
        blame_freed(&large, who, (void *)b->base);
    else if (n != ANY_SIZE && n != r->n && r->n != pages_size(r))
        blame_size(&large, who, (void *)b->base, r->n, n);
    else
        return false;
    return true;
}

static void check_canary(const char *who, const struct mblock *b)
{
    struct large_run *r = run_of(b->span);
    size_t at = canary_broken((void *)b->base, r->n, pages_size(r));
    if (at < pages_size(r))
        blame_overflow(&large, who, (void *)b->base, r->n, at);
}

void run_free(const char *who, const struct mblock *b, size_t n)
{
    struct large_run *r = run_of(b->span);
    uint32_t was = r ? load_relaxed(&r->state) : USED;
    if (!r || refused(who, b, was, n))
        return;
    if (!cas_seq(&r->state, &was, WAITING)) {
        refused(who, b, WAITING, n);
        return;
    }
    check_canary(who, b);
    retire(b->span);
    give_begin(0);
}

bool run_size(const char *who, const struct mblock *b, size_t *n)
{
    struct large_run *r = run_of(b->span);
    if (!r || refused(who, b, load_relaxed(&r->state), ANY_SIZE))
        return false;
    *n = r->n;
    return true;
}

/* Within its pages, as long as it needs half of them. */
bool run_resize(const char *who, const struct mblock *b, size_t n)
{
    struct large_run *r = run_of(b->span);
    if (n > PTRDIFF_MAX - CANARY || n + CANARY > pages_size(r) ||
        n <= pages_size(r) / 2 || r->n == pages_size(r))
        return false;
    check_canary(who, b);
    canary_write((void *)b->base, n, pages_size(r));
    r->n = n;
    b->span->size = n;
    return true;
}

/* ---- Faults -------------------------------------------------------------- */

/* False: neither behind a block nor in one that waits. */
bool run_fault(const char *what, uintptr_t a, const struct mblock *b)
{
    struct large_run *r = run_of(b->span);
    if (!r)
        return false;
    if (load_relaxed(&r->state) == WAITING)
        blame_fault(&large, "%s: %p lies in the block %p of %zu bytes, which "
                    "was freed; use a block before it is freed.", what,
                    (void *)a, (void *)b->base, r->n);
    else if (a - b->base >= pages_size(r))
        blame_fault(&large, "%s: %p lies %zu bytes behind the end of the block "
                    "%p of %zu bytes.", what, (void *)a, a - b->base - r->n,
                    (void *)b->base, r->n);
    else
        return false;
    return true;
}

void run_lock(void) { lock_take(&waiting.lock); }
void run_unlock(void) { lock_drop(&waiting.lock); }
void run_reset_lock(void) { lock_reset(&waiting.lock); }
