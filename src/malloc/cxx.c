/* cxx.c: C++'s operator new and delete, by their names in the C++ ABI.
 *
 *   _Znwm  new(size)    _Znam  new[]      ..St11align_val_t   with alignment
 *   _ZdlPv delete(p)    _ZdaPv delete[]   ..RKSt9nothrow_t    gives NULL
 *
 * The C++ library's own would do: they call malloc and free.  These save a call
 * on the way.  Where there is no memory, they hand over to the C++ library's,
 * which knows of new handlers and exceptions.
 */
#include "family.h"

/* libdl's; from the C library. */
void *dlsym(void *handle, const char *name);
#define NEXT ((void *)-1l)

/* Parameters of these types are addresses of empty structs, and sizes. */
typedef const void *nothrow;
typedef size_t align_val;

/* The C++ library rounds sizes up to the alignment, past SIZE_MAX as well. */
INLINE size_t unwrapped(size_t n) { return min_size(n, PTRDIFF_MAX); }

/* The C++ library's function of that name; it fails as C++ does. */
static COLD void *hand_over(const char *name, size_t n, size_t align)
{
    void *(*f)(size_t, size_t) =
        (void *(*)(size_t, size_t))(uintptr_t)dlsym(NEXT, name);
    if (!f)
        fatal("operator new: no memory for %zu bytes, and no C++ library to "
              "throw an exception", n);
    return f(unwrapped(n), align);
}

#define NEW(name, call, over)                                         \
    SC_API void *name(size_t n);                                      \
    SC_API void *name(size_t n)                                       \
    {                                                                 \
        void *p = call;                                               \
        return likely(p) ? p : hand_over(over, n, 0);                 \
    }
#define NEW_ALIGNED(name, over)                                       \
    SC_API void *name(size_t n, align_val align);                     \
    SC_API void *name(size_t n, align_val align)                      \
    {                                                                 \
        void *p = aligned_alloc(align, n);                            \
        return likely(p) ? p : hand_over(over, n, align);             \
    }
NEW(_Znwm, malloc(n), "_Znwm")
NEW(_Znam, malloc(n), "_Znam")
NEW_ALIGNED(_ZnwmSt11align_val_t, "_ZnwmSt11align_val_t")
NEW_ALIGNED(_ZnamSt11align_val_t, "_ZnamSt11align_val_t")

#define NEW_NOTHROW(name, params, call)                               \
    SC_API void *name params;                                         \
    SC_API void *name params { return call; }
/* The C++ library's try the new handler, and catch what it throws. */
COLD static void *nothrow_over(const char *name, size_t n, size_t a, nothrow t)
{
    void *(*f)(size_t, size_t, nothrow) =
        (void *(*)(size_t, size_t, nothrow))(uintptr_t)dlsym(NEXT, name);
    void *(*g)(size_t, nothrow) = (void *(*)(size_t, nothrow))(uintptr_t)f;
    return !f ? NULL : a ? f(unwrapped(n), a, t) : g(n, t);
}
INLINE void *plain_or(const char *name, size_t n, nothrow t)
{
    void *p = malloc(n);
    return likely(p) ? p : nothrow_over(name, n, 0, t);
}
INLINE void *aligned_or(const char *name, size_t n, size_t a, nothrow t)
{
    void *p = aligned_alloc(a, n);
    return likely(p) ? p : nothrow_over(name, n, a, t);
}
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, (size_t n, nothrow t),
            plain_or("_ZnwmRKSt9nothrow_t", n, t))
NEW_NOTHROW(_ZnamRKSt9nothrow_t, (size_t n, nothrow t),
            plain_or("_ZnamRKSt9nothrow_t", n, t))
NEW_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t,
            (size_t n, align_val a, nothrow t),
            aligned_or("_ZnwmSt11align_val_tRKSt9nothrow_t", n, a, t))
NEW_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t,
            (size_t n, align_val a, nothrow t),
            aligned_or("_ZnamSt11align_val_tRKSt9nothrow_t", n, a, t))

#define DELETE(name, ...)                                             \
    SC_API void name(void *p, ##__VA_ARGS__);                         \
    SC_API void name(void *p, ##__VA_ARGS__) { free(p); }
#define DELETE_SIZED(name, ...)                                       \
    SC_API void name(void *p, size_t n, ##__VA_ARGS__);               \
    SC_API void name(void *p, size_t n, ##__VA_ARGS__)                \
    {                                                                 \
        family_delete(p, n);                                          \
    }
DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE_SIZED(_ZdlPvm)
DELETE_SIZED(_ZdaPvm)
DELETE(_ZdlPvRKSt9nothrow_t, nothrow t)
DELETE(_ZdaPvRKSt9nothrow_t, nothrow t)
DELETE(_ZdlPvSt11align_val_t, align_val a)
DELETE(_ZdaPvSt11align_val_t, align_val a)
DELETE_SIZED(_ZdlPvmSt11align_val_t, align_val a)
DELETE_SIZED(_ZdaPvmSt11align_val_t, align_val a)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, align_val a, nothrow t)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, align_val a, nothrow t)
