/* checker.c: what a memory checker that runs the program is told.
 *
 * Valgrind's memcheck follows every bit that was never written, and a stack or
 * a block without a layout has many.  A collector that asks of each such word
 * whether it is an address would spread them over its marks and free lists.
 * So it takes a copy of the word and says that the copy is defined.
 *
 * A request is a sequence of rotations that come to nothing on a processor and
 * that valgrind knows; the interface is public (its manual, "The Client Request
 * mechanism").  Elsewhere nobody is there: on aarch64 we do not ask.
 */
#include "os_private.h"

#define RUNNING_ON_VALGRIND 0x1001
#define MAKE_MEM_DEFINED (('M' << 24 | 'C' << 16) + 2)

static uintptr_t request(uintptr_t code, uintptr_t a, uintptr_t b)
{
    uintptr_t result = 0;
#if defined(__x86_64__)
    volatile uintptr_t args[6] = {code, a, b};
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi\n\t"
                     "rolq $61, %%rdi; rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "=d"(result)
                     : "a"(args), "0"(result)
                     : "cc", "memory");
#endif
    return result;
}

bool os_checker;

void os_checker_find(void)
{
    os_checker = request(RUNNING_ON_VALGRIND, 0, 0) != 0;
}

NOINLINE uintptr_t os_checker_defined(uintptr_t word)
{
    volatile uintptr_t copy = word;
    request(MAKE_MEM_DEFINED, (uintptr_t)&copy, sizeof copy);
    return copy;
}
