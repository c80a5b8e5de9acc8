/* malloc.c: malloc and its kin on the collected heap; what the C library does
 * with pointers where nobody looks.
 *
 *   free(p)   p in our heap: a hint.  Else it came from the C library (getline,
 *             a library's function), to which it is given back.
 *
 * Objects are scanned conservatively.  Memory of the C library's own malloc is
 * not looked at at all, so what it stores there is pinned or replaced:
 * qsort's temporary copy, the buffer of a FILE, the strings of environ.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <sancai.h>
#include <sancai_cc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *sc_cc_malloc(size_t n) { return sc_alloc(n); }

void *sc_cc_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return sc_alloc(bytes);
}

/* From the C library's heap into ours. */
static void *adopt(void *p, size_t n)
{
    size_t had = malloc_usable_size(p);
    void *q = sc_alloc(n);
    if (q) {
        sc_copy(q, p, had < n ? had : n);
        free(p);
    }
    return q;
}

/* p was aligned, and is inside of its object. */
static void *move(void *p, size_t n)
{
    size_t had = sc_cc_malloc_usable_size(p);
    void *q = sc_alloc(n);
    if (q)
        sc_copy(q, p, had < n ? had : n);
    return q;
}

static int is_inside(const void *p)
{
    if ((uintptr_t)p % SC_CC_ALIGN)
        return 0;
    const void *base = sc_base(p);
    return base && base != p;
}

void *sc_cc_realloc(void *p, size_t n)
{
    if (!p)
        return sc_alloc(n);
    if (!sc_cc_owns(p))
        return adopt(p, n);
    if (n == 0) {
        sc_cc_free(p);
        return NULL;
    }
    return is_inside(p) ? move(p, n) : sc_realloc(p, n);
}

void *sc_cc_reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return sc_cc_realloc(p, bytes);
}

void sc_cc_free(void *p)
{
    if (!sc_cc_drop(p))
        free(p);
}

void *sc_cc_aligned_alloc(size_t align, size_t n)
{
    uintptr_t p;
    if (align < SC_CC_ALIGN)
        return sc_alloc(n);
    if (n > SIZE_MAX - align || !(p = (uintptr_t)sc_alloc(n + align)))
        return NULL;
    return (void *)((p + align - 1) & -align);
}

void *sc_cc_memalign(size_t align, size_t n)
{
    return sc_cc_aligned_alloc(align, n);
}

int sc_cc_posix_memalign(void **p, size_t align, size_t n)
{
    void *q;
    if (align < sizeof q || (align & (align - 1)))
        return EINVAL;
    if (!(q = sc_cc_aligned_alloc(align, n)))
        return ENOMEM;
    sc_store(p, q);
    return 0;
}

size_t sc_cc_malloc_usable_size(void *p)
{
    return sc_cc_owns(p) ? sc_size(p) - (size_t)((char *)p - (char *)sc_base(p))
                      : malloc_usable_size(p);
}

static char *text_copy(const char *s, size_t n)
{
    char *to = sc_alloc_noscan(n + 1);
    if (to) {
        memcpy(to, s, n);
        to[n] = 0;
    }
    return to;
}

char *sc_cc_strdup(const char *s) { return text_copy(s, strlen(s)); }

char *sc_cc_strndup(const char *s, size_t n)
{
    return text_copy(s, strnlen(s, n));
}

/* ---- The C library ----------------------------------------------------- */

/* It would reallocate a line of ours by its own realloc. */
static void line_give_up(char **line, size_t *n)
{
    if (!sc_cc_owns(*line))
        return;
    sc_store(line, NULL);
    *n = 0;
}

ssize_t sc_cc_getline(char **line, size_t *n, void *file)
{
    line_give_up(line, n);
    return getline(line, n, file);
}

ssize_t sc_cc_getdelim(char **line, size_t *n, int end, void *file)
{
    line_give_up(line, n);
    return getdelim(line, n, end, file);
}

int sc_cc_putenv(char *s)
{
    if (sc_cc_owns(s))
        sc_pin(s);
    return putenv(s);
}

int sc_cc_setvbuf(void *file, char *buffer, int mode, size_t n)
{
    if (sc_cc_owns(buffer))
        sc_pin(buffer);
    return setvbuf(file, buffer, mode, n);
}

/* Merges at[0 .. half) and at[half .. n) through room. */
static void merge(void **at, size_t half, size_t n, void **room,
                  int (*compare)(const void *, const void *))
{
    size_t a = 0, b = half, k = 0;
    memcpy(room, at, n * sizeof *at);
    while (a < half && b < n)
        at[k++] = compare(room[a], room[b]) <= 0 ? room[a++] : room[b++];
    while (a < half)
        at[k++] = room[a++];
    while (b < n)
        at[k++] = room[b++];
}

static void sort(void **at, size_t n, void **room,
                 int (*compare)(const void *, const void *))
{
    if (n < 2)
        return;
    sort(at, n / 2, room, compare);
    sort(at + n / 2, n - n / 2, room, compare);
    merge(at, n / 2, n, room, compare);
}

/* The elements are copied into the heap and stay there meanwhile; their
 * addresses are sorted, which need not be seen; then each is stored once.
 * Without memory for that, glibc's own is better than none. */
void sc_cc_qsort(void *base, size_t n, size_t size,
                 int (*compare)(const void *, const void *))
{
    char *copy;
    void **at;
    if (n < 2 || size == 0)
        return;
    copy = sc_alloc(n * size);
    at = sc_alloc_noscan(2 * n * sizeof *at);
    if (!copy || !at) {
        qsort(base, n, size, compare);
        return;
    }
    sc_copy(copy, base, n * size);
    for (size_t i = 0; i < n; i++)
        at[i] = copy + i * size;
    sort(at, n, at + n, compare);
    for (size_t i = 0; i < n; i++)
        sc_copy((char *)base + i * size, at[i], size);
    sc_keep_alive(copy);
    sc_keep_alive(at);
    sc_free(at);
    sc_free(copy);
}
