/* tcache.c: each thread's free blocks, an array per size class.
 *
 *             floor     head                 end
 *   bin 48    |. . . . .|p|p|p|p|p|p|p|p|p|p|0|
 *                 free ->  <- malloc
 *
 * malloc takes at head, free puts before head: what was freed last is used
 * first, while it is warm.  An empty bin is filled with half of what it may
 * hold, a full one gives half of it back, those that were there longest; so
 * no number of blocks in use makes it do either at each call.  What a bin may
 * hold starts small and doubles each time that it was too little, up to what
 * the class and the whole cache may have.  The arrays grow as well, so a thread
 * that needs little has them all on three pages.
 *
 * A free block bears a mark in its second word (free_mark), by which a second
 * free is noticed; malloc takes it off.  That the block is free indeed is then
 * made sure of in its span and in all caches.
 *
 * A thread without a cache (before its first call, after its end, or for want
 * of memory) has `tcache_none`, in which all bins are empty and full.
 *
 * Locks: none for the thread's own cache; `caches.lock` for the list of all.
 */
#include "secure.h"

#define WANT_FIRST 4
#define WANT_BYTES KIB(64) /* as much of one class, where that is enough */
#define WANT_LEAST 8
#define WANT_MOST 512
#define ALLOWED_MOST MIB(2) /* of all classes */
#define ROOM_FIRST 16

/* Arrays that are larger than the first: blocks, and the word at the end. */
static struct meta_pool arrays[] = {
    META_POOL((64 + 1) * sizeof(void *), META_THREAD),
    META_POOL((WANT_MOST + 1) * sizeof(void *), META_THREAD),
};

static void *nothing;
struct tcache tcache_none = {
    .bin = {[0 ... SIZE_CLASSES] = {.head = &nothing, .floor = &nothing}},
};
_Thread_local struct tcache *tcache_self = &tcache_none;
static _Thread_local bool ended;

static struct {
    struct lock lock;
    struct tcache *all;
    struct tcache *unused; /* of threads that ended */
} caches = {LOCK_INIT(RANK_THREADS), NULL, NULL};

static unsigned most(unsigned class)
{
    size_t n = WANT_BYTES / size_of_class(class);
    return n < WANT_LEAST ? WANT_LEAST : n > WANT_MOST ? WANT_MOST
                                                       : (unsigned)n;
}

/* ---- Making one -------------------------------------------------------- */

static size_t cache_bytes(void)
{
    size_t array = (ROOM_FIRST + 1) * sizeof(void *);
    return align_up(sizeof(struct tcache), 64) + SIZE_CLASSES * array;
}

static void set_want(struct tcache *t, unsigned class, unsigned n)
{
    t->allowed += (n - t->want[class]) * size_of_class(class);
    t->want[class] = (uint16_t)n;
    t->bin[1 + class].floor = t->end[class] - n;
}

static void lay_out(struct tcache *t)
{
    void **at = (void **)((char *)t + align_up(sizeof(*t), 64));
    t->bin[0] = (struct bin){&nothing, &nothing};
    t->allowed = 0;
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        at += ROOM_FIRST;
        t->room[c] = ROOM_FIRST;
        t->end[c] = at++;
        t->bin[1 + c].head = t->end[c];
        t->want[c] = 0;
        set_want(t, c, WANT_FIRST);
    }
    for (unsigned i = 1; i <= INDEX_MAX; i++)
        t->bin_of[i] = bin_offset(size_class(i * 16));
}

/* ---- Larger arrays ----------------------------------------------------- */

static void array_put(struct tcache *t, unsigned class)
{
    for (unsigned i = 0; i < COUNT(arrays); i++)
        if ((t->room[class] + 1) * sizeof(void *) == arrays[i].size)
            meta_pool_put(&arrays[i], t->end[class] - t->room[class]);
}

/* Room for n blocks at least; those that are there move along.  Others may be
 * reading the old array (tcache_holds), which stays memory of the pool.  A
 * child that was forked meanwhile finds no head, and leaves the bin alone. */
static bool widen(struct tcache *t, unsigned class, unsigned n)
{
    struct meta_pool *pool = &arrays[n > 64];
    unsigned room = (unsigned)(pool->size / sizeof(void *)) - 1;
    struct bin *b = &t->bin[1 + class];
    size_t have = (size_t)(t->end[class] - b->head);
    void **array = meta_pool_get(pool), **end = array + room;
    if (!array)
        return false;
    __builtin_memcpy(end - have, b->head, have * sizeof(void *));
    *end = NULL;
    b->head = NULL;
    __asm__ volatile("" : : : "memory");
    array_put(t, class);
    t->room[class] = (uint16_t)room;
    t->end[class] = end;
    __asm__ volatile("" : : : "memory");
    b->head = end - have;
    b->floor = end - t->want[class];
    return true;
}

static void enlist(struct tcache *t)
{
    t->next = caches.all;
    t->link = &caches.all;
    if (t->next)
        t->next->link = &t->next;
    caches.all = t;
}

static void delist(struct tcache *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
}

static struct tcache *cache_new(void)
{
    lock_take(&caches.lock);
    struct tcache *t = caches.unused;
    if (t)
        caches.unused = t->next;
    lock_drop(&caches.lock);
    size_t bytes = cache_bytes();
    if (!t && !(t = meta_map(bytes, META_THREAD)))
        return NULL;
    t->armed = false;
    lay_out(t);
    lock_take(&caches.lock);
    enlist(t);
    lock_drop(&caches.lock);
    return t;
}

/* ---- The end of a thread ----------------------------------------------- */

static bool hooked; /* os_exit_init was called */

/* Whoever forks while blocks go back must not find in a bin what is in a span
 * already, or somebody else's: the bin is empty meanwhile. */
static void hide_bin(struct tcache *t, unsigned class)
{
    t->bin[1 + class].head = t->end[class];
    __asm__ volatile("" : : : "memory");
}

static void empty(struct tcache *t)
{
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        struct bin *b = &t->bin[1 + c];
        void **from = b->head;
        if (unlikely(!from)) /* just moving (widen), in a child of fork */
            continue;
        hide_bin(t, c);
        if (from != t->end[c])
            mcentral_give(c, from, (unsigned)(t->end[c] - from));
    }
}

static void discard(struct tcache *t)
{
    empty(t);
    lock_take(&caches.lock);
    delist(t);
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        if (t->bin[1 + c].head)
            array_put(t, c);
    t->next = caches.unused;
    caches.unused = t;
    lock_drop(&caches.lock);
}

/* Destructors that come later allocate and free without a cache. */
static void thread_ends(void *arg)
{
    struct tcache *t = tcache_self;
    ended = true;
    tcache_self = &tcache_none;
    if (t == arg)
        discard(t);
    give_begin(0);
}

void tcache_hook_exit(void)
{
    hooked = !os_exit_init(thread_ends);
}

/* Arming may allocate, so the cache is in place before. */
static void arm(struct tcache *t)
{
    t->armed = true;
    os_exit_arm(t);
}

static struct tcache *self(void)
{
    struct tcache *t = tcache_self;
    if (unlikely(t == &tcache_none) && !ended && (t = cache_new()))
        tcache_self = t;
    if (unlikely(!t))
        return &tcache_none;
    if (unlikely(!t->armed) && hooked && t != &tcache_none)
        arm(t);
    return t;
}

/* ---- Filling and spilling ---------------------------------------------- */

static void grow(struct tcache *t, unsigned class)
{
    unsigned have = t->want[class], n = have * 2, max = most(class);
    if (n > max)
        n = max;
    if (n <= have ||
        t->allowed + (n - have) * size_of_class(class) > ALLOWED_MOST ||
        (n > t->room[class] && !widen(t, class, n)))
        return;
    set_want(t, class, n);
}

static void *without_cache(unsigned class)
{
    void *p;
    return mcentral_take(class, &p, 1) ? p : NULL;
}

/* The lowest is handed out first: the batch ends where the bin ends. */
static unsigned fill(struct tcache *t, unsigned class, unsigned n)
{
    void **end = t->end[class];
    unsigned got = mcentral_take(class, end - n, n);
    if (unlikely(got < n && got))
        for (unsigned i = got; i-- > 0;)
            end[(int)i - (int)got] = end[(int)i - (int)n];
    t->bin[1 + class].head = end - got;
    return got;
}

void *tcache_fill(unsigned class)
{
    struct tcache *t = self();
    if (unlikely(t == &tcache_none))
        return without_cache(class);
    struct bin *b = &t->bin[1 + class];
    if (b->head == t->end[class]) { /* arming may have filled it */
        if (!fill(t, class, (t->want[class] + 1u) / 2))
            return NULL;
        grow(t, class);
    }
    return *b->head++;
}

/* Those at the end go, the others move there. */
static void give_half(struct tcache *t, unsigned class)
{
    void **head = t->bin[1 + class].head, **end = t->end[class];
    unsigned n = (unsigned)(end - head) / 2, keep = (unsigned)(end - head) - n;
    hide_bin(t, class);
    mcentral_give(class, end - n, n);
    __builtin_memmove(head + n, head, keep * sizeof(void *));
    __asm__ volatile("" : : : "memory");
    t->bin[1 + class].head = head + n;
}

void tcache_spill(unsigned class, void *p)
{
    struct tcache *t = self();
    if (unlikely(t == &tcache_none)) {
        mcentral_give(class, &p, 1);
        give_begin(0);
        return;
    }
    struct bin *b = &t->bin[1 + class];
    if (b->head == b->floor)
        grow(t, class);
    if (b->head == b->floor)
        give_half(t, class);
    *--b->head = p;
    give_begin(0);
}

void tcache_flush(void)
{
    if (tcache_self != &tcache_none)
        empty(tcache_self);
}

bool tcache_retire(void)
{
    struct tcache *mine = tcache_self;
    bool others = caches.all && (caches.all != mine || mine->next);
    if (others)
        return false;
    tcache_flush();
    tcache_self = &tcache_none;
    return true;
}

/* A head and an end that are too far apart are of two arrays: just moving. */
static bool holds(struct tcache *t, unsigned class, const void *p)
{
    void **end = load_relaxed(&t->end[class]);
    void **at = load_relaxed(&t->bin[1 + class].head);
    if ((uintptr_t)end - (uintptr_t)at > WANT_MOST * sizeof(void *))
        return false;
    for (; at < end; at++)
        if (load_relaxed(at) == p)
            return true;
    return false;
}

bool tcache_holds(unsigned class, const void *p)
{
    bool found = false;
    lock_take(&caches.lock);
    for (struct tcache *t = caches.all; t && !found; t = t->next)
        found = holds(t, class, p);
    lock_drop(&caches.lock);
    return found;
}

uint64_t tcache_count(unsigned class)
{
    uint64_t n = 0;
    lock_take(&caches.lock);
    for (struct tcache *t = caches.all; t; t = t->next) {
        uint64_t k = (uint64_t)(load_relaxed(&t->end[class]) -
                                load_relaxed(&t->bin[1 + class].head));
        n += k <= WANT_MOST ? k : 0; /* else the array is just moving */
    }
    lock_drop(&caches.lock);
    return n + shelf_count(class);
}

/* ---- fork -------------------------------------------------------------- */

void tcache_lock(void) { lock_take(&caches.lock); }
void tcache_unlock(void) { lock_drop(&caches.lock); }

/* The other threads are gone.  What stands in a bin is free wherever its owner
 * was: a block is written there before head moves, and taken by moving head. */
void tcache_fork_child(void)
{
    struct tcache *mine = tcache_self;
    lock_reset(&caches.lock);
    for (struct tcache *t = caches.all, *next; t; t = next) {
        next = t->next;
        if (t != mine)
            discard(t);
    }
}
