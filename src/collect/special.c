/* special.c: facts about single objects: cleanups, finalizers, weak pointers,
 * ephemeron keys, pins.
 *
 *   object address --hash--> shard (lock) --> bucket -> special -> special
 *
 * A hash table beside the heap, so that objects without specials cost nothing
 * and each operation is O(1) whatever the number (ten million weak pointers
 * are a benchmark).  256 shards, each with its own lock and growth, keep the
 * time that any lock is held short.
 *
 * What they do to marking: arg of a cleanup or finalizer is a root; what a
 * finalizable object refers to is a root, the object itself is not; a weak
 * pointer's handle is a root; a pinned object is one.
 *
 * When marking has ended (census) each unmarked object's specials are dealt
 * with: weak pointers and ephemerons are cleared and callbacks taken off in one
 * walk over the table; only then finalizers revive their objects, and of the
 * cleanups those of revived objects go back.  Nothing is revived before all
 * weak pointers were judged.
 *
 * Invariant: all specials of one object are in one bucket.
 * Locks: shard.lock; inside it life.lock, the work pool's and meta's.
 */
#include "collect.h"

#define SHARDS 256

static struct shard {
    struct lock lock;
    struct special **bucket;
    uint32_t room, used; /* buckets (a power of two), specials */
} shards[SHARDS];
static struct meta_pool pool = META_POOL(sizeof(struct special), META_OTHER);
static _Atomic uint64_t ids;

/* Blocks of 1 KiB are scattered, objects of one block lie side by side in their
 * order: who makes specials for objects in a row, and who walks over the table,
 * finds buckets, specials and mark bits in a row too.  (Whole pages would fill
 * the shards unevenly, and a shard keeps its buckets.) */
#define BLOCK 1024
static uint64_t hash_of(uintptr_t object)
{
    return object / BLOCK * 0x9e3779b97f4a7c15ull;
}

static struct shard *shard_of(uintptr_t object)
{
    return &shards[hash_of(object) >> 56];
}

static struct special **bucket_of(const struct shard *k, uintptr_t object)
{
    uint64_t in_block = object % BLOCK / 16;
    return &k->bucket[((hash_of(object) >> 20) + in_block) & (k->room - 1)];
}

int special_init(void)
{
    for (int i = 0; i < SHARDS; i++)
        shards[i].lock = (struct lock)LOCK_INIT(RANK_SPECIAL);
    return 0;
}

/* Twice the buckets; false: no memory (the old ones serve on). */
static bool grow(struct shard *k)
{
    struct shard old = *k;
    uint32_t room = old.room ? old.room * 2 : 64;
    struct special **to = meta_map(
        align_up(room * sizeof *to, os_page_size()), META_OTHER);
    if (!to)
        return false;
    k->bucket = to;
    k->room = room;
    for (uint32_t i = 0; i < old.room; i++)
        for (struct special *s = old.bucket[i], *next; s; s = next) {
            next = s->next;
            struct special **b = bucket_of(k, s->object);
            s->next = *b;
            *b = s;
        }
    if (old.bucket)
        meta_unmap(old.bucket,
                   align_up(old.room * sizeof *to, os_page_size()),
                   META_OTHER);
    return true;
}

/* No memory for more buckets: lists grow longer instead. */
static bool insert(struct shard *k, struct special *s)
{
    if (k->used >= k->room && !grow(k) && !k->room)
        return false;
    struct special **b = bucket_of(k, s->object);
    s->next = *b;
    *b = s;
    k->used++;
    return true;
}

/* It is dropped while its object lives.  What it kept alive may be known to the
 * caller by now, whose stack was scanned, and the table was not. */
static void let_go(struct special *s)
{
    struct thread *t = thread_self;
    if (t) {
        barrier_shade_if(t, s->arg);
        if (s->kind == SPECIAL_PIN)
            barrier_shade_if(t, (void *)s->object);
    }
    special_free(s);
}

/* True: fn said stop. */
static bool each(struct shard *k, uintptr_t object, special_fn fn, void *arg)
{
    struct special **at = k->room ? bucket_of(k, object) : 0, *s;
    while (at && (s = *at)) {
        enum special_do what =
            s->object == object ? fn(s, arg) : SPECIAL_NEXT;
        if (what == SPECIAL_STOP)
            return true;
        if (what == SPECIAL_DROP) {
            *at = s->next;
            k->used--;
            let_go(s);
        } else {
            at = &s->next;
        }
    }
    return false;
}

bool special_add_unless(const struct special *like, special_fn fn, void *arg)
{
    struct special *s = meta_pool_get(&pool);
    struct shard *k = shard_of(like->object);
    if (!s)
        return false;
    *s = *like;
    lock_take(&k->lock);
    bool stopped = fn && each(k, like->object, fn, arg);
    bool in = !stopped && insert(k, s);
    lock_drop(&k->lock);
    if (!in)
        special_free(s);
    return in || stopped;
}

uint64_t special_add(const struct special *like)
{
    struct special s = *like;
    s.id = add_relaxed(&ids, 1) + 1;
    return special_add_unless(&s, 0, 0) ? s.id : 0;
}

void special_free(struct special *s) { meta_pool_put(&pool, s); }

void special_each_of(uintptr_t object, special_fn fn, void *arg)
{
    struct shard *k = shard_of(object);
    lock_take(&k->lock);
    each(k, object, fn, arg);
    lock_drop(&k->lock);
}

/* A walk over the table reads memory in no order: specials, and the bits of
 * their objects' pages.  Both are fetched some buckets ahead. */
#define FAR_AHEAD 16
#define NEAR_AHEAD 8
static void look_ahead(const struct shard *k, uint32_t b)
{
    if (b + FAR_AHEAD >= k->room)
        return;
    __builtin_prefetch(k->bucket[b + FAR_AHEAD]);
    const struct special *s = k->bucket[b + NEAR_AHEAD];
    if (s)
        __builtin_prefetch(&heap.bits[(s->object - heap.base) >> PAGE_SHIFT]);
}

/* ---- Roots ------------------------------------------------------------- */

static void scan_special(struct work *w, const struct special *s)
{
    switch (s->kind) {
    case SPECIAL_PIN:
        mark_word(w, s->object);
        break;
    case SPECIAL_FINALIZER:
        mark_fields(w, s->object);
        w->parent = 0; /* it may be dead, and our own data is scanned too */
        mark_word(w, (uintptr_t)s->arg);
        break;
    case SPECIAL_CLEANUP:
    case SPECIAL_WEAK:
        mark_word(w, (uintptr_t)s->arg);
        break;
    case SPECIAL_KEY:
        break;
    }
}

void special_scan(struct work *w)
{
    w->parent = 0;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *k = &shards[i];
        lock_take(&k->lock);
        for (uint32_t b = 0; b < k->room; b++) {
            look_ahead(k, b);
            for (struct special *s = k->bucket[b]; s; s = s->next)
                scan_special(w, s);
        }
        lock_drop(&k->lock);
    }
    life_scan(w);
}

/* ---- Ephemerons -------------------------------------------------------- */

/* Each ephemeron of this key that is itself reachable keeps its value.  (If it
 * becomes reachable later, its own scan finds the key marked: both sides mark
 * first and look second, so one of them sees the other.) */
static enum special_do mark_value(struct special *s, void *w)
{
    if (s->kind == SPECIAL_KEY && object_is_marked((uintptr_t)s->arg))
        mark_word(w, ephemeron_value_of(s));
    return SPECIAL_NEXT;
}

void special_key_marked(struct work *w, uintptr_t object)
{
    special_each_of(object, mark_value, w);
}

/* ---- Census ------------------------------------------------------------ */

static void found_add(struct special_list *f, struct special *s)
{
    s->next = 0;
    *f->last = s;
    f->last = &s->next;
    f->n++;
}

/* s was taken off: its object is unmarked, or it serves nobody any more. */
static void bury(struct special *s, struct special_list *finalizers,
                 struct special_list *cleanups)
{
    switch (s->kind) {
    case SPECIAL_FINALIZER:
        found_add(finalizers, s);
        return;
    case SPECIAL_CLEANUP:
        found_add(cleanups, s);
        return;
    case SPECIAL_WEAK:
        weak_clear(s);
        break;
    case SPECIAL_KEY:
        ephemeron_clear(s);
        break;
    }
    special_free(s);
}

static bool is_done(const struct special *s)
{
    return !object_is_marked(s->object) ||
           (s->kind == SPECIAL_KEY && !object_is_marked((uintptr_t)s->arg));
}

static void census_bucket(struct shard *k, struct special **at,
                          struct special_list *finalizers,
                          struct special_list *cleanups)
{
    for (struct special *s; (s = *at);) {
        if (!is_done(s)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        k->used--;
        bury(s, finalizers, cleanups);
    }
}

static void census_table(struct special_list *finalizers,
                         struct special_list *cleanups)
{
    for (int i = 0; i < SHARDS; i++) {
        struct shard *k = &shards[i];
        lock_take(&k->lock);
        for (uint32_t b = 0; b < k->room; b++) {
            look_ahead(k, b);
            census_bucket(k, &k->bucket[b], finalizers, cleanups);
        }
        lock_drop(&k->lock);
    }
}

/* A finalizer runs first; the object's cleanups wait until it is dead again.
 * Only what finalizers revived can be alive by now. */
static void put_back_revived(struct special_list *cleanups)
{
    struct special_list dead = SPECIAL_LIST(dead);
    for (struct special *s = cleanups->first, *next; s; s = next) {
        next = s->next;
        if (!object_is_marked(s->object)) {
            found_add(&dead, s);
            continue;
        }
        struct shard *k = shard_of(s->object);
        lock_take(&k->lock);
        bool in = insert(k, s); /* it has buckets: s came from there */
        lock_drop(&k->lock);
        insist(in);
    }
    *cleanups = dead;
}

void special_census(struct work *w)
{
    struct special_list finalizers = SPECIAL_LIST(finalizers);
    struct special_list cleanups = SPECIAL_LIST(cleanups);
    w->parent = 0;
    census_table(&finalizers, &cleanups);
    for (struct special *s = finalizers.first; s; s = s->next)
        mark_word(w, s->object);
    if (finalizers.first)
        put_back_revived(&cleanups);
    life_queue(&finalizers);
    life_queue(&cleanups);
}

/* ---- fork -------------------------------------------------------------- */

void special_lock_all(void)
{
    for (int i = 0; i < SHARDS; i++)
        lock_take(&shards[i].lock);
}

void special_unlock_all(void)
{
    for (int i = 0; i < SHARDS; i++)
        lock_drop(&shards[i].lock);
}

void special_reset_locks(void)
{
    for (int i = 0; i < SHARDS; i++)
        lock_reset(&shards[i].lock);
    lock_reset(&pool.lock);
}
