/* need.h: memory or the end; arrays that grow; tables from pointers.
 *
 * The pass lives as long as one compilation.  It takes memory from malloc and
 * stops the compiler with one line if there is none.
 */
#ifndef SANCAI_CC_NEED_H
#define SANCAI_CC_NEED_H

#include <stddef.h>
#include <stdint.h>

/* realloc, with zeroed memory for p == NULL. */
void *need(void *p, size_t bytes);
void need_free(void *p);
char *need_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Room for one more element in `array` of n elements. */
#define ROOM(array, n, room)                                             \
    ((n) < (room) ? (void)0                                              \
                  : (void)((room) = (room) ? 2 * (room) : 16,            \
                           (array) = need((array), (size_t)(room)        \
                                                       * sizeof *(array))))

/* From a pointer to a word; open addressing. */
struct table {
    const void **keys;
    intptr_t *values;
    size_t n, room;
};
/* The word of key, which is 0 at first. */
intptr_t *table_at(struct table *, const void *key);
intptr_t table_get(const struct table *, const void *key);
void table_free(struct table *);

#endif
