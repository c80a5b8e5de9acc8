/* sancai.h: a garbage-collected heap for C, after the Go runtime's.
 *
 *   typedef struct Node { struct Node *next; int v; } Node;
 *   SC_LAYOUT(Node, next)
 *   Node *n = sc_new(Node);          // never freed by hand
 *
 * Conventions of this header.
 *   Sizes are bytes, times are nanoseconds.  Out of memory is NULL with errno
 *   ENOMEM, after an emergency collection.  int results are 0 or an errno
 *   value.  Every function may be called by any thread; a thread that was
 *   never attached is attached by its first call.  No function may be called
 *   from a signal handler.  Misuse prints one line on standard error that
 *   says what, where and what to do, and changes nothing.
 *
 * What keeps an object alive: a pointer to it, into it or (blocks from
 * sc_alloc, sc_alloc_noscan, sc_new_array) one past its end, found in a
 * register, stack or thread-local variable of any thread, in the data or bss
 * of any loaded object, in a registered root, or in the scanned words of an
 * object that is itself alive.  Memory from malloc and mmap is not looked at:
 * register it with sc_root_add.
 */
#ifndef SANCAI_H
#define SANCAI_H

#include <stddef.h>
#include <stdint.h>

#define SC_VERSION_MAJOR 0
#define SC_VERSION_MINOR 1
#define SC_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

#define SC_API __attribute__((visibility("default")))
#define SC_MALLOC __attribute__((malloc, warn_unused_result))

/* ---- Allocation ------------------------------------------------------- */

/* n zeroed bytes, every aligned word of which may be a pointer.  Aligned to
 * 16 bytes.  n == 0 gives a pointer that must not be dereferenced. */
SC_API void *sc_alloc(size_t n) SC_MALLOC;

/* n bytes that hold no pointers: not scanned and not zeroed.  Aligned to 16
 * bytes from n >= 16 on, else to the largest power of two that divides n
 * (after Go's tiny allocator, runtime/malloc.go). */
SC_API void *sc_alloc_noscan(size_t n) SC_MALLOC;

/* Grows or shrinks; the kind (noscan, conservative, layout) stays.  New bytes
 * are zero, except in noscan blocks.  On failure NULL, and p is as it was. */
SC_API void *sc_realloc(void *p, size_t n);

/* A hint that p is not needed any more; never required, and safe: a large
 * object's memory (1 MiB or more) goes back at once and reads as zero from then
 * on, but no address is used again before a cycle has proved that nothing
 * refers to it.  A second sc_free of p is reported. */
SC_API void sc_free(void *p);

/* Usable bytes of the object that p points into; 0 if p is not in one. */
SC_API size_t sc_size(const void *p);

/* Start of the object that p points into; NULL if p is not in one. */
SC_API void *sc_base(const void *p);

/* ---- Types ------------------------------------------------------------ */

struct sc_marker;

/* One pointer-holding field of a type: offset and size in bytes. */
struct sc_field {
    uint32_t offset, size;
};

/* A custom trace function: calls sc_mark for pointers of *obj, starting at
 * cursor (0 at first), and returns the cursor to go on from, or 0 when all
 * were reported.  It runs on collector threads, at the same time as the
 * program, may see the object zeroed or half-written, and must not allocate,
 * block or call anything of this header but sc_mark. */
typedef size_t (*sc_trace_fn)(const void *obj, size_t size, size_t cursor,
                              struct sc_marker *m);
SC_API void sc_mark(struct sc_marker *m, const void *p);

/* What SC_LAYOUT declares; the last members belong to the library. */
struct sc_layout {
    const char *name;
    size_t size;
    const struct sc_field *fields;
    uint32_t nfields;
    uint32_t run, slot;              /* library: where one element comes from */
    sc_trace_fn trace;
    const struct sc_shape *shape;    /* library: canonical pointer map */
};

/* Allocation behind sc_new and sc_new_array.  kind: see SC_KIND_. */
SC_API void *sc_new_one(struct sc_layout *, size_t size, int noscan) SC_MALLOC;
SC_API void *sc_new_many(struct sc_layout *, size_t n, size_t size,
                         int noscan) SC_MALLOC;

/* SC_LAYOUT(T, field, ...) at file scope, no semicolon: only these fields of
 * the typedef name T hold pointers into the heap.  A field may be a pointer,
 * an array of pointers, or a nested member (a.b).  Up to 64 fields. */
#define SC_LAYOUT(T, ...) SC_LAYOUT_(T, 0, __VA_ARGS__)

/* SC_TRACED(T, fn): objects of T are traced by calling fn. */
#define SC_TRACED(T, fn)                                                      \
    static struct sc_layout sc_layout_##T __asm__(SC_STR_(sc_layout_##T))     \
        __attribute__((used)) = {#T, sizeof(T), 0, 0, 0, 0, fn, 0};

/* A type without pointers into the heap. */
#define SC_NOSCAN(T)                                                          \
    static struct sc_layout sc_layout_##T __asm__(SC_STR_(sc_layout_##T))     \
        __attribute__((used)) = {#T, sizeof(T), 0, 0, 0, 0, 0, 0};

/* One zeroed T, or n of them; T is an identifier.  Precise when SC_LAYOUT(T)
 * stands above in the same file, else scanned conservatively; arithmetic
 * types are not scanned. */
#define sc_new(T) \
    ((T *)sc_new_one(SC_LAYOUT_OF_(T), sizeof(T), SC_NOSCAN_(T)))
#define sc_new_array(T, n) \
    ((T *)sc_new_many(SC_LAYOUT_OF_(T), (n), sizeof(T), SC_NOSCAN_(T)))

/* ---- Stores ----------------------------------------------------------- */

/* A program that stores every pointer into heap objects, globals and
 * registered roots with these may ask for SC_BARRIERS_EXPLICIT and is then
 * collected while it runs.  Locals, registers and thread-local variables need
 * nothing.  The barrier is Go's hybrid one (proposal 17503): while marking,
 * both the old and the new value are shaded. */
#define sc_store(slot, value)                \
    ((void)sizeof(*(slot) = (value)),        \
     sc_store_((void *)(slot), (void *)(value)))

/* memmove with barriers for each aligned word; memset to zero with barriers. */
SC_API void sc_copy(void *dst, const void *src, size_t bytes);
SC_API void sc_clear(void *dst, size_t bytes);

/* Atomic (seq_cst): nonzero if *slot was expected and is now desired. */
#define sc_cas(slot, expected, desired)                              \
    ((void)sizeof(*(slot) = (desired)),                              \
     sc_cas_((void *)(slot), (void *)(expected), (void *)(desired)))
/* Atomic (seq_cst): stores value, returns what was there. */
#define sc_exchange(slot, value)                                     \
    ((__typeof__(*(slot)))((void)sizeof(*(slot) = (value)),          \
                           sc_exchange_((void *)(slot), (void *)(value))))

SC_API void sc_store_(void *slot, void *value);
SC_API int sc_cas_(void *slot, void *expected, void *desired);
SC_API void *sc_exchange_(void *slot, void *value);

/* ---- Start and settings ----------------------------------------------- */

enum sc_barriers { SC_BARRIERS_NONE = 0, SC_BARRIERS_EXPLICIT = 1 };

struct sc_config {
    int barriers;         /* what the program promises of its stores */
    int gc_percent;       /* heap growth before the next cycle; -1 off */
    int64_t memory_limit; /* bytes of our memory, soft */
    int max_procs;        /* processors to plan for */
};

/* Optional.  Zero members mean the default: SANCAI_GC, SANCAI_MEMLIMIT,
 * SANCAI_MAXPROCS, else 100 percent, no limit, the CPUs we may run on.  Once
 * the library has started, by an earlier sc_init or any other call, they leave
 * the setting as it is; max_procs is in force from the next cycle on.
 * EINVAL for values out of range; EBUSY when the barrier promise of an
 * earlier sc_init would be taken back. */
SC_API int sc_init(const struct sc_config *);

/* As debug.SetGCPercent and SetMemoryLimit: return the previous value; a
 * negative percentage is off, a negative limit only asks. */
SC_API int sc_set_gc_percent(int percent);
SC_API int64_t sc_set_memory_limit(int64_t bytes);

/* A full cycle, finished and swept when it returns.  Cleanups and finalizers
 * that it queued run on their own thread; they get a short head start. */
SC_API void sc_collect(void);

/* sc_collect, then all free pages back to the system. */
SC_API void sc_release_memory(void);

/* ---- Threads ---------------------------------------------------------- */

SC_API int sc_thread_attach(void);
SC_API void sc_thread_detach(void);
/* Answers the collector if it waits; for loops that must not be signalled. */
SC_API void sc_poll(void);
/* Between the two the thread does not touch the heap (a long system call,
 * say): the collector scans its stack without a signal. */
SC_API void sc_blocking_begin(void);
SC_API void sc_blocking_end(void);

/* ---- Roots and lifetime ----------------------------------------------- */

SC_API int sc_root_add(void *start, size_t bytes);
SC_API int sc_root_remove(void *start);

/* Counted: the object stays alive until as many sc_unpin. */
SC_API int sc_pin(void *p);
SC_API int sc_unpin(void *p);
/* p counts as used here: keeps it alive up to this point. */
SC_API void sc_keep_alive(const void *p);

/* fn(arg) runs once some time after obj (any pointer into it) has become
 * unreachable; obj is not resurrected, many may be set (runtime.AddCleanup).
 * arg itself is kept alive, so it must not lead to obj. */
struct sc_cleanup_handle;
SC_API struct sc_cleanup_handle *sc_cleanup(void *obj, void (*fn)(void *arg),
                                            void *arg);
/* Nonzero if the cleanup was taken back before it was queued. */
SC_API int sc_cleanup_stop(struct sc_cleanup_handle *);

/* fn(obj, arg) runs once when obj is unreachable; obj is alive for that call
 * and collected by a later cycle (runtime.SetFinalizer).  fn NULL removes. */
SC_API int sc_finalizer(void *obj, void (*fn)(void *obj, void *arg),
                        void *arg);

/* A weak pointer: itself a heap object, the same for each call on one obj.
 * sc_weak_get gives obj, or NULL once it was found unreachable. */
struct sc_weak;
SC_API struct sc_weak *sc_weak_new(void *obj);
SC_API void *sc_weak_get(struct sc_weak *);

/* Keeps value alive as long as key and the ephemeron are both alive. */
struct sc_ephemeron;
SC_API struct sc_ephemeron *sc_ephemeron_new(void *key, void *value);
SC_API void *sc_ephemeron_key(struct sc_ephemeron *);
SC_API void *sc_ephemeron_value(struct sc_ephemeron *);

/* ---- Statistics ------------------------------------------------------- */

struct sc_histogram {
    uint64_t count, sum, p50, p99, p999, max;
};

struct sc_stats {
    uint64_t heap_live;         /* bytes marked live or allocated since */
    uint64_t heap_goal;         /* size at which the cycle should be done */
    uint64_t heap_objects;
    uint64_t total_alloc_bytes; /* ever allocated, rounded to slots */
    uint64_t total_free_bytes;  /* ever reclaimed */
    uint64_t mapped;            /* all memory that is ready for use */
    uint64_t released;          /* part of mapped given back to the system */
    uint64_t metadata;          /* part of mapped that holds no objects */
    uint64_t num_gc, num_forced_gc;
    uint64_t gc_cpu_ns;         /* marking, sweeping, assists */
    uint64_t assist_ns;         /* part of gc_cpu_ns done by the program */
    struct sc_histogram hold;   /* time a thread was held */
    /* The memory classes; they add up to mapped. */
    uint64_t heap_objects_bytes;  /* spans in use: objects */
    uint64_t heap_unused_bytes;   /* spans in use: slots without object */
    uint64_t heap_free_bytes;     /* free pages, not given back */
    uint64_t heap_released_bytes; /* free pages, given back: == released */
    uint64_t gc_bytes;            /* metadata: mark and allocation bits */
    uint64_t span_bytes;          /* metadata: page and span tables */
    uint64_t thread_bytes;        /* metadata: thread caches */
    uint64_t work_bytes;          /* metadata: mark queues */
    uint64_t other_bytes;         /* metadata: all else */
    uint64_t heap_marked;         /* bytes found live by the last cycle */
    uint64_t num_threads;
    uint64_t gc_cpu_permille;     /* gc_cpu_ns of the CPU we could have had */
    uint64_t memory_limit;
    int32_t gc_percent, max_procs;
    struct sc_histogram stop;     /* time in which all threads were held */
    uint64_t cleanups_queued, cleanups_run;
    uint64_t finalizers_queued, finalizers_run;
    uint64_t total_alloc_objects, total_free_objects;
    struct sc_histogram hold_cpu; /* of hold: CPU time, without preemption */
};
SC_API void sc_stats(struct sc_stats *);

#ifdef __cplusplus
}
#endif

/* ---- How the macros above work ---------------------------------------- */

#define SC_STR_(x) SC_STR2_(x)
#define SC_STR2_(x) #x

/* The layout of T, or NULL if this file declares none: a weak reference to a
 * symbol that SC_LAYOUT defines as sc_layout_T, local to the file. */
#if defined(__x86_64__)
#define SC_LAYOUT_OF_(T)                                             \
    (__extension__({                                                 \
        struct sc_layout *sc_r_;                                     \
        __asm__(".weakref sc_w_" #T "_%=, sc_layout_" #T "\n\t"      \
                "movq sc_w_" #T "_%=@GOTPCREL(%%rip), %0"            \
                : "=r"(sc_r_));                                      \
        sc_r_;                                                       \
    }))
#elif defined(__aarch64__)
#define SC_LAYOUT_OF_(T)                                             \
    (__extension__({                                                 \
        struct sc_layout *sc_r_;                                     \
        __asm__(".weakref sc_w_" #T "_%=, sc_layout_" #T "\n\t"      \
                "adrp %0, :got:sc_w_" #T "_%=\n\t"                   \
                "ldr %0, [%0, :got_lo12:sc_w_" #T "_%=]"             \
                : "=r"(sc_r_));                                      \
        sc_r_;                                                       \
    }))
#else
#error "Sancai knows x86-64 and aarch64"
#endif

#ifdef __cplusplus
extern "C++" {
template <class T> struct sc_noscan_of_ { enum { v = 0 }; };
#define SC_ARITH_(A) template <> struct sc_noscan_of_<A> { enum { v = 1 }; };
SC_ARITH_(bool) SC_ARITH_(char) SC_ARITH_(signed char) SC_ARITH_(unsigned char)
SC_ARITH_(short) SC_ARITH_(unsigned short) SC_ARITH_(int) SC_ARITH_(unsigned)
SC_ARITH_(long) SC_ARITH_(unsigned long) SC_ARITH_(long long)
SC_ARITH_(unsigned long long) SC_ARITH_(float) SC_ARITH_(double)
SC_ARITH_(long double)
}
#define SC_NOSCAN_(T) ((int)sc_noscan_of_<T>::v)
#else
#define SC_NOSCAN_(T)                                                        \
    _Generic(*(T *)0, _Bool: 1, char: 1, signed char: 1, unsigned char: 1,   \
        short: 1, unsigned short: 1, int: 1, unsigned: 1, long: 1,           \
        unsigned long: 1, long long: 1, unsigned long long: 1, float: 1,     \
        double: 1, long double: 1, default: 0)
#endif

#define SC_LAYOUT_(T, unused, ...)                                           \
    static const struct sc_field sc_fields_##T[] = {                         \
        SC_EACH_(SC_FIELD_, T, __VA_ARGS__)};                                \
    static struct sc_layout sc_layout_##T __asm__(SC_STR_(sc_layout_##T))    \
        __attribute__((used)) = {                                            \
            #T, sizeof(T), sc_fields_##T,                                    \
            sizeof(sc_fields_##T) / sizeof(sc_fields_##T[0]), 0, 0, 0, 0};
#define SC_FIELD_(T, f) {offsetof(T, f), sizeof(((T *)0)->f)},

/* SC_EACH_(M, T, a, b, ...) is M(T, a) M(T, b) ... by repeated rescanning.
 * The list is ended by empty brackets, with which no field begins: only behind
 * them SC_PEEK_ gives two arguments, the second of which is SC_STOP_.  Strict
 * C99 and C++11 have all of this; they lack __VA_OPT__. */
#define SC_EACH_(M, T, ...) \
    SC_SCAN4_(SC_STEP_(M, T, __VA_ARGS__, (), 0))
#define SC_STEP_(M, T, f, next, ...) \
    M(T, f) SC_GO_ON_(SC_PEEK_ next) SC_PARENS_ (M, T, next, __VA_ARGS__)
#define SC_PEEK_() 0, SC_STOP_
#define SC_GO_ON_(...) SC_SECOND_(__VA_ARGS__, SC_AGAIN_, 0)
#define SC_SECOND_(a, b, ...) b
#define SC_AGAIN_() SC_STEP_
#define SC_STOP_() SC_NOTHING_
#define SC_NOTHING_(...)
#define SC_PARENS_ ()
#define SC_SCAN1_(...) __VA_ARGS__
#define SC_SCAN2_(...) SC_SCAN1_(SC_SCAN1_(SC_SCAN1_(SC_SCAN1_(__VA_ARGS__))))
#define SC_SCAN3_(...) SC_SCAN2_(SC_SCAN2_(SC_SCAN2_(SC_SCAN2_(__VA_ARGS__))))
#define SC_SCAN4_(...) SC_SCAN3_(SC_SCAN3_(SC_SCAN3_(SC_SCAN3_(__VA_ARGS__))))

#endif
