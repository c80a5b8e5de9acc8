/* alloc.c: many allocations of one kind, for counting their instructions.
 *
 *   alloc KIND COUNT       bench/alloc-run starts it under callgrind, which
 *                          counts inside timed() only, in this thread only
 *
 * The objects are dropped at once.  Kind "nothing" is the loop itself.
 */
#include <sancai.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct T16 { void *p; long n[1]; } T16;
typedef struct T32 { void *p; long n[3]; } T32;
typedef struct T64 { void *p; long n[7]; } T64;
typedef struct T128 { void *p; long n[15]; } T128;
SC_LAYOUT(T16, p)
SC_LAYOUT(T32, p)
SC_LAYOUT(T64, p)
SC_LAYOUT(T128, p)

void timed(void (*loop)(long), long n);

/* Where each object goes, so that none is optimised away. */
static void *volatile sink;

#define LOOP(name, expr)                  \
    static void loop_##name(long n)       \
    {                                     \
        for (long i = 0; i < n; i++)      \
            sink = (expr);                \
    }
LOOP(nothing, NULL)
LOOP(new16, sc_new(T16))
LOOP(new32, sc_new(T32))
LOOP(new64, sc_new(T64))
LOOP(new128, sc_new(T128))
LOOP(array32, sc_new_array(T32, 2))
LOOP(alloc32, sc_alloc(32))
LOOP(noscan8, sc_alloc_noscan(8))
LOOP(noscan32, sc_alloc_noscan(32))

static void loop_malloc32(long n)
{
    for (long i = 0; i < n; i++) {
        sink = malloc(32);
        free(sink);
    }
}

static const struct {
    const char *name;
    void (*loop)(long);
} kinds[] = {
    {"nothing", loop_nothing}, {"new16", loop_new16},
    {"new32", loop_new32},     {"new64", loop_new64},
    {"new128", loop_new128},   {"array32", loop_array32},
    {"alloc32", loop_alloc32}, {"noscan8", loop_noscan8},
    {"noscan32", loop_noscan32}, {"malloc32", loop_malloc32},
};

/* Not inlined, for callgrind knows functions by name. */
__attribute__((noinline)) void timed(void (*loop)(long), long n)
{
    loop(n);
    __asm__ volatile("");
}

int main(int argc, char **argv)
{
    struct sc_config c = {.barriers = SC_BARRIERS_EXPLICIT};
    if (argc != 3 || sc_init(&c))
        return 2;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp(kinds[i].name, argv[1])) {
            timed(kinds[i].loop, atol(argv[2]));
            return 0;
        }
    fprintf(stderr, "alloc: no kind %s\n", argv[1]);
    return 2;
}
