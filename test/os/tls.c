/* links: os
 * A thread's stack, mappings, and every kind of thread-local memory. */
#include "../check.h"
#include "../../src/os/os.h"
#include <dlfcn.h>
#include <pthread.h>
#include "help.h"

#define MS 1000000u

/* ---- Stack and mappings ------------------------------------------------ */

static void check_stack(void)
{
    struct os_stack s;
    errno = 77;
    CHECK_EQ(os_stack_self(&s), 0);
    CHECK_EQ(errno, 77);
    CHECK(s.lo < s.hi && s.tp == os_thread_pointer());
    CHECK(s.hi - s.lo < GIB(64));
#ifndef __SANITIZE_ADDRESS__ /* whose frames are elsewhere */
    volatile char here = 0;
    uintptr_t a = (uintptr_t)&here;
    CHECK(a > s.lo && a < s.hi);
    CHECK(os_mapping_end(a) >= s.hi);
#endif
    char last;
    CHECK_EQ(os_read_memory(&last, (void *)(s.hi - 1), 1), 1);
}

static void *stack_thread(void *arg)
{
    check_stack();
    return arg;
}

TEST(stack_of_main)
{
    check_stack();
}

TEST(stack_of_thread)
{
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, stack_thread, NULL), 0);
    pthread_join(t, NULL);
}

static void check_mapping_end(void)
{
    char *p = os_reserve(MIB(4), MIB(1), 0);
    CHECK_EQ(os_commit(p + MIB(1), MIB(1)), 0);
    uintptr_t a = (uintptr_t)p, mib = MIB(1);
    CHECK_EQ(os_mapping_end(a + mib), a + 2 * mib);
    CHECK_EQ(os_mapping_end(a + 2 * mib - 1), a + 2 * mib);
    CHECK_EQ(os_mapping_end(a + mib - 1), a + mib);
    os_unreserve(p + MIB(2), MIB(1));
    CHECK_EQ(os_mapping_end(a + 2 * mib), 0);
    CHECK_EQ(os_mapping_end(0), 0);
    os_unreserve(p, MIB(4));
}

/* Many mappings before the one asked for: many reads of the list. */
TEST(mapping_end)
{
    size_t page = os_page_size();
    char *p = os_reserve(2000 * page, page, 0);
    check_mapping_end();
    for (size_t i = 0; i < 2000; i += 2)
        CHECK_EQ(os_commit(p + i * page, page), 0);
    errno = 77;
    check_mapping_end();
    CHECK_EQ(os_mapping_end((uintptr_t)p + 1000 * page),
             (uintptr_t)p + 1001 * page);
    CHECK_EQ(errno, 77);
}

TEST(mapping_end_from_the_list)
{
    refuse(SYS_ioctl, ENOTTY); /* as kernels before 6.11 do */
    check_mapping_end();
}

/* ---- Who reports an address? ------------------------------------------- */

struct search {
    uintptr_t lo, hi;
    int found;
};

static void look(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct search *s = arg;
    char c;
    CHECK(lo < hi);
    CHECK_EQ(os_read_memory(&c, (void *)lo, 1), 1);
    CHECK_EQ(os_read_memory(&c, (void *)(hi - 1), 1), 1);
    s->found += s->lo >= lo && s->hi <= hi;
}

static int covered_at(uintptr_t tp, const volatile void *p, size_t n)
{
    struct search s = {(uintptr_t)p, (uintptr_t)p + n, 0};
    os_tls_each(tp, look, &s);
    return s.found;
}

static int covered(const volatile void *p, size_t n)
{
    return covered_at(os_thread_pointer(), p, n);
}

static _Thread_local volatile char own_data[200] = {1};
static _Thread_local volatile char own_bss[KIB(600)];

static void *(*inner)(void *);
static void *both(void *arg)
{
    return inner(arg);
}

/* In the main thread and in another one. */
static void in_both(void *(*fn)(void *))
{
    pthread_t t;
    fn(NULL);
    inner = fn;
    CHECK_EQ(pthread_create(&t, NULL, both, NULL), 0);
    pthread_join(t, NULL);
}

static void *see_own(void *arg)
{
    CHECK_EQ(covered(own_data, sizeof own_data), 1);
    CHECK_EQ(covered(own_bss, sizeof own_bss), 1);
    CHECK_EQ(covered(&errno, sizeof errno), 1);
    CHECK_EQ(covered(&look, 8), 0);
    return NULL;
}

TEST(thread_locals_of_program)
{
    CHECK_EQ(os_modules_load(), 0);
    in_both(see_own);
}

/* ---- Of libraries ------------------------------------------------------ */

static volatile char *(*lib_var)(void);
#define LIB_SIZE 3000
#define LIB_TEXT(n)                                                    \
    "static __thread char v[" #n "] = {1}; char *var(void) { return v; }"

static void *see_lib(void *arg)
{
    volatile char *p = lib_var();
    CHECK_EQ(p[0], 1);
    CHECK_EQ(covered(p, LIB_SIZE), 1);
    return NULL;
}

static void open_lib(const char *text, const char *flags)
{
    CHECK_EQ(os_modules_load(), 0);
    void *lib = library(text, flags);
    lib_var = (volatile char *(*)(void))dlsym(lib, "var");
    CHECK(lib_var != NULL);
}

TEST(thread_locals_of_library)
{
    open_lib(LIB_TEXT(3000), "");
    CHECK_EQ(covered(lib_var(), LIB_SIZE), 0); /* not in the stock yet */
    CHECK_EQ(os_modules_load(), 0);
    in_both(see_lib);
}

/* In the static part though it came late; the vector may not know. */
static void *see_static_lib(void *arg)
{
    CHECK_EQ(covered(lib_var(), 200), 1);
    return NULL;
}

TEST(static_thread_locals_of_late_library)
{
    open_lib(LIB_TEXT(200), "-ftls-model=initial-exec");
    CHECK_EQ(os_modules_load(), 0);
    in_both(see_static_lib);
}

/* A thread that has not touched the library has no block of it. */
static void count_ranges(uintptr_t lo, uintptr_t hi, void *arg)
{
    ++*(int *)arg;
}

static void *count_untouched(void *arg)
{
    int before = 0, after = 0;
    os_tls_each(os_thread_pointer(), count_ranges, &before);
    lib_var();
    os_tls_each(os_thread_pointer(), count_ranges, &after);
    CHECK_EQ(after, before + 1);
    return NULL;
}

TEST(untouched_blocks)
{
    open_lib(LIB_TEXT(3000), "");
    CHECK_EQ(os_modules_load(), 0);
    in_both(count_untouched);
}

/* More modules than one reading of the vector brings (32). */
TEST(many_libraries)
{
    enum { N = 70 };
    volatile char *var[N];
    char path[200], copy[220], command[500];
    library_path(LIB_TEXT(3000), "", path, sizeof path);
    for (int i = 0; i < N; i++) {
        snprintf(copy, sizeof copy, "%s.%d", path, i);
        snprintf(command, sizeof command, "cp %s %s", path, copy);
        CHECK_EQ(system(command), 0);
        void *lib = dlopen(copy, RTLD_NOW);
        CHECK(lib != NULL);
        unlink(copy);
        lib_var = (volatile char *(*)(void))dlsym(lib, "var");
        var[i] = i % 3 ? lib_var() : NULL;
    }
    library_remove(path);
    CHECK_EQ(os_modules_load(), 0);
    for (int i = 0; i < N; i++)
        if (var[i] != NULL)
            CHECK_EQ(covered(var[i], LIB_SIZE), 1);
}

/* ---- Values of keys ---------------------------------------------------- */

static pthread_key_t key[200];
static char thing;

RACY static void find_thing(uintptr_t lo, uintptr_t hi, void *arg)
{
    for (uintptr_t a = align_up(lo, 8); a + 8 <= hi; a += 8)
        if (*(volatile uintptr_t *)a == (uintptr_t)&thing)
            ++*(int *)arg;
}

static void *see_keys(void *arg)
{
    for (size_t i = 0; i < COUNT(key); i++) {
        int found = 0;
        os_tls_each(os_thread_pointer(), find_thing, &found);
        CHECK_EQ(found, 0);
        CHECK_EQ(pthread_setspecific(key[i], &thing), 0);
        os_tls_each(os_thread_pointer(), find_thing, &found);
        CHECK_EQ(found, 1);
        pthread_setspecific(key[i], NULL);
    }
    return NULL;
}

TEST(values_of_keys)
{
    CHECK_EQ(os_modules_load(), 0);
    for (size_t i = 0; i < COUNT(key); i++)
        CHECK_EQ(pthread_key_create(&key[i], NULL), 0);
    in_both(see_keys);
}

/* ---- Of another thread, and of none ------------------------------------ */

static _Atomic uint32_t ready, over;
static uintptr_t other_tp;
static volatile char *other_own, *other_lib;

static void *other_thread(void *arg)
{
    other_tp = os_thread_pointer();
    other_own = own_bss;
    other_lib = lib_var();
    ready = 1;
    while (over == 0)
        os_wait(&over, 0, UINT64_MAX);
    return NULL;
}

TEST(of_another_thread)
{
    pthread_t t;
    open_lib(LIB_TEXT(3000), "");
    CHECK_EQ(os_modules_load(), 0);
    CHECK_EQ(pthread_create(&t, NULL, other_thread, NULL), 0);
    while (ready == 0)
        os_sleep(MS);
    CHECK(other_own != own_bss);
    CHECK_EQ(covered_at(other_tp, other_own, sizeof own_bss), 1);
    CHECK_EQ(covered_at(other_tp, other_lib, LIB_SIZE), 1);
    CHECK_EQ(covered(other_own, 1), 0);
    CHECK_EQ(covered_at(other_tp, own_data, 1), 0);
    over = 1;
    os_wake(&over, 1);
    pthread_join(t, NULL);
}

static void never(uintptr_t lo, uintptr_t hi, void *arg)
{
    CHECK(!"reported memory of a thread that is none");
}

TEST(of_no_thread)
{
    static uintptr_t zeros[1000];
    CHECK_EQ(os_modules_load(), 0);
    os_tls_each(0, never, NULL);
    os_tls_each(1, never, NULL);
    os_tls_each(os_page_size(), never, NULL);
    os_tls_each(UINTPTR_MAX - 7, never, NULL);
    os_tls_each((uintptr_t)&zeros[400], never, NULL);
#if defined(__x86_64__) /* has a mark by which to know a thread */
    zeros[401] = (uintptr_t)&zeros[500];
    zeros[498] = 1;
    os_tls_each((uintptr_t)&zeros[400], never, NULL);
#endif
}

/* A vector that is being moved: its head is overwritten by malloc. */
TEST(damaged_vector)
{
    CHECK_EQ(os_modules_load(), 0);
    uintptr_t tp = os_thread_pointer();
#if defined(__x86_64__)
    uintptr_t *vector = ((uintptr_t **)tp)[1];
#else
    uintptr_t *vector = ((uintptr_t **)tp)[0];
#endif
    uintptr_t count = vector[-2], one = vector[2];
    struct search s = {0, 0, 0};
    vector[-2] = UINTPTR_MAX / 3;
    vector[2] = 0x10;
    os_tls_each(tp, look, &s);
    vector[2] = one;
    CHECK_EQ(covered(own_bss, sizeof own_bss), 1);
    vector[-2] = count;
}

/* Our threads must start although this program's locals need 600 KiB. */
static void touch_large(void *arg)
{
    own_bss[0] = own_bss[sizeof own_bss - 1] = 1;
    ready = 1;
}

TEST(own_thread_with_large_thread_locals)
{
    CHECK_EQ(os_thread_start(touch_large, NULL, "large"), 0);
    while (ready == 0)
        os_sleep(MS);
    CHECK_EQ(own_bss[0], 0);
}
