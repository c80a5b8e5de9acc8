/* slot.c: small blocks of the hardened mode.
 *
 *   block    | what was asked for       | canary      |      size class
 *            p                          p + n         p + size
 *   record   | FREE | USED + 16 | HELD | ...     of each span, 16 bits a block:
 *
 *     FREE    in its span; what it holds means nothing
 *     BUSY    on its way between two of these; its bytes are being written
 *     FRESH   on the shelf, from its span: its last bytes are POISON
 *     HELD    waits in quarantine, all POISON
 *     READY   on the shelf, all POISON
 *     USED+k  in use; k bytes of canary and beyond.  k = 0: given out before
 *             the mode began, all of it is the program's
 *
 * Records lie in memory of their own, found by the page; a span that is free
 * has only FREE ones, so a record may stay for the next span of that page.
 *
 * A free takes the block out of use by one atomic exchange, so of two at once
 * one is the second.  The block before is looked at too, as only its canary
 * tells of writes before this one; its state says
 * what must be there, and BUSY that nothing must.  Nobody gets it twice within
 * the time of that look, for quarantine's sake.
 *
 * Locks: none here; records are made under the lock of the class's shelf.
 */
#include "secure.h"

enum { FREE, BUSY, FRESH, HELD, READY, USED };
#define TAIL 16 /* bytes of a fresh block's end */

struct record {
    uint32_t nslots;
    _Atomic uint16_t state[];
};

static struct meta_pool pools[] = {
    META_POOL(32, META_SPAN), META_POOL(64, META_SPAN),
    META_POOL(128, META_SPAN), META_POOL(256, META_SPAN),
    META_POOL(512, META_SPAN), META_POOL(1040, META_SPAN),
};

/* ---- Records ------------------------------------------------------------ */

static struct meta_table table; /* of pointers, by page */

static bool table_up(void)
{
    return table.base ||
           !meta_table_init(&table, arenas.pages * sizeof(void *), META_SPAN,
                            "sancai: records");
}

static void **record_at(uint32_t page)
{
    return (void **)table.base + page;
}

/* Of a page whose block is in use, or was. */
void *record_get(uint32_t page) { return load_acquire(record_at(page)); }

bool record_set(uint32_t page, void *record)
{
    size_t at = page * sizeof(void *);
    if (!table_up() || meta_table_ready(&table, at, at + sizeof(void *)))
        return false;
    store_release(record_at(page), record);
    return true;
}

static struct meta_pool *pool_of(uint32_t nslots)
{
    struct meta_pool *p = pools;
    while (p->size < sizeof(struct record) + nslots * sizeof(uint16_t))
        p++;
    return p;
}

static struct record *record_new(struct mspan *s)
{
    struct meta_pool *pool = pool_of(s->nslots);
    struct record *r = meta_pool_get(pool);
    if (!r)
        return NULL;
    __builtin_memset(r, 0, pool->size);
    r->nslots = s->nslots;
    if (record_set(mspan_page(s), r))
        return r;
    meta_pool_put(pool, r);
    return NULL;
}

bool slot_ready(struct mspan *s)
{
    uint32_t page = mspan_page(s);
    size_t at = page * sizeof(void *);
    if (!table_up() || meta_table_ready(&table, at, at + sizeof(void *)))
        return false;
    struct record *r = record_get(page);
    if (likely(r && r->nslots == s->nslots))
        return true;
    if (r)
        meta_pool_put(pool_of(r->nslots), r);
    return record_new(s);
}

static _Atomic uint16_t *state_of(const struct mblock *b)
{
    struct record *r = record_get(mspan_page(b->span));
    return &r->state[b->slot];
}

void slot_forget(void *p)
{
    struct mblock b;
    mblock_find((uintptr_t)p, &b);
    store_relaxed(state_of(&b), FREE);
}

/* ---- Before the mode began ----------------------------------------------- */

static bool adopt_span(struct mspan *s)
{
    const uint64_t *w = mspan_free_bits(s);
    if (!slot_ready(s))
        return false;
    struct record *r = record_get(mspan_page(s));
    for (unsigned i = 0; i < s->nslots; i++)
        if (!(w[i >> 6] & slot_bit(i)))
            store_relaxed(&r->state[i], USED);
    return true;
}

bool slot_adopt(void)
{
    uint32_t n = (uint32_t)(mheap.limit / PAGE_SIZE);
    bool ok = table_up();
    for (uint32_t page = 0; ok && page < n; page++) {
        struct mspan *s = mspan_at(page);
        if (mheap.desc[page].magic && !mheap.desc[page].back)
            ok = adopt_span(s);
        else if (s->state == MSPAN_LARGE)
            ok = run_adopt(s);
    }
    return ok;
}

/* ---- Giving out ---------------------------------------------------------- */

/* The class whose blocks have that alignment and n bytes with a canary. */
static unsigned class_for(size_t n, size_t align)
{
    unsigned c = size_class(n + CANARY);
    while (c < SIZE_CLASSES && size_of_class(c) & (align - 1))
        c++;
    return c;
}

static struct culprit culprit_of(const struct mblock *b)
{
    return (struct culprit){.class_size = b->size};
}

/* While it was free somebody may have written to it. */
static void check_poison(const char *who, const struct mblock *b, size_t from)
{
    size_t n = b->size - from;
    size_t at = poison_broken((char *)b->base + from, n);
    struct culprit c = culprit_of(b);
    if (unlikely(at < n))
        blame_late(&c, who, (void *)b->base, from + at);
}

/* Its span is ready.  What the pages held does not matter. */
void slot_fresh(void *p)
{
    struct mblock b;
    mblock_find((uintptr_t)p, &b);
    poison((char *)p + b.size - TAIL, TAIL);
    store_relaxed(state_of(&b), FRESH);
}

void *slot_new(size_t n, size_t align)
{
    struct mblock b;
    unsigned class = n + CANARY > SMALL_MAX ? SIZE_CLASSES
                                            : class_for(n, align);
    void *p = class < SIZE_CLASSES ? shelf_take(class) : NULL;
    if (!p)
        return NULL;
    mblock_find((uintptr_t)p, &b);
    _Atomic uint16_t *state = state_of(&b);
    check_poison("malloc", &b, load_relaxed(state) == READY ? 0
                                                            : b.size - TAIL);
    store_seq(state, BUSY);
    canary_write(p, n, b.size);
    store_release(state, (uint16_t)(USED + b.size - n));
    return p;
}

/* ---- Taking back --------------------------------------------------------- */

static size_t asked(const struct mblock *b, uint16_t state)
{
    return b->size - (state - USED);
}

/* Whoever writes past the end begins there; what is written at the far end only
 * was meant to lie before the next block. */
static COLD void blame_canary(const char *who, const struct mblock *b,
                              size_t n, size_t at)
{
    struct culprit c = culprit_of(b);
    char *p = (char *)b->base;
    if (at > n && canary_broken(p, b->size - 1, b->size) < b->size)
        blame_underflow(&c, who, p + b->size);
    else
        blame_overflow(&c, who, p, n, at);
}

static void check_canary(const char *who, const struct mblock *b, size_t n)
{
    size_t at = canary_broken((void *)b->base, n, b->size);
    if (unlikely(at < b->size))
        blame_canary(who, b, n, at);
}

/* Whether the end of the block is as its state has it. */
static bool end_whole(const struct mblock *b, uint16_t state)
{
    if (state > USED)
        return canary_broken((void *)b->base, asked(b, state), b->size) ==
               b->size;
    return state == FREE || state == BUSY || state == USED ||
           poison_broken((char *)b->base + b->size - TAIL, TAIL) == TAIL;
}

/* The end of this one was written: from its own side, where what is before the
 * end was written too, or from behind, which is what is said otherwise. */
static void blame_end(const char *who, const struct mblock *b, uint16_t state)
{
    struct culprit c = culprit_of(b);
    void *p = (void *)b->base;
    size_t at = b->size;
    if (state == HELD || state == READY)
        at = poison_broken(p, b->size);
    if (at < b->size - TAIL)
        blame_late(&c, who, p, at);
    else if (state > USED)
        check_canary(who, b, asked(b, state));
    else
        blame_underflow(&c, who, (char *)p + b->size);
}

/* The block before belongs to somebody else, who may free or get it meanwhile:
 * only if its state is the same after the look, the look counts. */
static void check_before(const char *who, const struct mblock *b)
{
    if (!b->slot)
        return;
    struct mblock prev = {b->span, b->base - b->size, b->size, b->slot - 1};
    _Atomic uint16_t *state = state_of(&prev);
    uint16_t was = FREE;
    for (int looks = 0; looks < 2; looks++) {
        was = load_acquire(state);
        if (end_whole(&prev, was))
            return;
        fence_seq();
        if (load_seq(state) != was)
            return;
    }
    blame_end(who, &prev, was);
}

static void hold(const char *who, const struct mblock *b)
{
    struct mblock out;
    poison((void *)b->base, b->size);
    store_release(state_of(b), HELD);
    void *p = shelf_hold(b->span->class, (void *)b->base);
    if (!p)
        return;
    mblock_find((uintptr_t)p, &out);
    check_poison(who, &out, 0);
    if (load_relaxed(state_of(&out)) == HELD)
        store_relaxed(state_of(&out), READY);
    poison(p, 16); /* if the program goes on after it was told */
    shelf_put(out.span->class, p);
}

/* What is said of the block, if it is not to be freed. */
static bool refused(const char *who, const struct mblock *b, uint16_t state,
                    size_t n)
{
    struct culprit c = culprit_of(b);
    if (unlikely(state < USED))
        blame_freed(&c, who, (void *)b->base);
    else if (unlikely(n != ANY_SIZE && state > USED && n != asked(b, state)))
        blame_size(&c, who, (void *)b->base, asked(b, state), n);
    else
        return false;
    return true;
}

void slot_free(const char *who, const struct mblock *b, size_t n)
{
    _Atomic uint16_t *state = state_of(b);
    uint16_t was = load_relaxed(state);
    if (refused(who, b, was, n))
        return;
    if (!cas_seq(state, &was, BUSY)) {
        refused(who, b, BUSY, n);
        return;
    }
    check_canary(who, b, asked(b, was));
    check_before(who, b);
    hold(who, b);
    give_begin(0);
}

bool slot_size(const char *who, const struct mblock *b, size_t *n)
{
    uint16_t state = load_relaxed(state_of(b));
    if (refused(who, b, state, ANY_SIZE))
        return false;
    *n = asked(b, state);
    return true;
}

/* Where it is, if at least half of the block stays in use. */
bool slot_resize(const char *who, const struct mblock *b, size_t n)
{
    _Atomic uint16_t *state = state_of(b);
    uint16_t was = load_relaxed(state);
    if (was <= USED || n + CANARY > b->size || n + CANARY <= b->size / 2)
        return false;
    check_canary(who, b, asked(b, was));
    canary_write((void *)b->base, n, b->size);
    store_release(state, (uint16_t)(USED + b->size - n));
    return true;
}

/* ---- The end ------------------------------------------------------------- */

static bool is_broken(void *p)
{
    struct mblock b;
    mblock_find((uintptr_t)p, &b);
    return poison_broken(p, b.size) < b.size;
}

void slot_check_held(void)
{
    struct mblock b;
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        void *p = shelf_find_held(c, is_broken);
        if (p && mblock_find((uintptr_t)p, &b))
            check_poison("exit", &b, 0);
    }
}
