/* lock.c: small locks on one word, with a rank.
 *
 *            take                     take by another
 *   0 free ---------> 1 taken ---------------------------> 2 taken, waiters
 *     ^                 | drop                                | drop, wake 1
 *     +-----------------+-------------------------------------+
 *
 * A waiter spins a little, then sleeps in the kernel on the word.  Whoever
 * wakes takes the lock as "2", since it can't know whether others sleep: at
 * worst one wake-up too many, never one too few.
 *
 * Ranks: a thread takes locks in rising rank, so that no two threads can wait
 * for each other.  Debug builds count, per thread and rank, the locks held,
 * and stop at the first lock taken below a rank that is held.  Equal ranks
 * pass: fork takes all span lists of one rank, and pools share a rank.
 * lock_try can't wait, so it is not checked; what it took counts as held.
 *
 * Why not a mutex of pthread: a lock here is 8 bytes, is taken by threads
 * that the C library never heard of, and is reset in the child of a fork.
 */
#include "base.h"

enum { FREE, TAKEN, WAITED };

/* About 1 us at 40 cycles a pause: the sections under our locks are shorter
 * than a trip to the kernel, which costs 2 us and more with the wake-up. */
#define SPINS 64

#ifdef SC_DEBUG
/* 16 bits: fork holds one lock per span class, some thousands. */
static _Thread_local uint16_t held[RANK_LEAF + 1];

static void held_check(const struct lock *l)
{
    int r;

    insist(l->rank <= RANK_LEAF);
    for (r = l->rank + 1; r <= RANK_LEAF; r++)
        if (held[r])
            fatal("internal: lock of rank %d taken while one of rank %d is "
                  "held", l->rank, r);
}

static void held_add(const struct lock *l)
{
    held[l->rank]++;
}

/* Never below 0: the child of a fork resets locks that were not its own. */
static void held_remove(const struct lock *l)
{
    if (held[l->rank])
        held[l->rank]--;
}
#else
INLINE void held_check(const struct lock *l) { (void)l; }
INLINE void held_add(const struct lock *l) { (void)l; }
INLINE void held_remove(const struct lock *l) { (void)l; }
#endif

static bool word_take(struct lock *l)
{
    uint32_t expected = FREE;

    return atomic_compare_exchange_strong_explicit(
        &l->word, &expected, TAKEN, memory_order_acquire,
        memory_order_relaxed);
}

/* Only looks while spinning: a failed exchange would take the cache line
 * away from the owner that is about to write it. */
static bool word_spin(struct lock *l)
{
    int i;

    for (i = 0; i < SPINS; i++) {
        uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);

        if (w == FREE && word_take(l))
            return true;
        if (w == WAITED)
            return false; /* others sleep already: it takes longer */
        cpu_relax();
    }
    return false;
}

/* Under a sanitizer that puts handlers off until an atomic operation, a sleeper
 * must come to one now and then: the holder may wait for it to answer a signal.
 */
#define LOCK_NAP (SIGNALS_LATE ? 5000000ull : UINT64_MAX)

static NOINLINE void word_wait(struct lock *l)
{
    if (word_spin(l))
        return;
    while (atomic_exchange_explicit(&l->word, WAITED, memory_order_acquire))
        os_wait(&l->word, WAITED, LOCK_NAP);
}

void lock_take(struct lock *l)
{
    held_check(l);
    if (unlikely(!word_take(l)))
        word_wait(l);
    held_add(l);
}

bool lock_try(struct lock *l)
{
    if (!word_take(l))
        return false;
    held_add(l);
    return true;
}

void lock_drop(struct lock *l)
{
    uint32_t was;

    held_remove(l);
    was = atomic_exchange_explicit(&l->word, FREE, memory_order_release);
    check(was != FREE);
    if (unlikely(was == WAITED))
        os_wake(&l->word, 1);
}

bool lock_held(const struct lock *l)
{
    return atomic_load_explicit(&l->word, memory_order_relaxed) != FREE;
}

void lock_reset(struct lock *l)
{
    held_remove(l);
    atomic_store_explicit(&l->word, FREE, memory_order_relaxed);
}
