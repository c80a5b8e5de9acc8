/* thread.c: threads of ours, and what the kernel knows of all the others.
 *
 * Our threads run with signals blocked, so that no handler of the program
 * ever runs on them; only those that a fault raises stay open, for a sandbox
 * may answer system calls by SIGSYS and a crash reporter wants SIGSEGV.
 * The new thread inherits the mask from its creator:
 *
 *   creator:  block all -> pthread_create -> restore
 *   thread:                     name itself, take its order, run
 *
 * The order is handed over in a page of its own that the thread unmaps: the
 * creator doesn't wait, and nothing is taken from malloc by us (pthread_create
 * itself does take its descriptor's vectors from there).
 */
#include "os_private.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* Enough for marking, which keeps its work in its own lists, and for a
 * trace function of the program's. */
#define STACK_SIZE KIB(256)
/* A program with large thread-local arrays needs more: they come off the
 * stack's size.  Doubled up to this. */
#define STACK_MOST MIB(64)

struct order {
    void (*fn)(void *);
    void *arg;
    char name[16]; /* the kernel keeps 15 characters */
};

static void *thread_main(void *p)
{
    struct order o = *(struct order *)p;
    os_unmap(p, os_page_size());
    OS_CALL2(SYS_prctl, PR_SET_NAME, o.name);
    o.fn(o.arg);
    return NULL;
}

/* Creates with the smallest stack that the C library accepts. */
static int thread_create(struct order *o)
{
    pthread_attr_t attr;
    pthread_t t;
    int e = pthread_attr_init(&attr);
    if (e != 0)
        return e;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (size_t size = STACK_SIZE; size <= STACK_MOST; size *= 2) {
        e = pthread_attr_setstacksize(&attr, size);
        if (e == 0)
            e = pthread_create(&t, &attr, thread_main, o);
        if (e != EINVAL)
            break;
    }
    pthread_attr_destroy(&attr);
    return e;
}

static int thread_create_masked(struct order *o)
{
    static const int fault[] = {SIGSEGV, SIGBUS, SIGILL,
                                SIGFPE, SIGTRAP, SIGSYS};
    sigset_t all, old;
    sigfillset(&all);
    for (size_t i = 0; i < COUNT(fault); i++)
        sigdelset(&all, fault[i]);
    int e = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (e != 0)
        return e;
    e = thread_create(o);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return e;
}

int os_thread_start(void (*fn)(void *), void *arg, const char *name)
{
    struct order *o = os_map(os_page_size());
    if (o == NULL)
        return ENOMEM;
    o->fn = fn;
    o->arg = arg;
    for (size_t i = 0; i + 1 < sizeof o->name && name[i] != 0; i++)
        o->name[i] = name[i];
    int saved = errno;
    int e = thread_create_masked(o);
    errno = saved;
    if (e != 0)
        os_unmap(o, os_page_size());
    return e;
}

/* Without privileges the kernel lets a thread in, but not out again. */
int os_thread_idle_class(bool on)
{
    struct sched_param p = {.sched_priority = 0};
    return -(int)OS_CALL3(SYS_sched_setscheduler, 0,
                          on ? SCHED_IDLE : SCHED_OTHER, &p);
}

int os_tid(void)
{
    return (int)OS_CALL1(SYS_gettid, 0);
}

/* ---- What the kernel says of one thread -------------------------------- */

static char *append(char *to, const char *text)
{
    while (*text != 0)
        *to++ = *text++;
    *to = 0;
    return to;
}

static char *append_number(char *to, unsigned n)
{
    if (n >= 10)
        to = append_number(to, n / 10);
    *to++ = (char)('0' + n % 10);
    *to = 0;
    return to;
}

static int open_status(int tid)
{
    char path[48];
    char *p = append(path, "/proc/self/task/");
    append(append_number(p, (unsigned)tid), "/status");
    return os_open(path);
}

/* Copies the rest of the line that starts with key ("\nName:\t", never the
 * first line) to value, ended by 0; false if there is no such line. */
static bool status_line(int tid, const char *key, char *value, size_t size)
{
    char b[OS_BUFFER / 2];
    size_t matched = 0, have = 0;
    int fd = open_status(tid);
    long n = 0;
    bool done = fd < 0;
    while (!done && (n = os_read(fd, b, sizeof b)) > 0)
        for (long i = 0; i < n && !done; i++) {
            if (key[matched] != 0)
                matched = b[i] == key[matched] ? matched + 1 : b[i] == '\n';
            else if (b[i] == '\n' || have + 1 == size)
                done = true;
            else
                value[have++] = b[i];
        }
    value[have] = 0;
    if (fd >= 0)
        os_close(fd);
    return have > 0;
}

static uint64_t hex_number(const char *c)
{
    uint64_t n = 0;
    for (; *c != 0; c++)
        n = n << 4 | (uint64_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
    return n;
}

bool os_thread_blocks_signal(int tid)
{
    char mask[32];
    if (!status_line(tid, "\nSigBlk:\t", mask, sizeof mask))
        return false;
    return hex_number(mask) >> (os_signal_number() - 1) & 1;
}

/* ---- All threads of the process ---------------------------------------- */

/* A main thread that called pthread_exit stays in the list, dead, as long as
 * others live; it would never answer.  Others leave the list when they end.
 * A list that was too long for the caller is left alone: it asks again. */
static int leave_zombie(int *tids, int found, int max)
{
    char state[16];
    int pid = os_pid();
    if (found > max ||
        !status_line(pid, "\nState:\t", state, sizeof state) ||
        (state[0] != 'Z' && state[0] != 'X'))
        return found;
    for (int i = 0; i < found; i++)
        if (tids[i] == pid) {
            tids[i] = tids[found - 1];
            return found - 1;
        }
    return found;
}

/* What getdents64 writes; the C library has no name for it. */
struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* Thread id that an entry names; 0 for "." and "..". */
static int entry_tid(const struct entry *e)
{
    int tid = 0;
    for (const char *c = e->name; *c != 0; c++) {
        if (*c < '0' || *c > '9')
            return 0;
        tid = tid * 10 + (*c - '0');
    }
    return tid;
}

/* Threads by the kernel's count: each is a link to the directory, and "."
 * and ".." are two more.  -1 if it doesn't say. */
static int task_count(int fd)
{
    struct statx s;
    if (OS_CALL6(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_NLINK, &s, 0) != 0)
        return -1;
    return s.stx_nlink > 2 ? (int)s.stx_nlink - 2 : -1;
}

/* One pass over the directory, from its start. */
static int task_list(int fd, int *tids, int max)
{
    _Alignas(struct entry) char b[OS_BUFFER];
    int found = 0;
    long n;
    OS_CALL3(SYS_lseek, fd, 0, SEEK_SET);
    while ((n = OS_CALL3(SYS_getdents64, fd, b, sizeof b)) > 0)
        for (long at = 0; at < n;) {
            const struct entry *e = (const struct entry *)(b + at);
            int tid = entry_tid(e);
            if (tid != 0 && found++ < max)
                tids[found - 1] = tid;
            at += e->size;
        }
    return found;
}

/* The kernel finds its place again by the last thread it listed; when that
 * one has ended in between it counts, and may pass over a living one.  Hence
 * the comparison with its own count, and another pass: 8 lost races in a row
 * are a program that starts and ends threads all the time, and its next list
 * is wrong anyway by the time it is read.
 * 0 when the kernel's list can't be read (no /proc). */
int os_threads(int *tids, int max)
{
    int found = 0, fd = os_open("/proc/self/task");
    if (fd < 0)
        return 0;
    for (int pass = 0; pass < 8; pass++) {
        int listed = task_list(fd, tids, max), count = task_count(fd);
        found = listed;
        if (count < 0 || listed >= count)
            break;
    }
    os_close(fd);
    return leave_zombie(tids, found, max);
}
