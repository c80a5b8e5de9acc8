/* trace.c: holding a thread that does not answer signals.
 *
 *   collector --clone(shares memory, not a thread of ours)--> tracer
 *                                        ptrace: seize, interrupt, registers
 *   held->state = HELD  <-----------------  wake
 *   ... collector scans its stack ...       waits
 *   held->state = LET_GO ---------------->  detach, exit
 *
 * A thread may block every signal, as helper threads of libraries like to.  The
 * tracing interface stops it all the same, and what it was waiting for goes on
 * undisturbed afterwards.  A thread can't trace its own process; a process that
 * shares our memory can.  It costs about 100 us, so it is the last resort.
 *
 * The tracer runs on a small stack, calls nothing of the C library that keeps
 * state, and is waited for by number, so the program never sees it.  It runs
 * with its maker's thread-local storage, hence is left alone by the sanitizers.
 */
#include "os_private.h"
#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define TRACER_STACK 16384
enum { STARTING, HELD, LET_GO, FAILED };

/* What passes between the two; one mapping with the tracer's stack. */
struct os_held {
    _Atomic uint32_t state;
    int tid, tracer, maker; /* maker: the process */
    bool moved;
    struct os_context context;
    uintptr_t tp;
    struct user_regs_struct regs;
    uintptr_t vector[512] __attribute__((aligned(64)));
    char stack[TRACER_STACK] __attribute__((aligned(64)));
};

/* The C library's clone, by the name that no sanitizer puts a wrapper round: it
 * would take the tracer for the child of a fork. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);

/* errno belongs to the thread that waits for us: raw calls only. */
#define TRACE(op, tid, a, b) OS_CALL4(SYS_ptrace, (op), (tid), (a), (b))

RACY static void set_state(struct os_held *h, uint32_t s)
{
    store_seq(&h->state, s);
    OS_CALL6(SYS_futex, &h->state, FUTEX_WAKE, 1, 0, 0, 0);
}

RACY static bool read_registers(struct os_held *h)
{
    struct iovec general = {&h->regs, sizeof h->regs};
    struct iovec vector = {h->vector, sizeof h->vector};
    if (TRACE(PTRACE_GETREGSET, h->tid, NT_PRSTATUS, &general) < 0)
        return false;
#if defined(__x86_64__)
    if (TRACE(PTRACE_GETREGSET, h->tid, NT_X86_XSTATE, &vector) < 0)
#endif
        TRACE(PTRACE_GETREGSET, h->tid, NT_PRFPREG, &vector);
#if defined(__aarch64__)
    struct iovec tls = {&h->tp, sizeof h->tp};
    TRACE(PTRACE_GETREGSET, h->tid, NT_ARM_TLS, &tls);
#endif
    return true;
}

RACY static bool stop_thread(struct os_held *h)
{
    int status;
    if (TRACE(PTRACE_SEIZE, h->tid, 0, 0) < 0 ||
        TRACE(PTRACE_INTERRUPT, h->tid, 0, 0) < 0)
        return false;
    long r = OS_CALL4(SYS_wait4, h->tid, &status, __WALL, 0);
    return r == h->tid && WIFSTOPPED(status) && read_registers(h);
}

/* Ends with its maker, whatever ends that one: left alone it would keep the
 * process's memory, and its thread, which nobody but the tracer may bury. */
RACY static bool ends_with_maker(struct os_held *h)
{
    return OS_CALL2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL) == 0 &&
           OS_CALL1(SYS_getppid, 0) == h->maker;
}

RACY static int tracer_main(void *arg)
{
    struct os_held *h = arg;
    bool ok = ends_with_maker(h) && stop_thread(h);
    set_state(h, ok ? HELD : FAILED);
    while (ok && load_seq(&h->state) == HELD)
        OS_CALL6(SYS_futex, &h->state, FUTEX_WAIT, HELD, 0, 0, 0);
    struct iovec general = {&h->regs, sizeof h->regs};
    if (ok && h->moved)
        TRACE(PTRACE_SETREGSET, h->tid, NT_PRSTATUS, &general);
    TRACE(PTRACE_DETACH, h->tid, 0, 0);
    OS_CALL1(SYS_exit, 0);
    return 0;
}

static void fill_context(struct os_held *h)
{
    struct os_context *c = &h->context;
    const uintptr_t *r = (const uintptr_t *)&h->regs;
    c->nregs = (int)min_size(sizeof h->regs / 8, COUNT(c->regs));
    for (int i = 0; i < c->nregs; i++)
        c->regs[i] = r[i];
#if defined(__x86_64__)
    c->pc = h->regs.rip;
    c->sp = h->regs.rsp - 128;
    h->tp = h->regs.fs_base;
#else
    c->pc = h->regs.pc;
    c->sp = h->regs.sp;
#endif
    c->frame_lo = (uintptr_t)h->vector;
    c->frame_hi = c->frame_lo + sizeof h->vector;
}

static void reap(struct os_held *h)
{
    int status;
    if (h->tracer > 0)
        OS_CALL4(SYS_wait4, h->tracer, &status, __WALL, 0);
    os_unmap(h, align_up(sizeof *h, os_page_size()));
}

static struct os_held *give_up(struct os_held *h)
{
    reap(h);
    return NULL;
}

/* Whether a process that we start may trace us, where the system asks. */
static void allow_tracer(bool on)
{
    OS_CALL4(SYS_prctl, PR_SET_PTRACER, on ? PR_SET_PTRACER_ANY : 0UL, 0, 0);
}

struct os_held *os_trace_hold(int tid, struct os_context **c, uintptr_t *tp)
{
    /* Valgrind runs one thread at a time: a held one would keep its turn, and
     * nobody else could let it go. */
    struct os_held *h =
        os_checker ? NULL : os_map(align_up(sizeof *h, os_page_size()));
    if (h == NULL)
        return NULL;
    int saved = errno;
    h->tid = tid;
    h->maker = getpid();
    allow_tracer(true);
    h->tracer = __clone(tracer_main, h->stack + TRACER_STACK,
                        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED, h);
    errno = saved;
    while (h->tracer > 0 && load_seq(&h->state) == STARTING)
        OS_CALL6(SYS_futex, &h->state, FUTEX_WAIT, STARTING, 0, 0, 0);
    allow_tracer(false);
    if (h->tracer < 0 || load_seq(&h->state) != HELD)
        return give_up(h);
    fill_context(h);
    *c = &h->context;
    *tp = h->tp;
    return h;
}

/* The thread was inside the restartable store: it goes on at its start. */
void os_trace_set_pc(struct os_held *h, uintptr_t pc)
{
#if defined(__x86_64__)
    h->regs.rip = pc;
#else
    h->regs.pc = pc;
#endif
    h->moved = true;
}

void os_trace_release(struct os_held *h)
{
    set_state(h, LET_GO);
    reap(h);
}
