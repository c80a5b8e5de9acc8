/* links: os base
 *
 * say.c against the C library's printf, which is the specification, and the
 * promise of one write per line, cut but never without its newline.
 */
#include "../check.h"
#include <fcntl.h>

#include "../../src/base/base.h"

#define BIG __builtin_inf()

/* The same arguments to both; text, length and zero must agree. */
#define SAME(...)                                                      \
    do {                                                               \
        char ours[100], theirs[100];                                   \
        memset(ours, 'X', sizeof(ours));                               \
        CHECK_EQ(say_format(ours, sizeof(ours), __VA_ARGS__),          \
                 snprintf(theirs, sizeof(theirs), __VA_ARGS__));       \
        CHECK_STR(ours, theirs);                                       \
    } while (0)

TEST(integers)
{
    SAME("%d %d %d %i", 0, -1, INT32_MIN, INT32_MAX);
    SAME("%ld %ld", INT64_MIN, INT64_MAX);
    SAME("%lld %llu", (long long)INT64_MIN, ~0ull);
    SAME("%u %lu %zu %zd", ~0u, ~0ul, SIZE_MAX, (ssize_t)-1);
    SAME("%x %lx %llx %zx", 0xdeadbeef, ~0ul, 0x10ull, (size_t)0);
}

TEST(widths)
{
    SAME("[%5d] [%-5d] [%05d]", 42, 42, 42);
    SAME("[%5d] [%-5d] [%05d]", -42, -42, -42);
    SAME("[%2d] [%02d]", 12345, -12345);
    SAME("[%016lx] [%-18lx] [%20lu]", 0xabcul, 0xabcul, ~0ul);
    SAME("[%*d] [%-*d] [%*d]", 6, 1, 6, 2, -6, 3);
    SAME("[%10.3f] [%-10.3f] [%010.3f] [%08.2f]", 1.5, 1.5, -1.5, 1.5);
}

TEST(strings)
{
    SAME("%s, %s%%", "a", "");
    SAME("[%5s] [%-5s] [%2s]", "abc", "abc", "abc");
    SAME("[%.2s] [%.9s] [%.*s] [%6.1s]", "abc", "abc", 1, "abc", "abc");
    SAME("[%c] [%3c] [%-3c]", 'x', 'y', 'z');
}

/* printf's answer differs between C libraries; ours is fixed. */
TEST(pointers)
{
    char buf[60];
    void *volatile nothing = NULL;
    char *volatile no_text = NULL;

    say_format(buf, sizeof(buf), "%p %p %s", (void *)0xabc, nothing, no_text);
    CHECK_STR(buf, "0xabc 0x0 (null)");
}

TEST(fractions)
{
    SAME("%.0f %.0f %.0f %.0f", 0.5, 1.5, 2.5, 0.49);
    SAME("%.1f %.1f %.1f", 0.05, 0.25, 0.75);
    SAME("%.2f %.2f %.3f", 99.999, 0.001, 0.0004999);
    SAME("%.9f %f", 1.0 / 3, 123456.789);
    SAME("%.3f %.3f", -0.0, -12.3456);
    SAME("%.1f %.0f", 1e15 + 0.5, 4611686018427387904.0);
    SAME("%.2f %.2f", 0.999, 9.995);
    SAME("[%f] [%08f] [%-8f]", BIG, -BIG, BIG);
}

/* Random values of every magnitude. */
TEST(random_fractions)
{
    uint64_t seed = test_seed();
    int i;

    for (i = 0; i < 200000; i++) {
        int places = (int)(rng_next(&seed) % 10);
        double whole = (double)(rng_next(&seed) >> (2 + rng_next(&seed) % 60));
        double any = __builtin_ldexp(whole, -(int)(rng_next(&seed) % 130));
        double decimal = (double)(rng_next(&seed) % 100000) / 1000;

        SAME("%.*f", places, any);
        SAME("%.*f", places, decimal);
    }
}

TEST(random_integers)
{
    static const char *const forms[] = {"%lu", "%lx", "%ld", "%20ld",
                                        "%-20ld|", "%020ld", "%03lu"};
    uint64_t seed = test_seed();
    int i;

    for (i = 0; i < 200000; i++) {
        uint64_t v = rng_next(&seed) >> (rng_next(&seed) % 64);
        const char *form = forms[rng_next(&seed) % COUNT(forms)];
        char ours[60], theirs[60];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        CHECK_EQ(say_format(ours, sizeof(ours), form, v),
                 snprintf(theirs, sizeof(theirs), form, v));
#pragma GCC diagnostic pop
        CHECK_STR(ours, theirs);
    }
}

TEST(cut_at_every_length)
{
    char buf[12];
    size_t n;

    for (n = 0; n < sizeof(buf); n++) {
        memset(buf, 'X', sizeof(buf));
        CHECK_EQ(say_format(buf, n, "%s-%d", "hello", 123), 9);
        CHECK(buf[n] == 'X');
        if (n)
            CHECK_EQ(strlen(buf), n - 1 < 9 ? n - 1 : 9);
    }
}

/* A packet per write: a pipe in packet mode does not join two of them. */
static size_t read_packet(int fd, char *to, size_t n)
{
    ssize_t got = read(fd, to, n - 1);

    CHECK(got >= 0);
    to[got] = 0;
    return (size_t)got;
}

static int catch_error(void)
{
    int p[2];

    CHECK(pipe2(p, O_DIRECT | O_NONBLOCK) == 0);
    CHECK(dup2(p[1], 2) == 2);
    return p[0];
}

TEST(one_write_per_line)
{
    char buf[2000];
    int fd = catch_error();

    say("free %d, %s", 42, "that is");
    read_packet(fd, buf, sizeof(buf));
    CHECK_STR(buf, "sancai: free 42, that is\n");
    say_raw("gc %d", 1);
    read_packet(fd, buf, sizeof(buf));
    CHECK_STR(buf, "gc 1\n");
}

TEST(long_line_keeps_newline)
{
    char longer[2000], buf[2000];
    int fd = catch_error();
    size_t n;

    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    say("%s", longer);
    n = read_packet(fd, buf, sizeof(buf));
    CHECK(n > 300 && n <= 512);
    CHECK(buf[n - 1] == '\n' && buf[n - 2] == 'a');
    CHECK_EQ(strcspn(buf, "\n"), n - 1);
}

TEST(errno_is_kept)
{
    char buf[100];
    int fd = catch_error();

    errno = 77;
    say("x");
    CHECK_EQ(errno, 77);
    read_packet(fd, buf, sizeof(buf));
    close(2);
    say("nobody hears this");
    CHECK_EQ(errno, 77);
}

TEST(fatal_aborts)
{
    char buf[600];
    int fd = catch_error(), status;
    pid_t pid = fork();

    if (pid == 0)
        insist(1 + 1 == 3);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    read_packet(fd, buf, sizeof(buf));
    CHECK(strstr(buf, "sancai: fatal: internal: 1 + 1 == 3 at ") == buf);
}
