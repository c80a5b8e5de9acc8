/* secure.c: the hardened mode: its beginning, and the door to its rooms.
 *
 *   p --> guard.c's addresses?  zero.c's?  else what its page says:
 *         a small block (slot.c), a large one (runs.c), nothing (wrong.c)
 *
 * The mode begins with the first call, as a rule; where that is before the
 * environment can be read (a resolver of the loader), in our constructor, and
 * blocks in use by then are looked after but have no canaries.  It needs to be
 * the only thread then.
 *
 * Locks: none.
 */
#include <string.h>

#include "family.h"
#include "secure.h"

bool secure_on;
uint64_t secure_key;

/* ---- Patterns ----------------------------------------------------------- */

/* The byte at address a is byte a % 8 of it, whatever n is: so a canary stays
 * right when the block shrinks. */
static uint64_t canary_word(const void *p)
{
    return (((uintptr_t)p ^ secure_key) * 0x9e3779b97f4a7c15ull) |
           0x0101010101010101ull;
}

static size_t canary_end(size_t n, size_t size)
{
    return size - n > CANARY_MAX ? n + CANARY_MAX : size;
}

INLINE bool at_word(const unsigned char *b, size_t i, size_t end)
{
    return !((uintptr_t)(b + i) & 7) && i + 8 <= end;
}

void canary_write(void *p, size_t n, size_t size)
{
    uint64_t word = canary_word(p);
    unsigned char *b = p;
    for (size_t i = n, end = canary_end(n, size); i < end;)
        if (at_word(b, i, end)) {
            memcpy(b + i, &word, 8);
            i += 8;
        }
        else {
            b[i] = ((unsigned char *)&word)[(uintptr_t)(b + i) & 7];
            i++;
        }
}

size_t canary_broken(const void *p, size_t n, size_t size)
{
    uint64_t word = canary_word(p);
    const unsigned char *b = p;
    size_t i = n;
    for (size_t end = canary_end(n, size); i < end;)
        if (at_word(b, i, end) && !memcmp(b + i, &word, 8))
            i += 8;
        else if (b[i] == ((unsigned char *)&word)[(uintptr_t)(b + i) & 7])
            i++;
        else
            return i;
    return size;
}

void poison(void *p, size_t size) { memset(p, POISON, size); }

size_t poison_broken(const void *p, size_t size)
{
    const unsigned char *b = p;
    size_t i = 0;
    if (likely(b[0] == POISON && !memcmp(b, b + 1, size - 1)))
        return size;
    while (b[i] == POISON)
        i++;
    return i;
}

uint64_t secure_random(uint64_t *state)
{
    if (unlikely(!*state))
        *state = (knobs.seed ? (uint64_t)knobs.seed : os_random()) | 1;
    return rng_next(state);
}

/* ---- The beginning ------------------------------------------------------- */

/* Our tables know of all blocks from here on. */
static bool begin(void)
{
    if (!tcache_retire())
        return false;
    secure_key = knobs.seed ? (uint64_t)knobs.seed : os_random();
    return slot_adopt();
}

void secure_begin(void)
{
    static bool asked;
    if (!knobs.secure || asked)
        return;
    asked = true;
    if (!begin()) {
        say("SANCAI_DEBUG: secure: there are threads already, or no memory; "
            "it stays off.");
        return;
    }
    guard_begin();
    zero_begin();
    secure_on = true;
}

void secure_hook(void)
{
    if (!secure_on)
        return;
    os_backtrace_prepare();
    os_fault_init(secure_fault);
    os_at_exit(slot_check_held);
}

/* ---- The door ------------------------------------------------------------ */

static void *new_block(size_t n, size_t align, bool *zero)
{
    void *p = n ? guard_new(n, align) : align <= 16 ? zero_new() : NULL;
    *zero = false;
    if (!p && align <= PAGE_SIZE)
        p = slot_new(n, align);
    if (!p && (n + CANARY > SMALL_MAX || align > 16))
        p = run_new(n, align, zero);
    return p;
}

/* Large blocks that wait go back before there is no memory. */
void *secure_malloc(size_t n, size_t align, bool *zero)
{
    void *p = new_block(n, align, zero);
    if (likely(p))
        return p;
    run_flush();
    return new_block(n, align, zero);
}

void secure_free(const char *who, void *p, size_t n)
{
    struct mblock b;
    enum mfound found;
    if (guard_has(p))
        guard_free(who, p, n);
    else if (zero_has(p))
        zero_free(who, p, n);
    else if ((found = mblock_find((uintptr_t)p, &b)) == FOUND_SMALL)
        slot_free(who, &b, n);
    else if (found == FOUND_LARGE)
        run_free(who, &b, n);
    else
        wrong_free(who, p);
}

bool secure_size(const char *who, void *p, size_t *n)
{
    struct mblock b;
    enum mfound found;
    if (guard_has(p))
        return guard_size(who, p, n);
    if (zero_has(p))
        return zero_size(who, p, n);
    if ((found = mblock_find((uintptr_t)p, &b)) == FOUND_SMALL)
        return slot_size(who, &b, n);
    if (found == FOUND_LARGE)
        return run_size(who, &b, n);
    wrong_free(who, p);
    return false;
}

static bool resize(void *p, size_t n)
{
    struct mblock b;
    enum mfound found;
    if (guard_has(p) || zero_has(p))
        return false;
    if ((found = mblock_find((uintptr_t)p, &b)) == FOUND_SMALL)
        return slot_resize("realloc", &b, n);
    return found == FOUND_LARGE && run_resize("realloc", &b, n);
}

/* Room for an eighth more, for who makes a large block larger by steps. */
static void *grown(size_t n, size_t has)
{
    bool large = has > SMALL_MAX && n > has && n < PTRDIFF_MAX / 2;
    void *q = malloc(large ? n + n / 8 : n);
    return q && large && !resize(q, n) ? NULL : q;
}

/* p is not NULL, n not too large. */
void *secure_realloc(void *p, size_t n)
{
    size_t has;
    if (!secure_size("realloc", p, &has))
        return NULL;
    if (!n) {
        secure_free("realloc", p, ANY_SIZE);
        return NULL;
    }
    if (resize(p, n))
        return p;
    void *q = grown(n, has);
    if (!q)
        return n <= has ? p : NULL;
    memcpy(q, p, min_size(has, n));
    secure_free("realloc", p, ANY_SIZE);
    return q;
}

/* ---- Faults -------------------------------------------------------------- */

static const char *const access_names[] = {
    [OS_READ] = "read", [OS_WRITE] = "write", [OS_ACCESS] = "access"};

/* Nothing is said of what is not ours, and only the first of several threads
 * speaks. */
void secure_fault(uintptr_t a, enum os_access access)
{
    static _Atomic bool told;
    const char *what = access_names[access];
    struct mblock b;
    if (swap_seq(&told, true))
        return;
    if (guard_has((void *)a))
        guard_fault(what, a);
    else if (zero_has((void *)a))
        zero_fault(what, a);
    else if (mblock_find(a, &b) >= FOUND_LARGE &&
             b.span->state == MSPAN_LARGE)
        run_fault(what, a, &b);
}

/* ---- fork ---------------------------------------------------------------- */

void secure_lock(void)
{
    guard_lock();
    run_lock();
    shelf_lock_all();
}

void secure_unlock(void)
{
    shelf_unlock_all();
    run_unlock();
    guard_unlock();
}

void secure_fork_child(void)
{
    guard_reset_lock();
    run_reset_lock();
    shelf_reset_locks();
}
