/* misuse.h: a program of one kind of misuse: a table of cases.
 *
 *   PROGRAM          the names of its cases
 *   PROGRAM NAME     one of them, in a child whose end is judged:
 *
 *     missed    it went on as if nothing was wrong, or the wrong value was seen
 *     caught    it was told of and ended; or no harm can be seen
 *
 * Each row says what our library does with it in its default mode and in its
 * hardened one: with which line it ends, or SAFE, or MISSED.  That, and nothing
 * else, is right: status 0, else 1.  What other libraries do is only printed.
 * test/misuse/run counts.
 */
#ifndef MISUSE_H
#define MISUSE_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* The ends.  Lines: # an address, @ a number, % the function that found it. */
#define MISSED NULL
#define SAFE ""
#define FREED "%: # was freed before; free a block once."
#define PAGES                                                               \
    "%: # lies in free pages of this heap; it was freed before, or never "  \
    "was a block."
#define FOREIGN                                                             \
    "%: # is not a block of this heap; free only what malloc and its kin "  \
    "returned."
#define INSIDE                                                              \
    "%: # lies inside the block # of @ bytes; free a block by its start."
#define SIZE                                                                \
    "%: # is a block of @ bytes, not @; give the size that was asked for."
#define OVER "%: # has @ bytes, but byte @ was written; write only what was " \
             "asked for."
#define UNDER "%: what lies before # was written; write from a block's start " \
              "on."
#define LATE "%: byte @ of # was written while it was free; free a block "  \
             "after its last use."
/* Those of faults. */
#define GONE "%: # lies in the block # of @ bytes, which was freed; use a " \
             "block before it is freed."
#define NOTHING "%: # lies in the block # of 0 bytes."
#define BEFORE "%: # lies @ bytes before the block # of @ bytes."
#define BESIDE "%: # lies in or beside the block # of @ bytes, which was " \
               "freed; use a block before it is freed."
#define BEHIND "%: # lies @ bytes behind the end of the block # of @ bytes."

struct misuse {
    const char *name;
    void (*run)(size_t n, size_t by);
    size_t n, by;
    const char *who;             /* found it */
    const char *plain, *hard;    /* how it ends */
};
extern const struct misuse cases[];
extern const size_t ncases;

#define CASES(...)                                             \
    const struct misuse cases[] = {__VA_ARGS__};               \
    const size_t ncases = sizeof cases / sizeof *cases;

/* The compiler knows nothing of what comes out. */
static inline void *hide(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

/* Bytes that are not what they were. */
static inline void spoil(void *p, size_t n)
{
    volatile unsigned char *b = (volatile unsigned char *)hide(p);
    for (size_t i = 0; i < n; i++)
        b[i] ^= 0x5a;
}

enum { WENT_ON = 50, UNSEEN };

/* The wrong value, or whatever harm there is, was seen or not. */
static inline void seen(int yes) { _exit(yes ? WENT_ON : UNSEEN); }

static inline void in_a_thread(void *(*fn)(void *), void *p)
{
    pthread_t t;
    if (!pthread_create(&t, NULL, fn, p))
        pthread_join(t, NULL);
}

/* ---- Judging ------------------------------------------------------------- */

static inline const char *past_number(const char *s, int base)
{
    char *end;
    if (base == 16 && strncmp(s, "0x", 2))
        return NULL;
    strtoul(s, &end, base);
    return end == s ? NULL : end;
}

/* One line, which may end with what is known of the block. */
static inline int is_line(const char *want, const char *who, const char *said)
{
    if (strncmp(said, "sancai: ", 8))
        return 0;
    for (said += 8; said && *want; want++)
        if (*want == '#' || *want == '@')
            said = past_number(said, *want == '#' ? 16 : 10);
        else if (*want == '%')
            said = strncmp(said, who, strlen(who)) ? NULL
                                                   : said + strlen(who);
        else if (*said++ != *want)
            return 0;
    const char *end = said ? strchr(said, '\n') : NULL;
    return end && !end[1] &&
           (end == said || !strncmp(said, " Size class ", 12));
}

/* Of samples it is told who allocated them: this program did. */
static inline int has_callers(const char *said)
{
    const char *at = strstr(said, " Allocated (thread ");
    return at && strstr(at, program_invocation_short_name);
}

/* What the child said, and its status. */
static inline int child(const struct misuse *m, char *said, size_t room)
{
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    struct rlimit none = {0, 0};
    if (pipe(ends))
        abort();
    pid_t pid = fork();
    if (!pid) {
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], 2);
        close(ends[1]);
        alarm(20);
        m->run(m->n, m->by);
        exit(WENT_ON);
    }
    close(ends[1]);
    while (n < room - 1 && (got = read(ends[0], said + n, room - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = 0;
    close(ends[0]);
    waitpid(pid, &status, 0);
    return status;
}

/* As the row has it: for our library only. */
static inline int as_told(const struct misuse *m, const char *want, int status,
                          const char *said)
{
    if (!want || !*want)
        return WIFEXITED(status) && !*said &&
               WEXITSTATUS(status) == (want ? UNSEEN : WENT_ON);
    if (!WIFSIGNALED(status))
        return 0;
    /* Where all blocks of a page are free, the page may be free by now. */
    if (!strcmp(getenv("MISUSE_MODE"), "sampled") && !has_callers(said))
        return 0;
    return is_line(want, m->who, said) ||
           (!strcmp(want, FREED) && is_line(PAGES, m->who, said));
}

static inline int judge(const struct misuse *m)
{
    char said[4096];
    const char *lib = getenv("MISUSE_MODE");
    int status = child(m, said, sizeof said), ours = lib != NULL;
    const char *want = lib && strcmp(lib, "default") ? m->hard : m->plain;
    puts(WIFEXITED(status) && WEXITSTATUS(status) == WENT_ON ? "missed"
                                                             : "caught");
    if (!ours || as_told(m, want, status, said))
        return 0;
    printf("status %x, said \"%s\", not \"%s\"\n", (unsigned)status, said,
           want ? want : "nothing, and went on");
    return 1;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0); /* no block of stdio's is in the way */
    for (size_t i = 0; i < ncases; i++)
        if (argc < 2)
            puts(cases[i].name);
        else if (!strcmp(cases[i].name, argv[1]))
            return judge(&cases[i]);
    return argc < 2 ? 0 : 2;
}

#endif
