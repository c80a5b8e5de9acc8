/* resolver.c: malloc within the resolver of an indirect function.
 *
 * The loader calls it while it relocates the program, before any constructor
 * has run.
 */
#include "case.h"

static char *at_resolve;

static int plus(int n) { return n + 1; }

static int (*resolve_plus(void))(int)
{
    at_resolve = malloc(321);
    if (at_resolve)
        at_resolve[0] = 7;
    return plus;
}

static int indirect(int) __attribute__((ifunc("resolve_plus"), used));

CASE(in_a_resolver)
{
    EXPECT(indirect(1) == 2, "the function");
    EXPECT(at_resolve && at_resolve[0] == 7, "%p", (void *)at_resolve);
    at_resolve = realloc(at_resolve, 1000);
    EXPECT(at_resolve && at_resolve[0] == 7, "moved");
    free(at_resolve);
}
