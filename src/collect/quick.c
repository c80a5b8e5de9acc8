/* quick.c: what a store of compiled code does while the collector marks, short
 * of work that needs vector registers.
 *
 *   enter; shade old, shade new; store; leave         -> NULL: done
 *      |                                    '- asked  -> barrier_answer
 *      '- no record, gate shut, buffer full           -> barrier_store_slow
 *         (what was noted by then is noted twice)
 *
 * This file is compiled without vector registers, and calls nothing: so its
 * caller (sequence.c) has none to save.  What is left to do, it calls then.
 * A store is done here or by barrier_store_slow, never by both.
 *
 * Locks: none.
 */
#include "mark.h"

typedef void (*rest_fn)(void **slot, void *value);
rest_fn barrier_quick(void **slot, void *value);

INLINE RACY bool note(struct thread *t, uintptr_t word)
{
    return is_known_marked(word) || barrier_note(t, word);
}

__attribute__((used)) RACY rest_fn barrier_quick(void **slot, void *value)
{
    struct thread *t = thread_self;
    if (!t || load_relaxed(&thread_gate) || load_relaxed(&t->busy))
        return barrier_store_slow;
    store_relaxed(&t->busy, 1);
    fence_signal();
    bool room = !load_relaxed(&thread_gate);
    if (room && load_relaxed(&gc.marking) && !knobs.nobarrier)
        room = note(t, (uintptr_t)load_relaxed(slot)) &&
               note(t, (uintptr_t)value);
    if (room)
        store_release(slot, value);
    fence_signal();
    store_relaxed(&t->busy, 0);
    fence_signal();
    if (!room)
        return barrier_store_slow;
    return load_relaxed(&t->pending) ? barrier_answer : NULL;
}
