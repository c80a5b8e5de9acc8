/* sancai_malloc.h: what libsancai-malloc offers beside malloc's family.
 *
 * Programs need none of it.  The functions are in libsancai-malloc.so and .a;
 * a program that shall also run without them declares them weak.
 *
 * SANCAI_MEMLIMIT=SIZE bounds all memory of the allocator: bytes, or with KiB,
 * MiB, GiB; "auto" is nine tenths of what the machine or the control group
 * allows.  The limit is soft, as Go's is: near it, what is free goes back to
 * the system at once, then what the calling thread and the lists keep; then the
 * program is asked; after that, memory is given all the same.
 */
#ifndef SANCAI_MALLOC_H
#define SANCAI_MALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* fn(over, arg) when the limit is exceeded by `over` bytes though all that was
 * free went back: free something.  On the thread that asks for memory, without
 * locks of ours, not within itself, at most a hundred times a second.  NULL:
 * nobody.  Any thread may call it; the last call counts. */
void sc_malloc_on_pressure(void (*fn)(size_t over, void *arg), void *arg);

/* All that is free goes back to the system, as by malloc_trim(0): bytes. */
size_t sc_malloc_release(void);

#ifdef __cplusplus
}
#endif

#endif
