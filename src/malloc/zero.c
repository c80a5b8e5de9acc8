/* zero.c: blocks of 0 bytes of the hardened mode: addresses without memory.
 *
 *   | 16 | 16 | 16 | ...    no access; each 16 bytes are a block
 *     ^ next, round and round: who was freed is long nobody's
 *
 * Whoever reads or writes such a block faults.
 *
 * Locks: none; a state per block, changed by atomic exchange.
 */
#include "secure.h"

#define ZEROS 65536
#define STEP 16
#define TRIES 8

enum { UNUSED, USED, FREED };

static struct {
    uintptr_t base; /* 0: none */
    _Atomic uint8_t *state;
    _Atomic uint32_t next;
} zero;

void zero_begin(void)
{
    zero.state = meta_map(ZEROS, META_SPAN);
    if (zero.state)
        zero.base = (uintptr_t)os_reserve(ZEROS * STEP, KIB(64), 0);
}

static uintptr_t offset(const void *p) { return (uintptr_t)p - zero.base; }

bool zero_has(const void *p)
{
    return zero.base && offset(p) < ZEROS * STEP;
}

void *zero_new(void)
{
    for (int i = 0; zero.base && i < TRIES; i++) {
        uint32_t k = add_relaxed(&zero.next, 1) % ZEROS;
        uint8_t was = load_relaxed(&zero.state[k]);
        if (was != USED && cas_seq(&zero.state[k], &was, USED))
            return (void *)(zero.base + k * STEP);
    }
    return NULL;
}

/* The state of p's, if it is a block in use. */
static _Atomic uint8_t *in_use(const char *who, void *p)
{
    const struct culprit none = {0};
    _Atomic uint8_t *s = &zero.state[offset(p) / STEP];
    void *start = (void *)align_down((uintptr_t)p, STEP);
    if (start != p)
        blame(&none, "%s: %p lies inside the block %p of %zu bytes; free a "
              "block by its start.", who, p, start, (size_t)0);
    else if (load_relaxed(s) != USED)
        blame_freed(&none, who, p);
    else
        return s;
    return NULL;
}

void zero_free(const char *who, void *p, size_t n)
{
    const struct culprit none = {0};
    uint8_t was = USED;
    _Atomic uint8_t *s = in_use(who, p);
    if (!s)
        return;
    if (n != ANY_SIZE && n)
        blame_size(&none, who, p, 0, n);
    else if (!cas_seq(s, &was, FREED))
        blame_freed(&none, who, p);
}

bool zero_size(const char *who, void *p, size_t *n)
{
    *n = 0;
    return in_use(who, p) != NULL;
}

void zero_fault(const char *what, uintptr_t a)
{
    const struct culprit none = {0};
    blame_fault(&none, "%s: %p lies in the block %p of 0 bytes.", what,
                (void *)a, (void *)align_down(a, STEP));
}
