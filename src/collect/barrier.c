/* barrier.c: the hybrid write barrier (Go proposal 17503), for C.
 *
 *   store(slot, new):  if marking { shade(*slot); shade(new) }  *slot = new
 *
 * Shading the old value keeps what was reachable when the cycle began
 * (Yuasa): a thread can't hide the last pointer in a stack that was scanned.
 * Shading the new one (Dijkstra) covers threads whose stack was not scanned
 * yet.  So each stack is scanned once.
 *
 * The check and the store are one restartable sequence, in assembly:
 *
 *   start:   marking?  yes -> slow
 *            store                      } a handler that finds the program
 *   end:     return                     } counter in (start, end) resets it
 *
 * so no thread answers "barrier on" between its check and its store.  Compiled
 * code has such sequences of its own (sequence.c).  The
 * slow path is inside us (busy), which delays the answer instead.
 *
 * Shaded words go into a private buffer and are marked when it is full or at
 * the next handshake.  A handler of the program may store as well, on top of
 * all this: it only ever adds words, each in an entry that it took in one
 * instruction; who flushes gives entries back only if none was added since it
 * looked.  Where there is no room it marks without a queue (mark_aside), since
 * below it may be a flush, or a lock held.
 * Locks: none.
 */
#include <string.h>

#include "mark.h"

extern const char barrier_store_start[], barrier_store_end[];

/* The thread sanitizer must see the store, so there it is always the slow
 * path's. */
#if SIGNALS_LATE
#define STORE_SEEN(branch) branch " barrier_store_slow\n"
#else
#define STORE_SEEN(branch) ""
#endif

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl sc_store_\n"
        ".type sc_store_, @function\n"
        ".p2align 4\n"
        "sc_store_:\n" STORE_SEEN("jmp")
        "barrier_store_start:\n"
        "    cmpb $0, gc(%rip)\n"
        "    jne 1f\n"
        "    movq %rsi, (%rdi)\n"
        "barrier_store_end:\n"
        "    ret\n"
        "1:  jmp barrier_store_slow\n"
        ".size sc_store_, .-sc_store_\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl sc_store_\n"
        ".type sc_store_, @function\n"
        ".p2align 4\n"
        "sc_store_:\n" STORE_SEEN("b")
        "barrier_store_start:\n"
        "    adrp x2, gc\n"
        "    ldrb w2, [x2, :lo12:gc]\n"
        "    cbnz w2, 1f\n"
        "    str x1, [x0]\n"
        "barrier_store_end:\n"
        "    ret\n"
        "1:  b barrier_store_slow\n"
        ".size sc_store_, .-sc_store_\n");
#endif

INLINE RACY uintptr_t restart(uintptr_t pc)
{
    uintptr_t start = (uintptr_t)barrier_store_start;
    return pc - start < (uintptr_t)barrier_store_end - start
         ? start : sequence_start(pc);
}

uintptr_t barrier_restart(uintptr_t pc)
{
    return restart(pc);
}

/* A handler of the program may have interrupted the sequence, and been hit by
 * our signal in its turn.  Nothing in the sequence is ever a return address, so
 * a stack word that points inside it is the program counter that the outer
 * handler will return to. */
RACY void barrier_restart_frames(uintptr_t lo, uintptr_t hi)
{
    for (uintptr_t a = align_up(lo, 8); a + 8 <= hi; a += 8) {
        uintptr_t pc = *(uintptr_t *)a, start = restart(pc);
        if (unlikely(start != pc))
            *(uintptr_t *)a = start;
    }
}

void barrier_flush(struct thread *t)
{
    t->work.parent = 0;
    uint32_t i = 0, n = load_relaxed(&t->nbarrier);
    do
        for (; i < n; i++)
            mark_word(&t->work, t->barrier[i]);
    /* Words that were marked already make no work: work_flush sees it. */
    while (!cas_own(&t->nbarrier, &n, 0));
}

/* Busy more than once: by a handler, as a rule. */
static COLD void shade_full(struct thread *t, uintptr_t word)
{
    do {
        if (load_relaxed(&t->busy) > 1) {
            mark_aside(word);
            return;
        }
        barrier_flush(t);
    } while (!barrier_note(t, word));
}

INLINE void shade(struct thread *t, uintptr_t word)
{
    if (!is_known_marked(word) && unlikely(!barrier_note(t, word)))
        shade_full(t, word);
}

void barrier_shade(struct thread *t, uintptr_t word) { shade(t, word); }

static bool is_marking(void)
{
    return load_relaxed(&gc.marking) && !knobs.nobarrier;
}

/* No memory for a thread record: the store must still be seen.  Marks at once;
 * should there be no work buffer either, gc.overflow sees to the rest. */
static COLD void shade_unattached(uintptr_t a, uintptr_t b)
{
    static struct lock lock = LOCK_INIT(RANK_ROOTS);
    static struct work work;
    struct os_signals was;
    if (!is_marking())
        return;
    os_signals_hold(&was);
    lock_take(&lock);
    mark_word(&work, a);
    mark_word(&work, b);
    work_flush(&work);
    lock_drop(&lock);
    os_signals_release(&was);
}

void barrier_answer(void **slot, void *value)
{
    (void)slot;
    (void)value;
    handshake_answer(thread_self);
}

__attribute__((used)) void barrier_store_slow(void **slot, void *value)
{
    struct thread *t = thread_enter();
    if (!t) {
        shade_unattached((uintptr_t)load_relaxed(slot), (uintptr_t)value);
        store_relaxed(slot, value);
        return;
    }
    if (is_marking()) {
        shade(t, (uintptr_t)load_relaxed(slot));
        shade(t, (uintptr_t)value);
    }
    store_release(slot, value);
    thread_leave(t);
}

SC_API int sc_cas_(void *slot, void *expected, void *desired)
{
    struct thread *t = thread_enter();
    if (t && is_marking()) {
        barrier_shade(t, (uintptr_t)expected);
        barrier_shade(t, (uintptr_t)desired);
    }
    else if (!t)
        shade_unattached((uintptr_t)expected, (uintptr_t)desired);
    int ok = cas_seq((void **)slot, &expected, desired);
    if (t)
        thread_leave(t);
    return ok;
}

SC_API void *sc_exchange_(void *slot, void *value)
{
    struct thread *t = thread_enter();
    bool shade = t && is_marking();
    if (shade)
        barrier_shade(t, (uintptr_t)value);
    else if (!t)
        shade_unattached((uintptr_t)load_relaxed((void **)slot),
                         (uintptr_t)value);
    void *old = swap_seq((void **)slot, value);
    if (shade)
        barrier_shade(t, (uintptr_t)old);
    if (t)
        thread_leave(t);
    return old;
}

/* ---- Bulk -------------------------------------------------------------- */

/* Bytes moved in one piece while a handshake has to wait. */
#define PIECE KIB(64)

/* Words that lie in the range only in part as well: they lose their value just
 * so, and a piece may begin within a word. */
RACY void barrier_shade_range(struct thread *t, const void *p, size_t n)
{
    uintptr_t a = align_down((uintptr_t)p, 8);
    uintptr_t end = align_up((uintptr_t)p + n, 8);
    for (; a < end; a += 8)
        shade(t, load_relaxed((uintptr_t *)a));
}

/* One piece with its barrier; the thread is inside us meanwhile. */
static void move_piece(char *dst, const char *src, size_t n)
{
    struct thread *t = thread_enter();
    if (t && is_marking()) {
        barrier_shade_range(t, dst, n);
        if (src)
            barrier_shade_range(t, src, n);
    }
    if (src)
        memmove(dst, src, n);
    else
        memset(dst, 0, n);
    if (t)
        thread_leave(t);
}

SC_API void sc_copy(void *dst, const void *src, size_t n)
{
    char *d = dst;
    const char *s = src;
    /* Overlapping with dst behind src: from the end, as memmove does. */
    bool backward = d > s && d < s + n;
    for (size_t done = 0; done < n;) {
        size_t k = min_size(n - done, PIECE);
        size_t at = backward ? n - done - k : done;
        move_piece(d + at, s + at, k);
        done += k;
    }
}

SC_API void sc_clear(void *dst, size_t n)
{
    for (size_t done = 0, k; done < n; done += k) {
        k = min_size(n - done, PIECE);
        move_piece((char *)dst + done, 0, k);
    }
}
