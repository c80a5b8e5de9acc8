/* threads.c: which mappings are stacks of threads.
 *
 *   /proc/PID/task/TID/syscall   "NR args... SP PC" of a thread that waits in
 *                                the kernel; "running" of one that does not
 *
 * The mapping that holds a thread's stack pointer is its stack, and the
 * inaccessible one below is the guard.  Threads that run have no stack
 * pointer to be read; after a few tries their stacks are guessed: anonymous
 * memory right above a small guard, which is marked as a guess.
 *
 * The library lists the stacks of its own threads, so that these are known.
 */
#include "tool.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 3
#define PAUSE_US 500
#define GUARD_MAX (1u << 20) /* larger gaps are reservations */
#define STACK_MIN (16u << 10) /* the least that POSIX threads may have */

/* The stack pointer of a waiting thread; 0 of a running one. */
static uint64_t stack_pointer(int pid, int tid)
{
    char path[64], line[512] = "";
    unsigned long long sp = 0;
    FILE *f;
    char *space;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, tid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    if (!fgets(line, sizeof line, f))
        line[0] = 0;
    fclose(f);
    /* The last word but one; blocked outside of a call there are just three:
     * "-1 SP PC". */
    space = strrchr(line, ' ');
    if (!space)
        return 0;
    *space = 0;
    space = strrchr(line, ' ');
    if (space)
        sp = strtoull(space + 1, NULL, 16);
    return sp;
}

/* The C library puts it below the stack, in the same mmap. */
static bool guard_below(const struct process *p, const struct mapping *m)
{
    return m > p->map && m[-1].hi == m->lo && m[-1].rights[0] == '-'
        && m[-1].hi - m[-1].lo <= GUARD_MAX
        && m[-1].region == REGION_NO_ACCESS;
}

/* tid 0: of a thread that we don't know. */
static void stack_mark(struct process *p, struct mapping *m, int tid,
                       bool guess)
{
    m->region = REGION_THREAD_STACK;
    m->detail = (uint32_t)tid;
    m->guess = guess;
    if (guard_below(p, m)) {
        m[-1].region = REGION_THREAD_STACK;
        m[-1].detail = (uint32_t)tid;
        m[-1].guess = guess;
    }
}

/* False if the thread ran whenever we looked. */
static bool thread_find(struct process *p, int tid)
{
    struct mapping *m = NULL;
    uint64_t sp;
    for (int i = 0; i < TRIES && !m; i++) {
        if (i > 0)
            usleep(PAUSE_US);
        sp = stack_pointer(p->pid, tid);
        m = sp ? map_at(p, sp) : NULL;
    }
    if (m && m->region == REGION_ANON)
        stack_mark(p, m, tid, false);
    return m != NULL;
}

/* Marks up to n mappings that look like stacks. */
static void threads_guess(struct process *p, int n)
{
    for (size_t i = 0; i < p->n && n > 0; i++) {
        struct mapping *m = &p->map[i];
        if (m->region == REGION_ANON && map_writable(m)
            && m->hi - m->lo >= STACK_MIN && guard_below(p, m)) {
            stack_mark(p, m, 0, true);
            n--;
        }
    }
}

/* The guards below stacks that the library listed. */
static void guards_mark(struct process *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct mapping *m = &p->map[i];
        if (m->region == REGION_METADATA && m->detail == SC_METADATA_STACK
            && guard_below(p, m)) {
            m[-1].region = REGION_METADATA;
            m[-1].detail = SC_METADATA_STACK;
        }
    }
}

void threads_mark(struct process *p, const struct heap *h)
{
    char path[64];
    struct dirent *e;
    int lost = 0;
    DIR *d;
    guards_mark(p);
    snprintf(path, sizeof path, "/proc/%d/task", p->pid);
    d = opendir(path);
    if (!d)
        return;
    while ((e = readdir(d)) != NULL) {
        int tid = atoi(e->d_name);
        /* The kernel names the main thread's stack itself. */
        if (tid > 0 && tid != p->pid && !range_thread(&h->ranges, tid)
            && !thread_find(p, tid))
            lost++;
    }
    closedir(d);
    threads_guess(p, lost);
}
