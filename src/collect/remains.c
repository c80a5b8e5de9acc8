/* remains.c: what an ended thread leaves to the one that joins it.
 *
 *   thread: return p; --> C library's descriptor: result --> pthread_join
 *                         ^ nobody's stack, nobody's global
 *
 * Between its end and the join, the value that a thread returned stands only in
 * the descriptor that the C library keeps for it.  So when a joinable thread
 * ends, the words of its descriptor that point into the heap are copied here
 * and are roots until it was joined, which the descriptor itself tells.
 *
 * Lock: remains.lock.
 */
#include "collect.h"

#define WORDS 12 /* result, argument, and a few thread-specific values */

struct remains {
    struct remains *next;
    uintptr_t tp;
    int tid;
    unsigned n;
    uintptr_t word[WORDS];
};
static struct meta_pool pool = META_POOL(sizeof(struct remains), META_THREAD);
static struct {
    struct lock lock;
    struct remains *all;
} list = {.lock = LOCK_INIT(RANK_ROOTS)};

/* Words of the descriptor that point into objects. */
static RACY unsigned collect_words(uintptr_t tp, uintptr_t *to)
{
    uintptr_t lo, hi;
    unsigned n = 0;
    struct object o;
    os_descriptor(tp, &lo, &hi);
    for (; lo + 8 <= hi && n < WORDS; lo += 8) {
        uintptr_t w = load_relaxed((uintptr_t *)lo);
        if (w - heap.base < heap.limit && object_find(w, &o))
            to[n++] = w;
    }
    return n;
}

static void add(const struct remains *r)
{
    struct remains *to = meta_pool_get(&pool);
    if (!to)
        return;
    *to = *r;
    lock_take(&list.lock);
    to->next = list.all;
    list.all = to;
    lock_drop(&list.lock);
}

/* The C library is asked before we are inside us: it takes locks of its own,
 * which a thread that is held may have. */
void remains_add(const struct thread *t)
{
    struct remains r = {.tp = t->stack.tp, .tid = t->tid};
    r.n = collect_words(r.tp, r.word);
    if (!r.n || !os_thread_joinable())
        return;
    struct thread *self = thread_enter();
    add(&r);
    thread_leave(self);
}

static bool joined(const struct remains *r)
{
    return !os_thread_unjoined(r->tp, r->tid);
}

void remains_scan(struct work *w)
{
    lock_take(&list.lock);
    for (struct remains **at = &list.all, *r; (r = *at);) {
        /* Also if it was joined: perhaps since marking began, by a thread
         * whose stack had been scanned. */
        for (unsigned i = 0; i < r->n; i++)
            mark_word(w, r->word[i]);
        if (joined(r)) {
            *at = r->next;
            meta_pool_put(&pool, r);
        } else {
            at = &r->next;
        }
    }
    lock_drop(&list.lock);
}

void remains_reset_locks(void)
{
    lock_reset(&list.lock);
    lock_reset(&pool.lock);
}
