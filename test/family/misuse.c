/* misuse.c: what is not a program's to free; each is found, said and fatal.
 *
 * The misuse happens in a child whose standard error is read here:
 *
 *   ours     exactly one line, of the table of texts below, and SIGABRT; the
 *            hardened mode adds what it knows of the block
 *   others   the end by a signal, if they find that kind at all; else skipped
 */
#define _GNU_SOURCE
#include "case.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* The texts, in one place: %s is the function's name, # an address, and @ a
 * number. */
enum text { FREED, FREED_PAGE, FOREIGN, INSIDE, SIZE, OVERFLOWN, LATE };
static const char *const texts[] = {
    [FREED] = "sancai: %s: # was freed before; free a block once.",
    [FREED_PAGE] = "sancai: %s: # lies in free pages of this heap; it was "
                   "freed before, or never was a block.",
    [FOREIGN] = "sancai: %s: # is not a block of this heap; free only what "
                "malloc and its kin returned.",
    [INSIDE] = "sancai: %s: # lies inside the block # of @ bytes; free a block "
               "by its start.",
    [SIZE] = "sancai: %s: # is a block of @ bytes, not @; give the size that "
             "was asked for.",
    [OVERFLOWN] = "sancai: %s: # has @ bytes, but byte @ was written; write "
                  "only what was asked for.",
    [LATE] = "sancai: %s: byte @ of # was written while it was free; free a "
             "block after its last use.",
};

static const char *skip_number(const char *s, int hex)
{
    if (hex && strncmp(s, "0x", 2))
        return NULL;
    char *end;
    strtoul(s, &end, hex ? 16 : 10);
    return end == s ? NULL : end;
}

/* The end of the line: what the hardened mode adds, a newline, nothing else. */
static int ends(const char *line)
{
    static const char added[] = " Size class ";
    const char *end = strchr(line, '\n');
    return end && !end[1] &&
           (end == line || !strncmp(line, added, sizeof added - 1));
}

static int matches(const char *pattern, const char *line)
{
    while (line && *pattern)
        if (*pattern == '#')
            line = skip_number(line, 1), pattern++;
        else if (*pattern == '@')
            line = skip_number(line, 0), pattern++;
        else if (*pattern++ != *line++)
            return 0;
    return line && ends(line);
}

/* Where all blocks of a page are free, the page may be free by now. */
static int matches_kind(enum text text, const char *who, const char *said)
{
    char pattern[200];
    snprintf(pattern, sizeof pattern, texts[text], who);
    return matches(pattern, said) ||
           (text == FREED_PAGE && matches_kind(FREED, who, said));
}

typedef void wrong_fn(void *);

/* What the child says, and how it ends. */
static int child_of(wrong_fn *fn, void *arg, char *said, size_t room)
{
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    struct rlimit none = {0, 0};
    EXPECT(!pipe(ends), "pipe");
    pid_t child = fork();
    EXPECT(child >= 0, "fork");
    if (!child) {
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], 2);
        close(ends[1]);
        alarm(20);
        fn(arg);
        _exit(0);
    }
    close(ends[1]);
    while (n < room - 1 && (got = read(ends[0], said + n, room - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = 0;
    close(ends[0]);
    EXPECT(waitpid(child, &status, 0) == child, "waitpid");
    return status;
}

static void judge(enum text text, const char *who, wrong_fn *fn, void *arg)
{
    char said[4096];
    int status = child_of(fn, arg, said, sizeof said);
    if (!ours() && WIFEXITED(status))
        SKIP("not found by this library");
    if (ours())
        EXPECT(matches_kind(text, who, said), "\"%s\" was said, status %x",
               said, (unsigned)status);
    EXPECT(WIFSIGNALED(status) && (!ours() || WTERMSIG(status) == SIGABRT),
           "status %x, said \"%s\"", (unsigned)status, said);
}

#define WRONG(id, text, who)                                            \
    static void id##_body(void *arg);                                   \
    CASE(id) { judge(text, who, id##_body, NULL); }                     \
    static void id##_body(void *arg __attribute__((unused)))

/* ---- Freed before ------------------------------------------------------ */

WRONG(free_twice, FREED, "free")
{
    void *p = malloc(100);
    free(hide(p));
    free(hide(p));
}

WRONG(free_twice_of_the_smallest, FREED, "free")
{
    void *p = malloc(1);
    free(hide(p));
    free(hide(p));
}

WRONG(free_twice_after_another, FREED, "free")
{
    void *p = malloc(100), *q = malloc(100), *r = malloc(100);
    free(hide(p));
    free(hide(q));
    free(hide(p));
    free(hide(r));
}

/* The cache of the thread has long passed it on. */
static void twice_after_many(size_t n, int many)
{
    static void *p[4000];
    for (int i = 0; i < many; i++)
        p[i] = hide(malloc(n));
    for (int i = 0; i < many; i++)
        free(p[i]);
    free(hide(p[many / 2]));
}

WRONG(free_twice_after_4000_of_24, FREED_PAGE, "free")
{
    twice_after_many(24, 4000);
}
WRONG(free_twice_after_4000_of_500, FREED_PAGE, "free")
{
    twice_after_many(500, 4000);
}
WRONG(free_twice_after_500_of_5000, FREED_PAGE, "free")
{
    twice_after_many(5000, 500);
}

static void *frees(void *p)
{
    free(p);
    return NULL;
}

static void in_a_thread(void *p)
{
    pthread_t t;
    if (!pthread_create(&t, NULL, frees, p))
        pthread_join(t, NULL);
}

WRONG(free_twice_first_in_another_thread, FREED, "free")
{
    void *p = malloc(64);
    in_a_thread(p);
    free(hide(p));
}

WRONG(free_twice_then_in_another_thread, FREED, "free")
{
    void *p = malloc(64);
    free(hide(p));
    in_a_thread(p);
}

WRONG(free_twice_after_calloc, FREED, "free")
{
    void *p = calloc(10, 20);
    free(hide(p));
    free(hide(p));
}

WRONG(free_twice_of_an_aligned_block, FREED, "free")
{
    void *p = aligned_alloc(256, 256);
    free(hide(p));
    free(hide(p));
}

WRONG(free_of_what_realloc_moved, FREED, "free")
{
    void *p = malloc(100), *q = malloc(100), *r = realloc(hide(p), 9000);
    free(hide(p));
    free(hide(q));
    free(hide(r));
}

WRONG(free_of_what_realloc_freed, FREED, "free")
{
    void *p = malloc(100);
    hide(realloc(hide(p), hide_size(0)));
    free(hide(p));
}

WRONG(realloc_of_what_was_freed, FREED, "realloc")
{
    void *p = malloc(100);
    free(hide(p));
    hide(realloc(hide(p), 200));
}

WRONG(usable_size_of_what_was_freed, FREED, "malloc_usable_size")
{
    void *p = malloc(100);
    free(hide(p));
    hide((void *)malloc_usable_size(hide(p)));
}

static void large_twice(void *arg)
{
    void *p = malloc((size_t)(uintptr_t)arg);
    free(hide(p));
    free(hide(p));
}

static void judge_large(size_t n)
{
    judge(FREED_PAGE, "free", large_twice, (void *)n);
}

CASE(free_twice_of_40_kib) { judge_large(KIB(40)); }
CASE(free_twice_of_1_mib) { judge_large(MIB(1)); }
CASE(free_twice_of_100_mib) { judge_large(MIB(100)); }

/* ---- Not of this heap -------------------------------------------------- */

static char in_data[256] __attribute__((aligned(16))) = {1};
static char in_bss[256] __attribute__((aligned(16)));

WRONG(free_of_the_stack, FOREIGN, "free")
{
    char here[256] __attribute__((aligned(16))) = {0};
    free(hide(here + 16));
}

WRONG(free_of_static_data, FOREIGN, "free") { free(hide(in_data + 16)); }
WRONG(free_of_static_zeros, FOREIGN, "free") { free(hide(in_bss + 16)); }

WRONG(free_of_a_mapping, FOREIGN, "free")
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(hide(p + 64));
}

WRONG(free_of_a_small_number, FOREIGN, "free") { free(hide((void *)0x40)); }
WRONG(free_of_a_function, FOREIGN, "free") { free(hide((void *)&in_a_thread)); }

WRONG(free_of_no_address, FOREIGN, "free")
{
    free(hide((void *)0xdeadbeefdeadbee0));
}

WRONG(realloc_of_the_stack, FOREIGN, "realloc")
{
    char here[256] __attribute__((aligned(16))) = {0};
    hide(realloc(hide(here + 16), 1000));
}

WRONG(realloc_of_static_data, FOREIGN, "realloc")
{
    hide(realloc(hide(in_data + 16), 1000));
}

WRONG(usable_size_of_static_data, FOREIGN, "malloc_usable_size")
{
    if (!ours())
        return;
    hide((void *)malloc_usable_size(hide(in_data + 16)));
}

/* ---- Inside a block ---------------------------------------------------- */

static void at_offset(size_t n, size_t offset)
{
    char *p = malloc(n);
    memset(p, 0, n);
    free(hide(p + offset));
}

WRONG(free_16_inside, INSIDE, "free") { at_offset(100, 16); }
WRONG(free_unaligned, INSIDE, "free") { at_offset(100, 1); }
WRONG(free_8_inside, INSIDE, "free") { at_offset(100, 8); }
WRONG(free_inside_of_3000, INSIDE, "free") { at_offset(3000, 1600); }
WRONG(free_inside_of_30000, INSIDE, "free") { at_offset(30000, 16384); }
WRONG(free_inside_of_40_kib, INSIDE, "free") { at_offset(KIB(40), 64); }
WRONG(free_inside_of_1_mib, INSIDE, "free") { at_offset(MIB(1), KIB(512)); }

WRONG(free_inside_of_an_aligned_block, INSIDE, "free")
{
    char *p = aligned_alloc(4096, 4096);
    memset(p, 0, 4096);
    free(hide(p + 2048));
}

WRONG(realloc_inside, INSIDE, "realloc")
{
    char *p = calloc(1, 1000);
    hide(realloc(hide(p + 512), 2000));
}

WRONG(usable_size_inside, INSIDE, "malloc_usable_size")
{
    char *p = calloc(1, 1000);
    hide((void *)malloc_usable_size(hide(p + 512)));
    if (!ours())
        _exit(0);
}

/* ---- The size is another ----------------------------------------------- */

static void sized(size_t has, size_t given)
{
    void (*give)(void *, size_t);
    *(void **)&give = dlsym(RTLD_DEFAULT, "free_sized");
    if (give)
        give(hide(malloc(has)), given);
}

WRONG(free_sized_too_large, SIZE, "free_sized") { sized(100, 1000); }
WRONG(free_sized_too_small, SIZE, "free_sized") { sized(1000, 100); }
WRONG(free_sized_large_for_small, SIZE, "free_sized") { sized(100, MIB(1)); }
WRONG(free_sized_small_for_large, SIZE, "free_sized") { sized(MIB(1), 100); }
WRONG(free_aligned_sized_too_large, SIZE, "free_aligned_sized")
{
    void (*give)(void *, size_t, size_t);
    *(void **)&give = dlsym(RTLD_DEFAULT, "free_aligned_sized");
    if (give)
        give(hide(aligned_alloc(64, 128)), 64, 4096);
}

WRONG(free_sized_twice, FREED, "free_sized")
{
    void (*give)(void *, size_t);
    *(void **)&give = dlsym(RTLD_DEFAULT, "free_sized");
    void *p = malloc(100);
    if (!give)
        return;
    give(hide(p), 100);
    give(hide(p), 100);
}

/* ---- A misuse that may go on, by choice -------------------------------- */

static void goes_on(void *arg)
{
    char *p = malloc(100), *q = malloc(100);
    (void)arg;
    free(hide(p));
    free(hide(p));
    free(hide(q + 16));
    free(hide(in_data + 16));
    free(hide(q));
    char *r = malloc(100), *s = malloc(100), *t = malloc(100);
    EXPECT(r != s && s != t && r != t, "given out twice");
    _exit(50);
}

CASE(misuse_without_abort)
{
    static char word[] = "SANCAI_DEBUG=misuseabort=0";
    static char hard[] = "SANCAI_DEBUG=misuseabort=0,secure=1";
    char here[4096] = "", said[4096];
    if (!ours())
        SKIP("for our library");
    const char *now = getenv("SANCAI_DEBUG");
    if (!now || !strstr(now, "misuseabort")) {
        putenv(hardened() ? hard : word);
        EXPECT(readlink("/proc/self/exe", here, sizeof here - 1) > 0, "name");
        execl(here, here, __func__, (char *)NULL);
    }
    int status = child_of(goes_on, NULL, said, sizeof said), lines = 0;
    for (const char *s = said; (s = strchr(s, '\n')); s++)
        lines++;
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 50, "status %x: %s",
           (unsigned)status, said);
    EXPECT(lines == 3, "%d lines: %s", lines, said);
}

/* ---- Hardened mode ----------------------------------------------------- */

/* The process anew with secure=1. */
static void harden(const char *name)
{
    static char word[] = "SANCAI_DEBUG=secure=1";
    char here[4096] = "";
    if (!ours())
        SKIP("for our library");
    EXPECT(readlink("/proc/self/exe", here, sizeof here - 1) > 0, "name");
    if (hardened())
        return;
    putenv(word);
    execl(here, here, name, (char *)NULL);
    EXPECT(0, "no exec");
}

#define HARDENED(id, text, who)                                         \
    static void id##_body(void *arg);                                   \
    CASE(id)                                                            \
    {                                                                   \
        harden(#id);                                                    \
        judge(text, who, id##_body, NULL);                              \
    }                                                                   \
    static void id##_body(void *arg __attribute__((unused)))

static void beyond(size_t n, size_t by)
{
    char *p = hide(malloc(n)), *q = hide(malloc(n));
    memset(p + n, 'A', by);
    free(hide(p));
    free(hide(q));
}

HARDENED(overflow_by_one, OVERFLOWN, "free") { beyond(40, 1); }
HARDENED(overflow_by_eight, OVERFLOWN, "free") { beyond(40, 8); }
HARDENED(overflow_by_one_of_a_full_class, OVERFLOWN, "free") { beyond(64, 1); }
HARDENED(overflow_into_the_neighbour, OVERFLOWN, "free") { beyond(64, 64); }

HARDENED(write_after_free, LATE, "free")
{
    char *p = hide(malloc(64));
    free(hide(p));
    memset(hide(p), 'B', 64);
    for (int i = 0; i < 100000; i++)
        free(hide(malloc(64)));
    for (int i = 0; i < 100000; i++)
        hide(malloc(64));
}

HARDENED(free_twice_after_reuse, FREED, "free")
{
    char *p = hide(malloc(64));
    free(hide(p));
    for (int i = 0; i < 10; i++)
        hide(malloc(64));
    free(hide(p));
}

HARDENED(free_twice_after_a_write, FREED, "free")
{
    char *p = hide(malloc(64));
    free(hide(p));
    memset(hide(p), 0, 64);
    free(hide(p));
}
