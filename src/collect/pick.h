/* pick.h: which words of some objects point into the heap: the inmost loop of
 * marking, in the widest form that the processor has.
 *
 *   start + slot * size, for each slot of a bit set -> words of its map
 *        -> word - base < limit?  that offset goes to `off`
 *
 * Memory to be scanned without a map is blocks of 64 words of which all count.
 * Words of which the map says nothing are not read.
 *
 * The base is handed on as its negative: else the stacks and registers in which
 * it is left would keep the heap's first object alive.
 */
#ifndef SC_PICK_H
#define SC_PICK_H

#include "../def.h"

struct pick_from {
    uintptr_t start, size;
    uint64_t map;            /* bit i: the word at 8 * i; lowest of each slot */
    uintptr_t minus_base;    /* of the heap */
    uintptr_t limit;         /* its bytes */
};

/* An object adds at most 64, and a vector is stored whole. */
#define PICK_ENOUGH 64
struct picked {
    unsigned n;
    uintptr_t off[PICK_ENOUGH + 64 + 8];
};

/* Adds to what is picked until it is enough; the slots that are left. */
typedef uint64_t pick_fn(const struct pick_from *, uint64_t slots,
                         struct picked *);

struct pick_kernel {
    const char *name;
    pick_fn *fn;             /* NULL: ends the list */
    bool (*runs_here)(void);
};
/* The plainest first: what all others must agree with. */
extern const struct pick_kernel pick_kernels[];

/* The last one of the list that this processor runs; plain before pick_init. */
extern pick_fn *pick HIDDEN;
void pick_init(void);

#endif
