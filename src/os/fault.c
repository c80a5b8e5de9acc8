/* fault.c: a look at a fault of memory, before it ends the process.
 *
 *   access --> SIGSEGV --> fn(address, is it a write?) --> default action
 *
 * Only where nobody has a handler: if the program sets one later, ours is gone;
 * if it calls the one that was there before, that is ours, and it behaves as
 * the default does.  The default action is taken by the same fault: it is put
 * in force, and the access tried again, so a core file shows the place and a
 * parent sees the signal.  What was sent by somebody rather than raised by an
 * access is sent again.
 */
#include "os_private.h"
#include <signal.h>
#include <ucontext.h>

static void (*look)(uintptr_t, enum os_access);

static enum os_access access_of(const void *context)
{
#if defined(__x86_64__)
    const ucontext_t *uc = context;
    return uc->uc_mcontext.gregs[REG_ERR] & 2 ? OS_WRITE : OS_READ;
#else
    (void)context;
    return OS_ACCESS;
#endif
}

static void by_default(int sig)
{
    struct sigaction deadly = {.sa_handler = SIG_DFL};
    sigaction(sig, &deadly, NULL);
}

static void fault_handler(int sig, siginfo_t *info, void *uc)
{
    int saved = errno;
    if (info->si_code > 0)
        look((uintptr_t)info->si_addr, access_of(uc));
    by_default(sig);
    if (info->si_code <= 0)
        OS_CALL3(SYS_tgkill, os_pid(), os_tid(), sig);
    errno = saved;
}

void os_fault_init(void (*fn)(uintptr_t, enum os_access))
{
    struct sigaction now, ours = {.sa_sigaction = fault_handler};
    int saved = errno;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    look = fn;
    fence_signal();
    if (!sigaction(SIGSEGV, NULL, &now) && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == SIG_DFL)
        sigaction(SIGSEGV, &ours, NULL);
    errno = saved;
}
