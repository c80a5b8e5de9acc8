/* moves.h: threads that move the last pointer to an object about.
 *
 *   box (heap)         box (heap)          shared slots (heap)
 *   [0..7] --take--> local --put--> [0..7]   <-- exchange, cas -->  others
 *      |                 |                        |
 *   ids beside it, in   thread-local, key        every canary that is taken
 *   malloc's memory                              out is looked at
 *
 * A box's slots hold canaries whose ids the thread knows from memory that the
 * collector does not see; a canary found dead or changed was lost.
 */
#ifndef SC_TORTURE_MOVES_H
#define SC_TORTURE_MOVES_H

#include "torture.h"

enum { SLOTS = 8, BOXES = 24, SHARED = 32, THREADS = 3 };

typedef struct Box {
    Canary *slot[SLOTS];
    struct Box *more;
} Box;
SC_LAYOUT(Box, slot, more)

struct worker {
    Box *boxes[BOXES];            /* on this thread's stack */
    uint64_t (*ids)[SLOTS];       /* 0: the slot is empty */
    uint64_t next_id, operations;
};

/* Reached through way_length objects, so that it is scanned late.  The last of
 * them is known to the threads from here, where the collector sees nothing. */
typedef struct Shared {
    Canary *slot[SHARED];
} Shared;
SC_LAYOUT(Shared, slot)
typedef struct Way {
    void *next;
} Way;
SC_LAYOUT(Way, next)
static Way *shared_way;
static uintptr_t way_end;             /* complement of the last one's address */
static unsigned way_length = 2;
static unsigned mover_nap_us;         /* after 100 steps, if at all */

static _Thread_local Canary *pocket;
static pthread_key_t pocket_key;
static double stop_at;

static Shared *shared(void)
{
    Way *last = (Way *)~way_end;

    return LOAD(&last->next);
}

static void way_make(void)
{
    Way *last = sc_new(Way);

    CHECK(last);
    STORE(&shared_way, last);
    way_end = ~(uintptr_t)last;
    STORE(&last->next, (void *)sc_new(Shared));
    for (unsigned i = 1; i < way_length; i++) {
        Way *w = sc_new(Way);
        CHECK(w);
        STORE(&w->next, (void *)shared_way);
        STORE(&shared_way, w);
    }
}

/* ---- One thread's boxes ------------------------------------------------ */

struct place {
    unsigned box, slot;
};

static struct place any_place(void)
{
    return (struct place){pick(BOXES), pick(SLOTS)};
}

static Canary **slot_of(struct worker *w, struct place p)
{
    return &w->boxes[p.box]->slot[p.slot];
}

static Canary *look(struct worker *w, struct place p)
{
    Canary *c = LOAD(slot_of(w, p));
    uint64_t id = w->ids[p.box][p.slot];

    if (!id)
        CHECK_EQ(c, NULL);
    else
        canary_is(c, id);
    return c;
}

/* Time in which a cycle may begin, scan this stack, or end. */
static void dawdle(void)
{
    unsigned n = pick(64) ? pick(40) : pick(1 << (6 + pick(12)));

    while (n--)
        __asm__ volatile("");
}

static void fill(struct worker *w, struct place p)
{
    uint64_t id = ++w->next_id;

    STORE(slot_of(w, p), canary_new(id));
    w->ids[p.box][p.slot] = id;
}

/* ---- What can be done with a pointer ----------------------------------- */

/* Out of a box, held nowhere but here (and in the pockets), into a box. */
static void move(struct worker *w)
{
    struct place from = any_place(), to = any_place();
    Canary *c = look(w, from);
    uint64_t id = w->ids[from.box][from.slot];

    if (!id) {
        fill(w, from);
        return;
    }
    STORE(slot_of(w, from), NULL);
    w->ids[from.box][from.slot] = 0;
    dawdle();
    canary_is(c, id);
    STORE(slot_of(w, to), c);
    w->ids[to.box][to.slot] = id;
}

static void move_by_exchange(struct worker *w)
{
    struct place a = any_place(), b = any_place();
    uint64_t ida = w->ids[a.box][a.slot], idb = w->ids[b.box][b.slot];

    if (a.box == b.box && a.slot == b.slot)
        return;
    Canary *c = EXCHANGE(slot_of(w, a), NULL);
    dawdle();
    Canary *d = EXCHANGE(slot_of(w, b), c);
    dawdle();
    CHECK_EQ(EXCHANGE(slot_of(w, a), d), NULL);
    w->ids[a.box][a.slot] = idb;
    w->ids[b.box][b.slot] = ida;
    look(w, a);
    look(w, b);
}

static int swap_if(Canary **slot, Canary *expected, Canary *desired)
{
    if (explicit_mode)
        return sc_cas(slot, expected, desired);
    return __atomic_compare_exchange_n(slot, &expected, desired, 0,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void move_by_cas(struct worker *w)
{
    struct place p = any_place();
    Canary *c = look(w, p);
    uint64_t id = w->ids[p.box][p.slot];

    CHECK(swap_if(slot_of(w, p), c, NULL));
    dawdle();
    if (c)
        canary_is(c, id);
    CHECK(!c || !swap_if(slot_of(w, p), c, NULL));
    CHECK(swap_if(slot_of(w, p), NULL, c));
}

static void copy(void *to, const void *from, size_t n)
{
    if (explicit_mode)
        sc_copy(to, from, n);
    else
        memmove(to, from, n);
}

static void clear(void *to, size_t n)
{
    if (explicit_mode)
        sc_clear(to, n);
    else
        memset(to, 0, n);
}

/* A whole box, or a part of it onto itself. */
static void move_by_copy(struct worker *w)
{
    unsigned a = pick(BOXES), b = pick(BOXES), at = pick(SLOTS / 2);

    if (a == b) {
        copy(&w->boxes[a]->slot[at], &w->boxes[a]->slot[at + 1],
             3 * sizeof(Canary *));
        memmove(&w->ids[a][at], &w->ids[a][at + 1], 3 * sizeof(uint64_t));
        return;
    }
    copy(w->boxes[b]->slot, w->boxes[a]->slot, sizeof(w->boxes[a]->slot));
    memcpy(w->ids[b], w->ids[a], sizeof(w->ids[a]));
    clear(w->boxes[a]->slot, sizeof(w->boxes[a]->slot));
    memset(w->ids[a], 0, sizeof(w->ids[a]));
    dawdle();
}

/* The box itself goes to another address, or is a new one. */
static void move_box(struct worker *w)
{
    unsigned i = pick(BOXES);
    Box *b = sc_realloc(w->boxes[i], sizeof(Box) * (1 + pick(4)));

    CHECK(b);
    w->boxes[i] = b;
    for (unsigned k = 0; k < SLOTS; k++)
        look(w, (struct place){i, k});
}

/* Thread-local memory has no barrier and needs none. */
static void through_pockets(struct worker *w)
{
    struct place p = any_place();
    uint64_t id = w->ids[p.box][p.slot];

    pocket = look(w, p);
    STORE(slot_of(w, p), NULL);
    dawdle();
    pthread_setspecific(pocket_key, pocket);
    pocket = NULL;
    dawdle();
    Canary *c = pthread_getspecific(pocket_key);
    STORE(slot_of(w, p), c);
    pthread_setspecific(pocket_key, NULL);
    if (id)
        canary_is(c, id);
}

/* From thread to thread; a shared canary's id says nothing, its sum does. */
static void share(struct worker *w)
{
    Shared *s = shared();
    struct place p = any_place();
    Canary *mine = look(w, p), *theirs;

    STORE(slot_of(w, p), NULL);
    theirs = EXCHANGE(&s->slot[pick(SHARED)], mine);
    dawdle();
    w->ids[p.box][p.slot] = theirs ? canary_check(theirs) : 0;
    STORE(slot_of(w, p), theirs);
}

/* The shared object is replaced as a whole; who holds the old one sees what
 * was in it. */
static void replace_shared(struct worker *w)
{
    Shared *s = shared(), *t = sc_new(Shared);
    Way *last = (Way *)~way_end;

    CHECK(t);
    for (unsigned i = 0; i < SHARED; i++)
        STORE(&t->slot[i], EXCHANGE(&s->slot[i], NULL));
    STORE(&last->next, (void *)t);
}

/* A list hangs on a canary; it is unhooked node by node and hooked again. */
static void relink(struct worker *w)
{
    Canary *head = NULL, *back = NULL;

    for (unsigned i = 0; i < 12; i++) {
        Canary *c = canary_new(i);
        STORE(&c->next, head);
        head = c;
    }
    dawdle();
    while (head) {
        Canary *next = LOAD(&head->next);
        STORE(&head->next, back);
        back = head;
        head = next;
        dawdle();
    }
    for (unsigned i = 0; i < 12; i++, back = LOAD(&back->next))
        canary_is(back, i);
}

/* ---- Threads ----------------------------------------------------------- */

static void step(struct worker *w)
{
    unsigned k = pick(100);

    if (k < 40)
        move(w);
    else if (k < 55)
        move_by_exchange(w);
    else if (k < 65)
        move_by_cas(w);
    else if (k < 72)
        move_by_copy(w);
    else if (k < 74)
        move_box(w);
    else if (k < 84)
        through_pockets(w);
    else if (k < 96)
        share(w);
    else if (k < 97)
        replace_shared(w);
    else if (k < 98)
        relink(w);
    else
        fill(w, any_place());
    w->operations++;
}

static _Atomic uint64_t operations;

static void *work(void *n)
{
    struct worker w = {.next_id = ((uintptr_t)n + 1) << 40};

    rng_seed((uintptr_t)n);
    w.ids = calloc(BOXES, sizeof(*w.ids));
    for (unsigned i = 0; i < BOXES; i++)
        w.boxes[i] = sc_new(Box);
    while (test_clock() < stop_at) {
        for (int i = 0; i < 100; i++)
            step(&w);
        if (mover_nap_us)
            usleep(mover_nap_us);
    }
    for (unsigned i = 0; i < BOXES * SLOTS; i++)
        look(&w, (struct place){i / SLOTS, i % SLOTS});
    operations += w.operations;
    free(w.ids);
    return NULL;
}

/* THREADS movers for so long; they are in mover[] meanwhile. */
static pthread_t mover[THREADS];
static void *(*mover_main)(void *) = work;

TEST_UNUSED static void movers_start(double seconds)
{
    CHECK_EQ(pthread_key_create(&pocket_key, NULL), 0);
    way_make();
    stop_at = until(seconds);
    driver_start();
    for (uintptr_t i = 0; i < THREADS; i++)
        mover[i] = spawn(mover_main, (void *)i);
}

TEST_UNUSED static void movers_join(void)
{
    for (int i = 0; i < THREADS; i++)
        pthread_join(mover[i], NULL);
    driver_end();
    dprintf(1, "%lu operations, %lu cycles\n", (unsigned long)operations,
            (unsigned long)cycles_done);
}

TEST_UNUSED static void run(double seconds)
{
    movers_start(seconds);
    movers_join();
}

#endif
