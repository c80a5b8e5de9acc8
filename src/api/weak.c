/* weak.c: weak pointers and ephemerons, as the program asks for them.
 *
 * What they are and why reading them is delicate: collect/weak.c.
 */
#include <errno.h>

#include "api.h"

/* ---- Weak pointers ----------------------------------------------------- */

struct wanted_weak {
    uintptr_t exact;
    struct sc_weak *found;
};

static enum special_do find_weak(struct special *s, void *wanted)
{
    struct wanted_weak *w = wanted;
    if (s->kind != SPECIAL_WEAK || s->exact != w->exact)
        return SPECIAL_NEXT;
    w->found = s->arg;
    return SPECIAL_STOP;
}

/* The handle that there is, or else `fresh`.  An existing one is reached
 * through its special, not through a pointer that the program holds: shaded
 * like any weak load. */
static struct sc_weak *weak_of(struct thread *t, const struct object *o,
                               uintptr_t exact, struct sc_weak *fresh)
{
    struct wanted_weak k = {exact, 0};
    struct special s = {.object = o->base, .exact = exact,
                        .kind = SPECIAL_WEAK, .arg = fresh};
    store_release(&fresh->target, exact); /* publishes what p points to */
    if (!special_add_unless(&s, find_weak, &k)) {
        errno = ENOMEM;
        return 0;
    }
    struct sc_weak *w = k.found ? k.found : fresh;
    barrier_shade_if(t, w);
    return w;
}

SC_API struct sc_weak *sc_weak_new(void *p)
{
    struct object o;
    /* Not a tiny one: it would share a block with objects, perhaps with p, and
     * keep them. */
    struct sc_weak *w = 0, *fresh = new_object(sizeof *fresh, KIND_NOSCAN, 0);
    struct thread *t = fresh ? thread_enter() : 0;
    if (!t)
        return 0;
    if (object_find((uintptr_t)p, &o)) {
        w = weak_of(t, &o, (uintptr_t)p, fresh);
    } else {
        misuse("sc_weak_new: %p is not in an object of the heap; give a "
               "pointer that an allocation function returned.", p);
        errno = EINVAL;
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
        a = weak_strengthen(t, a, a);
    /* The census may have cleared it between. */
    if (a && !load_seq(&w->target))
        a = 0;
    thread_leave(t);
    return (void *)a;
}

/* ---- Ephemerons -------------------------------------------------------- */

typedef struct sc_ephemeron sc_ephemeron;
SC_TRACED(sc_ephemeron, ephemeron_trace)

/* The marker looks keys up only on pages that say so. */
static void flag_keys(struct span *s)
{
    uint32_t page = span_page(s);
    for (uint32_t i = 0; i < s->npages; i++)
        or_seq(&heap.desc[page + i], DESC_KEYS);
}

SC_API struct sc_ephemeron *sc_ephemeron_new(void *key, void *value)
{
    struct object o;
    struct sc_ephemeron *e = sc_new(sc_ephemeron);
    struct thread *t = e ? thread_enter() : 0;
    if (!t)
        return 0;
    if (!object_find((uintptr_t)key, &o)) {
        misuse("sc_ephemeron_new: key %p is not in an object of the heap; "
               "give a pointer that an allocation function returned.", key);
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
    if (!key || !a || !weak_strengthen(t, a, key))
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
