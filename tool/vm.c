/* vm.c: `sancai vm`: draw the memory of a process.
 *
 *   vm PID            read, mark, draw
 *   vm -- PROGRAM     start it; after a while, or when it is about to end,
 *                     read, mark, draw; then let it finish
 *
 *   maps_read -> heap_find -> regions_mark -> threads_mark -> heap_count
 *   '----------- what is there ----------'    '--- what is it ----------'
 *
 * With --stop the process stands still from the first to the last reading; if
 * it was stopped while the library changed its list of ranges, it is let go and
 * stopped again.
 */
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AFTER_MS 1000
/* A process may stand still in the middle of mapping something. */
#define STOPS 5
#define STOP_WAIT_MS 1000 /* a thread in the kernel can take a while */

struct vm_options {
    const char *after, *file;
    bool all, stop, json;
    FILE *to;
};

/* Letter of a thread's state: T is stopped, t stopped by a tracer. */
static char thread_state(int pid, int tid)
{
    char path[64], line[256] = "";
    FILE *f;
    char *paren;
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    f = fopen(path, "re");
    if (f && !fgets(line, sizeof line, f))
        line[0] = 0;
    if (f)
        fclose(f);
    paren = strrchr(line, ')'); /* the name before it may hold anything */
    return paren && paren[1] ? paren[2] : 0;
}

/* One that has ended, or ends, no longer moves. */
static bool stands_still(int pid)
{
    char path[64];
    struct dirent *e;
    bool still = true;
    DIR *d;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    d = opendir(path);
    while (d && (e = readdir(d)) != NULL) {
        int tid = atoi(e->d_name);
        if (tid > 0 && strchr("RSD", thread_state(pid, tid) ?: 'X'))
            still = false;
    }
    if (d)
        closedir(d);
    return still;
}

/* True if we stopped it and must let it go on. */
static bool process_stop(int pid)
{
    char state = thread_state(pid, pid);
    if (state == 'T' || state == 't')
        return false;
    if (kill(pid, SIGSTOP) != 0) {
        complain("process %d can't be stopped: %m", pid);
        return false;
    }
    for (int ms = 0; ms < STOP_WAIT_MS; ms++) {
        if (stands_still(pid))
            return true;
        usleep(1000);
    }
    complain("process %d does not stop; drawn as it runs", pid);
    return true;
}

/* Reads as fast as it can, then lets the process go.  False after having
 * complained. */
static bool vm_read(int pid, bool stop, struct process *p, struct heap *h)
{
    bool stopped = stop && process_stop(pid);
    bool there = maps_read(p, pid);
    if (there) {
        heap_find(h, p);
        regions_mark(p, h);
        threads_mark(p, h);
        heap_count(h, p);
    }
    if (stopped)
        kill(pid, SIGCONT);
    return there;
}

/* 0, or EXIT_FAILURE after having complained. */
static int vm_draw(int pid, const struct vm_options *v)
{
    static struct process p;
    static struct heap h; /* large: a record per class */
    struct out o;
    bool there = false;
    for (int i = 0; i < STOPS; i++) {
        if (i > 0)
            usleep(1000);
        there = vm_read(pid, v->stop, &p, &h);
        if (!there || !v->stop || !h.ranges.at || h.ranges.whole)
            break;
    }
    if (!there)
        return EXIT_FAILURE;
    out_init(&o, v->to);
    if (v->json)
        vm_json(v->to, &p, &h);
    else
        draw_process(&o, &p, &h, v->all);
    if (fflush(v->to) == 0 && !ferror(v->to))
        return EXIT_SUCCESS;
    complain("%s can't be written", v->file ? v->file : "standard output");
    return EXIT_FAILURE;
}

/* Tracing lasts until the drawing at most: afterwards the program is on its
 * own, and can be debugged, say. */
static int vm_program(char **argv, struct vm_options *v, int64_t ms)
{
    struct child c;
    enum child_event event;
    bool leaving;
    int code = child_start(&c, argv, true);
    if (code)
        return child_refused(argv[0], code);
    event = child_wait(&c, now_ns() + (uint64_t)ms * 1000000u);
    leaving = event == CHILD_EXITING
           || (event == CHILD_TIME && child_untrace(&c));
    if (event == CHILD_ENDED) {
        complain("%s ended before it could be drawn", argv[0]);
        return EXIT_FAILURE;
    }
    if (leaving && !v->json)
        fputs("drawn as it ends:\n", v->to);
    v->stop = v->stop && !leaving; /* it stands still already */
    code = vm_draw(c.pid, v);
    while (child_wait(&c, UINT64_MAX) != CHILD_ENDED)
        ;
    return code;
}

/* The words after the options: a program behind "--", else a process. */
static int vm_words(int argc, char **argv, int at, struct vm_options *v)
{
    int64_t ms = AFTER_MS, pid;
    if (at >= argc)
        return usage("vm", "a process id or a program is missing");
    if (v->after && !args_number(v->after, 0, INT32_MAX, &ms))
        return usage("vm", "--after takes milliseconds, not \"%s\"",
                     v->after);
    if (strcmp(argv[at - 1], "--") == 0)
        return vm_program(argv + at, v, ms);
    if (argv[at][strspn(argv[at], "0123456789")] != 0)
        return usage("vm", "\"%s\" is no process id; to start a program: "
                     "sancai vm -- %s", argv[at], argv[at]);
    if (!args_number(argv[at], 1, INT32_MAX, &pid))
        return usage("vm", "\"%s\" is no process id", argv[at]);
    if (at + 1 < argc)
        return usage("vm", "one process at a time");
    if (v->after)
        return usage("vm", "--after goes with a program: "
                     "sancai vm -- PROGRAM");
    return vm_draw((int)pid, v);
}

int vm_main(int argc, char **argv)
{
    struct vm_options v = {.to = stdout};
    const struct option options[] = {{"--after", &v.after, NULL},
                                     {"-o", &v.file, NULL},
                                     {"--output", &v.file, NULL},
                                     {"--all", NULL, &v.all},
                                     {"--stop", NULL, &v.stop},
                                     {"--json", NULL, &v.json}};
    int code, at = args_read("vm", argc, argv, options, COUNT(options),
                             &code);
    if (at < 0)
        return code;
    if (v.file && !(v.to = fopen(v.file, "we"))) {
        complain("%s: %m", v.file);
        return EXIT_FAILURE;
    }
    return vm_words(argc, argv, at, &v);
}
