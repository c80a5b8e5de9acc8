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
 *   Pair             sc_ephemeron   the same     hidden key     two pointers
 *   PAIR_NEW(k, v)   of key and value: keeps v, not k; libgc's and malloc's
 *                    v may not lead to k
 *   PAIR_KEY(p)      NULL when dead the same     the same       never NULL
 *   PAIR_VALUE(p)    while k lives  the same     v              v
 *   Weak             sc_weak        the same     hidden pointer  a pointer
 *   WEAK_NEW(p), WEAK_GET(w)
 *                    NULL when dead the same     the same       never NULL
 *   CLEANUP(f, arg)  begins the function f that a cleanup calls with arg
 *   CLEANUP_ADD(p, f, arg)
 *                    sc_cleanup     the same     a finalizer    -
 *   CLEANUP_NOW(f, arg)
 *                    -              -            -              f(arg)
 *   COLLECT()        sc_collect     sc_collect   GC_gcollect    -
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
typedef struct sc_ephemeron Pair;
#define PAIR_NEW(key, value) sc_ephemeron_new(key, value)
#define PAIR_KEY(p) sc_ephemeron_key(p)
#define PAIR_VALUE(p) sc_ephemeron_value(p)
typedef struct sc_weak Weak;
#define WEAK_NEW(p) sc_weak_new(p)
#define WEAK_GET(w) sc_weak_get(w)
#define CLEANUP(f, arg) static void f(void *arg)
#define CLEANUP_ADD(p, f, arg) ((void)sc_cleanup(p, f, arg))
#define CLEANUP_NOW(f, arg) ((void)(arg))
#define COLLECT() sc_collect()
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

/* The key is read without libgc's lock: only a program of one thread does so,
 * and no collection begins but in what it calls. */
typedef struct Pair {
    GC_hidden_pointer key;      /* libgc clears it when the key is dead */
    void *value;
} Pair;
static inline Pair *port_pair_new(void *key, void *value)
{
    Pair *p = NEW(Pair);
    p->key = GC_HIDE_POINTER(key);
    p->value = value;
    GC_general_register_disappearing_link((void **)&p->key, key);
    return p;
}
#define PAIR_NEW(k, v) port_pair_new(k, v)
#define PAIR_KEY(p) ((p)->key ? GC_REVEAL_POINTER((p)->key) : NULL)
#define PAIR_VALUE(p) ((p)->value)
typedef struct Weak {
    GC_hidden_pointer to;       /* as in Pair; nothing in it is a pointer */
} Weak;
static inline Weak *port_weak_new(void *p)
{
    Weak *w = GC_MALLOC_ATOMIC(sizeof *w);
    w->to = GC_HIDE_POINTER(p);
    GC_general_register_disappearing_link((void **)&w->to, p);
    return w;
}
#define WEAK_NEW(p) port_weak_new(p)
#define WEAK_GET(w) ((w)->to ? GC_REVEAL_POINTER((w)->to) : NULL)
#define CLEANUP(f, arg) static void f(void *port_object, void *arg)
#define CLEANUP_ADD(p, f, arg) \
    GC_register_finalizer_no_order(p, f, arg, NULL, NULL)
#define CLEANUP_NOW(f, arg) ((void)(arg))
#define COLLECT() GC_gcollect()

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

typedef struct Pair {
    void *key, *value;
} Pair;
static inline Pair *port_pair_new(void *key, void *value)
{
    Pair *p = NEW(Pair);
    p->key = key;
    p->value = value;
    return p;
}
#define PAIR_NEW(k, v) port_pair_new(k, v)
#define PAIR_KEY(p) ((p)->key)
#define PAIR_VALUE(p) ((p)->value)
typedef void Weak;
#define WEAK_NEW(p) ((void *)(p))
#define WEAK_GET(w) (w)
#define CLEANUP(f, arg) static void f(void *arg)
#define CLEANUP_ADD(p, f, arg) ((void)(p))
#define CLEANUP_NOW(f, arg) f(arg)
#define COLLECT() ((void)0)

#else
#error "define one PORT_"
#endif
#endif
