/* guard.c: samples of the hardened mode: a block with pages of its own.
 *
 *   | no access |        ...        block | no access | block ...
 *               ^ place.lo     p ---------^           ^ one in four stands here
 *   freed:
 *   | no access ......................... | until its turn comes again, last
 *
 * One block in SANCAI_DEBUG=securesample=N is placed here, while there is
 * room: PLACES_SPARE places always wait.  An access behind it (or before it)
 * or after its free faults at once, and we know who allocated and freed it.
 *
 * Locks: guard.lock (RANK_SPECIAL) for the queue; a place belongs to who has
 * its block.  The callers are noted without a lock.
 */
#include "secure.h"

#define PLACES 256
#define PLACES_SPARE 64
#define DATA KIB(32) /* at most so large */
#define BEFORE 256   /* bytes before a block that are looked at */

enum { UNUSED, USED, FREED };

struct place {
    _Atomic uint32_t state;
    void *p;
    size_t n;
    struct callers allocated, freed;
};

static struct {
    struct lock lock;
    uint32_t first, n;      /* those without a block, in the order of frees */
    uint16_t queue[PLACES];
    struct place *place;
    uintptr_t base;
    size_t page, stride;
} guard = {.lock = LOCK_INIT(RANK_SPECIAL)};

static _Thread_local uint64_t dice;
static _Thread_local uint32_t countdown;

/* Where addresses are few there are no samples. */
void guard_begin(void)
{
    size_t bytes = align_up(PLACES * sizeof(struct place), KIB(64));
    guard.page = os_page_size();
    guard.stride = guard.page + DATA;
    if (!knobs.securesample || os_address_space_left() != SIZE_MAX ||
        !(guard.place = meta_map(bytes, META_SPAN)))
        return;
    guard.base = (uintptr_t)os_reserve(PLACES * guard.stride + guard.page,
                                       KIB(64), 0);
    if (!guard.base)
        return;
    for (unsigned i = 0; i < PLACES; i++)
        guard.queue[i] = (uint16_t)i;
    guard.n = PLACES;
}

static uintptr_t offset(const void *p) { return (uintptr_t)p - guard.base; }

bool guard_has(const void *p)
{
    return guard.base && offset(p) < PLACES * guard.stride + guard.page;
}

static uintptr_t place_lo(const struct place *at)
{
    return guard.base + (size_t)(at - guard.place) * guard.stride + guard.page;
}

/* ---- Giving out ---------------------------------------------------------- */

/* One in N on the average, each distance up to twice that as likely. */
static bool chosen(void)
{
    uint64_t every = (uint64_t)knobs.securesample;
    if (likely(countdown > 1)) {
        countdown--;
        return false;
    }
    bool first = !countdown && every > 1;
    countdown = (uint32_t)(1 + (secure_random(&dice) >> 32) * (2 * every - 1) /
                                   0xffffffffu);
    return !first;
}

static struct place *place_take(void)
{
    struct place *at = NULL;
    lock_take(&guard.lock);
    if (guard.n > PLACES_SPARE) {
        at = &guard.place[guard.queue[guard.first]];
        guard.first = (guard.first + 1) % PLACES;
        guard.n--;
    }
    lock_drop(&guard.lock);
    return at;
}

static void place_put(struct place *at)
{
    lock_take(&guard.lock);
    guard.queue[(guard.first + guard.n++) % PLACES] =
        (uint16_t)(at - guard.place);
    lock_drop(&guard.lock);
}

static size_t before(const struct place *at)
{
    return min_size((uintptr_t)at->p - place_lo(at), BEFORE);
}

static size_t behind(const struct place *at)
{
    return place_lo(at) + DATA - (uintptr_t)at->p;
}

static void *settle(struct place *at, size_t n, size_t align)
{
    uintptr_t lo = place_lo(at);
    bool low = secure_random(&dice) >> 62 == 0;
    size_t to = max_size(align, 16);
    at->p = (void *)(low ? lo : align_down(lo + DATA - n, to));
    at->n = n;
    canary_write(at->p, n, behind(at));
    canary_write((char *)at->p - before(at), 0, before(at));
    callers_note(&at->allocated);
    at->freed.n = 0;
    store_release(&at->state, USED);
    return at->p;
}

void *guard_new(size_t n, size_t align)
{
    if (!guard.base || n > DATA || align > guard.page || !chosen())
        return NULL;
    struct place *at = place_take();
    if (!at)
        return NULL;
    if (!os_commit((void *)place_lo(at), DATA))
        return settle(at, n, align);
    place_put(at);
    return NULL;
}

/* ---- Taking back --------------------------------------------------------- */

static struct place *place_of(uintptr_t a)
{
    size_t i = (a - guard.base) / guard.stride;
    return &guard.place[i < PLACES ? i : PLACES - 1];
}

static struct culprit culprit_of(const struct place *at)
{
    bool freed = load_relaxed(&at->state) == FREED;
    return (struct culprit){at->n ? size_of_class(size_class(at->n)) : 16,
                            &at->allocated, freed ? &at->freed : NULL};
}

/* The place of a block in use that begins at p. */
static struct place *in_use(const char *who, void *p)
{
    struct place *at = place_of((uintptr_t)p);
    struct culprit c = culprit_of(at);
    if (load_relaxed(&at->state) == UNUSED)
        wrong_free(who, p);
    else if (p != at->p)
        blame(&c, "%s: %p lies inside the block %p of %zu bytes; free a block "
              "by its start.", who, p, at->p, at->n);
    else if (load_relaxed(&at->state) == FREED)
        blame_freed(&c, who, p);
    else
        return at;
    return NULL;
}

static void check_around(const char *who, struct place *at)
{
    struct culprit c = culprit_of(at);
    size_t n = canary_broken(at->p, at->n, behind(at));
    char *lo = (char *)at->p - before(at);
    if (n < behind(at))
        blame_overflow(&c, who, at->p, at->n, n);
    if (canary_broken(lo, 0, before(at)) < before(at))
        blame_underflow(&c, who, at->p);
}

void guard_free(const char *who, void *p, size_t n)
{
    struct place *at = in_use(who, p);
    uint32_t was = USED;
    if (!at)
        return;
    struct culprit c = culprit_of(at);
    if (n != ANY_SIZE && n != at->n) {
        blame_size(&c, who, p, at->n, n);
        return;
    }
    check_around(who, at);
    if (!cas_seq(&at->state, &was, FREED)) {
        blame_freed(&c, who, p);
        return;
    }
    callers_note(&at->freed);
    os_decommit((void *)place_lo(at), DATA);
    place_put(at);
}

bool guard_size(const char *who, void *p, size_t *n)
{
    struct place *at = in_use(who, p);
    if (at)
        *n = at->n;
    return at != NULL;
}

/* ---- Faults -------------------------------------------------------------- */

/* Whose page without access it is: that of the block before, if there is one
 * and it reaches its end. */
static struct place *nearest(uintptr_t a)
{
    struct place *at = place_of(a);
    if (a >= place_lo(at) || at == guard.place ||
        load_relaxed(&at[-1].state) != USED)
        return at;
    bool mine = load_relaxed(&at->state) == USED &&
                (uintptr_t)at->p - a < a - ((uintptr_t)at[-1].p + at[-1].n);
    return mine ? at : at - 1;
}

void guard_fault(const char *what, uintptr_t a)
{
    struct place *at = nearest(a);
    struct culprit c = culprit_of(at);
    uintptr_t p = (uintptr_t)at->p;
    if (load_relaxed(&at->state) == UNUSED)
        blame_fault(&c, "%s: %p lies in no block.", what, (void *)a);
    else if (load_relaxed(&at->state) == FREED)
        blame_fault(&c, "%s: %p lies in or beside the block %p of %zu bytes, "
                    "which was freed; use a block before it is freed.", what,
                    (void *)a, at->p, at->n);
    else if (a < p)
        blame_fault(&c, "%s: %p lies %zu bytes before the block %p of %zu "
                    "bytes.", what, (void *)a, p - a, at->p, at->n);
    else
        blame_fault(&c, "%s: %p lies %zu bytes behind the end of the block %p "
                    "of %zu bytes.", what, (void *)a, a - p - at->n, at->p,
                    at->n);
}

void guard_lock(void) { lock_take(&guard.lock); }
void guard_unlock(void) { lock_drop(&guard.lock); }
void guard_reset_lock(void) { lock_reset(&guard.lock); }
