/* early.c: blocks before main, after it, in resolvers, in libraries that come
 * and go.  A program by itself, as it needs a loader of its own; argument: a
 * library with `plug_in` to open, if there is one.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int use(size_t n)
{
    char *p = malloc(n), *q = calloc(1, 2 * n);
    if (!p || !q)
        abort();
    memset(p, 1, n);
    int sum = p[n - 1] + q[n];
    q = realloc(q, 4 * n);
    free(q);
    free(p);
    return sum;
}

static char *kept;
static void preinit(void) { kept = malloc((size_t)use(100) + 10); }
__attribute__((section(".preinit_array"), used)) static void (*first)(void) =
    preinit;

__attribute__((constructor(101))) static void early(void) { use(1000); }

static void last(void)
{
    use(3000);
    free(kept);
}
__attribute__((destructor)) static void late(void) { use(200); }

/* A library may allocate in its constructor, and be closed before the block is
 * freed. */
static int plug(const char *file)
{
    for (int i = 0; i < 20; i++) {
        void *l = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        void *(*f)(size_t) = l ? (void *(*)(size_t))dlsym(l, "plug_in") : NULL;
        if (!f)
            return puts(dlerror()), 1;
        char *p = f(500);
        dlclose(l);
        if (p[499] != 'p')
            return 1;
        free(p);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (!kept)
        return 1;
    atexit(last);
    return argc > 1 ? plug(argv[1]) : 0;
}
