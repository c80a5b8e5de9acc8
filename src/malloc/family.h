/* family.h: what the rooms of the public functions share.
 *
 * The names are the C library's, or the C++ ABI's, so all of them are seen from
 * outside of the library.
 */
#ifndef SC_FAMILY_H
#define SC_FAMILY_H

#include "malloc.h"

#pragma GCC visibility push(default)
void *malloc(size_t n);
void free(void *p);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);
void *reallocarray(void *p, size_t n, size_t size);
void *aligned_alloc(size_t align, size_t n);
int posix_memalign(void **to, size_t align, size_t n);
void *valloc(size_t n);
void free_sized(void *p, size_t n);
void free_aligned_sized(void *p, size_t align, size_t n);
void cfree(void *p);
void *memalign(size_t align, size_t n);
void *pvalloc(size_t n);
size_t malloc_usable_size(void *p);
#pragma GCC visibility pop

/* Not less than n bytes with pages of their own, or NULL and ENOMEM. */
void *family_large(size_t n, size_t align, bool *zero);
/* A block of that class for n bytes. */
void *family_class(unsigned class, size_t n);
void *family_secure(size_t n, size_t align, bool *zero);
/* free, for who says how many bytes p has: that is looked at only in the
 * hardened mode. */
void family_delete(void *p, size_t n);
size_t family_size(const char *who, void *p, struct mblock *);

#endif
