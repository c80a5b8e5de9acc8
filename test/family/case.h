/* case.h: a program of cases, each of which has a process of its own.
 *
 *   PROGRAM          the names of its cases
 *   PROGRAM NAME     runs that one: 0 passed, 77 skipped, else it failed
 *
 * test/family/run does it for each allocator.  What is expected is said by the
 * C library's manual and seen with glibc itself, on which all cases run too.
 * The file has main, so one source of a program includes it.
 */
#ifndef CASE_H
#define CASE_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define COUNT(a) (sizeof(a) / sizeof *(a))

struct test_case {
    const char *name;
    void (*run)(void);
};

#define CASE(id)                                                        \
    static void id(void);                                               \
    static const struct test_case case_of_##id = {#id, id};             \
    __attribute__((used, section("all_cases")))                         \
    static const struct test_case *const at_##id = &case_of_##id;       \
    static void id(void)

#ifdef __cplusplus
extern "C" {
#endif
extern const struct test_case *const __start_all_cases[];
extern const struct test_case *const __stop_all_cases[];
#ifdef __cplusplus
}
#endif

/* _exit, since the case may be about what runs at the end.  dprintf may take
 * memory, but then it is too late anyway. */
#define EXPECT(cond, ...)                                               \
    do                                                                  \
        if (!(cond)) {                                                  \
            dprintf(2, "%s:%d: %s: ", __FILE__, __LINE__, #cond);       \
            dprintf(2, __VA_ARGS__);                                    \
            dprintf(2, "\n");                                           \
            _exit(1);                                                   \
        }                                                               \
    while (0)

#define SKIP(...)                                                       \
    do {                                                                \
        dprintf(2, __VA_ARGS__);                                        \
        dprintf(2, "\n");                                               \
        _exit(77);                                                      \
    } while (0)

/* The compiler knows nothing of what comes out. */
static inline void *hide(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static inline size_t hide_size(size_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

static inline int aligned_to(const void *p, size_t align)
{
    return ((uintptr_t)p & (align - 1)) == 0;
}

/* Each byte by its place and the seed. */
static inline void fill(void *p, size_t n, unsigned seed)
{
    unsigned char *b = (unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        b[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

/* The first byte that is not as fill made it; n if there is none. */
static inline size_t filled(const void *p, size_t n, unsigned seed)
{
    const unsigned char *b = (const unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        if (b[i] != (unsigned char)(seed * 31 + i * 7 + (i >> 8)))
            return i;
    return n;
}

/* Resident bytes of this process, without taking memory to know. */
static inline size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (f && fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Whether the allocator under test is ours, and so has what glibc has not. */
static inline int ours(void)
{
    const char *s = getenv("MALLOC_UNDER_TEST");
    return s && !strcmp(s, "sancai");
}

/* Ours in its hardened mode. */
static inline int hardened(void)
{
    const char *s = getenv("SANCAI_DEBUG");
    return ours() && s && strstr(s, "secure");
}

/* A function that this C library may lack. */
static inline void *found(const char *name)
{
    void *f = dlsym(RTLD_DEFAULT, name);
    if (!f) {
        EXPECT(!ours(), "there is no %s", name);
        SKIP("there is no %s", name);
    }
    return f;
}

#ifndef FUZZER
int main(int argc, char **argv)
{
    const struct test_case *const *c;
    for (c = __start_all_cases; c < __stop_all_cases; c++)
        if (argc < 2)
            puts((*c)->name);
        else if (!strcmp((*c)->name, argv[1])) {
            (*c)->run();
            return 0;
        }
    return argc < 2 ? 0 : 2;
}
#endif

#endif
