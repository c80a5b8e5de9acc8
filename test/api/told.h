/* told.h: what the library tells on standard error, and its numbers.
 *
 *   SAYS(sc_free(p), "sancai: sc_free: %p was freed before; ...\n", p);
 *   SILENT(sc_free(p));
 *
 * The statement runs with standard error in a memory file; afterwards the
 * text is compared, byte for byte.  Threads of the library that speak
 * meanwhile are heard too.
 */
#ifndef SC_TEST_TOLD_H
#define SC_TEST_TOLD_H

#include "both.h"

#define SAYS(statement, ...)                                          \
    do {                                                              \
        told_begin();                                                 \
        statement;                                                    \
        told_is(__FILE__, __LINE__, #statement, told_end(), __VA_ARGS__); \
    } while (0)
#define SILENT(statement) SAYS(statement, "%s", "")

static int told_file = -1, told_stderr;

TEST_UNUSED static void told_begin(void)
{
    told_file = memfd_create("told", MFD_CLOEXEC);
    told_stderr = dup(2);
    CHECK(told_file >= 0 && told_stderr >= 0);
    CHECK(dup2(told_file, 2) == 2);
}

/* What was said since told_begin; valid until the next told_end. */
TEST_UNUSED static const char *told_end(void)
{
    static char text[1 << 16];
    dup2(told_stderr, 2);
    close(told_stderr);
    ssize_t n = pread(told_file, text, sizeof text - 1, 0);
    close(told_file);
    CHECK(n >= 0);
    text[n] = 0;
    return text;
}

__attribute__((format(printf, 5, 6))) TEST_UNUSED static void
told_is(const char *file, int line, const char *what, const char *text,
        const char *fmt, ...)
{
    char wanted[2000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(wanted, sizeof wanted, fmt, ap);
    va_end(ap);
    if (strcmp(text, wanted))
        test_fail(file, line, "%s says\n    %s    and not\n    %s", what,
                  *text ? text : "nothing\n", *wanted ? wanted : "nothing\n");
}

/* Lines of a text. */
TEST_UNUSED static int told_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

TEST_UNUSED static struct sc_stats stats(void)
{
    struct sc_stats s;
    sc_stats(&s);
    return s;
}

/* Bytes of this process that are in memory, as the kernel counts them. */
TEST_UNUSED static uint64_t resident(void)
{
    char b[200];
    unsigned long all, here = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fgets(b, sizeof b, f));
    fclose(f);
    CHECK(sscanf(b, "%lu %lu", &all, &here) == 2);
    return (uint64_t)here * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The sanitizers map shadows, and keep what is freed: what the kernel counts
 * says nothing, and they can't live within a limit on addresses. */
#define NOT_SANITIZED()                                               \
    do {                                                              \
        if (SANITIZED)                                                \
            SKIP("the sanitizer's own memory hides ours");            \
    } while (0)
/* The address sanitizer's allocator is not locked around a fork: in the child
 * a lock of it may be taken for ever.  That of threads ends such a child when
 * it starts a thread. */
#define FORK_NOT_SANITIZED()                                          \
    do {                                                              \
        if (SANITIZED)                                                \
            SKIP("the sanitizer does not bear forks among threads");  \
    } while (0)

#define KB(n) ((uint64_t)(n) << 10)
#define MB(n) ((uint64_t)(n) << 20)

#endif
