/* signal.c: the handshake signal, and what its handler learns.
 *
 * SIGURG is ignored by default and sent only by sockets whose owner asked for
 * it, so it's the one to borrow (as Go chose).  Ours carries the address of
 * `cookie`; any other is also passed to the handler that was there before.
 *
 * The frame that the kernel lays down, x86-64:
 *
 *   handler on the same stack            handler on the alternate stack
 *   high  ...frames of the thread        frame_hi  end of that stack
 *         sp at interruption                       vector registers
 *         128 bytes red zone                       ucontext: registers
 *         vector registers (xsave)       frame_lo  ...
 *         ucontext: registers            and on the stack of the thread:
 *   sp -> ...                            sp ->     red zone, frames
 *
 * Either way [sp, top of stack) and [frame_lo, frame_hi) hold all registers,
 * the vector ones too (a compiler may keep a pointer only there).
 *
 * A standard signal is kept once per thread: if somebody else's SIGURG is
 * pending on the thread, ours melts into it.  So fn is called for every
 * SIGURG, and must bear being called for nothing.
 *
 * The thread sanitizer puts handlers off until the thread comes to an atomic
 * operation or a call that it knows, since its own state must not be
 * interrupted.  What the kernel told is old by then: the thread is where the
 * handler is called from (context_late).
 */
#include "os_private.h"
#include <signal.h>
#include <ucontext.h>

/* What the kernel means by struct sigaction, on both processors. */
struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static char cookie; /* only its address matters */
static void (*handshake)(struct os_context *);
static struct sigaction previous; /* the program's, set before ours */

int os_signal_number(void)
{
    return SIGURG;
}

/* ---- Sending ----------------------------------------------------------- */

/* With a value rather than plain, so that the handler knows it.  tid of this
 * process only: a number that was given to another one meanwhile is ESRCH. */
int os_signal_thread(int tid)
{
    siginfo_t info = {.si_signo = SIGURG, .si_code = SI_QUEUE};
    info.si_pid = os_pid();
    info.si_uid = (uid_t)OS_CALL1(SYS_getuid, 0);
    info.si_value.sival_ptr = &cookie;
    long r = OS_CALL4(SYS_rt_tgsigqueueinfo, os_pid(), tid, SIGURG, &info);
    if (r == -EPERM || r == -ENOSYS) /* a sandbox that knows only tgkill */
        r = OS_CALL3(SYS_tgkill, os_pid(), tid, SIGURG);
    return (int)-r;
}

/* ---- The program's ----------------------------------------------------- */

_Static_assert(sizeof(sigset_t) <= sizeof(struct os_signals), "room for a set");

void os_signals_hold(struct os_signals *was)
{
    static const int through[] = {SIGURG, SIGSEGV, SIGBUS, SIGILL,
                                  SIGFPE, SIGTRAP, SIGSYS};
    sigset_t most;
    sigfillset(&most);
    for (size_t i = 0; i < COUNT(through); i++)
        sigdelset(&most, through[i]);
    pthread_sigmask(SIG_BLOCK, &most, (sigset_t *)was);
}

void os_signals_release(const struct os_signals *was)
{
    pthread_sigmask(SIG_SETMASK, (const sigset_t *)was, NULL);
}

uintptr_t os_alternate_end(uintptr_t sp)
{
    stack_t s;
    if (sigaltstack(NULL, &s) != 0 || s.ss_flags & SS_DISABLE ||
        sp - (uintptr_t)s.ss_sp >= s.ss_size)
        return 0;
    return (uintptr_t)s.ss_sp + s.ss_size;
}

/* ---- Receiving --------------------------------------------------------- */

#if defined(__x86_64__)
#define RED_ZONE 128
RACY static void context_registers(struct os_context *c, const ucontext_t *uc)
{
    const greg_t *r = uc->uc_mcontext.gregs;
    c->pc = (uintptr_t)r[REG_RIP];
    c->sp = (uintptr_t)r[REG_RSP];
    c->nregs = 16; /* REG_R8 is 0, REG_RSP is 15, with all others between */
    for (int i = 0; i < c->nregs; i++)
        c->regs[i] = (uintptr_t)r[i];
}

void os_set_pc(struct os_context *c, uintptr_t pc)
{
    ucontext_t *uc = c->context;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
    c->pc = pc;
}
#elif defined(__aarch64__)
#define RED_ZONE 0
RACY static void context_registers(struct os_context *c, const ucontext_t *uc)
{
    const mcontext_t *m = &uc->uc_mcontext;
    c->pc = m->pc;
    c->sp = m->sp;
    c->nregs = 31;
    for (int i = 0; i < c->nregs; i++)
        c->regs[i] = m->regs[i];
}

void os_set_pc(struct os_context *c, uintptr_t pc)
{
    ucontext_t *uc = c->context;
    uc->uc_mcontext.pc = pc;
    c->pc = pc;
}
#else
#error "signal.c knows the registers of x86-64 and aarch64 only"
#endif

/* Where the kernel put its frame, see the picture above. */
RACY static void context_stacks(struct os_context *c, const ucontext_t *uc)
{
    uintptr_t frame = (uintptr_t)uc;
    uintptr_t lo = (uintptr_t)uc->uc_stack.ss_sp;
    uintptr_t hi = lo + uc->uc_stack.ss_size;
    bool frame_on_alt = frame >= lo && frame < hi;
    bool thread_on_alt = c->sp >= lo && c->sp < hi;
    c->on_alternate = thread_on_alt;
    c->frame_lo = c->frame_hi = 0;
    if (frame_on_alt) {
        c->frame_lo = frame;
        c->frame_hi = hi;
    }
    if (frame_on_alt == thread_on_alt)
        c->sp = frame;
    else
        c->sp -= RED_ZONE;
}

/* No program counter: no code of ours that is sensitive to it has anything in
 * it at which a late handler could run. */
RACY static void context_late(struct os_context *c, const ucontext_t *uc,
                              uintptr_t sp)
{
    uintptr_t lo = (uintptr_t)uc->uc_stack.ss_sp;
    uintptr_t size = uc->uc_stack.ss_size;
    c->pc = 0;
    if ((uintptr_t)uc - lo < size)
        return; /* not late: it came in a blocking call */
    c->on_alternate = sp - lo < size;
    c->frame_lo = c->frame_hi = 0;
    c->sp = sp;
}

/* The frame that the kernel laid on the alternate stack for the outer handler
 * holds the true sp; which word that is can't be told, but the lowest of all
 * words that look like one is not above it. */
RACY uintptr_t os_outer_sp(const struct os_context *c, uintptr_t lo,
                           uintptr_t hi)
{
    uintptr_t least = hi;
    for (uintptr_t a = align_up(c->frame_lo, sizeof a); a < c->frame_hi;
         a += sizeof a) {
        uintptr_t v = *(const volatile uintptr_t *)a;
        if (v >= lo && v < least)
            least = v;
    }
    if (least == hi)
        return 0;
    return least - lo > RED_ZONE ? least - RED_ZONE : lo;
}

/* The program may have put its handler in our place and call ours from it; we
 * have taken the place back since (os_signal_keep), and call theirs.  That ends
 * where the same frame comes by again, further up the stack.  (A handler that
 * left by longjmp may have had a frame at the same place, but not above it.) */
static _Thread_local struct {
    const void *uc;
    uintptr_t frame;
} passing;

RACY static bool passed_already(const void *uc)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (passing.uc == uc && here < passing.frame)
        return true;
    passing.uc = uc;
    passing.frame = here;
    return false;
}

/* Under our mask, not its own: it asked for fewer signals blocked, at most. */
RACY static void pass_on(int sig, siginfo_t *info, void *uc)
{
    if (passed_already(uc))
        return;
    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(sig, info, uc);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        previous.sa_handler(sig);
}

/* Ours first: the other handler may not come back (longjmp). */
RACY static void signal_handler(int sig, siginfo_t *info, void *uc)
{
    int saved = errno;
    struct os_context c;
    bool ours = info->si_code == SI_QUEUE &&
                info->si_value.sival_ptr == &cookie;
    c.context = uc;
    context_registers(&c, uc);
    context_stacks(&c, uc);
    if (SIGNALS_LATE) { /* registers that a call preserves go into this frame */
        __builtin_unwind_init();
        context_late(&c, uc, (uintptr_t)__builtin_alloca(16));
    }
    handshake(&c);
    if (!ours)
        pass_on(sig, info, uc);
    errno = saved;
}

/* ---- Installing -------------------------------------------------------- */

static int kernel_action(const struct kernel_action *set,
                         struct kernel_action *get)
{
    return (int)-OS_CALL4(SYS_rt_sigaction, SIGURG, set, get, 8);
}

/* No other handler may run on top of ours, except for what a fault raises: a
 * sandbox may answer system calls by SIGSYS. */
static uint64_t handler_mask(void)
{
    static const int fault[] = {SIGSEGV, SIGBUS, SIGILL,
                                SIGFPE, SIGTRAP, SIGSYS};
    uint64_t mask = ~(uint64_t)0;
    for (size_t i = 0; i < COUNT(fault); i++)
        mask &= ~((uint64_t)1 << (fault[i] - 1));
    return mask;
}

/* The library's sigaction first: it knows the return path that debuggers and
 * unwinders expect (the restorer), and remembers the handler before us.  Then
 * straight in the kernel, with a mask that the library would not allow. */
static int install(void)
{
    struct sigaction ours = {.sa_sigaction = signal_handler};
    struct kernel_action k;
    ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&ours.sa_mask);
    int saved = errno, e = 0;
    if (sigaction(SIGURG, &ours, &previous) != 0)
        e = errno;
    errno = saved;
    if (e == 0)
        e = kernel_action(NULL, &k);
    if (e != 0 || SIGNALS_LATE)
        return e;
    k.handler = (void *)signal_handler;
    k.flags |= SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    k.mask = handler_mask();
    return kernel_action(&k, NULL);
}

static int not_ours(bool *yes)
{
    struct sigaction now;
    int saved = errno, e = sigaction(SIGURG, NULL, &now) ? errno : 0;
    errno = saved;
    *yes = e == 0 && now.sa_sigaction != signal_handler;
    return e;
}

/* A second call must not take our own handler for the one before us. */
int os_signal_init(void (*fn)(struct os_context *))
{
    bool install_it;
    int e = not_ours(&install_it);
    if (e != 0)
        return e;
    os_tls_find();
    handshake = fn;
    fence_signal();
    return install_it ? install() : 0;
}

/* Who set a handler after us meant SIGURG from sockets, and gets those. */
void os_signal_keep(void)
{
    bool displaced;
    if (not_ours(&displaced) == 0 && displaced)
        install();
}

/* Our own threads start with all signals blocked; the one that runs the
 * program's callbacks must answer handshakes like any other. */
void os_signal_unblock(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
}
