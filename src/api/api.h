/* api.h: what the entry points share. */
#ifndef SC_API_H
#define SC_API_H

#include "../obs/obs.h"

/* ---- start.c: the library comes to life at its first use --------------- */

/* True once memory can be had; idempotent, any thread. */
bool api_start(void);
/* thread_enter, after api_start.  NULL with errno ENOMEM. */
struct thread *api_enter(void);

/* ---- new.c: allocation ------------------------------------------------- */

/* n bytes of a kind; shape for precise and traced ones.  Zeroed unless
 * noscan.  NULL with errno ENOMEM. */
void *new_object(size_t n, enum kind, const struct sc_shape *);

void new_init(void);

/* Noscan objects below 16 bytes share a block, which then is the object that is
 * found: they can't be freed one by one. */
INLINE bool api_may_be_tiny(const struct object *o)
{
    return o->kind == KIND_NOSCAN && o->size == 32;
}

/* ---- free.c ------------------------------------------------------------ */

/* The object that p points into; not one that the calling thread will only
 * hand out. */
bool api_find(const void *p, struct object *);

/* ---- misuse (api.c) ---------------------------------------------------- */

/* One line: what, where, what to do; aborts only if misuseabort is set. */
void misuse(const char *fmt, ...) PRINTF(1, 2) COLD;

#endif
