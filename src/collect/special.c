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
 * with, in this order per object: weak cleared, ephemerons cleared, then a
 * finalizer revives it, or else its cleanups are queued.
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

/* Slots are multiples of 16; a multiplicative hash spreads neighbours. */
static uint64_t hash_of(uintptr_t object)
{
    return (object >> 4) * 0x9e3779b97f4a7c15ull;
}

static struct shard *shard_of(uintptr_t object)
{
    return &shards[hash_of(object) >> 56];
}

static struct special **bucket_of(const struct shard *k, uintptr_t object)
{
    return &k->bucket[hash_of(object) >> 20 & (k->room - 1)];
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

struct special *special_add(const struct special *like)
{
    struct special *s = meta_pool_get(&pool);
    if (!s)
        return 0;
    *s = *like;
    if (s->kind != SPECIAL_PIN) /* there it counts */
        s->id = add_relaxed(&ids, 1) + 1;
    struct shard *k = shard_of(s->object);
    lock_take(&k->lock);
    if (k->used >= k->room && !grow(k) && !k->room) {
        lock_drop(&k->lock);
        special_free(s);
        return 0;
    }
    struct special **b = bucket_of(k, s->object);
    s->next = *b;
    *b = s;
    k->used++;
    lock_drop(&k->lock);
    return s;
}

void special_free(struct special *s) { meta_pool_put(&pool, s); }

void special_each_of(uintptr_t object, special_fn fn, void *arg)
{
    struct shard *k = shard_of(object);
    lock_take(&k->lock);
    if (!k->room) {
        lock_drop(&k->lock);
        return;
    }
    struct special **at = bucket_of(k, object), *s;
    while ((s = *at)) {
        enum special_do what =
            s->object == object ? fn(s, arg) : SPECIAL_NEXT;
        if (what == SPECIAL_DROP) {
            *at = s->next;
            k->used--;
            special_free(s);
            continue;
        }
        if (what == SPECIAL_STOP)
            break;
        at = &s->next;
    }
    lock_drop(&k->lock);
}

/* ---- Roots ------------------------------------------------------------- */

static void scan_special(struct work *w, const struct special *s)
{
    switch (s->kind) {
    case SPECIAL_PIN:
        mark_word(w, s->object);
        break;
    case SPECIAL_FINALIZER:
        mark_scan(w, s->object);
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
        for (uint32_t b = 0; b < k->room; b++)
            for (struct special *s = k->bucket[b]; s; s = s->next)
                scan_special(w, s);
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

static bool has_finalizer(const struct special *bucket, uintptr_t object)
{
    for (const struct special *s = bucket; s; s = s->next)
        if (s->object == object && s->kind == SPECIAL_FINALIZER)
            return true;
    return false;
}

/* What becomes of s, whose object is unmarked.  True: take it off. */
static bool bury(struct special *s, const struct special *bucket)
{
    switch (s->kind) {
    case SPECIAL_WEAK:
        weak_clear(s);
        return true;
    case SPECIAL_KEY:
        ephemeron_clear(s);
        return true;
    case SPECIAL_CLEANUP: /* of a finalizable object: a later cycle */
        return !has_finalizer(bucket, s->object);
    default:
        return true;
    }
}

static void census_bucket(struct shard *k, struct special **bucket,
                          struct special **revive)
{
    struct special **at = bucket, *s;
    while ((s = *at)) {
        bool dead = !object_is_marked(s->object);
        /* The key lives but the ephemeron does not: nobody can ask. */
        bool useless = s->kind == SPECIAL_KEY && !dead &&
                       !object_is_marked((uintptr_t)s->arg);
        if (!useless && (!dead || !bury(s, *bucket))) {
            at = &s->next;
            continue;
        }
        if (s->kind == SPECIAL_FINALIZER) {
            /* Stays in the bucket until all of the object's were seen. */
            s->kind = SPECIAL_PIN;
            s->id = 0;
            at = &s->next;
            *revive = s;
            continue;
        }
        *at = s->next;
        k->used--;
        if (s->kind == SPECIAL_CLEANUP)
            life_queue(s);
        else
            special_free(s);
    }
}

/* Takes finalizers found dead (kind PIN, id 0) off and queues them. */
static void revive_bucket(struct shard *k, struct special **bucket,
                          struct work *w)
{
    struct special **at = bucket, *s;
    while ((s = *at)) {
        if (s->kind != SPECIAL_PIN || s->id != 0) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        k->used--;
        s->kind = SPECIAL_FINALIZER;
        mark_word(w, s->object);
        life_queue(s);
    }
}

void special_census(struct work *w)
{
    w->parent = 0;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *k = &shards[i];
        lock_take(&k->lock);
        for (uint32_t b = 0; b < k->room; b++) {
            struct special *revive = 0;
            if (!k->bucket[b])
                continue;
            census_bucket(k, &k->bucket[b], &revive);
            if (revive)
                revive_bucket(k, &k->bucket[b], w);
        }
        lock_drop(&k->lock);
    }
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
