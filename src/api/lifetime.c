/* lifetime.c: cleanups, finalizers and pins, as the program asks for them.
 *
 * Each is one special (collect/special.c).  While marking, what a new special
 * keeps alive is shaded here: its shard may have been scanned already.
 */
#include <errno.h>

#include "api.h"

/* What sc_cleanup hands out: a small heap object, so that it needs no freeing
 * and an old one can do no harm. */
struct sc_cleanup_handle {
    uintptr_t hidden; /* complement of the object's start: keeps nothing */
    uint64_t id;
};

static bool find_for(const char *who, void *p, struct object *o)
{
    if (object_find((uintptr_t)p, o))
        return true;
    misuse("%s: %p is not in an object of the heap; give a pointer that an "
           "allocation function returned.", who, p);
    errno = EINVAL;
    return false;
}

static void shade(struct thread *t, const struct special *like)
{
    barrier_shade_if(t, like->arg);
    if (like->kind == SPECIAL_FINALIZER || like->kind == SPECIAL_PIN)
        barrier_shade_if(t, (void *)like->object);
}

/* Joins the others of its object, unless fn finds one that will do. */
static int add(struct thread *t, const struct special *like, special_fn fn,
               void *arg)
{
    shade(t, like);
    if (special_add_unless(like, fn, arg)) {
        cycle_start_thread(); /* so that the periodic cycle comes */
        return 0;
    }
    errno = ENOMEM;
    return ENOMEM;
}

/* ---- Cleanups ---------------------------------------------------------- */

SC_API struct sc_cleanup_handle *sc_cleanup(void *obj, void (*fn)(void *),
                                            void *arg)
{
    struct object o;
    struct sc_cleanup_handle *h = new_object(sizeof *h, KIND_NOSCAN, 0);
    struct thread *t = h ? api_enter() : 0;
    if (!t)
        return 0;
    if (!find_for("sc_cleanup", obj, &o)) {
        h = 0;
    } else if ((uintptr_t)arg - o.base < o.size) {
        misuse("sc_cleanup: arg %p lies in the object %p itself and would "
               "keep it alive for ever; give another argument.", arg, obj);
        errno = EINVAL;
        h = 0;
    } else {
        struct special like = {.object = o.base, .exact = (uintptr_t)obj,
                               .kind = SPECIAL_CLEANUP, .cleanup = fn,
                               .arg = arg};
        shade(t, &like);
        uint64_t id = special_add(&like);
        cycle_start_thread(); /* so that the periodic cycle comes */
        *h = (struct sc_cleanup_handle){~o.base, id};
        if (!id) {
            errno = ENOMEM;
            h = 0;
        }
    }
    thread_leave(t);
    return h;
}

struct wanted {
    uint64_t id;
    int found;
};

static enum special_do drop_cleanup(struct special *s, void *arg)
{
    struct wanted *w = arg;
    if (s->kind != SPECIAL_CLEANUP || s->id != w->id)
        return SPECIAL_NEXT;
    w->found = 1;
    return SPECIAL_DROP;
}

SC_API int sc_cleanup_stop(struct sc_cleanup_handle *h)
{
    if (!h)
        return 0;
    struct thread *t = api_enter();
    if (!t)
        return 0;
    struct wanted w = {h->id, 0};
    special_each_of(~h->hidden, drop_cleanup, &w);
    thread_leave(t);
    return w.found;
}

/* ---- Finalizers -------------------------------------------------------- */

/* Tiny objects are told apart by the pointer alone. */
struct old_finalizer {
    uintptr_t exact;
    bool tiny;
};

static enum special_do drop_finalizer(struct special *s, void *arg)
{
    const struct old_finalizer *old = arg;
    if (s->kind != SPECIAL_FINALIZER || (old->tiny && s->exact != old->exact))
        return SPECIAL_NEXT;
    return SPECIAL_DROP;
}

static int set_finalizer(struct thread *t, const struct object *o,
                         const struct special *like)
{
    struct old_finalizer old = {like->exact, api_may_be_tiny(o)};
    if (like->finalizer)
        return add(t, like, drop_finalizer, &old);
    special_each_of(o->base, drop_finalizer, &old);
    return 0;
}

SC_API int sc_finalizer(void *obj, void (*fn)(void *, void *), void *arg)
{
    struct object o;
    struct thread *t = api_enter();
    if (!t)
        return ENOMEM;
    int e = EINVAL;
    if (find_for("sc_finalizer", obj, &o)) {
        struct special like = {.object = o.base, .exact = (uintptr_t)obj,
                               .kind = SPECIAL_FINALIZER, .finalizer = fn,
                               .arg = arg};
        e = set_finalizer(t, &o, &like);
    }
    thread_leave(t);
    return e;
}

/* ---- Pins -------------------------------------------------------------- */

struct pin {
    int change;
    bool found;
};

static enum special_do count_pin(struct special *s, void *arg)
{
    struct pin *p = arg;
    if (s->kind != SPECIAL_PIN)
        return SPECIAL_NEXT;
    p->found = true;
    s->id += (uint64_t)(int64_t)p->change;
    return s->id ? SPECIAL_STOP : SPECIAL_DROP;
}

static int pin(const char *who, void *p, int change)
{
    struct object o;
    struct pin k = {change, false};
    struct thread *t = api_enter();
    if (!t)
        return ENOMEM;
    int e = EINVAL;
    if (find_for(who, p, &o)) {
        struct special like = {.object = o.base, .exact = (uintptr_t)p,
                               .kind = SPECIAL_PIN, .id = 1};
        e = 0;
        if (change > 0)
            e = add(t, &like, count_pin, &k);
        else
            special_each_of(o.base, count_pin, &k);
    }
    thread_leave(t);
    if (!e && !k.found && change < 0) {
        misuse("sc_unpin: %p is not pinned; call it once for each sc_pin.", p);
        e = EINVAL;
    }
    return e;
}

SC_API int sc_pin(void *p) { return pin("sc_pin", p, 1); }
SC_API int sc_unpin(void *p) { return pin("sc_unpin", p, -1); }
