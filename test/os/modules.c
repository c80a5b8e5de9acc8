/* links: os
 * Data and bss of loaded objects; libraries that come and go. */
#include "../check.h"
#include "../../src/os/os.h"
#include <dlfcn.h>
#include <pthread.h>
#include "help.h"

static char data[100] = {1};
static char bss[100];
static const char constant[100] = {1};
static void *const relocated[64] = {data, bss, data}; /* RELRO in a PIE */

/* ---- Looking for an address -------------------------------------------- */

struct search {
    uintptr_t lo, hi;
    int found;
    size_t total;
};

static void look(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct search *s = arg;
    CHECK(lo < hi);
    s->total += hi - lo;
    s->found += s->lo >= lo && s->hi <= hi;
}

static int covered(bool live, const void *p, size_t n)
{
    struct search s = {(uintptr_t)p, (uintptr_t)p + n, 0, 0};
    os_modules_each(live, look, &s);
    return s.found;
}

TEST(nothing_before_stock)
{
    CHECK_EQ(covered(false, data, sizeof data), 0);
    CHECK(!os_modules_current());
}

TEST(own_data)
{
    errno = 77;
    CHECK_EQ(os_modules_load(), 0);
    CHECK(os_modules_current());
    for (int live = 0; live < 2; live++) {
        CHECK_EQ(covered(live, data, sizeof data), 1);
        CHECK_EQ(covered(live, bss, sizeof bss), 1);
        CHECK_EQ(covered(live, constant, sizeof constant), 0);
        CHECK_EQ(covered(live, &data, 0), 1);
    }
    CHECK_EQ(errno, 77);
}

TEST(relocated_constants_are_left_out)
{
    volatile uintptr_t a = (uintptr_t)relocated;
    CHECK_EQ(os_modules_load(), 0);
    CHECK_EQ(covered(true, (void *)a, sizeof relocated), 0);
}

/* Every byte of it can be read. */
RACY static void read_all(uintptr_t lo, uintptr_t hi, void *arg)
{
    for (uintptr_t a = lo; a < hi; a++)
        *(volatile uint64_t *)arg += *(const volatile unsigned char *)a;
}

TEST(all_is_readable)
{
    volatile uint64_t sum = 0;
    CHECK_EQ(os_modules_load(), 0);
    os_modules_each(false, read_all, (void *)&sum);
    os_modules_each(true, read_all, (void *)&sum);
    CHECK(sum > 0);
}

/* ---- Libraries --------------------------------------------------------- */

TEST(library_comes_and_goes)
{
    CHECK_EQ(os_modules_load(), 0);
    void *lib = library("char lib_data[500] = {1}; char lib_bss[5000];", "");
    char *d = dlsym(lib, "lib_data"), *b = dlsym(lib, "lib_bss");
    CHECK(!os_modules_current());
    CHECK_EQ(covered(false, d, 500), 0); /* not in the stock */
    CHECK_EQ(covered(true, d, 500), 1);
    CHECK_EQ(os_modules_load(), 0);
    CHECK(os_modules_current());
    CHECK_EQ(covered(false, d, 500), 1);
    CHECK_EQ(covered(false, b, 5000), 1);
    dlclose(lib);
    CHECK(!os_modules_current());
    CHECK_EQ(covered(true, d, 500), 0);
    CHECK_EQ(os_modules_load(), 0);
    CHECK(os_modules_current());
    CHECK_EQ(covered(false, d, 500), 0);
    CHECK_EQ(covered(false, data, sizeof data), 1);
}

static _Atomic bool stop;
static char path[200];

static void *churn(void *arg)
{
    while (!stop) {
        void *lib = dlopen(path, RTLD_NOW);
        if (lib == NULL)
            _exit(3);
        dlclose(lib);
    }
    return arg;
}

/* Live reading is safe while a library is loaded and unloaded. */
TEST(live_while_libraries_move)
{
    pthread_t t;
    volatile uint64_t sum = 0;
    library_path("char lib_data[5000] = {1};", "", path, sizeof path);
    CHECK_EQ(pthread_create(&t, NULL, churn, NULL), 0);
    for (uint64_t end = os_now() + 500000000; os_now() < end;) {
        CHECK_EQ(os_modules_load(), 0);
        CHECK_EQ(covered(true, data, sizeof data), 1);
        os_modules_each(true, read_all, (void *)&sum);
    }
    stop = true;
    pthread_join(t, NULL);
    library_remove(path);
    CHECK_EQ(os_modules_load(), 0);
    CHECK(os_modules_current());
}

TEST(no_memory_keeps_old_stock)
{
    os_fail_at(1, true);
    CHECK_EQ(os_modules_load(), ENOMEM);
    CHECK(!os_modules_current());
    os_fail_at(0, false);
    CHECK_EQ(os_modules_load(), 0);
    void *lib = library("char lib_data[500] = {1};", "");
    os_fail_at(1, true);
    CHECK_EQ(os_modules_load(), ENOMEM);
    os_fail_at(0, false);
    CHECK(!os_modules_current());
    CHECK_EQ(covered(false, data, sizeof data), 1);
    CHECK_EQ(os_modules_load(), 0);
    CHECK_EQ(covered(false, dlsym(lib, "lib_data"), 500), 1);
}

/* ---- Skipped ranges ---------------------------------------------------- */

static void skip(const char *p, size_t n)
{
    os_modules_skip((uintptr_t)p, (uintptr_t)p + n);
}

TEST(skipped_ranges)
{
    static char table[1000];
    CHECK_EQ(os_modules_load(), 0);
    CHECK_EQ(covered(false, table, sizeof table), 1);
    skip(table + 500, 100);
    skip(table + 100, 100);
    skip(table + 150, 100); /* overlaps the one before */
    for (int live = 0; live < 2; live++) {
        CHECK_EQ(covered(live, table, 100), 1);
        CHECK_EQ(covered(live, table, 101), 0);
        CHECK_EQ(covered(live, table + 100, 1), 0);
        CHECK_EQ(covered(live, table + 249, 1), 0);
        CHECK_EQ(covered(live, table + 250, 250), 1);
        CHECK_EQ(covered(live, table + 500, 1), 0);
        CHECK_EQ(covered(live, table + 599, 1), 0);
        CHECK_EQ(covered(live, table + 600, 400), 1);
    }
    for (int i = 0; i < 100; i++) /* too many: no effect, no harm */
        skip(table + 700 + i, 1);
    CHECK_EQ(covered(false, table, 100), 1);
    CHECK_EQ(covered(false, table + 900, 100), 1);
}

static void sum_all(uintptr_t lo, uintptr_t hi, void *arg)
{
    *(size_t *)arg += hi - lo;
}

TEST(skip_whole_segment)
{
    size_t all = 0, rest = 0;
    CHECK_EQ(os_modules_load(), 0);
    os_modules_each(false, sum_all, &all);
    os_modules_skip(1, UINTPTR_MAX);
    os_modules_each(false, sum_all, &rest);
    CHECK(all > 1000);
    CHECK_EQ(rest, 0);
}
