/* def.h: the vocabulary of every layer: alignment, bits, atomics, checks.
 *
 * Nothing here has state.  Addresses are uintptr_t, sizes and byte counts
 * size_t or uint64_t, page numbers (8 KiB pages counted from the heap base)
 * uint32_t.
 */
#ifndef SC_DEF_H
#define SC_DEF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define GIB(n) ((size_t)(n) << 30)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
/* Of data that fast paths read: not by way of the table of a shared library's
 * symbols. */
#define HIDDEN __attribute__((visibility("hidden")))
#define COLD __attribute__((noinline, cold))
#define INLINE static inline __attribute__((always_inline))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
/* Reads memory that other threads write: the marker looks at words that the
 * program is changing, at redzones and at dead stack frames.  Such a function
 * is left alone by the sanitizers, on purpose. */
#define RACY __attribute__((no_sanitize("address", "thread", "undefined")))
/* The thread sanitizer puts handlers off until the thread comes to an atomic
 * operation or a call that it knows. */
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_LATE 1
/* It does not know fences.  Ours are for readers that it does not see either:
 * markers (RACY), other processes. */
#pragma GCC diagnostic ignored "-Wtsan"
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_LATE 1
#endif
#endif
#ifndef SIGNALS_LATE
#define SIGNALS_LATE 0
#endif
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER(p, T, m) ((T *)((char *)(p)-offsetof(T, m)))

INLINE uintptr_t align_up(uintptr_t a, size_t to)
{
    return (a + (to - 1)) & ~(uintptr_t)(to - 1);
}
INLINE uintptr_t align_down(uintptr_t a, size_t to)
{
    return a & ~(uintptr_t)(to - 1);
}
INLINE size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* clang's builtins refuse an _Atomic object: the same, without the word. */
#ifdef __clang__
#define ATOMIC_(p) ((__typeof__((void)0, *(p)) *)(p))
#else
#define ATOMIC_(p) (p)
#endif
/* Memory orders by short name; the long spelling hides the code. */
#define load_relaxed(p) __atomic_load_n(ATOMIC_(p), __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n(ATOMIC_(p), __ATOMIC_ACQUIRE)
#define load_seq(p) __atomic_load_n(ATOMIC_(p), __ATOMIC_SEQ_CST)
#define store_relaxed(p, v) __atomic_store_n(ATOMIC_(p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n(ATOMIC_(p), (v), __ATOMIC_RELEASE)
#define store_seq(p, v) __atomic_store_n(ATOMIC_(p), (v), __ATOMIC_SEQ_CST)
#define add_relaxed(p, v) __atomic_fetch_add(ATOMIC_(p), (v), __ATOMIC_RELAXED)
#define sub_relaxed(p, v) __atomic_fetch_sub(ATOMIC_(p), (v), __ATOMIC_RELAXED)
#define add_seq(p, v) __atomic_fetch_add(ATOMIC_(p), (v), __ATOMIC_SEQ_CST)
#define sub_seq(p, v) __atomic_fetch_sub(ATOMIC_(p), (v), __ATOMIC_SEQ_CST)
#define or_relaxed(p, v) __atomic_fetch_or(ATOMIC_(p), (v), __ATOMIC_RELAXED)
#define or_seq(p, v) __atomic_fetch_or(ATOMIC_(p), (v), __ATOMIC_SEQ_CST)
#define and_relaxed(p, v) __atomic_fetch_and(ATOMIC_(p), (v), __ATOMIC_RELAXED)
#define swap_relaxed(p, v) \
    __atomic_exchange_n(ATOMIC_(p), (v), __ATOMIC_RELAXED)
#define swap_seq(p, v) __atomic_exchange_n(ATOMIC_(p), (v), __ATOMIC_SEQ_CST)
#define fence_signal() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define fence_seq() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define cas_seq(p, e, d)                                          \
    __atomic_compare_exchange_n(ATOMIC_(p), (e), (d), false,      \
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* As one instruction: a handler that runs on this thread finds it done or not
 * begun.  Other threads do not touch p meanwhile. */
INLINE bool cas_own(_Atomic uint32_t *p, uint32_t *expected, uint32_t desired)
{
#if defined(__x86_64__) && !SIGNALS_LATE
    bool ok;
    __asm__ volatile("cmpxchgl %3, %1"
                     : "=@ccz"(ok), "+m"(*p), "+a"(*expected)
                     : "r"(desired)
                     : "memory");
    return ok;
#else
    return __atomic_compare_exchange_n(ATOMIC_(p), expected, desired, false,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
#endif
}

INLINE void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
