/* new.c: an object is made.
 *
 *   fast    cur += size in the thread's run of that class: 15 instructions
 *   slow    the next run of the cached span
 *           pay: sweeping, marking (assist.c); ask for a cycle
 *           the next span: central list, swept on the way, or fresh pages
 *           an emergency cycle; then NULL with ENOMEM
 *
 * The fast path is straight-line code whose only effect is the store to
 * run.cur.  A handshake may interrupt it anywhere, even under a handler of the
 * program's (cache.c, C1 to C3).
 */
#include <errno.h>
#include <string.h>

#include "api.h"

#define TINY_BLOCK 32   /* shared by noscan objects below 16 bytes */
#define TINY_CLASS 1    /* size class of 32 bytes */
#define FAST_MAX 1024
#define EMERGENCIES 2   /* cycles tried before memory is said to be out */

/* By (n + 15) / 16, for n <= FAST_MAX. */
static struct fast fast_conservative[FAST_MAX / 16 + 1];
static struct fast fast_noscan[FAST_MAX / 16 + 1];

void new_init(void)
{
    for (unsigned i = 0; i < COUNT(fast_conservative); i++) {
        unsigned c = size_class(i * 16);
        fast_conservative[i] = fast_of(CLASS_CONSERVATIVE + c);
        fast_noscan[i] = fast_of(CLASS_NOSCAN + c);
    }
}

/* The whole fast path; NULL: leave it. */
INLINE void *fast_take(struct cache *k, struct fast f)
{
    struct run *r = (struct run *)((char *)k + f.run);
    uintptr_t p = r->cur, e = p + f.slot;
    fence_signal(); /* not `end` first: it could be one of long ago */
    if (unlikely(e > r->end))
        return 0;
    r->cur = e;
    return (void *)p;
}

/* ---- Slow -------------------------------------------------------------- */

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return 0;
}

static void *bump(struct thread *t, unsigned c)
{
    struct run *r = cache_run(&t->cache, c);
    void *p = (void *)r->cur;
    r->cur += classes[c].size;
    return p;
}

/* A cycle and memory given back, as a last resort. */
static bool emergency(struct thread *t, int tries, size_t bytes)
{
    if (tries >= EMERGENCIES)
        return false;
    cache_flush_counts(&t->cache);
    cycle_collect(t);
    policy_fit_limit(t, bytes);
    return true;
}

/* The cached span of class c has room in its current run; false: no memory. */
static bool refill(struct thread *t, unsigned c)
{
    size_t bytes = classes[c].npages * PAGE_SIZE;
    for (int tries = 0;; tries++) {
        assist_before(t, bytes);
        if (cache_next_run(&t->cache, c))
            return true;
        policy_fit_limit(t, bytes);
        struct span *s = central_take(c, t->cache.gen, &t->cache.pages);
        if (s) {
            cache_set_span(&t->cache, c, s);
            if (cache_next_run(&t->cache, c))
                return true;
        } else if (!emergency(t, tries, bytes)) {
            return false;
        }
    }
}

static void *new_large(size_t n, enum kind, const struct sc_shape *, bool);

static COLD void *new_small(unsigned c)
{
    const struct class *k = &classes[c];
    if (unlikely(knobs.efence))
        return new_large(k->size, (enum kind)k->kind, k->shape, true);
    struct thread *t = api_enter();
    if (!t)
        return 0;
    if (unlikely(knobs.gcstress))
        assist_before(t, 0);
    t->cache.slow++;
    void *p = 0;
    const struct run *r = cache_run(&t->cache, c);
    if (r->cur + k->size <= r->end || cache_next_run(&t->cache, c) ||
        refill(t, c))
        p = bump(t, c);
    thread_leave(t);
    return p ? p : out_of_memory();
}

/* ---- Large ------------------------------------------------------------- */

static RACY void zero_large(void *p, size_t n) { memset(p, 0, n); }

static struct span *take_large(struct thread *t, size_t n, enum kind kind,
                               const struct sc_shape *shape, bool *zero)
{
    size_t bytes = align_up(n, PAGE_SIZE);
    for (int tries = 0;; tries++) {
        assist_before(t, bytes);
        policy_fit_limit(t, bytes);
        struct span *s = span_new_large(n, kind, shape, t->cache.gen, zero);
        if (s || !emergency(t, tries, bytes))
            return s;
    }
}

/* Zeroed outside all locks and before anybody can see it; then published with
 * the colour that the thread has at that moment. */
static void *new_large(size_t n, enum kind kind, const struct sc_shape *shape,
                       bool guard)
{
    bool zero = false;
    if (n > PTRDIFF_MAX)
        return out_of_memory();
    struct thread *t = api_enter();
    if (!t)
        return 0;
    struct span *s = take_large(t, n, kind, shape, &zero);
    if (!s) {
        thread_leave(t);
        return out_of_memory();
    }
    if (!zero && kind != KIND_NOSCAN)
        zero_large((void *)span_start(s), s->npages * PAGE_SIZE);
    s->guarded = guard || knobs.efence;
    s->gen = t->cache.gen;
    cache_count(&t->cache, (int64_t)(s->npages * PAGE_SIZE), 1);
    void *p = (void *)span_start(s);
    span_publish_large(s, t->cache.black);
    central_give_large(s);
    cache_flush_counts(&t->cache);
    thread_leave(t);
    return p;
}

/* ---- By kind ----------------------------------------------------------- */

/* Inside us: a held thread must not own the lock of the shapes.  Without
 * memory for a thread record any class will do, for none has room. */
static COLD unsigned class_made(const struct sc_shape *shape, size_t n)
{
    struct thread *t = api_enter();
    if (!t)
        return CLASS_CONSERVATIVE + size_class(n);
    unsigned c = class_of_shape(shape, n);
    thread_leave(t);
    return c;
}

static unsigned class_for(size_t n, enum kind kind,
                          const struct sc_shape *shape)
{
    if (kind == KIND_NOSCAN)
        return CLASS_NOSCAN + size_class(n);
    if (kind == KIND_CONSERVATIVE)
        return CLASS_CONSERVATIVE + size_class(n);
    unsigned c = load_acquire(&shape->class_of[size_class(n)]);
    return likely(c) ? c : class_made(shape, n);
}

void *new_object(size_t n, enum kind kind, const struct sc_shape *shape)
{
    if (!api_start())
        return out_of_memory();
    if (unlikely(n > SMALL_MAX))
        return new_large(n, kind, shape, knobs.efence);
    unsigned c = class_for(n, kind, shape);
    if (unlikely(c == CLASSES)) /* class numbers are used up */
        return new_large(n, kind, shape, false);
    void *p = fast_take(cache_self, fast_of(c));
    return likely(p) ? p : new_small(c);
}

/* One byte more than asked, so that a pointer past the end is inside. */
static size_t padded(size_t n) { return n + 1 ? n + 1 : SIZE_MAX; }

static COLD void *alloc_any(size_t n)
{
    return new_object(padded(n), KIND_CONSERVATIVE, 0);
}

SC_API void *sc_alloc(size_t n)
{
    if (unlikely(n >= FAST_MAX))
        return alloc_any(n);
    void *p = fast_take(cache_self, fast_conservative[(n + 16) >> 4]);
    return likely(p) ? p : alloc_any(n);
}

/* ---- Tiny: noscan objects below 16 bytes ------------------------------- */

static size_t tiny_align(size_t n)
{
    return n & 7 ? n & 3 ? n & 1 ? 1 : 2 : 4 : 8;
}

/* The rest of a block serves the next ones; blocks live as wholes. */
static COLD void *tiny_block(size_t n)
{
    uintptr_t p = (uintptr_t)new_object(TINY_BLOCK, KIND_NOSCAN, 0);
    if (!p || unlikely(knobs.efence))
        return (void *)p;
    struct thread *t = api_enter();
    if (!t)
        return (void *)p;
    t->cache.tiny.cur = p + n;
    fence_signal();
    t->cache.tiny.end = p + TINY_BLOCK;
    thread_leave(t);
    return (void *)p;
}

/* Ends strictly inside the block: one past the end is inside as well. */
static void *new_tiny(size_t n)
{
    struct run *r = &cache_self->tiny;
    uintptr_t p = align_up(r->cur, tiny_align(n));
    if (unlikely(p + n >= r->end))
        return tiny_block(n);
    r->cur = p + n;
    return (void *)p;
}

static COLD void *alloc_noscan_any(size_t n)
{
    return new_object(padded(n), KIND_NOSCAN, 0);
}

SC_API void *sc_alloc_noscan(size_t n)
{
    if (n < 16)
        return new_tiny(n);
    if (unlikely(n >= FAST_MAX))
        return alloc_noscan_any(n);
    void *p = fast_take(cache_self, fast_noscan[(n + 16) >> 4]);
    return likely(p) ? p : alloc_noscan_any(n);
}

/* ---- Typed ------------------------------------------------------------- */

/* A noscan object that the caller was promised zeroed. */
static void *zeroed(void *p, size_t n)
{
    return p ? memset(p, 0, n) : 0;
}

/* Inside us: a held thread must not own the lock of the shapes. */
static const struct sc_shape *find_shape(struct sc_layout *l)
{
    struct thread *t = api_enter();
    const struct sc_shape *s = t ? shape_of(l) : 0;
    if (t)
        thread_leave(t);
    return s;
}

static COLD void *new_typed_slow(struct sc_layout *l, size_t n, bool single)
{
    const struct sc_shape *have = load_acquire(&l->shape);
    const struct sc_shape *s = have ? have : find_shape(l);
    if (!s)
        return out_of_memory();
    enum kind kind = (enum kind)s->large;
    if (single && n <= SMALL_MAX && kind != KIND_NOSCAN) {
        unsigned c = class_for(n, kind, s);
        if (c != CLASSES) {
            store_relaxed(&l->slot, classes[c].size); /* same for all */
            store_release(&l->run, fast_of(c).run);
        }
    }
    void *p = new_object(n, kind, s);
    return kind == KIND_NOSCAN ? zeroed(p, n) : p;
}

static COLD void *new_untyped(size_t n, int noscan)
{
    if (noscan)
        return zeroed(new_object(n, KIND_NOSCAN, 0), n);
    return new_object(n, KIND_CONSERVATIVE, 0);
}

SC_API void *sc_new_one(struct sc_layout *l, size_t n, int noscan)
{
    if (unlikely(!l))
        return new_untyped(n, noscan);
    struct fast f = {.run = load_acquire(&l->run)}; /* written last */
    f.slot = load_relaxed(&l->slot);
    void *p = fast_take(cache_self, f);
    return likely(p) ? p : new_typed_slow(l, n, true);
}

/* An array of a layout whose class is known; NULL: take the long way. */
INLINE void *many_fast(const struct sc_shape *s, size_t bytes)
{
    if (!s || bytes > SMALL_MAX)
        return 0;
    unsigned c = load_acquire(&s->class_of[size_class(bytes)]);
    if (!c || c >= CLASSES || classes[c].kind == KIND_NOSCAN)
        return 0;
    return fast_take(cache_self, fast_of(c));
}

SC_API void *sc_new_many(struct sc_layout *l, size_t n, size_t size,
                         int noscan)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX)
        return out_of_memory();
    bytes = padded(bytes);
    void *p = l ? many_fast(load_acquire(&l->shape), bytes) : 0;
    if (likely(p))
        return p;
    return l ? new_typed_slow(l, bytes, false) : new_untyped(bytes, noscan);
}
