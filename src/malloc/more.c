/* more.c: the rest of the family: aligned blocks, sized frees, old names.
 *
 * A small block is aligned to what divides its size and a page, since a span
 * begins on a page; so an aligned request takes the next size class that the
 * alignment divides.  Alignments beyond a page, and what does not fit, have
 * pages of their own.
 */
#include <errno.h>

#include "family.h"
#include "secure.h"

#define SYSTEM_PAGE KIB(4)

static void *fail(int e)
{
    errno = e;
    return NULL;
}

static bool is_power(size_t n) { return n && !(n & (n - 1)); }

static void *aligned(size_t align, size_t n)
{
    bool zero;
    if (align <= 16)
        return malloc(n);
    if (n > PTRDIFF_MAX || align > PTRDIFF_MAX - n)
        return fail(ENOMEM);
    if (unlikely(secure_on))
        return family_secure(n, align, &zero);
    if (align <= PAGE_SIZE && n <= SMALL_MAX)
        for (unsigned c = size_class(n + !n); c < SIZE_CLASSES; c++)
            if (!(size_of_class(c) & (align - 1)))
                return family_class(c, n);
    return family_large(n + !n, align, &zero);
}

SC_API void *memalign(size_t align, size_t n)
{
    if (align > PTRDIFF_MAX / 2 + 1ul)
        return fail(EINVAL);
    if (align > 16 && !is_power(align))
        align = (size_t)1 << (64 - __builtin_clzll(align));
    return aligned(align, n);
}

SC_API void *aligned_alloc(size_t align, size_t n)
{
    return is_power(align) ? aligned(align, n) : fail(EINVAL);
}

SC_API int posix_memalign(void **to, size_t align, size_t n)
{
    if (!is_power(align) || align % sizeof(void *))
        return EINVAL;
    int saved = errno;
    void *p = aligned(align, n);
    errno = saved;
    if (!p)
        return ENOMEM;
    *to = p;
    return 0;
}

SC_API void *valloc(size_t n) { return aligned(SYSTEM_PAGE, n); }

SC_API void *pvalloc(size_t n)
{
    if (n > PTRDIFF_MAX - SYSTEM_PAGE)
        return fail(ENOMEM);
    return aligned(SYSTEM_PAGE, align_up(n + !n, SYSTEM_PAGE));
}

SC_API void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return fail(ENOMEM);
    return realloc(p, bytes);
}

SC_API size_t malloc_usable_size(void *p)
{
    static const char who[] = "malloc_usable_size";
    struct mblock b;
    size_t n;
    if (unlikely(secure_on))
        return p && secure_size(who, p, &n) ? n : 0;
    return p ? family_size(who, p, &b) : 0;
}

/* ---- Frees that say more ----------------------------------------------- */

/* No block of n bytes is like this one.  realloc leaves a block where it is as
 * long as more than half of it is used, so what is in that half is right. */
static bool cannot_be(const struct mblock *b, size_t n)
{
    if (n > b->size)
        return true;
    if (n > b->size / 2)
        return false;
    return n > SMALL_MAX ? b->span->state == MSPAN_SMALL
                         : b->span->state == MSPAN_LARGE ||
                               size_class(n + !n) != b->span->class;
}

static void free_checked(const char *who, void *p, size_t align, size_t n)
{
    struct mblock b;
    if (!p)
        return;
    if (unlikely(secure_on)) {
        secure_free(who, p, n);
        return;
    }
    size_t has = family_size(who, p, &b);
    if (!has)
        return;
    if (n > has || (align <= 16 && cannot_be(&b, n)))
        wrong_size(who, p, has, n);
    else
        free(p);
}

SC_API void free_sized(void *p, size_t n)
{
    free_checked("free_sized", p, 1, n);
}

SC_API void free_aligned_sized(void *p, size_t align, size_t n)
{
    free_checked("free_aligned_sized", p, align, n);
}

SC_API void cfree(void *p) { free(p); }
