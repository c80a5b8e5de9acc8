/* api.c: the small entry points: threads, roots, stores' kin, collection.
 *
 * Each is: start the library, enter (the thread may not be interrupted), do
 * one thing of a lower layer, leave (answer a handshake that waited).
 */
#include <errno.h>
#include <string.h>

#include "api.h"

#define HEAD_START 50000000ull /* ns that sc_collect gives queued cleanups */

void misuse(const char *fmt, ...)
{
    char line[400];
    __builtin_va_list ap;
    __builtin_va_start(ap, fmt);
    say_vformat(line, sizeof line, fmt, ap);
    __builtin_va_end(ap);
    say("%s", line);
    if (knobs.misuseabort)
        os_abort();
}

/* ---- Collection -------------------------------------------------------- */

SC_API void sc_collect(void)
{
    struct thread *t = api_enter();
    if (!t)
        return;
    cycle_collect(t);
    life_wait(t, HEAD_START);
    thread_leave(t);
}

SC_API void sc_release_memory(void)
{
    struct thread *t = api_enter();
    if (!t)
        return;
    cycle_collect(t);
    page_cache_flush(&t->cache.pages);
    scavenge_now(UINT64_MAX, true);
    thread_leave(t);
}

/* ---- Threads ----------------------------------------------------------- */

SC_API int sc_thread_attach(void)
{
    return api_start() ? thread_attach() : ENOMEM;
}

SC_API void sc_thread_detach(void)
{
    if (thread_self)
        thread_detach(thread_self, true);
    else
        misuse("sc_thread_detach: this thread is not attached; call it once "
               "per attached thread.");
}

SC_API void sc_poll(void)
{
    struct thread *t = thread_self;
    if (t && load_relaxed(&t->want) != load_relaxed(&t->done)) {
        thread_enter();
        store_relaxed(&t->pending, 1);
        thread_leave(t);
    }
}

/* While the thread is blocked its frames begin at its call of us, and ours is
 * gone: so the registers that it expects us to preserve are taken before any
 * code of a compiler can move them into that frame. */
#if defined(__x86_64__)
#define PRESERVED 6
__asm__(".text\n"
        ".globl sc_blocking_begin\n"
        ".type sc_blocking_begin, @function\n"
        ".p2align 4\n"
        "sc_blocking_begin:\n"
        "    .cfi_startproc\n"
        "    subq $56, %rsp\n"
        "    .cfi_adjust_cfa_offset 56\n"
        "    movq %rbx, 0(%rsp)\n"
        "    movq %rbp, 8(%rsp)\n"
        "    movq %r12, 16(%rsp)\n"
        "    movq %r13, 24(%rsp)\n"
        "    movq %r14, 32(%rsp)\n"
        "    movq %r15, 40(%rsp)\n"
        "    movq %rsp, %rdi\n"
        "    leaq 64(%rsp), %rsi\n" /* the caller's frame */
        "    call blocking_begin\n"
        "    addq $56, %rsp\n"
        "    .cfi_adjust_cfa_offset -56\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size sc_blocking_begin, .-sc_blocking_begin\n");
#elif defined(__aarch64__)
#define PRESERVED 12
__asm__(".text\n"
        ".globl sc_blocking_begin\n"
        ".type sc_blocking_begin, @function\n"
        ".p2align 4\n"
        "sc_blocking_begin:\n"
        "    .cfi_startproc\n"
        "    stp x19, x20, [sp, #-96]!\n"
        "    .cfi_adjust_cfa_offset 96\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    .cfi_rel_offset x30, 88\n"
        "    mov x0, sp\n"
        "    add x1, sp, #96\n" /* the caller's frame */
        "    bl blocking_begin\n"
        "    ldr x30, [sp, #88]\n"
        "    add sp, sp, #96\n"
        "    .cfi_adjust_cfa_offset -96\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size sc_blocking_begin, .-sc_blocking_begin\n");
#endif

__attribute__((used)) void blocking_begin(const uintptr_t *regs,
                                          uintptr_t sp);
void blocking_begin(const uintptr_t *regs, uintptr_t sp)
{
    struct thread *t = api_enter();
    if (!t)
        return;
    thread_leave(t);
    if (load_relaxed(&t->state) != THREAD_RUNNING)
        misuse("sc_blocking_begin: this thread is in a blocking region "
               "already; end that one first.");
    else
        thread_block_at(t, sp, regs, PRESERVED);
}

SC_API void sc_blocking_end(void)
{
    struct thread *t = thread_self;
    if (!t || load_relaxed(&t->state) == THREAD_RUNNING)
        misuse("sc_blocking_end: this thread is not in a blocking region; "
               "call sc_blocking_begin first.");
    else
        thread_block_end(t);
}

/* ---- Roots ------------------------------------------------------------- */

SC_API int sc_root_add(void *start, size_t n)
{
    struct thread *t = api_enter();
    if (!t)
        return ENOMEM;
    int e = root_add((uintptr_t)start, n);
    /* What stands there already must not wait for the next cycle. */
    if (!e && load_relaxed(&gc.marking))
        barrier_shade_range(t, start, n);
    thread_leave(t);
    return e;
}

SC_API int sc_root_remove(void *start)
{
    struct thread *t = api_enter();
    if (!t)
        return ENOMEM;
    size_t n;
    int e = root_remove((uintptr_t)start, &n);
    /* It may not have been scanned yet, and what was taken out of it may stand
     * in a stack that was. */
    if (!e && load_relaxed(&gc.marking))
        barrier_shade_range(t, start, n);
    thread_leave(t);
    if (e)
        misuse("sc_root_remove: %p is not the start of a registered range; "
               "give the address that sc_root_add was given.", start);
    return e;
}

SC_API NOINLINE void sc_keep_alive(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* ---- Objects ----------------------------------------------------------- */

SC_API void *sc_base(const void *p)
{
    struct object o;
    return api_find(p, &o) ? (void *)o.base : 0;
}

SC_API size_t sc_size(const void *p)
{
    struct object o;
    return api_find(p, &o) ? align_down(o.size, 16) : 0;
}

static const struct sc_shape *shape_in(const struct object *o)
{
    return o->span->class == CLASSES ? o->span->shape
                                     : classes[o->span->class].shape;
}

/* The slot fits, and is not more than twice too large. */
static bool stays(const struct object *o, size_t n)
{
    return n < o->size && (n + 1 > o->size / 2 || o->size <= 32);
}

SC_API void *sc_realloc(void *p, size_t n)
{
    struct object o;
    if (!p)
        return sc_alloc(n);
    if (!api_find(p, &o) || (uintptr_t)p != o.base) {
        misuse("sc_realloc: %p is not the start of an object of the heap; "
               "give a pointer that an allocation function returned.", p);
        errno = EINVAL;
        return 0;
    }
    if (stays(&o, n)) {
        /* Bytes that a later call adds must be zero. */
        if (o.kind != KIND_NOSCAN)
            sc_clear((char *)p + n, o.size - n);
        return p;
    }
    if (n >= PTRDIFF_MAX) {
        errno = ENOMEM;
        return 0;
    }
    void *to = new_object(n + 1, (enum kind)o.kind, shape_in(&o));
    if (!to)
        return 0;
    size_t k = min_size(n, o.size);
    if (o.kind == KIND_NOSCAN)
        memcpy(to, p, k);
    else
        sc_copy(to, p, k);
    return to;
}

/* ---- Figures ----------------------------------------------------------- */

/* Inside us, like all that takes locks which a handshake's handler takes. */
SC_API void sc_stats(struct sc_stats *s)
{
    struct thread *t = api_enter();
    memset(s, 0, sizeof *s);
    if (!t)
        return;
    obs_stats(s);
    thread_leave(t);
}
