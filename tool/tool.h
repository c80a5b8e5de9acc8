/* tool.h: the corridor between the rooms of the command `sancai`.
 *
 *   main -- help, args           words on the command line
 *    |- run -- child, report,    a program under our eyes, and its summary
 *    |         mallocs
 *    |- vm --- maps, remote,     what the kernel says of a process,
 *    |         ranges,           what the library says,
 *    |         regions, threads, whose each mapping is,
 *    |         spans, draw,      what lies in our heap, drawn
 *    |         picture, vmjson   or told
 *    |- cc                       clang with our pass
 *    `- knobs                    the settings
 *   text, json                   how things are written
 *
 * The tool is a client: it shares with the library the layout of the
 * directory and the names of the knobs, and links nothing of it.  It runs
 * for a second and ends: memory is taken from malloc and not given back.
 *
 * Exit codes: 0 done, 1 something failed, 2 the command line is wrong;
 * `run` passes on the status of the program it ran.
 */
#ifndef SANCAI_TOOL_H
#define SANCAI_TOOL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#include "../src/malloc/stats.h"
#include "../src/obs/directory.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define EXIT_USAGE 2

/* ---- text.c: words, numbers and colours ------------------------------- */

struct out {
    FILE *to;
    int width;   /* columns */
    bool colour;
};
void out_init(struct out *, FILE *);
enum colour { PLAIN, BOLD, DIM, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN };
void out_colour(struct out *, enum colour);
/* Numbers as words; `to` has TEXT bytes and is returned. */
#define TEXT 32
const char *text_bytes(char *to, uint64_t);   /* "1.50 MiB" */
const char *text_ns(char *to, uint64_t);      /* "12.3 us" */
const char *text_grouped(char *to, uint64_t); /* "1,234,567" */
/* Writes words from column `indent` on, and a newline; goes on in the same
 * column on the next line. */
void text_wrap(struct out *, int indent, const char *text);
/* "sancai: ..." on standard error. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
/* Memory or die. */
void *grow(void *p, size_t bytes);
/* Index of the name that a mistyped word most likely meant, or -1. */
int text_nearest(const char *word, const char *const *names, int n);
uint64_t now_ns(void);

/* ---- json.c: a stream of JSON ------------------------------------------ */

struct json {
    FILE *to;
    int depth;
    bool first; /* nothing was written at this depth yet */
};
/* key: NULL inside arrays and at the top; bracket: '{' or '['. */
void json_open(struct json *, const char *key, char bracket);
void json_close(struct json *, char bracket); /* '}' or ']' */
void json_text(struct json *, const char *key, const char *);
void json_number(struct json *, const char *key, uint64_t);
void json_signed(struct json *, const char *key, int64_t);
void json_address(struct json *, const char *key, uint64_t);
void json_flag(struct json *, const char *key, bool);
void json_null(struct json *, const char *key);

/* ---- help.c, args.c ----------------------------------------------------- */

/* The page of a command, or the overview for NULL; false if unknown. */
bool help_print(FILE *, const char *command);

struct option {
    const char *name;   /* with the dashes */
    const char **value; /* takes a value, or */
    bool *flag;         /* is one */
};
/* Reads options up to the first word that is none, or past "--".  Index of
 * what follows; or -1: done, leave with *code. */
int args_read(const char *command, int argc, char **argv,
              const struct option *, int n, int *code);
/* Says why the command line is wrong and where to read more; EXIT_USAGE. */
int usage(const char *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A whole decimal number within [lo, hi]. */
bool args_number(const char *, int64_t lo, int64_t hi, int64_t *);

/* ---- child.c: a program that we start ---------------------------------- */

enum child_event {
    CHILD_ENDED,   /* status and usage are there */
    CHILD_EXITING, /* traced: about to end, its memory is still there */
    CHILD_TIME     /* the deadline came */
};
struct child {
    int pid;
    bool traced;
    int status;    /* as wait's */
    struct rusage usage;
    uint64_t start_ns, end_ns;
};
/* Starts argv; traced: stop it just before it ends.  0, or why it could not
 * be executed. */
int child_start(struct child *, char **argv, bool traced);
/* Forwards signals meanwhile.  UINT64_MAX: no deadline. */
enum child_event child_wait(struct child *, uint64_t deadline_ns);
/* Ends tracing: true if the program turned out to be exiting, and waits
 * for child_wait to let it go. */
bool child_untrace(struct child *);
/* Status to leave with: the program's, or 128 + signal. */
int child_exit_code(const struct child *);
/* Complains that argv[0] can't be executed; 126 or 127 as shells have it. */
int child_refused(const char *program, int error);

/* ---- report.c: the summary of `run` ------------------------------------ */

struct summary {
    const char *program;
    struct child child;
    struct sc_stats_page page;
    bool present;   /* the library wrote the page */
    bool torn;      /* the program died while writing it */
    const struct sc_malloc_page *malloc; /* with --malloc */
};
void report_table(struct out *, const struct summary *);
void report_json(FILE *, const struct summary *);
/* Members of the numbers; also used for a living process. */
void report_numbers(struct json *, const struct sc_numbers *);

/* ---- mallocs.c: what a program's malloc held ---------------------------- */

bool mallocs_present(const struct sc_malloc_page *);
void mallocs_table(struct out *, const struct sc_malloc_page *);
void mallocs_json(struct json *, const struct sc_malloc_page *);

/* ---- companion.c -------------------------------------------------------- */

/* A file beside the command, or where `make install` puts it; NULL if it is
 * not there. */
const char *companion(const char *name);

/* ---- maps.c: what the kernel says of a process ------------------------- */

enum region {
    REGION_UNKNOWN,
    REGION_TEXT, REGION_RODATA, REGION_DATA, REGION_BSS,
    REGION_BRK,
    REGION_HEAP, REGION_METADATA, REGION_DIRECTORY,
    REGION_LIBRARY, REGION_STACK, REGION_THREAD_STACK,
    REGION_MALLOC_ARENA, REGION_ANON, REGION_NO_ACCESS,
    REGION_SHARED, REGION_FILE, REGION_KERNEL,
    REGIONS
};
struct mapping {
    uint64_t lo, hi;
    uint64_t resident, committed, swapped; /* bytes */
    char rights[5];    /* "rw-p" */
    const char *path;  /* "" if anonymous */
    enum region region;
    bool guess;        /* the region is a guess */
    bool outside;      /* not part of what the kernel calls VmSize */
    uint32_t detail;   /* metadata kind, or thread id */
};
struct process {
    int pid;
    char name[64];     /* as in status */
    char exe[512];
    int threads;
    struct mapping *map;
    size_t n, room;
    uint64_t size, resident, committed, swapped; /* sums over map */
    uint64_t vm_size, vm_rss;    /* kernel: status */
    uint64_t rollup;             /* kernel: smaps_rollup, else vm_rss */
    bool has_rollup;
    int tries;         /* readings until all agreed; 0: they never did */
};
/* Reads until the sums agree with the kernel's, five times at most.  False
 * after having complained. */
bool maps_read(struct process *, int pid);
bool map_anonymous(const struct mapping *);
bool map_writable(const struct mapping *);
/* The mapping that holds a, or NULL. */
struct mapping *map_at(struct process *, uint64_t a);
/* Makes a boundary at a; what is resident is divided as the kernel's page
 * map says. */
void map_split(struct process *, uint64_t a);

/* ---- remote.c: memory of another process ------------------------------- */

/* Bytes read, from the start up to the first that can't be. */
size_t remote_read(int pid, uint64_t at, void *to, size_t n);
/* Why not even one byte can be read; 0 if it can. */
int remote_refused(const struct process *);
/* Calls fn for each page of [lo, hi) that is in memory. */
void remote_resident(int pid, uint64_t lo, uint64_t hi,
                     void (*fn)(uint64_t page, void *), void *arg);
uint64_t remote_resident_bytes(int pid, uint64_t lo, uint64_t hi);

/* ---- ranges.c: what the library calls its own --------------------------- */

struct ranges {
    struct sc_range *at; /* sorted */
    size_t n;
    uint64_t lost;       /* not in the list */
    bool whole;          /* it did not change while it was read */
};
void ranges_read(struct ranges *, int pid, uint64_t at);
/* The range that holds address a, or NULL. */
const struct sc_range *range_at(const struct ranges *, uint64_t a);
/* Is it a thread of the library's? */
bool range_thread(const struct ranges *, int tid);

/* ---- spans.c: what lies in our heap ------------------------------------ */

struct class_sum {
    uint64_t spans, pages, resident; /* resident: bytes */
};
/* What a page descriptor says of a large object. */
enum large_kind { LARGE_SCANNED, LARGE_NOSCAN, LARGE_TRACED, LARGE_KINDS };
struct page_seen {
    uint32_t desc;
    uint32_t resident; /* bytes of it in memory */
};
struct heap {
    bool present;
    uint32_t version;     /* of the directory; others than ours: no more */
    int others;           /* further directories, not drawn */
    int refused;          /* errno: memory of the process can't be read */
    uint64_t where;       /* of the directory */
    struct sc_directory dir;
    struct ranges ranges;
    struct sc_class_info classes[SC_CLASSES_MAX];
    uint32_t top;         /* pages ever grown */
    struct page_seen *page;
    struct class_sum sum[SC_CLASSES_MAX];
    struct class_sum large[LARGE_KINDS];
    struct class_sum used, free; /* all spans; pages in no span */
    bool has_stats;
    struct sc_stats_page stats;
};
void heap_find(struct heap *, const struct process *);
void heap_count(struct heap *, const struct process *);
const char *class_kind_name(const struct sc_class_info *);
const char *large_kind_name(enum large_kind);

/* ---- regions.c, threads.c: whose mapping is it -------------------------- */

void regions_mark(struct process *, const struct heap *);
void threads_mark(struct process *, const struct heap *);
const char *region_name(enum region);
const char *metadata_name(uint32_t kind);
const char *path_base(const char *);

/* ---- draw.c, picture.c, vmjson.c ---------------------------------------- */

void draw_process(struct out *, const struct process *, const struct heap *,
                  bool every);
void picture_heap(struct out *, const struct heap *, bool every);
void vm_json(FILE *, const struct process *, const struct heap *);

/* ---- knobs.c ------------------------------------------------------------ */

/* Complains of the first unknown name in a SANCAI_DEBUG list. */
bool knobs_check(const char *list);

/* ---- the commands -------------------------------------------------------- */

int run_main(int argc, char **argv);
int vm_main(int argc, char **argv);
int cc_main(int argc, char **argv);
int knobs_main(int argc, char **argv);

#endif
