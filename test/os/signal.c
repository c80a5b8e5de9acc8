/* links: os
 * The handshake signal: whom it reaches, what its handler is told. */
#include "../check.h"
#include "../../src/os/os.h"
#include "help.h"
#include <pthread.h>
#include <ucontext.h>

#define MS 1000000u
/* Not an address of anything; looked for in registers and stacks. */
#define MARK 0x5a5ca1c0ffee0000u

static _Atomic uint32_t calls, foreign, stage, stop;
static _Atomic int target;

static void nap(void)
{
    os_sleep(MS / 10);
}

static void await_calls(uint32_t n)
{
    while (calls < n)
        nap();
}

/* ---- A thread that is interrupted -------------------------------------- */

static struct os_stack own;
static stack_t alternate = {.ss_flags = SS_DISABLE};
static void *(*body)(void *);

/* With the alternate stack that the test wants; a sanitizer has its own. */
static void *thread_main(void *arg)
{
    stack_t before;
    CHECK_EQ(sigaltstack(&alternate, &before), 0);
    void *result = body(arg);
    CHECK_EQ(sigaltstack(&before, NULL), 0);
    return result;
}

static pthread_t launch(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    body = fn;
    CHECK_EQ(pthread_create(&t, NULL, thread_main, arg), 0);
    while (stage == 0)
        nap();
    return t;
}

static void announce(void)
{
    CHECK_EQ(os_stack_self(&own), 0);
    target = os_tid();
}

static void count_call(struct os_context *c)
{
    calls++;
}

/* No call leaves this loop, so a signal that waits for one never comes. */
RACY static void *spin(void *arg)
{
    announce();
    stage = 1;
    while (__atomic_load_n((uint32_t *)&stop, __ATOMIC_RELAXED) == 0)
        cpu_relax();
    return arg;
}

TEST(reaches_a_spinning_thread)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    CHECK_EQ(os_signal_init(count_call), 0);
    pthread_t t = launch(spin, NULL);
    errno = 77;
    for (uint32_t i = 1; i <= 100; i++) {
        CHECK_EQ(os_signal_thread(target), 0);
        await_calls(i);
    }
    CHECK_EQ(errno, 77);
    CHECK_EQ(calls, 100);
    stop = 1;
    pthread_join(t, NULL);
    while (os_signal_thread(target) == 0)
        nap();
    CHECK_EQ(os_signal_thread(target), ESRCH);
}

TEST(reaches_oneself)
{
    CHECK_EQ(os_signal_init(count_call), 0);
    CHECK_EQ(os_signal_thread(os_tid()), 0);
    CHECK_EQ(calls, 1); /* delivered before the call returned */
    CHECK_EQ(os_signal_number(), SIGURG);
}

static void spoil_errno(struct os_context *c)
{
    errno = 5;
    calls++;
}

TEST(errno_is_kept)
{
    CHECK_EQ(os_signal_init(spoil_errno), 0);
    errno = 77;
    syscall(SYS_tgkill, getpid(), gettid(), SIGURG); /* succeeds: keeps it */
    CHECK_EQ(errno, 77);
    CHECK_EQ(calls, 1);
}

/* ---- System calls go on ------------------------------------------------ */

static int pipes[2];

static void *reader(void *arg)
{
    char b;
    announce();
    stage = 1;
    long n = read(pipes[0], &b, 1);
    return (void *)(n == 1 ? 0 : (long)errno);
}

TEST(restarts_system_calls)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    void *bad;
    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(os_signal_init(count_call), 0);
    pthread_t t = launch(reader, NULL);
    for (uint32_t i = 1; i <= 20; i++) {
        CHECK_EQ(os_signal_thread(target), 0);
        await_calls(i);
    }
    CHECK_EQ(write(pipes[1], "x", 1), 1);
    pthread_join(t, &bad);
    CHECK_EQ((long)bad, 0);
}

/* ---- Other people's SIGURG --------------------------------------------- */

static void on_foreign(int sig)
{
    foreign++;
}

static void on_foreign_info(int sig, siginfo_t *info, void *uc)
{
    CHECK_EQ(sig, SIGURG);
    CHECK(uc != NULL);
    foreign += info->si_value.sival_int == 1234;
}

TEST(foreign_goes_to_handler_before)
{
    signal(SIGURG, on_foreign);
    CHECK_EQ(os_signal_init(count_call), 0);
    os_signal_thread(os_tid());
    CHECK_EQ(calls, 1);
    CHECK_EQ(foreign, 0);
    raise(SIGURG);
    CHECK_EQ(foreign, 1);
    os_signal_thread(os_tid());
    CHECK_EQ(foreign, 1);
}

TEST(foreign_with_information)
{
    struct sigaction a = {.sa_sigaction = on_foreign_info};
    union sigval v = {.sival_int = 1234};
    a.sa_flags = SA_SIGINFO;
    sigaction(SIGURG, &a, NULL);
    CHECK_EQ(os_signal_init(count_call), 0);
    CHECK_EQ(sigqueue(getpid(), SIGURG, v), 0);
    while (foreign == 0)
        nap();
}

TEST(foreign_without_handler)
{
    CHECK_EQ(os_signal_init(count_call), 0);
    raise(SIGURG); /* ignored by default: we live on */
    signal(SIGUSR1, SIG_DFL);
}

/* Ours, sent while another's is pending, is merged into it by the kernel. */
TEST(ours_is_not_swallowed)
{
    sigset_t urg, old;
    CHECK_EQ(os_signal_init(count_call), 0);
    sigemptyset(&urg);
    sigaddset(&urg, SIGURG);
    pthread_sigmask(SIG_BLOCK, &urg, &old);
    syscall(SYS_tgkill, getpid(), os_tid(), SIGURG);
    os_signal_thread(os_tid());
    CHECK_EQ(calls, 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    CHECK(calls >= 1);
}

/* A record of ours that the kernel had no room for still gets through. */
TEST(reaches_beyond_the_queue_limit)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_SIGPENDING, &none);
    CHECK_EQ(os_signal_init(count_call), 0);
    CHECK_EQ(os_signal_thread(os_tid()), 0);
    CHECK(calls >= 1);
}

/* A sandbox that knows only the plain call. */
TEST(reaches_in_sandbox)
{
    CHECK_EQ(os_signal_init(count_call), 0);
    refuse(SYS_rt_tgsigqueueinfo, EPERM);
    errno = 77;
    CHECK_EQ(os_signal_thread(os_tid()), 0);
    CHECK_EQ(errno, 77);
    CHECK_EQ(calls, 1);
}

static void count_other(struct os_context *c)
{
    foreign++;
}

TEST(init_again_replaces)
{
    signal(SIGURG, on_foreign);
    CHECK_EQ(os_signal_init(count_call), 0);
    CHECK_EQ(os_signal_init(count_other), 0);
    os_signal_thread(os_tid());
    CHECK_EQ(calls, 0);
    CHECK_EQ(foreign, 1);
    raise(SIGURG); /* must not come back to ourselves as "before" */
    CHECK_EQ(foreign, 3);
}

/* ---- Nothing nests ----------------------------------------------------- */

static _Atomic uint32_t inside, nested;

static void on_usr(int sig)
{
    nested += inside;
    stage = 2;
}

static void slow_call(struct os_context *c)
{
    inside++;
    syscall(SYS_tgkill, getpid(), os_tid(), SIGUSR1);
    if (calls++ == 0)
        os_signal_thread(os_tid());
    inside--;
}

TEST(no_handler_nests)
{
    signal(SIGUSR1, on_usr);
    CHECK_EQ(os_signal_init(slow_call), 0);
    syscall(SYS_tgkill, getpid(), os_tid(), SIGURG);
    while (stage != 2 || calls < 2)
        nap();
    CHECK_EQ(nested, 0);
}

/* ---- What the context tells -------------------------------------------- */

static struct os_context seen;
static bool in_registers, in_range, in_frame;
static uintptr_t wanted;

RACY static bool range_has(uintptr_t lo, uintptr_t hi, uintptr_t v)
{
    for (uintptr_t a = align_up(lo, sizeof a); a + sizeof a <= hi;
         a += sizeof a)
        if (*(const volatile uintptr_t *)a == v)
            return true;
    return false;
}

RACY static void examine(struct os_context *c)
{
    seen = *c;
    in_registers = in_range = in_frame = false;
    for (int i = 0; i < c->nregs; i++)
        in_registers |= c->regs[i] == wanted;
    if (!c->on_alternate)
        in_range = range_has(c->sp, own.hi, wanted);
    in_frame = range_has(c->frame_lo, c->frame_hi, wanted);
    calls++;
}

enum place { REGISTER, VECTOR, RED_ZONE };

/* Keeps a value in one place only, until `stop`; the stack holds it nowhere
 * else.  Its inverse comes in, so that no copy lies in a dead frame. */
#if defined(__x86_64__)
#define KEEP(first, last)                                                 \
    __asm__ volatile("notq %0\n\t" first                                  \
                     "1: pause\n\tmovl %1, %%ecx\n\ttestl %%ecx, %%ecx\n\t" \
                     "jz 1b\n\t" last                                     \
                     : "+r"(inverse)                                      \
                     : "m"(stop)                                          \
                     : "rcx", "xmm13", "r15", "memory", "cc")
RACY static NOINLINE void keep(enum place where, uintptr_t inverse)
{
    stage = 1;
    if (where == REGISTER)
        KEEP("movq %0, %%r15\n\txorl %k0, %k0\n\t", "xorl %%r15d, %%r15d");
    else if (where == VECTOR)
        KEEP("movq %0, %%xmm13\n\txorl %k0, %k0\n\t",
             "pxor %%xmm13, %%xmm13");
    else
        KEEP("movq %0, -120(%%rsp)\n\txorl %k0, %k0\n\t",
             "movq $0, -120(%%rsp)");
}
#elif defined(__aarch64__)
#define KEEP(first, last)                                              \
    __asm__ volatile("mvn %0, %0\n\t" first                            \
                     "1: yield\n\tldr w9, %1\n\tcbz w9, 1b\n\t" last   \
                     : "+r"(inverse)                                   \
                     : "Q"(stop)                                       \
                     : "x9", "v13", "x25", "memory", "cc")
RACY static NOINLINE void keep(enum place where, uintptr_t inverse)
{
    stage = 1;
    if (where == REGISTER)
        KEEP("mov x25, %0\n\tmov %0, #0\n\t", "mov x25, #0");
    else if (where == VECTOR)
        KEEP("fmov d13, %0\n\tmov %0, #0\n\t", "movi d13, #0");
}
#endif

static void *keeper(void *arg)
{
    announce();
    keep((enum place)(uintptr_t)arg, ~wanted);
    return NULL;
}

static void interrupt(void *(*fn)(void *), void *arg)
{
    wanted = MARK + 0x123;
    CHECK_EQ(os_signal_init(examine), 0);
    pthread_t t = launch(fn, arg);
    os_sleep(5 * MS); /* from its announcement to its loop */
    CHECK_EQ(os_signal_thread(target), 0);
    await_calls(1);
    stop = 1;
    pthread_join(t, NULL);
}

TEST(register_is_told)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    interrupt(keeper, (void *)REGISTER);
    CHECK(in_registers);
    CHECK(in_range); /* the saved registers lie on the stack, too */
    CHECK_EQ(seen.frame_lo, seen.frame_hi);
    CHECK(!seen.on_alternate);
    CHECK(seen.sp > own.lo && seen.sp < own.hi);
    CHECK(seen.nregs >= 16 && seen.nregs <= 32);
    CHECK(seen.pc > (uintptr_t)keep && seen.pc < (uintptr_t)keep + 1000);
}

TEST(vector_register_is_found)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    interrupt(keeper, (void *)VECTOR);
    CHECK(in_range);
    CHECK(!in_registers);
}

#if defined(__x86_64__)
TEST(red_zone_is_found)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    interrupt(keeper, (void *)RED_ZONE);
    CHECK(in_range);
    CHECK(!in_registers);
}
#endif

/* ---- Alternate stacks -------------------------------------------------- */

static char room[KIB(64)] __attribute__((aligned(16)));
static const uintptr_t alt_lo = (uintptr_t)room;
static const uintptr_t alt_hi = (uintptr_t)room + sizeof room;

static void use_alternate(void)
{
    alternate = (stack_t){.ss_sp = room, .ss_size = sizeof room};
}

TEST(alternate_stack)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    use_alternate();
    interrupt(keeper, (void *)VECTOR);
    CHECK(in_frame);
    CHECK(!in_range && !in_registers);
    CHECK(!seen.on_alternate);
    CHECK(seen.sp > own.lo && seen.sp < own.hi);
    CHECK(seen.frame_lo > alt_lo && seen.frame_hi == alt_hi);
}

#if defined(__x86_64__)
TEST(alternate_stack_red_zone)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    use_alternate();
    interrupt(keeper, (void *)RED_ZONE);
    CHECK(in_range);
    CHECK(!in_frame && !in_registers);
}
#endif

/* A thread in a handler of the program's, on its alternate stack. */
static uintptr_t true_sp;

static void keep_in_handler(int sig, siginfo_t *info, void *p)
{
    ucontext_t *uc = p;
#if defined(__x86_64__)
    true_sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#else
    true_sp = uc->uc_mcontext.sp;
#endif
    keep(VECTOR, ~wanted);
}

static void *handler_keeper(void *arg)
{
    struct sigaction a = {.sa_sigaction = keep_in_handler};
    announce();
    a.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGUSR2, &a, NULL);
    syscall(SYS_tgkill, getpid(), os_tid(), SIGUSR2);
    return NULL;
}

static uintptr_t outer;

static void examine_outer(struct os_context *c)
{
    outer = os_outer_sp(c, own.lo, own.hi);
    examine(c);
}

TEST(thread_on_alternate_stack)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    use_alternate();
    wanted = MARK + 0x123;
    CHECK_EQ(os_signal_init(examine_outer), 0);
    pthread_t t = launch(handler_keeper, NULL);
    os_sleep(5 * MS);
    CHECK_EQ(os_signal_thread(target), 0);
    await_calls(1);
    CHECK(seen.on_alternate);
    CHECK(in_frame);
    CHECK(seen.frame_lo > alt_lo && seen.frame_hi == alt_hi);
    CHECK(seen.sp >= seen.frame_lo && seen.sp < alt_hi);
    CHECK(outer >= own.lo && outer <= true_sp);
    CHECK(true_sp - outer < KIB(16)); /* a good guess, not the whole stack */
    stop = 1;
    pthread_join(t, NULL);
    CHECK_EQ(os_outer_sp(&seen, MARK + 0x456, MARK + 0x457), 0);
}

/* ---- Moving the program counter ---------------------------------------- */

uintptr_t loop_from(void);
uintptr_t loop_out(void);
long loop(_Atomic uint32_t *started);
#if defined(__x86_64__)
__asm__(".text\n.type loop,@function\nloop: movl $1, (%rdi)\n"
        "1: pause\n\tjmp 1b\n"
        "loop_end: movl $99, %eax\n\tret\n"
        ".globl loop_from, loop_out\n"
        "loop_from: leaq loop(%rip), %rax\n\tret\n"
        "loop_out: leaq loop_end(%rip), %rax\n\tret\n");
#else
__asm__(".text\n.type loop,%function\nloop: mov w9, #1\n\tstr w9, [x0]\n"
        "1: yield\n\tb 1b\n"
        "loop_end: mov x0, #99\n\tret\n"
        ".globl loop_from, loop_out\n"
        "loop_from: adr x0, loop\n\tret\n"
        "loop_out: adr x0, loop_end\n\tret\n");
#endif

static void move_out(struct os_context *c)
{
    if (c->pc >= loop_from() && c->pc < loop_out()) {
        os_set_pc(c, loop_out());
        calls += c->pc == loop_out();
    }
}

static void *looper(void *arg)
{
    announce();
    return (void *)loop(&stage);
}

TEST(set_pc)
{
    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts handlers off");
    void *result;
    CHECK_EQ(os_signal_init(move_out), 0);
    pthread_t t = launch(looper, NULL);
    CHECK_EQ(os_signal_thread(target), 0);
    pthread_join(t, &result);
    CHECK_EQ((long)result, 99);
    CHECK_EQ(calls, 1);
}
