/* misuse.c: what is freed wrongly is told in one line, and nothing breaks.
 * links: malloc
 *
 * Each case is a child of its own whose standard error is read.
 */
#include "../check.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

/* The compiler must not see what is done. */
static void *hide(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static int told_status;

/* Runs fn in a child; its standard error in text. */
static void child_tells(void (*fn)(void), char *text, size_t n)
{
    int fd[2];
    size_t at = 0;
    long got;
    CHECK_EQ(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], 2);
        close(fd[0]);
        close(fd[1]);
        fn();
        _exit(0);
    }
    close(fd[1]);
    while (at + 1 < n && (got = read(fd[0], text + at, n - 1 - at)) > 0)
        at += (size_t)got;
    text[at] = 0;
    close(fd[0]);
    CHECK_EQ(waitpid(pid, &told_status, 0), pid);
}

/* Ours: an emulator may add its own when a program is aborted. */
static int lines(const char *s)
{
    int n = 0;
    while ((s = strstr(s, "sancai: "))) {
        n++;
        s++;
    }
    return n;
}

/* One line that begins and ends like this; then SIGABRT. */
static void wrong(void (*fn)(void), const char *start, const char *end)
{
    char text[1000];
    child_tells(fn, text, sizeof text);
    if (strncmp(text, start, strlen(start)) || !strstr(text, end) ||
        lines(text) != 1)
        test_fail(__FILE__, __LINE__, "said: \"%s\", not \"%s ... %s\"", text,
                  start, end);
    CHECK(WIFSIGNALED(told_status) && WTERMSIG(told_status) == SIGABRT);
}

#define WRONG(name, start, end)                     \
    static void do_##name(void);                    \
    TEST(name) { wrong(do_##name, start, end); }    \
    static void do_##name(void)

#define BEFORE "was freed before; free a block once.\n"
#define FOREIGN \
    "is not a block of this heap; free only what malloc and its kin returned.\n"
#define PAGES "it was freed before, or never was a block.\n"
#define INSIDE "free a block by its start.\n"

/* ---- Twice ------------------------------------------------------------- */

WRONG(twice_at_once, "sancai: free: 0x", BEFORE)
{
    void *p = malloc(100);
    free(p);
    free(hide(p));
}

WRONG(twice_with_others_between, "sancai: free: 0x", BEFORE)
{
    void *p = malloc(100), *q[50];
    for (int i = 0; i < 50; i++)
        q[i] = malloc(100);
    free(p);
    for (int i = 0; i < 50; i++)
        free(q[i]);
    free(hide(p));
}

/* Every other one stays in use, so that no span goes. */
WRONG(twice_after_it_went_to_its_span, "sancai: free: 0x", BEFORE)
{
    static void *q[5000];
    for (int i = 0; i < 5000; i++)
        q[i] = malloc(100);
    for (int i = 0; i < 5000; i += 2)
        free(q[i]);
    free(hide(q[10]));
}

WRONG(twice_after_its_span_went, "sancai: free: 0x", PAGES)
{
    static void *q[5000];
    for (int i = 0; i < 5000; i++)
        q[i] = malloc(100);
    for (int i = 0; i < 4990; i++)
        free(q[i]);
    free(hide(q[10]));
}

static void *free_it(void *p)
{
    free(p);
    return NULL;
}

WRONG(twice_on_two_threads, "sancai: free: 0x", BEFORE)
{
    void *p = malloc(100);
    pthread_t t;
    pthread_create(&t, NULL, free_it, p);
    pthread_join(t, NULL);
    free(hide(p));
}

WRONG(twice_smallest, "sancai: free: 0x", BEFORE)
{
    void *p = malloc(1);
    free(p);
    free(hide(p));
}

WRONG(twice_large, "sancai: free: 0x", PAGES)
{
    void *p = malloc(1000000);
    free(p);
    free(hide(p));
}

WRONG(realloc_of_freed, "sancai: realloc: 0x", BEFORE)
{
    void *p = malloc(100);
    free(p);
    p = realloc(hide(p), 200);
}

/* The mark of free blocks may come into a block in use, as it may lie on the
 * stack: no reason to take the block for free. */
TEST(mark_in_a_block_in_use)
{
    void **p = malloc(100), **q, *mark;
    free(p);
    mark = ((void **)hide(p))[1];
    for (int i = 0; i < 1000; i++) {
        q = malloc(100);
        CHECK(q);
        q[1] = mark;
        if (i & 1)
            CHECK((q = realloc(q, 300)));
        CHECK(malloc_usable_size(q) >= 100);
        free(q);
    }
}

/* ---- Not ours ---------------------------------------------------------- */

WRONG(of_the_stack, "sancai: free: 0x", FOREIGN)
{
    int x[10] = {0};
    free(hide(x));
}

static int data[10];
WRONG(of_static_data, "sancai: free: 0x", FOREIGN) { free(hide(data)); }

WRONG(of_mmap, "sancai: free: 0x", FOREIGN)
{
    free(hide(mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

WRONG(of_low_addresses, "sancai: free: 0x", FOREIGN) { free(hide((void *)16)); }

WRONG(realloc_of_the_stack, "sancai: realloc: 0x", FOREIGN)
{
    int x[10] = {0};
    void *p = realloc(hide(x), 100);
    (void)p;
}

WRONG(size_of_the_stack, "sancai: malloc_usable_size: 0x", FOREIGN)
{
    int x[10] = {0};
    malloc_usable_size(hide(x));
}

/* ---- Inside ------------------------------------------------------------ */

WRONG(inside_by_16, "sancai: free: 0x", INSIDE)
{
    char *p = malloc(100);
    free(hide(p + 16));
}

WRONG(inside_by_1, "sancai: free: 0x", INSIDE)
{
    char *p = malloc(100);
    free(hide(p + 1));
}

WRONG(inside_large, "sancai: free: 0x", INSIDE)
{
    char *p = malloc(1000000);
    free(hide(p + 8192 * 5));
}

WRONG(inside_large_by_a_word, "sancai: free: 0x", INSIDE)
{
    char *p = malloc(1000000);
    free(hide(p + 8));
}

WRONG(realloc_inside, "sancai: realloc: 0x", INSIDE)
{
    char *p = malloc(100);
    p = realloc(hide(p + 32), 10);
}

/* ---- Sizes ------------------------------------------------------------- */

__attribute__((weak)) void free_sized(void *, size_t);
WRONG(sized_wrongly, "sancai: free_sized: 0x",
      "bytes, not 1000; give the size that was asked for.\n")
{
    free_sized(malloc(100), 1000);
}

WRONG(sized_too_large, "sancai: free_sized: 0x",
      "bytes, not 2000000; give the size that was asked for.\n")
{
    free_sized(malloc(1000000), 2000000);
}
