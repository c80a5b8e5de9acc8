/* plugin.c: a library that early.c opens and closes. */
#include <stdlib.h>
#include <string.h>

static __thread char *own;
static char *made;

__attribute__((constructor)) static void come(void) { made = malloc(77); }
__attribute__((destructor)) static void go(void) { free(made); }

void *plug_in(size_t n);
void *plug_in(size_t n)
{
    own = malloc(10);
    memset(own, 1, 10);
    free(own);
    return memset(malloc(n), 'p', n);
}
