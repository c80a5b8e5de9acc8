/* early.c: calls before main and after it, and from libraries that come and go.
 *
 *   preinit_array - constructors - main - destructors of thread-local objects -
 *   atexit - destructors
 *
 * All of it happens in each case's process; the cases say that it went well,
 * and what is wrong after main ends the process with 1.
 */
#define _GNU_SOURCE
#include "case.h"

#include <pthread.h>

/* Blocks from before are used later, so that they have to be real ones. */
static char *at_preinit, *at_begin, *at_first;

static char *some(size_t n, unsigned seed)
{
    char *p = malloc(n), *q = calloc(n, 2);
    if (!p || !q || q[0] || q[n])
        _exit(3);
    fill(p, n, seed);
    free(q);
    void *a = aligned_alloc(64, n);
    if (!a || !aligned_to(a, 64))
        _exit(3);
    free(a);
    return p;
}

static void preinit(int c, char **v, char **e)
{
    (void)c, (void)v, (void)e;
    at_preinit = some(1000, 2);
}

__attribute__((section(".preinit_array"), used))
static void (*const preinit_entry)(int, char **, char **) = preinit;

__attribute__((constructor(101))) static void first(void)
{
    at_first = some(50000, 3);
}

__attribute__((constructor)) static void begin(void)
{
    at_begin = some(100, 4);
}

__attribute__((destructor)) static void last(void)
{
    for (size_t n = 1; n < MIB(1); n *= 3)
        free(some(n, 5));
    if (at_begin && filled(at_begin, 100, 4) != 100)
        _exit(4);
    free(at_begin);
}

CASE(in_preinit_array)
{
    EXPECT(at_preinit && filled(at_preinit, 1000, 2) == 1000, "content");
    free(at_preinit);
}

CASE(in_constructors)
{
    EXPECT(at_first && filled(at_first, 50000, 3) == 50000, "content");
    EXPECT(at_begin && filled(at_begin, 100, 4) == 100, "content");
    free(at_first);
}

static void at_end(void)
{
    free(some(3000, 6));
    if (filled(at_first, 50000, 3) != 50000)
        _exit(5);
    free(at_first);
}

CASE(in_atexit_and_destructors)
{
    EXPECT(!atexit(at_end), "atexit");
    for (int i = 0; i < 100; i++) /* more than the static part has */
        EXPECT(!atexit(begin), "atexit");
}

extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;
static int tls_ran;

static void tls_end(void *p)
{
    if (filled(p, 700, 8) != 700)
        _exit(6);
    free(p);
    free(some(4000, 9));
    tls_ran++;
}

static void *with_tls(void *arg)
{
    for (int i = 0; i < 50; i++)
        __cxa_thread_atexit_impl(tls_end, some(700, 8), &__dso_handle);
    return arg;
}

CASE(in_destructors_of_thread_local_objects)
{
    pthread_t t;
    EXPECT(!pthread_create(&t, NULL, with_tls, NULL), "thread");
    pthread_join(t, NULL);
    EXPECT(tls_ran == 50, "%d of 50", tls_ran);
    with_tls(NULL);
}

CASE(threads_run_on_after_main)
{
    pthread_t t;
    for (int i = 0; i < 20; i++)
        EXPECT(!pthread_create(&t, NULL, with_tls, NULL), "thread");
}

static const char *plug_path(void)
{
    const char *s = getenv("MALLOC_PLUG");
    if (!s)
        SKIP("MALLOC_PLUG does not say where plug.so is");
    return s;
}

typedef void *take_fn(size_t);
typedef void give_fn(void *);

static void *load_and_use(void *arg)
{
    void *h = dlopen(plug_path(), RTLD_NOW | RTLD_LOCAL);
    EXPECT(h, "%s", dlerror());
    take_fn *take = (take_fn *)dlsym(h, "plug_take");
    give_fn *give = (give_fn *)dlsym(h, "plug_free");
    for (size_t n = 1; n < KIB(200); n = n * 3 + 1) {
        give(take(n));
        free(take(n));
        give(malloc(n));
    }
    char *p = take(3000);
    dlclose(h);
    EXPECT(p[0] == 3 && !memcmp(p, p + 1, 2999), "after dlclose");
    free(p);
    return arg;
}

CASE(libraries_that_come_and_go)
{
    for (int i = 0; i < 50; i++)
        load_and_use(NULL);
}

CASE(libraries_that_come_and_go_in_threads)
{
    pthread_t t[4];
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 4; k++)
            EXPECT(!pthread_create(&t[k], NULL, load_and_use, NULL), "thread");
        for (int k = 0; k < 4; k++)
            pthread_join(t[k], NULL);
    }
}

CASE(dlsym_and_its_error_text)
{
    for (int i = 0; i < 100; i++) {
        EXPECT(!dlsym(RTLD_DEFAULT, "no_such_function_at_all"), "found");
        EXPECT(dlerror(), "no text");
    }
}
