/* plug.c: a library that is loaded and unloaded (early.c, from dlopen). */
#include <stdlib.h>
#include <string.h>

static __thread char *mine;
static char *global;

__attribute__((constructor)) static void begin(void)
{
    global = malloc(5000);
    memset(global, 1, 5000);
}

__attribute__((destructor)) static void end(void) { free(global); }

void *plug_take(size_t n)
{
    free(mine);
    mine = malloc(n);
    memset(mine, 2, n);
    char *p = malloc(n);
    return p ? memset(p, 3, n) : p;
}

void plug_free(void *p)
{
    free(p);
    free(mine);
    mine = NULL;
}
