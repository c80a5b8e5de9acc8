/* family.c: malloc, free and realloc, and the paths of a few instructions.
 *
 *   malloc(n)   size -> bin of this thread -> its first block
 *   free(p)     page of p -> descriptor -> is p the start of a block, and not
 *               free? -> bin of this thread
 *
 * Semantics are the C library's (glibc's manual; C11 7.22.3): sizes over
 * PTRDIFF_MAX and want of memory give NULL and ENOMEM; malloc(0) gives a block
 * of its own; realloc(p, 0) frees and gives NULL; free keeps errno.
 */
#include <errno.h>
#include <string.h>

#include "family.h"
#include "secure.h"

/* ---- malloc ------------------------------------------------------------ */

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

INLINE void *unmark(void *p)
{
    ((void **)p)[MARK_WORD] = NULL;
    return p;
}

/* The hardened mode, in which all bins are empty. */
COLD void *family_secure(size_t n, size_t align, bool *zero)
{
    void *p;
    do
        p = secure_malloc(n, align, zero);
    while (!p && give_emergency());
    pressure_relieve();
    return p ? p : no_memory();
}

static NOINLINE void *slow_small(unsigned class, size_t n)
{
    void *p = NULL;
    bool zero;
    if (mbegin()) {
        if (unlikely(secure_on))
            return family_secure(n, 1, &zero);
        do
            p = tcache_fill(class);
        while (!p && give_emergency());
    }
    pressure_relieve();
    return p ? unmark(p) : no_memory();
}

COLD void *family_large(size_t n, size_t align, bool *zero)
{
    void *p = NULL;
    if (n <= PTRDIFF_MAX && mbegin()) {
        if (unlikely(secure_on))
            return family_secure(n, align, zero);
        do
            p = mlarge_new(n, align, zero);
        while (!p && give_emergency());
    }
    pressure_relieve();
    return p ? p : no_memory();
}

/* n: what was asked for. */
INLINE void *take(struct bin *b, unsigned class, size_t n)
{
    void **head = b->head, *p = *head;
    if (unlikely(!p))
        return slow_small(class, n);
    b->head = head + 1;
    return unmark(p);
}

void *family_class(unsigned class, size_t n)
{
    struct tcache *t = tcache_self;
    return take(&t->bin[1 + class], class, n);
}

static NOINLINE void *malloc_more(size_t n)
{
    bool zero;
    if (unlikely(n > SMALL_MAX))
        return family_large(n, 1, &zero);
    if (likely(n > 16 * INDEX_MAX)) /* neither 0 nor of the first classes */
        return family_class(size_class(n), n);
    return family_class(size_class(n + !n), n);
}

SC_API void *malloc(size_t n)
{
    struct tcache *t = tcache_self;
    size_t i = (n + 15) >> 4; /* 0 also if the sum is too large */
    __asm__("" : "+r"(i)); /* else it is computed twice */
    if (unlikely(i > INDEX_MAX))
        return malloc_more(n);
    struct bin *b = bin_at(t, t->bin_of[i]);
    void **head = b->head, *p = *head;
    if (unlikely(!p))
        return malloc_more(n);
    b->head = head + 1;
    return unmark(p);
}

/* ---- free -------------------------------------------------------------- */

/* In the hardened mode all bins are full.  n: as with put. */
static NOINLINE void spill(void *p, size_t n)
{
    if (unlikely(secure_on)) {
        secure_free(n == ANY_SIZE ? "free" : "delete", p, n);
        return;
    }
    unsigned class = bin_class(mheap.desc[arena_page((uintptr_t)p)].bin);
    ((void **)p)[MARK_WORD] = free_mark();
    tcache_spill(class, p);
}

static COLD void free_large(const char *who, void *p, size_t n)
{
    struct mblock b;
    if (!p)
        return;
    if (unlikely(secure_on))
        secure_free(who, p, n);
    else if (mblock_find((uintptr_t)p, &b) == FOUND_LARGE)
        mlarge_free(b.span);
    else
        wrong_free(who, p);
}

/* A small block that bears the mark: is it free? */
static COLD bool is_free(const struct mblock *b)
{
    return mblock_in_span(b) || tcache_holds(b->span->class, (void *)b->base);
}

INLINE bool has_mark(void *p)
{
    return unlikely(((void **)p)[MARK_WORD] == free_mark());
}

/* The descriptor of p's page if p is the start of a small block.  Whoever has
 * the block has seen limit rise, so it is read plainly. */
INLINE const struct mdesc *small_block(void *p)
{
    uintptr_t offset = (uintptr_t)p - mheap.base;
    if (unlikely(offset >= mheap.limit))
        return NULL;
    const struct mdesc *d = &mheap.desc[offset >> PAGE_SHIFT];
    uint32_t rest = (uint32_t)(uintptr_t)p * d->magic + d->bias;
    return likely(rest < d->magic) ? d : NULL;
}

/* n: bytes that the caller of delete says it has, else ANY_SIZE. */
INLINE void put(const struct mdesc *d, void *p, size_t n)
{
    struct bin *b = bin_at(tcache_self, d->bin);
    void **head = b->head;
    if (unlikely(head == b->floor)) {
        spill(p, n);
        return;
    }
    ((void **)p)[MARK_WORD] = free_mark();
    head[-1] = p;
    b->head = head - 1;
}

static COLD void free_marked(const char *who, void *p, size_t n)
{
    struct mblock b;
    if (unlikely(secure_on))
        secure_free(who, p, n);
    else if (mblock_find((uintptr_t)p, &b) == FOUND_SMALL && is_free(&b))
        wrong_free(who, p);
    else
        put(small_block(p), p, n);
}

INLINE void free_as(const char *who, void *p, size_t n)
{
    const struct mdesc *d = small_block(p);
    if (unlikely(!d))
        free_large(who, p, n);
    else if (has_mark(p))
        free_marked(who, p, n);
    else
        put(d, p, n);
}

SC_API void free(void *p) { free_as("free", p, ANY_SIZE); }
void family_delete(void *p, size_t n) { free_as("delete", p, n); }

/* ---- Sizes ------------------------------------------------------------- */

/* Usable bytes of the block; 0 after saying what is wrong.  Not in the hardened
 * mode, in which the door is secure_size. */
size_t family_size(const char *who, void *p, struct mblock *b)
{
    enum mfound found = mblock_find((uintptr_t)p, b);
    if (found == FOUND_LARGE ||
        (found == FOUND_SMALL && !(has_mark(p) && is_free(b))))
        return b->size;
    wrong_free(who, p);
    return 0;
}

/* ---- realloc ----------------------------------------------------------- */

/* A block that keeps at least half of its bytes in use stays where it is. */
static bool fits(const struct mblock *b, size_t n)
{
    return n <= b->size && n > b->size / 2;
}

static void *move(void *p, const struct mblock *b, size_t n)
{
    void *q = malloc(n);
    if (!q)
        return n <= b->size ? p : NULL;
    memcpy(q, p, min_size(n, b->size));
    free(p);
    return q;
}

/* As much as a block grows beyond what was asked for, if it has to be moved:
 * who grows one by steps does it again. */
static size_t roomy(size_t n, const struct mblock *b)
{
    return n > b->size && n > SMALL_MAX && b->size > SMALL_MAX &&
                   n < b->size + b->size / 8 && n < PTRDIFF_MAX / 2
               ? b->size + b->size / 8
               : n;
}

SC_API void *realloc(void *p, size_t n)
{
    struct mblock b;
    if (!p)
        return malloc(n);
    if (unlikely(n > PTRDIFF_MAX))
        return no_memory();
    if (unlikely(secure_on))
        return secure_realloc(p, n);
    if (!family_size("realloc", p, &b))
        return NULL;
    if (!n) {
        free_as("realloc", p, ANY_SIZE);
        return NULL;
    }
    if (fits(&b, n))
        return p;
    if (b.span->state == MSPAN_LARGE && n > SMALL_MAX &&
        mlarge_resize(b.span, n))
        return p;
    return move(p, &b, roomy(n, &b));
}

SC_API void *calloc(size_t n, size_t size)
{
    size_t bytes;
    bool zero = false;
    if (unlikely(__builtin_mul_overflow(n, size, &bytes)))
        return no_memory();
    void *p = bytes > SMALL_MAX ? family_large(bytes, 1, &zero)
                                : malloc(bytes);
    return likely(p) && !zero ? memset(p, 0, bytes) : p;
}
