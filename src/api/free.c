/* free.c: which object an address is in; free, as a hint that is checked.
 *
 *   p --> span, slot --> freed: a bit per slot, set once     --> done
 *                          '- it was set: freed twice        --> one line
 *
 * Nothing is reclaimed here: a free tells of what the program believes, and the
 * collector finds out.  Large memory alone goes back, and reads as zero.
 *
 * Invariant: the bit of a slot that is allocated anew is clear (span_sweep).
 * Locks: none.
 */
#include <errno.h>
#include <string.h>

#include "../../include/sancai_cc.h"
#include "api.h"

/* In the part of the calling thread's own run that was not handed out yet. */
static bool not_yet_handed_out(uintptr_t a, const struct object *o)
{
    struct thread *t = thread_self;
    if (!t || o->span->class >= CLASSES)
        return false;
    const struct run *r = cache_run(&t->cache, o->span->class);
    return a >= r->cur && a < r->end;
}

bool api_find(const void *p, struct object *o)
{
    return object_find((uintptr_t)p, o) &&
           !not_yet_handed_out((uintptr_t)p, o);
}

static struct meta_pool freed_pool =
    META_POOL(8 * sizeof(uint64_t), META_SPAN);

/* The span's bitmap of freed slots; NULL: no memory (then the hint is lost). */
static _Atomic uint64_t *freed_bits(struct span *s)
{
    _Atomic uint64_t *have = load_acquire(&s->freed), *none = 0;
    if (have)
        return have;
    _Atomic uint64_t *mine = meta_pool_get(&freed_pool);
    if (!mine)
        return 0;
    memset((void *)mine, 0, 8 * sizeof *mine);
    if (cas_seq(&s->freed, &none, mine))
        return mine;
    meta_pool_put(&freed_pool, (void *)mine);
    return none;
}

/* Large memory goes back at once; it reads as zero until it is reclaimed.  Not
 * while marking: its pointers would be lost without having been shaded. */
static void discard(const struct object *o)
{
    if (o->kind != KIND_NOSCAN && load_relaxed(&gc.marking))
        return;
    if (o->span->class == CLASS_LARGE && o->size >= MIB(1))
        os_discard((void *)o->base, o->span->npages * PAGE_SIZE);
}

static void free_object(const char *who, const struct object *o, const void *p)
{
    _Atomic uint64_t *f = freed_bits(o->span);
    uint64_t bit = slot_bit(o->slot);
    if (!f)
        return;
    if (or_seq(&f[o->slot >> 6], bit) & bit)
        misuse("%s: %p was freed before; free an object once, or leave it to "
               "the collector. Nothing was changed.", who, p);
    else
        discard(o);
}

/* align: what an allocation function may have moved a start up to; 0: none. */
static bool starts(const struct object *o, const void *p, size_t align)
{
    return (uintptr_t)p == o->base || (align && (uintptr_t)p % align == 0);
}

static void hint(const char *who, const void *p, size_t align)
{
    struct object o;
    struct thread *t = api_enter();
    if (!t)
        return;
    bool found = api_find(p, &o);
    if (found && api_may_be_tiny(&o))
        ; /* shared with others */
    else if (found && starts(&o, p, align))
        free_object(who, &o, p);
    else
        misuse("%s: %p is not the start of an object of the heap; give a "
               "pointer that an allocation function returned. Nothing was "
               "changed.", who, p);
    thread_leave(t);
}

SC_API void sc_free(void *p)
{
    if (p)
        hint("sc_free", p, 0);
}

/* ---- What `sancai cc` makes of free ------------------------------------ */

SC_API int sc_cc_owns(const void *p)
{
    return (uintptr_t)p - heap.base < load_relaxed(&heap.limit);
}

SC_API int sc_cc_drop(void *p)
{
    int saved = errno;
    if (!sc_cc_owns(p))
        return 0;
    hint("free", p, SC_CC_ALIGN);
    errno = saved;
    return 1;
}
