/* weak.c: weak pointers and ephemerons.
 *
 *   handle (heap object, noscan)          special (special.c)
 *   target ~~~~~~~ hidden ~~~~~~> object <----- object, arg = handle
 *
 *   ephemeron (heap object, traced)       special on the key
 *   key, value ~~ hidden ~~> ...               arg = ephemeron
 *
 * Reading a weak pointer makes a strong one from nothing, which no barrier
 * sees; so the reader does the collector's work itself:
 *
 *   IDLE         nothing to do: the reader's stack will be scanned
 *   MARKING      shade the object
 *   TERMINATING  move the state back to MARKING (so that the collector goes
 *                round once more), then shade
 *   CENSUS       it is decided: the object if it is marked, else NULL
 *
 * The reader is inside us meanwhile, so no handshake comes between its look at
 * the state and its shading.
 */
#include <errno.h>

#include "collect.h"

struct sc_weak {
    _Atomic uintptr_t target;
};
struct sc_ephemeron {
    _Atomic uintptr_t key, value;
};

bool object_is_marked(uintptr_t a)
{
    struct object o;
    return object_find(a, &o) && object_marked(&o);
}

/* The strong pointer to a, whose life hangs on `judge`, or 0. */
static uintptr_t strengthen(struct thread *t, uintptr_t a, uintptr_t judge)
{
    for (;;) {
        uint32_t s = load_seq(&gc.state);
        if (s == GC_IDLE)
            return a;
        if (s == GC_CENSUS)
            return object_is_marked(judge) ? a : 0;
        if (s == GC_TERMINATING && !cas_seq(&gc.state, &s, GC_MARKING))
            continue;
        barrier_shade(t, a);
        if (judge != a)
            barrier_shade(t, judge);
        return a;
    }
}

/* ---- Weak pointers -------------------------------------------------------- */

static enum special_do find_weak(struct special *s, void *found)
{
    struct special **f = found;
    if (s->kind != SPECIAL_WEAK || s->exact != (uintptr_t)*f)
        return SPECIAL_NEXT;
    *f = s;
    return SPECIAL_STOP;
}

void weak_clear(struct special *s)
{
    struct sc_weak *w = s->arg;
    store_seq(&w->target, 0);
}

/* An existing handle is reached through its special, not through a pointer
 * that the program holds: shaded like any weak load. */
static struct sc_weak *existing(struct thread *t, struct object *o,
                                uintptr_t exact)
{
    void *f = (void *)exact;
    special_each_of(o->base, find_weak, &f);
    if (f == (void *)exact)
        return 0;
    struct sc_weak *w = ((struct special *)f)->arg;
    barrier_shade_if(t, w);
    return w;
}

SC_API struct sc_weak *sc_weak_new(void *p)
{
    struct object o;
    struct sc_weak *fresh = sc_alloc_noscan(sizeof *fresh);
    struct thread *t = fresh ? thread_enter() : 0;
    if (!t)
        return 0;
    struct sc_weak *w = 0;
    if (!object_find((uintptr_t)p, &o)) {
        say("sc_weak_new: %p is not in an object of the heap; give a pointer "
            "that an allocation function returned.", p);
        errno = EINVAL;
    } else if (!(w = existing(t, &o, (uintptr_t)p))) {
        fresh->target = (uintptr_t)p;
        struct special s = {.object = o.base, .exact = (uintptr_t)p,
                            .kind = SPECIAL_WEAK, .arg = fresh};
        barrier_shade_if(t, fresh);
        w = special_add(&s) ? fresh : 0;
        errno = w ? errno : ENOMEM;
    }
    thread_leave(t);
    return w;
}

SC_API void *sc_weak_get(struct sc_weak *w)
{
    if (!w)
        return 0;
    struct thread *t = thread_enter();
    if (!t)
        return 0;
    uintptr_t a = load_seq(&w->target);
    if (a)
        a = strengthen(t, a, a);
    /* The census may have cleared it between. */
    if (a && !load_seq(&w->target))
        a = 0;
    thread_leave(t);
    return (void *)a;
}

/* ---- Ephemerons ------------------------------------------------------------- */

static size_t trace_ephemeron(const void *obj, size_t size, size_t cursor,
                              struct sc_marker *m)
{
    const struct sc_ephemeron *e = obj;
    uintptr_t key = load_seq(&e->key);
    if (key && object_is_marked(key))
        mark_word(m->work, load_relaxed(&e->value));
    return 0;
}

typedef struct sc_ephemeron sc_ephemeron;
SC_TRACED(sc_ephemeron, trace_ephemeron)

uintptr_t ephemeron_value_of(const struct special *s)
{
    return load_relaxed(&((struct sc_ephemeron *)s->arg)->value);
}

void ephemeron_clear(struct special *s)
{
    struct sc_ephemeron *e = s->arg;
    if (!object_is_marked((uintptr_t)e))
        return; /* dead as well: its memory may be anything soon */
    store_seq(&e->key, 0);
    store_seq(&e->value, 0);
}

/* The marker looks keys up only on pages that say so. */
static void flag_keys(struct span *s)
{
    uint32_t page = span_page(s);
    for (uint32_t i = 0; i < s->npages; i++)
        __atomic_fetch_or(&heap.desc[page + i], DESC_KEYS, __ATOMIC_SEQ_CST);
}

SC_API struct sc_ephemeron *sc_ephemeron_new(void *key, void *value)
{
    struct object o;
    struct sc_ephemeron *e = sc_new(sc_ephemeron);
    struct thread *t = e ? thread_enter() : 0;
    if (!t)
        return 0;
    if (!object_find((uintptr_t)key, &o)) {
        say("sc_ephemeron_new: key %p is not in an object of the heap; give a "
            "pointer that an allocation function returned.", key);
        errno = EINVAL;
        e = 0;
    } else {
        flag_keys(o.span);
        barrier_shade_if(t, value);
        barrier_shade_if(t, key);
        barrier_shade_if(t, e);
        store_relaxed(&e->value, (uintptr_t)value);
        store_seq(&e->key, (uintptr_t)key);
        struct special s = {.object = o.base, .exact = (uintptr_t)key,
                            .kind = SPECIAL_KEY, .arg = e};
        if (!special_add(&s)) {
            errno = ENOMEM;
            e = 0;
        }
    }
    thread_leave(t);
    return e;
}

static void *read_ephemeron(struct sc_ephemeron *e, bool value)
{
    struct thread *t = e ? thread_enter() : 0;
    if (!t)
        return 0;
    uintptr_t key = load_seq(&e->key), a = value ? load_seq(&e->value) : key;
    if (!key || !a || !strengthen(t, a, key))
        a = 0;
    if (a && !load_seq(&e->key))
        a = 0;
    thread_leave(t);
    return (void *)a;
}

SC_API void *sc_ephemeron_key(struct sc_ephemeron *e)
{
    return read_ephemeron(e, false);
}

SC_API void *sc_ephemeron_value(struct sc_ephemeron *e)
{
    return read_ephemeron(e, true);
}
