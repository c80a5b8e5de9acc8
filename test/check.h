/* check.h: a whole unit test program from TEST blocks alone.
 *
 *     #include "../check.h"
 *     TEST(adds) { CHECK_EQ(1 + 1, 2); }
 *
 *   main --fork--> child: runs one TEST, output kept in a memory file
 *     |              |
 *     |<--- wait ----+   ran to its end: passed, and its output is dropped
 *     |                  else: failed, and its output is shown
 *
 * Each TEST has a process of its own, so one that crashes, hangs or leaves
 * threads behind can't disturb the next.  A child counts as passed only if it
 * came to the end of its block: exit(0) in the middle is a failure.
 *
 *   prog [NAME...]   only these tests       SEED=n   the seed of a failed run
 *   TEST_SLOW=n      timeouts times n       TEST_NOFORK=1   for a debugger
 */
#ifndef SC_TEST_CHECK_H
#define SC_TEST_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Under address or thread sanitizer. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Under the thread sanitizer: it puts handlers off until the thread comes to an
 * atomic operation or a call that it knows. */
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_LATE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_LATE 1
#endif
#endif
#ifndef SIGNALS_LATE
#define SIGNALS_LATE 0
#endif

#define TEST_UNUSED __attribute__((unused))
#define TEST_SECONDS 60 /* far above any unit test, far below patience */

struct test_case {
    const char *name;
    void (*fn)(void);
    int seconds;
    struct test_case *next;
};

/* What a child tells its parent beyond its exit status. */
struct test_word {
    int finished, skipped;
    char why[200];
};

static struct test_case *test_first;
TEST_UNUSED static struct test_case **test_last = &test_first;
static struct test_word *test_word;
static char test_program[200];
static uint64_t test_seed_value;

#define TEST(name) TEST_T(name, TEST_SECONDS)
#define TEST_T(id, secs)                                                  \
    static void case_##id(void);                                          \
    __attribute__((constructor)) static void enlist_##id(void)            \
    {                                                                     \
        static struct test_case c = {#id, case_##id, (secs), NULL};       \
        *test_last = &c;                                                  \
        test_last = &c.next;                                              \
    }                                                                     \
    static void case_##id(void)

#define CHECK(x) \
    ((x) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #x))
#define CHECK_EQ(a, b)                                                    \
    test_equal(__FILE__, __LINE__, #a " == " #b, (unsigned long long)(a), \
               (unsigned long long)(b))
#define CHECK_STR(a, b) \
    test_same(__FILE__, __LINE__, #a " is " #b, (a), (b))
/* Ends the test as skipped; only from the TEST's own process. */
#define SKIP(...) test_skip(__VA_ARGS__)

/* The same in each TEST of a run; printed on failure, SEED=n replays it. */
static inline uint64_t test_seed(void)
{
    return test_seed_value;
}

/* From any thread: no lock is taken on the way out, none may be free. */
__attribute__((noreturn, format(printf, 3, 4))) TEST_UNUSED static void
test_fail(const char *file, int line, const char *fmt, ...)
{
    char text[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    dprintf(2, "  %s:%d: not so: %s\n", file, line, text);
    _exit(1);
}

TEST_UNUSED static void test_equal(const char *file, int line,
                                   const char *what, unsigned long long a,
                                   unsigned long long b)
{
    if (a != b)
        test_fail(file, line, "%s: %llu (0x%llx), %llu (0x%llx)", what, a, a,
                  b, b);
}

TEST_UNUSED static void test_same(const char *file, int line,
                                  const char *what, const char *a,
                                  const char *b)
{
    if (!a || !b || strcmp(a, b))
        test_fail(file, line, "%s: \"%s\", \"%s\"", what, a ? a : "(null)",
                  b ? b : "(null)");
}

__attribute__((noreturn, format(printf, 1, 2))) TEST_UNUSED static void
test_skip(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(test_word->why, sizeof(test_word->why), fmt, ap);
    va_end(ap);
    test_word->skipped = 1;
    _exit(0);
}

/* Out of exit(): the sanitizers may still change the status to a failure. */
static void test_child(struct test_case *c, int out)
{
    struct rlimit none = {0, 0};

    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &none);
    dup2(out, 1);
    dup2(out, 2);
    setvbuf(stdout, NULL, _IONBF, 0);
    c->fn();
    test_word->finished = 1;
    exit(0);
}

static double test_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Waits for the child, then ends whatever it left running.  False: late. */
static int test_wait(pid_t pid, double seconds, int *status)
{
    double end = test_clock() + seconds;
    struct timespec nap = {0, 200000};
    int in_time = 1;

    while (waitpid(pid, status, WNOHANG) == 0) {
        if (test_clock() > end) {
            in_time = 0;
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            waitpid(pid, status, 0);
            break;
        }
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 10000000)
            nap.tv_nsec += nap.tv_nsec / 4;
    }
    kill(-pid, SIGKILL);
    return in_time;
}

static void test_show(int fd)
{
    char part[4096];
    ssize_t n;
    off_t at = 0;

    fflush(stdout);
    while ((n = pread(fd, part, sizeof(part), at)) > 0) {
        if (write(1, part, (size_t)n) != n)
            return;
        at += n;
    }
}

static void test_report(struct test_case *c, int in_time, int status)
{
    printf("FAIL %s: %s: ", test_program, c->name);
    if (!in_time)
        printf("not done in time");
    else if (WIFSIGNALED(status))
        printf("killed by signal %d (%s)", WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status))
        printf("exit status %d", WEXITSTATUS(status));
    else
        printf("left before its end");
    printf("; SEED=%llu\n", (unsigned long long)test_seed_value);
}

/* 1 passed, 0 failed, -1 skipped. */
static int test_one(struct test_case *c, double slow)
{
    int out = memfd_create("test output", MFD_CLOEXEC);
    int status = 0, in_time, ok;
    pid_t pid;

    memset(test_word, 0, sizeof(*test_word));
    fflush(NULL);
    pid = fork();
    if (pid < 0 || out < 0) {
        perror("check.h");
        exit(2);
    }
    if (pid == 0)
        test_child(c, out);
    setpgid(pid, pid);
    in_time = test_wait(pid, c->seconds * slow, &status);
    ok = in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (ok && test_word->skipped)
        printf("SKIP %s: %s: %s\n", test_program, c->name, test_word->why);
    else if (!(ok = ok && test_word->finished)) {
        test_report(c, in_time, status);
        test_show(out);
    }
    fflush(stdout);
    close(out);
    return !ok ? 0 : test_word->skipped ? -1 : 1;
}

/* "os/memory" of ".../test/os/memory". */
static void test_set_program(const char *path)
{
    int slashes = 0;
    const char *p = path + strlen(path);

    while (p > path && !(p[-1] == '/' && ++slashes == 2))
        p--;
    snprintf(test_program, sizeof(test_program), "%s", p);
}

static void test_setup(const char *path)
{
    const char *seed = getenv("SEED");
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    test_set_program(path);
    test_seed_value = (uint64_t)t.tv_nsec * 2654435761u ^ (uint64_t)getpid();
    test_seed_value = test_seed_value % 1000000000 + 1;
    if (seed && *seed)
        test_seed_value = strtoull(seed, NULL, 0);
    test_word = mmap(NULL, sizeof(*test_word), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (test_word == MAP_FAILED) {
        perror("check.h");
        exit(2);
    }
}

static int test_wanted(struct test_case *c, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++)
        if (!strcmp(argv[i], c->name))
            return 1;
    return argc < 2;
}

int main(int argc, char **argv)
{
    const char *scale = getenv("TEST_SLOW");
    double slow = scale ? strtod(scale, NULL) : 1;
    int count[3] = {0, 0, 0}; /* skipped, failed, passed */
    struct test_case *c;

    test_setup(argv[0]);
    for (c = test_first; c; c = c->next) {
        if (!test_wanted(c, argc, argv))
            continue;
        if (getenv("TEST_NOFORK"))
            c->fn();
        else
            count[1 + test_one(c, slow > 0 ? slow : 1)]++;
    }
    printf("%s: %d passed, %d failed, %d skipped\n", test_program, count[2],
           count[1], count[0]);
    return count[1] || !(count[0] + count[2]);
}

#endif
