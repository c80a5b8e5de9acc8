/* central.c: the spans of each class that no thread owns.
 *
 *            partial        full          gen/2 & 1 names the swept pair;
 *   swept    p->p->p        f->f          the other pair is unswept.  When
 *   unswept  p->p           f->f->f       heap.gen moves, they change roles.
 *
 * A span is on the list that its own generation says, so a thread that has
 * not noticed a new generation still puts and takes consistently.  Taking a
 * span off a list makes the taker its owner; owners sweep without a lock.
 *
 * A span that is being swept is on no list, so empty lists do not say that
 * sweeping has ended; `sweepers` counts who may hold one.
 *
 * Lock: one per class, for the four list heads and the links.
 */
#include "heap.h"

/* Unswept spans tried before a fresh one is taken: what they hold back is at
 * most one percent of the class then (Go's figure). */
#define SWEEP_TRIES 100

static struct central centrals[CLASSES + 1];
static _Atomic uint32_t sweepers; /* raised before a look at unswept lists */

void central_init(void)
{
    for (unsigned c = 0; c <= CLASSES; c++)
        centrals[c] = (struct central){LOCK_INIT(RANK_CENTRAL),
                                       {NO_PAGE, NO_PAGE},
                                       {NO_PAGE, NO_PAGE}};
    centrals[CLASS_LARGE].lock.rank = RANK_LARGE;
}

static unsigned swept_of(uint32_t gen) { return gen >> 1 & 1; }

static void push(uint32_t *head, struct span *s)
{
    s->next = *head;
    store_relaxed(head, span_page(s));
}

/* Heads are peeked at without the lock: an empty list costs one load. */
static struct span *pop(struct central *k, uint32_t *head)
{
    if (load_relaxed(head) == NO_PAGE)
        return 0;
    lock_take(&k->lock);
    struct span *s = 0;
    if (*head != NO_PAGE) {
        s = span_at(*head);
        store_release(head, s->next); /* central_wait_sweepers reads it */
        s->next = NO_PAGE;
    }
    lock_drop(&k->lock);
    return s;
}

void central_give(struct span *s)
{
    struct central *k = &centrals[s->class];
    unsigned list = swept_of(s->gen);
    bool full = s->nalloc == s->nslots;
    s->state = s->class == CLASS_LARGE ? SPAN_LARGE : SPAN_LISTED;
    lock_take(&k->lock);
    push(full ? &k->full[list] : &k->partial[list], s);
    lock_drop(&k->lock);
}

void central_give_large(struct span *s) { central_give(s); }

/* Sweeps an unswept span that the caller took off its list.  NULL if it was
 * empty (its pages are free now). */
static struct span *sweep_owned(struct span *s)
{
    sub_relaxed(&heap.unswept_pages, s->npages);
    uint32_t gen = load_relaxed(&heap.gen);
    bool empty = span_sweep(s);
    s->gen = gen;
    if (empty) {
        span_free(s);
        return 0;
    }
    return s;
}

/* A swept span with room, from the list `head` that is unswept as of gen.  The
 * lists change roles when heap.gen moves, which may be between the caller's
 * look at it and here: a span that others have swept since then is left alone,
 * for its mark bits are clear. */
static struct span *try_for_room(struct central *k, uint32_t *head,
                                 uint32_t gen)
{
    for (int i = 0; i < SWEEP_TRIES; i++) {
        struct span *s = pop(k, head);
        bool swept = s && s->gen != gen - 2;
        if (!s)
            return 0;
        if (!swept && !(s = sweep_owned(s)))
            continue;
        if (!swept && s->nalloc < s->nslots)
            return s;
        central_give(s);
        if (swept)
            return 0;
    }
    return 0;
}

static struct span *sweep_for_room(struct central *k, uint32_t *head,
                                   uint32_t gen)
{
    if (load_relaxed(head) == NO_PAGE)
        return 0;
    add_seq(&sweepers, 1);
    struct span *s = try_for_room(k, head, gen);
    sub_seq(&sweepers, 1);
    return s;
}

struct span *central_take(unsigned class, uint32_t gen,
                          struct page_cache *pages)
{
    struct central *k = &centrals[class];
    unsigned swept = swept_of(gen);
    struct span *s = pop(k, &k->partial[swept]);
    /* A thread that is a generation behind must not sweep. */
    if (!s && gen == load_relaxed(&heap.gen)) {
        s = sweep_for_room(k, &k->partial[!swept], gen);
        if (!s)
            s = sweep_for_room(k, &k->full[!swept], gen);
    }
    if (s)
        s->state = SPAN_CACHED;
    else
        s = span_new(class, gen, pages);
    return s;
}

static uint32_t sweep_class(unsigned class)
{
    struct central *k = &centrals[class];
    unsigned unswept = !swept_of(load_relaxed(&heap.gen));
    struct span *s = pop(k, &k->full[unswept]);
    if (!s)
        s = pop(k, &k->partial[unswept]);
    if (!s)
        return 0;
    uint32_t n = s->npages;
    s = sweep_owned(s);
    if (s)
        central_give(s);
    return n;
}

/* Large objects first: most memory per step. */
static uint32_t sweep_next(uint32_t *cursor)
{
    uint32_t n = load_acquire(&class_count), pages;
    if ((pages = sweep_class(CLASS_LARGE)))
        return pages;
    for (; *cursor < n; ++*cursor)
        if ((pages = sweep_class(*cursor)))
            return pages;
    return 0;
}

uint32_t central_sweep_one(uint32_t *cursor)
{
    add_seq(&sweepers, 1);
    uint32_t pages = sweep_next(cursor);
    sub_seq(&sweepers, 1);
    return pages;
}

void central_wait_sweepers(void)
{
    fence_seq(); /* behind the look at the lists */
    while (load_seq(&sweepers))
        os_yield();
}

/* ---- fork -------------------------------------------------------------- */

void central_lock_all(void)
{
    for (unsigned c = 0; c <= CLASSES; c++)
        lock_take(&centrals[c].lock);
}

void central_unlock_all(void)
{
    for (unsigned c = 0; c <= CLASSES; c++)
        lock_drop(&centrals[c].lock);
}

void central_reset_locks(void)
{
    for (unsigned c = 0; c <= CLASSES; c++)
        lock_reset(&centrals[c].lock);
    store_relaxed(&sweepers, 0); /* they did not come along */
}
