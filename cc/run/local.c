/* local.c: moved variables, and the start of a program by `sancai cc`.
 *
 * Linked into each such program, with the library.  It is a client of the
 * public header like any other.
 */
#include <sancai.h>
#include <sancai_cc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Defined by the driver if other objects are linked that have no barriers. */
extern const char sc_cc_mixed[] __attribute__((weak));

/* By the linker, if any object has such a section. */
extern const struct sc_cc_record __start_sc_wb[] __attribute__((weak));
extern const struct sc_cc_record __stop_sc_wb[] __attribute__((weak));

/* Before the program's own constructors, which may allocate. */
__attribute__((constructor(101))) static void start(void)
{
    struct sc_config c = {.barriers = sc_cc_mixed ? SC_BARRIERS_NONE
                                                  : SC_BARRIERS_EXPLICIT};
    size_t n = (size_t)(__stop_sc_wb - __start_sc_wb);
    if (sc_cc_records(__start_sc_wb, n) != 0 || sc_init(&c) != 0) {
        fputs("sancai cc: the collected heap can't start\n", stderr);
        abort();
    }
}

static void *or_abort(void *p)
{
    if (p)
        return p;
    fputs("sancai cc: no memory for a local variable\n", stderr);
    abort();
}

void *sc_cc_local(size_t n) { return or_abort(sc_alloc(n)); }
void *sc_cc_local_noscan(size_t n) { return or_abort(sc_alloc_noscan(n)); }

/* A pointer into an object keeps it. */
void *sc_cc_local_aligned(size_t n, size_t align)
{
    uintptr_t p = (uintptr_t)sc_cc_local(n + align);
    return (void *)((p + align - 1) & -align);
}

/* If it failed, but the expected value is there when looked at, it has come
 * back meanwhile. */
void *sc_cc_cas(void *slot, void *expected, void *desired)
{
    for (;;) {
        void *now;
        if (sc_cas_(slot, expected, desired))
            return expected;
        now = __atomic_load_n((void **)slot, __ATOMIC_SEQ_CST);
        if (now != expected)
            return now;
    }
}

/* What is not zero holds no pointer that anybody could want: after clearing
 * there is nothing to delete. */
void sc_cc_fill(void *p, int byte, size_t n)
{
    sc_clear(p, n);
    if (byte & 0xff)
        memset(p, byte, n);
}
