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
 *   MARKING      shade the object, unless it is marked
 *   TERMINATING  the same, but first move the state back to MARKING, so that
 *                the collector goes round once more
 *   CENSUS       it is decided: the object if it is marked, else NULL
 *
 * The reader is inside us meanwhile, so no handshake comes between its look at
 * the state and its shading.
 */
#include "collect.h"

bool object_is_marked(uintptr_t a)
{
    struct object o;
    return object_find(a, &o) && object_marked(&o);
}

/* Objects that are marked need nothing: else a program that never stops reading
 * would send the collector round for ever. */
static bool needs_shade(uintptr_t a)
{
    struct object o;
    return object_find(a, &o) && !object_marked(&o);
}

uintptr_t weak_strengthen(struct thread *t, uintptr_t a, uintptr_t judge)
{
    for (;;) {
        uint32_t s = load_seq(&gc.state);
        if (s == GC_IDLE)
            return a;
        if (s == GC_CENSUS)
            return object_is_marked(judge) ? a : 0;
        if (!needs_shade(a) && (judge == a || !needs_shade(judge)))
            return a;
        if (s == GC_TERMINATING && !cas_seq(&gc.state, &s, GC_MARKING))
            continue;
        barrier_shade(t, a);
        if (judge != a)
            barrier_shade(t, judge);
        return a;
    }
}

/* ---- Weak pointers ----------------------------------------------------- */

void weak_clear(struct special *s)
{
    struct sc_weak *w = s->arg;
    store_seq(&w->target, 0);
}

/* ---- Ephemerons -------------------------------------------------------- */

size_t ephemeron_trace(const void *obj, size_t size, size_t cursor,
                       struct sc_marker *m)
{
    const struct sc_ephemeron *e = obj;
    uintptr_t key = load_seq(&e->key);
    if (key && object_is_marked(key))
        mark_word(m->work, load_relaxed(&e->value));
    return 0;
}

uintptr_t ephemeron_value_of(const struct special *s)
{
    return load_relaxed(&((struct sc_ephemeron *)s->arg)->value);
}

void ephemeron_clear(struct special *s)
{
    struct sc_ephemeron *e = s->arg;
    store_seq(&e->key, 0);
    store_seq(&e->value, 0);
}
