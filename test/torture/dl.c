/* dl.c: libraries come and go; what their data, bss and thread-local variables
 * hold lives as long as they are there.  links: lib -rdynamic
 */
#include "torture.h"
#include <dlfcn.h>

static const char source[] =
    "void *data = (void *)1; void *bss; _Thread_local void *local;\n"
    "void put(void *p) { data = p; bss = ((void **)p)[1]; }\n"
    "void *get_data(void) { return data; }\n"
    "void *get_bss(void) { return bss; }\n"
    "void put_local(void *p) { local = p; }\n"
    "void *get_local(void) { return local; }\n";

static char dir[] = "/tmp/sancai-dl-XXXXXX";
static char path[64];

static void build(void)
{
    char c[64], cmd[200];

    CHECK(mkdtemp(dir) != NULL);
    snprintf(c, sizeof(c), "%s/l.c", dir);
    snprintf(path, sizeof(path), "%s/l.so", dir);
    FILE *f = fopen(c, "w");
    CHECK(f != NULL);
    fputs(source, f);
    fclose(f);
    snprintf(cmd, sizeof(cmd), "cc -shared -fPIC -o %s %s", path, c);
    if (system(cmd) != 0)
        SKIP("no C compiler to build the library with");
}

static void clean_up(void)
{
    char cmd[64];

    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    CHECK_EQ(system(cmd), 0);
}

/* The only pointers stand in the library; here they are masked. */
__attribute__((noinline)) static void hide(void *lib, uint64_t id)
{
    void (*put)(void *) = (void (*)(void *))dlsym(lib, "put");
    void (*local)(void *) = (void (*)(void *))dlsym(lib, "put_local");
    Canary *c = canary_new(id), *d = canary_new(~id);

    STORE(&c->next, d);
    put(c);
    STORE(&c->next, NULL);
    local(canary_new(id + 1));
}

__attribute__((noinline)) static void look(void *lib, uint64_t id)
{
    void *(*data)(void) = (void *(*)(void))dlsym(lib, "get_data");
    void *(*bss)(void) = (void *(*)(void))dlsym(lib, "get_bss");
    void *(*local)(void) = (void *(*)(void))dlsym(lib, "get_local");

    canary_is(data(), id);
    canary_is(bss(), ~id);
    canary_is(local(), id + 1);
}

TEST_BOTH(libraries, 100)
{
    build();
    driver_start();
    for (uint64_t i = 0; i < (uint64_t)scaled(60); i++) {
        void *lib = dlopen(path, RTLD_NOW);
        CHECK(lib != NULL);
        hide(lib, i * 10);
        scrub();
        wait_cycles(2);
        litter(2000);
        look(lib, i * 10);
        CHECK_EQ(dlclose(lib), 0);
    }
    driver_end();
    clean_up();
}
