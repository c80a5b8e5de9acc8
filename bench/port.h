/* port.h: one source, four memory managers.  A benchmark program is written
 * once with the words below and built for each:
 *
 *   word             PORT_SANCAI    PORT_PLAIN   PORT_LIBGC     PORT_MALLOC
 *   LAYOUT(T, f...)  pointer map    pointer map  -              -
 *   NEW(T)           sc_new         sc_new       GC_MALLOC      malloc + zero
 *   NEW_ARRAY(T, n)  sc_new_array   the same     GC_MALLOC      calloc
 *   BYTES(n)         noscan         noscan       GC_MALLOC_ATOMIC   malloc
 *   ST(slot, v)      sc_store       =            =              =
 *   FREE(p)          -              -            -              free
 *   BY_HAND          0              0            0              1
 *
 * NEW and NEW_ARRAY are zeroed everywhere, BYTES nowhere.  Every pointer
 * store into an object or a global is an ST: with PORT_SANCAI the library is
 * told so, and a store that forgets it may lose an object.  What only a
 * program without a collector has to do stands behind `if (BY_HAND)`.
 */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

#include <stddef.h>
#include <stdint.h>

/* What the memory manager says of itself at the end; UNKNOWN if it has no
 * way to say it. */
#define UNKNOWN UINT64_MAX
struct port_cost {
    uint64_t cycles, gc_cpu_ns, hold_p999_ns, hold_max_ns;
    uint64_t hold_cpu_ns; /* the longest, without preemption */
    uint64_t alloc_bytes;
};

void port_start(void);
void port_cost(struct port_cost *);

#if defined(PORT_SANCAI) || defined(PORT_PLAIN)

#include <pthread.h>
#include <sancai.h>
#define LAYOUT(T, ...) SC_LAYOUT(T, __VA_ARGS__)
#define NEW(T) sc_new(T)
#define NEW_ARRAY(T, n) sc_new_array(T, n)
#define BYTES(n) sc_alloc_noscan(n)
#define FREE(p) ((void)(p))
#define BY_HAND 0
#ifdef PORT_SANCAI
#define ST(slot, v) sc_store(slot, v)
#else
#define ST(slot, v) ((void)(*(slot) = (v)))
#endif

#elif defined(PORT_LIBGC)

#define GC_THREADS 1    /* before gc.h: wraps pthread_create and its kin */
#include <gc.h>
#include <pthread.h>
#define LAYOUT(T, ...)
#define NEW(T) ((T *)GC_MALLOC(sizeof(T)))
#define NEW_ARRAY(T, n) ((T *)GC_MALLOC((n) * sizeof(T)))
#define BYTES(n) GC_MALLOC_ATOMIC(n)
#define FREE(p) ((void)(p))
#define BY_HAND 0
#define ST(slot, v) ((void)(*(slot) = (v)))

#elif defined(PORT_MALLOC)

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
/* The pause between malloc and memset keeps compilers from making a calloc
 * of the two, which glibc serves without its per-thread cache. */
static inline void *port_zeroed(size_t n)
{
    void *p = malloc(n);
    __asm__("" : "+r"(p));
    return memset(p, 0, n);
}
#define LAYOUT(T, ...)
#define NEW(T) ((T *)port_zeroed(sizeof(T)))
#define NEW_ARRAY(T, n) ((T *)calloc((n), sizeof(T)))
#define BYTES(n) malloc(n)
#define FREE(p) free(p)
#define BY_HAND 1
#define ST(slot, v) ((void)(*(slot) = (v)))

#else
#error "define one PORT_"
#endif
#endif
