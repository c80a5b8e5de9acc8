/* early.c: calls before thread-local variables have their values.
 *
 *   the loader   relocates all objects   gives thread-local variables values
 *                 |- resolvers of ifuncs
 *
 * A program's resolver may allocate; then tcache_self is NULL yet.  So we have
 * a resolver too, whose function nobody calls, and which comes before those of
 * whoever needs us.  In the shared library only: in a static program no
 * resolver can touch a thread-local variable.
 */
#include "malloc.h"

static void nobody_calls(void) {}

__attribute__((used, no_sanitize("address", "thread", "undefined")))
static void (*resolve_early(void))(void)
{
    if (!tcache_self)
        tcache_self = &tcache_none;
    return nobody_calls;
}
static void early(void) __attribute__((ifunc("resolve_early")));
__attribute__((used)) static void (*const volatile keep_early)(void) = early;
