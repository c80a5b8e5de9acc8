/* sequence.c: restartable stores inside compiled code (sancai_cc.h).
 *
 *   start:  cmpb $0, sc_cc_marking      } a program counter in (start, end)
 *           jne  slow ----------.       } goes back to start, as in barrier.c
 *           mov  value, (slot)  |
 *   end:                        v
 *                         call sc_cc_store_slow, jmp end
 *
 * The compiler leaves a record of each sequence.  They are sorted once, when
 * the program starts, and only looked up from then on, by signal handlers too.
 * The slow part lies elsewhere, so no return address is inside a sequence.
 *
 * The slow part preserves all registers, since code around a store expects
 * none to change.  What suffices for most stores, a look at the flag and two
 * words noted, touches no vector register (quick.c); else these are saved.
 *
 * Locks: none.  The table is written before there is a second thread.
 */
#include "../../include/sancai_cc.h"

#include "mark.h"

struct sequence {
    uint32_t at;     /* from sequences.lo */
    uint32_t length;
};

struct sequences sequences;
static struct {
    size_t n;
    struct sequence *all; /* by address */
} table;

#if defined(__x86_64__) && !SIGNALS_LATE

/* r11: the slot; behind the return address: the value.
 *
 *   value | return | 9 registers | ... | vectors, aligned to 64
 *                    ^ rbp
 * Vectors are x87, SSE, AVX and AVX-512, 2688 bytes as the processor lays them
 * out; without xsave, the 512 of x87 and SSE. */
__asm__(".text\n"
        ".globl sc_cc_store_slow\n"
        ".type sc_cc_store_slow, @function\n"
        ".p2align 4\n"
        "sc_cc_store_slow:\n"
        "    pushq %rax; pushq %rcx; pushq %rdx; pushq %rsi; pushq %rdi\n"
        "    pushq %r8; pushq %r9; pushq %r10; pushq %rbp\n"
        "    movq %rsp, %rbp\n"
        "    andq $-64, %rsp\n"
        "    pushq %r11; pushq %r11\n"
        "    movq %r11, %rdi\n"
        "    movq 80(%rbp), %rsi\n"
        "    cld\n"
        "    call barrier_quick\n"
        "    testq %rax, %rax\n"
        "    jne 2f\n"
        "1:  movq %rbp, %rsp\n"
        "    popq %rbp; popq %r10; popq %r9; popq %r8\n"
        "    popq %rdi; popq %rsi; popq %rdx; popq %rcx; popq %rax\n"
        "    ret\n"
        "2:  popq %rdi; addq $8, %rsp\n"
        "    movq %rax, %r10\n"
        "    movq 80(%rbp), %rsi\n"
        "    subq $2688, %rsp\n"
        "    cmpb $0, sequence_xsave(%rip)\n"
        "    je 3f\n"
        "    xorl %eax, %eax\n"
        "    movq %rax, 512(%rsp); movq %rax, 520(%rsp)\n"
        "    movq %rax, 528(%rsp); movq %rax, 536(%rsp)\n"
        "    movq %rax, 544(%rsp); movq %rax, 552(%rsp)\n"
        "    movq %rax, 560(%rsp); movq %rax, 568(%rsp)\n"
        "    movl $0xe7, %eax; xorl %edx, %edx\n"
        "    xsave (%rsp)\n"
        "    call *%r10\n"
        "    movl $0xe7, %eax; xorl %edx, %edx\n"
        "    xrstor (%rsp)\n"
        "    jmp 1b\n"
        "3:  fxsave (%rsp)\n"
        "    call *%r10\n"
        "    fxrstor (%rsp)\n"
        "    jmp 1b\n"
        ".size sc_cc_store_slow, .-sc_cc_store_slow\n");

__attribute__((used)) uint8_t sequence_xsave HIDDEN;

/* Does the system save what xsave saves? */
static uint8_t has_xsave(void)
{
    uint32_t a = 1, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> 27 & 1;
}

#endif

/* A heap sort: no memory is needed, nor any order that the linker left. */
static void sift(struct sequence *s, size_t i, size_t n)
{
    for (size_t k; (k = 2 * i + 1) < n; i = k) {
        k += k + 1 < n && s[k].at < s[k + 1].at;
        if (s[i].at >= s[k].at)
            return;
        struct sequence swap = s[i];
        s[i] = s[k];
        s[k] = swap;
    }
}

static void sort(struct sequence *s, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(s, i, n);
    while (n-- > 1) {
        struct sequence swap = s[0];
        s[0] = s[n];
        s[n] = swap;
        sift(s, 0, n);
    }
}

static uintptr_t start_of(const struct sc_cc_record *r)
{
    return (uintptr_t)&r->start + (uintptr_t)(intptr_t)r->start;
}

static struct sequences bounds(const struct sc_cc_record *r, size_t n)
{
    uintptr_t lo = UINTPTR_MAX, hi = 0;
    for (size_t i = 0; i < n; i++) {
        uintptr_t a = start_of(&r[i]);
        lo = a < lo ? a : lo;
        hi = a + r[i].length > hi ? a + r[i].length : hi;
    }
    return (struct sequences){lo, hi - lo};
}

SC_API int sc_cc_records(const struct sc_cc_record *r, size_t n)
{
    if (n == 0)
        return 0;
    if (table.n || !(table.all = os_map(n * sizeof *table.all)))
        return -1;
#if defined(__x86_64__) && !SIGNALS_LATE
    sequence_xsave = has_xsave();
#endif
    struct sequences all = bounds(r, n);
    for (size_t i = 0; i < n; i++)
        table.all[i] = (struct sequence){
            (uint32_t)(start_of(&r[i]) - all.lo), r[i].length};
    sort(table.all, n);
    table.n = n;
    sequences = all;
    return 0;
}

uintptr_t sequence_find(uintptr_t pc)
{
    uintptr_t off = pc - sequences.lo;
    size_t lo = 0, hi = table.n;
    while (lo < hi) { /* the first that begins behind off */
        size_t mid = (lo + hi) / 2;
        if (table.all[mid].at <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo && off - table.all[lo - 1].at < table.all[lo - 1].length)
        return sequences.lo + table.all[lo - 1].at;
    return pc;
}
