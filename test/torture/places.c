/* places.c: an object whose only pointer stands in one certain place survives
 * whole cycles: registers, stacks, signal frames.  links: lib
 *
 * Registers are filled by assembly, which leaves no copy behind.  "Across"
 * means: in a register that functions must preserve, while one is called.
 * "Under a handler": a signal handler of the program runs on top meanwhile, on
 * the same stack or on an alternate one.  (The game: hide.h.)
 */
#include "hide.h"
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>

__attribute__((used)) void (*volatile across_fn)(void);

/* ---- Assembly ---------------------------------------------------------- */

#if defined(__x86_64__)
#define ENTER "push %rbx; push %rbp; push %r12; push %r13; push %r14;" \
              "push %r15; push %rdi;"
#define LEAVE "add $8, %rsp; pop %r15; pop %r14; pop %r13; pop %r12;" \
              "pop %rbp; pop %rbx; ret\n"
#define SPIN(T)                                                       \
    "movl $1, hidden(%rip);"                                          \
    "1: pause; mov cycles_done(%rip), %" T "; cmp hide_target(%rip), %" T \
    "; jb 1b;"
#define HEAD(name) ".text; .globl " name "; " name ": "

/* In R; T is any other register. */
#define HIDE(R, T)                                                    \
    __asm__(HEAD("hide_" R) ENTER "mov (%rsp), %" R "; not %" R ";"   \
            SPIN(T) "mov %" R ", %rax;" LEAVE);
#define HIDE_VECTOR(V, in, out)                                       \
    __asm__(HEAD("hide_" V) ENTER "mov %rdi, %rax; not %rax;" in      \
            "xor %eax, %eax;" SPIN("rdx") out LEAVE);
/* In R while a function is called again and again. */
#define HIDE_ACROSS(R)                                                \
    __asm__(HEAD("across_" R) ENTER "mov (%rsp), %" R "; not %" R ";" \
            "movl $1, hidden(%rip);"                                  \
            "1: call *across_fn(%rip);"                               \
            "mov cycles_done(%rip), %rdx; cmp hide_target(%rip), %rdx;" \
            "jb 1b; mov %" R ", %rax;" LEAVE);
HIDE("rax", "rdx") HIDE("rbx", "rdx") HIDE("rcx", "rdx") HIDE("rdx", "rcx")
HIDE("rsi", "rdx") HIDE("rdi", "rdx") HIDE("rbp", "rdx") HIDE("r8", "rdx")
HIDE("r9", "rdx") HIDE("r10", "rdx") HIDE("r11", "rdx") HIDE("r12", "rdx")
HIDE("r13", "rdx") HIDE("r14", "rdx") HIDE("r15", "rdx")
HIDE_ACROSS("rbx") HIDE_ACROSS("rbp") HIDE_ACROSS("r12")
HIDE_ACROSS("r13") HIDE_ACROSS("r14") HIDE_ACROSS("r15")
HIDE_VECTOR("xmm0", "movq %rax, %xmm0;", "movq %xmm0, %rax;")
HIDE_VECTOR("xmm15", "movq %rax, %xmm15; pslldq $8, %xmm15;",
            "psrldq $8, %xmm15; movq %xmm15, %rax;")
HIDE_VECTOR("ymm7", "vmovq %rax, %xmm6; vpxor %xmm7, %xmm7, %xmm7;"
            "vinsertf128 $1, %xmm6, %ymm7, %ymm7; vpxor %xmm6, %xmm6, %xmm6;",
            "vextractf128 $1, %ymm7, %xmm6; vmovq %xmm6, %rax; vzeroupper;")
HIDE_VECTOR("zmm20", "vmovq %rax, %xmm6; vpxorq %zmm20, %zmm20, %zmm20;"
            "vinserti32x4 $3, %xmm6, %zmm20, %zmm20;"
            "vpxor %xmm6, %xmm6, %xmm6;",
            "vextracti32x4 $3, %zmm20, %xmm6; vmovq %xmm6, %rax;"
            "vpxorq %zmm20, %zmm20, %zmm20; vzeroupper;")
HIDE_VECTOR("stack", "push %rax; push $0;", "pop %rdx; pop %rax;")
HIDE_VECTOR("redzone", "mov %rax, -120(%rsp);", "mov -120(%rsp), %rax;")

#define REGISTERS(F)                                                     \
    F(rax) F(rbx) F(rcx) F(rdx) F(rsi) F(rdi) F(rbp) F(r8) F(r9) F(r10)  \
    F(r11) F(r12) F(r13) F(r14) F(r15) F(xmm0) F(xmm15) F(stack) F(redzone)
#define PRESERVED(F) F(rbx) F(rbp) F(r12) F(r13) F(r14) F(r15)

static int has_avx(void) { return __builtin_cpu_supports("avx"); }
static int has_avx512(void) { return __builtin_cpu_supports("avx512f"); }
hide_fn hide_ymm7, hide_zmm20;

#elif defined(__aarch64__)
#define ENTER "stp x29, x30, [sp, #-112]!; stp x19, x20, [sp, #16];"      \
              "stp x21, x22, [sp, #32]; stp x23, x24, [sp, #48];"         \
              "stp x25, x26, [sp, #64]; stp x27, x28, [sp, #80];"         \
              "str x0, [sp, #96];"
#define LEAVE "ldp x19, x20, [sp, #16]; ldp x21, x22, [sp, #32];"         \
              "ldp x23, x24, [sp, #48]; ldp x25, x26, [sp, #64];"         \
              "ldp x27, x28, [sp, #80]; ldp x29, x30, [sp], #112; ret\n"
#define FLAG "adrp x16, hidden; mov w17, #1;"                             \
             "str w17, [x16, :lo12:hidden];"
#define BELOW "adrp x16, cycles_done; ldr x16, [x16, :lo12:cycles_done];" \
              "adrp x17, hide_target; ldr x17, [x17, :lo12:hide_target];" \
              "cmp x16, x17; b.lo 1b;"
#define HEAD(name) ".text; .globl " name "; " name ": "
#define HIDE(R)                                                           \
    __asm__(HEAD("hide_" R) ENTER "mov x17, x0; mov x0, #0;"              \
            "mvn " R ", x17;" FLAG "1: yield;" BELOW "mov x0, " R ";" LEAVE);
#define HIDE_ACROSS(R)                                                    \
    __asm__(HEAD("across_" R) ENTER "mvn " R ", x0; mov x0, #0;" FLAG     \
            "1: adrp x16, across_fn; ldr x16, [x16, :lo12:across_fn];"    \
            "blr x16;" BELOW "mov x0, " R ";" LEAVE);
HIDE("x0") HIDE("x1") HIDE("x7") HIDE("x8") HIDE("x15") HIDE("x18")
HIDE("x19") HIDE("x20") HIDE("x28") HIDE("x29")
HIDE_ACROSS("x19") HIDE_ACROSS("x20") HIDE_ACROSS("x23") HIDE_ACROSS("x28")
__asm__(HEAD("hide_v0") ENTER "mvn x0, x0; fmov d0, x0; mov x0, #0;" FLAG
        "1: yield;" BELOW "fmov x0, d0;" LEAVE);
__asm__(HEAD("hide_v31") ENTER "mvn x0, x0; mov v31.d[1], x0; mov x0, #0;"
        FLAG "1: yield;" BELOW "mov x0, v31.d[1];" LEAVE);
__asm__(HEAD("hide_stack") ENTER "mvn x0, x0; str x0, [sp, #-32]!;"
        "mov x0, #0;" FLAG "1: yield;" BELOW "ldr x0, [sp], #32;" LEAVE);
#define REGISTERS(F) F(x0) F(x1) F(x7) F(x8) F(x15) F(x18) F(x19) F(x20) \
    F(x28) F(x29) F(v0) F(v31) F(stack)
#define PRESERVED(F) F(x19) F(x20) F(x23) F(x28)
#endif

#define DECLARE_HIDE(R) hide_fn hide_##R;
#define DECLARE_ACROSS(R) hide_fn across_##R;
REGISTERS(DECLARE_HIDE)
PRESERVED(DECLARE_ACROSS)

/* ---- Handlers ---------------------------------------------------------- */

static void on_usr1(int sig)
{
    handler_runs = 1;
    while (cycles_done < hide_target)
        ;
}

static void hide(const char *name, hide_fn *fn, int foreign, int handler)
{
    struct sigaction a = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};

    dprintf(1, "%s, %s thread, handler %d\n", name,
            foreign ? "foreign" : "attached", handler);
    a.sa_flags |= handler == HANDLER_ALTERNATE ? SA_ONSTACK : 0;
    sigaction(SIGUSR1, &a, NULL);
    for (long i = scaled(2); i > 0; i--)
        hide_once(fn, foreign, handler);
}

static void hide_registers(int foreign, int handler)
{
#define HIDE_IN(R) hide(#R, hide_##R, foreign, handler);
    REGISTERS(HIDE_IN)
#if defined(__x86_64__)
    if (has_avx())
        hide("ymm7", hide_ymm7, foreign, handler);
    if (has_avx512())
        hide("zmm20", hide_zmm20, foreign, handler);
#endif
}

#define REGISTER_TEST(name, foreign, handler) \
    TEST_BOTH(name, 90)                       \
    {                                         \
        if (SIGNALS_LATE)                     \
            SKIP("no handler runs here");     \
        driver_start();                       \
        hide_registers(foreign, handler);     \
        driver_end();                         \
    }
REGISTER_TEST(registers, 0, NO_HANDLER)
REGISTER_TEST(registers_under_handler, 0, HANDLER)
REGISTER_TEST(registers_under_alternate, 0, HANDLER_ALTERNATE)
REGISTER_TEST(registers_masked, 0, BLOCKS_SIGNALS)
REGISTER_TEST(registers_foreign, 1, NO_HANDLER)
REGISTER_TEST(registers_foreign_masked, 1, BLOCKS_SIGNALS)
REGISTER_TEST(registers_foreign_under_handler, 1, HANDLER)
REGISTER_TEST(registers_foreign_under_alternate, 1, HANDLER_ALTERNATE)

/* ---- Across calls ------------------------------------------------------ */

static void across_alloc(void)
{
    litter(20);
    if (!sc_alloc_noscan(40000))
        test_fail(__FILE__, __LINE__, "no memory");
}

static void across_nap(void) { usleep(300); }

static void across_blocking(void)
{
    sc_blocking_begin();
    scrub();
    usleep(300);
    scrub();
    sc_blocking_end();
}

static void across_poll(void)
{
    sc_poll();
    scrub();
}

static void across_attach(void)
{
    sc_thread_detach();
    usleep(50);
    sc_thread_attach();
}

static void hide_across(const char *name, void (*fn)(void), int foreign)
{
    across_fn = fn;
#define ACROSS(R) hide(#R, across_##R, foreign, NO_HANDLER);
    dprintf(1, "across %s: ", name);
    PRESERVED(ACROSS)
}

TEST_BOTH(across_calls, 90)
{
    driver_start();
    hide_across("sc_collect", sc_collect, 0);
    hide_across("allocation", across_alloc, 0);
    hide_across("a nap", across_nap, 0);
    hide_across("a declared blocking region", across_blocking, 0);
    hide_across("sc_poll", across_poll, 0);
    hide_across("detach and attach", across_attach, 0);
    hide_across("a nap, foreign", across_nap, 1);
    driver_end();
}

#if defined(__x86_64__)
/* R is full; begin; the stack below is overwritten by others; end. */
#define HIDE_BLOCKED(R)                                                   \
    __asm__(HEAD("blocked_" R) ENTER "mov (%rsp), %" R "; not %" R ";"    \
            "movl $1, hidden(%rip); 1: call sc_blocking_begin;"           \
            "call *across_fn(%rip); call sc_blocking_end;"                \
            "mov cycles_done(%rip), %rdx; cmp hide_target(%rip), %rdx;"   \
            "jb 1b; mov %" R ", %rax;" LEAVE);
HIDE_BLOCKED("rbx") HIDE_BLOCKED("rbp") HIDE_BLOCKED("r12")
HIDE_BLOCKED("r13") HIDE_BLOCKED("r14") HIDE_BLOCKED("r15")
#define DECLARE_BLOCKED(R) hide_fn blocked_##R;
PRESERVED(DECLARE_BLOCKED)

static void nap_and_scrub(void)
{
    scrub();
    usleep(500);
    scrub();
}

TEST_BOTH(blocked, 60)
{
    driver_start();
    across_fn = nap_and_scrub;
#define BLOCKED(R) hide("blocked " #R, blocked_##R, 0, NO_HANDLER);
    PRESERVED(BLOCKED)
    driver_end();
}
#endif

/* ---- Waiting in the kernel --------------------------------------------- */

static int never[2];
static void wait_read(void)
{
    char c;
    if (read(never[0], &c, 1) < 0 && errno != EINTR)
        test_fail(__FILE__, __LINE__, "read: %s", strerror(errno));
}
static void wait_poll(void)
{
    struct pollfd p = {never[0], POLLIN, 0};
    poll(&p, 1, 5);
}
static void wait_sleep(void)
{
    struct timespec t = {0, 5000000};
    nanosleep(&t, NULL);
}
static void wait_futex(void)
{
    struct timespec t = {0, 5000000};
    uint32_t word = 0;
    syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0);
}

/* Ends the reads. */
static void *feeder(void *unused)
{
    while (!driver_stop) {
        usleep(3000);
        if (write(never[1], "x", 1) != 1)
            break;
    }
    return NULL;
}

static void hide_waiting(int foreign)
{
    hide_across("poll", wait_poll, foreign);
    hide_across("nanosleep", wait_sleep, foreign);
    if (SIGNALS_LATE)
        return; /* the sanitizer does not know that these wait */
    hide_across("read", wait_read, foreign);
    hide_across("futex", wait_futex, foreign);
}

TEST_BOTH(waiting, 60)
{
    CHECK_EQ(pipe(never), 0);
    pthread_t f = spawn(feeder, NULL);

    driver_start();
    hide_waiting(0);
    hide_waiting(1);
    driver_end();
    pthread_join(f, NULL);
}
