/* thread.c: threads of ours, and what the kernel knows of all the others.
 *
 * Our threads run with signals blocked, so that no handler of the program
 * ever runs on them; only those that a fault raises stay open, for a sandbox
 * may answer system calls by SIGSYS and a crash reporter wants SIGSEGV.
 * The new thread inherits the mask from its creator:
 *
 *   creator:  block all -> pthread_create -> restore
 *   thread:                     take its order, name itself, run
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

/* From here up to the descriptor, which the C library puts at the upper end.
 * Where the stack begins its guard says; to ask the C library takes malloc. */
static void *stack_here(size_t *size)
{
    uintptr_t lo, hi, at = (uintptr_t)__builtin_frame_address(0);
    os_descriptor(os_thread_pointer(), &lo, &hi);
    at = align_down(at, os_page_size());
    *size = align_up(hi, os_page_size()) - at;
    return (void *)at;
}

static void *thread_main(void *p)
{
    struct order o = *(struct order *)p;
    size_t size;
    void *stack = stack_here(&size);
    os_unmap(p, os_page_size());
    OS_CALL2(SYS_prctl, PR_SET_NAME, o.name);
    os_range_add(stack, size, OS_USE_STACK, os_tid());
    os_ranges_end(); /* begun before the stack was there */
    o.fn(o.arg);
    os_range_remove(stack, size);
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

/* Between the two masks no handler runs on the creator either: no handshake
 * finds it inside the C library's lists. */
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
    os_ranges_begin();
    int e = thread_create_masked(o);
    errno = saved;
    if (e == 0)
        return 0;
    os_ranges_end();
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

/* Text for one file name; the layer that formats is above this one. */
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

/* A thread that has ended blocks nothing: sending to it tells ESRCH. */
bool os_thread_blocks_signal(int tid)
{
    char mask[32];
    if (!status_line(tid, "\nSigBlk:\t", mask, sizeof mask))
        return false;
    return hex_number(mask) >> (os_signal_number() - 1) & 1;
}

/* ---- All threads of the process ---------------------------------------- */

/* What getdents64 writes; the C library has no name for it. */
struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short size;
    unsigned char type;
    char name[];
};

struct tids {
    int *at;
    int max, found; /* found may be more than max */
    int hint;       /* where the next one is likely to be */
    int pass;
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

/* Once each.  The kernel lists in the same order each time, so what was
 * listed before is found near the last one. */
static void tids_add(struct tids *t, int tid)
{
    for (int i = 0; t->pass > 0 && i < t->found && i < t->max; i++) {
        if (t->hint >= t->found || t->hint >= t->max)
            t->hint = 0;
        if (t->at[t->hint++] == tid)
            return;
    }
    if (t->found < t->max)
        t->at[t->found] = tid;
    t->found++;
}

/* Reads the directory from its start.  False if the kernel passed over an
 * entry: it counts one in its position (after "." and ".."), and then finds
 * its thread dead. */
static bool tids_read(struct tids *t, int fd)
{
    _Alignas(struct entry) char b[OS_BUFFER];
    long n, listed = 0;
    t->hint = 0;
    OS_CALL3(SYS_lseek, fd, 0, SEEK_SET);
    while ((n = OS_CALL3(SYS_getdents64, fd, b, sizeof b)) > 0)
        for (long i = 0; i < n;) {
            const struct entry *e = (const struct entry *)(b + i);
            int tid = entry_tid(e);
            if (tid != 0) {
                tids_add(t, tid);
                listed++;
            }
            i += e->size;
        }
    return OS_CALL3(SYS_lseek, fd, 0, SEEK_CUR) == listed + 2;
}

/* Signal 0 is not sent, only checked.
 * Takes those that have ended off the list; false if there was none. */
static bool tids_drop_dead(struct tids *t)
{
    int kept = 0, pid = os_pid(), all = t->found;
    for (int i = 0; i < all; i++)
        if (OS_CALL3(SYS_tgkill, pid, t->at[i], 0) != -ESRCH)
            t->at[kept++] = t->at[i];
    t->found = kept;
    return kept < all;
}

/* A main thread that called pthread_exit stays in the list, dead, as long as
 * others live; it would never answer.  Others leave the list when they end. */
static void tids_drop_main(struct tids *t)
{
    char state[16];
    int pid = os_pid();
    if (!status_line(pid, "\nState:\t", state, sizeof state) ||
        (state[0] != 'Z' && state[0] != 'X'))
        return;
    for (int i = 0; i < t->found; i++)
        if (t->at[i] == pid)
            t->at[i--] = t->at[--t->found];
}

/* Reading a list that changes: the kernel goes on by counting when it has
 * lost its place, so each thread listed that ends in between may hide one
 * that lives.  A hidden thread would be a stack not scanned.  So a reading
 * is good only if all that it listed live still; else the next one adds to
 * it.  16 bounds the time among threads that never stop ending: what one
 * reading passes over now and then, not all of 16 do.
 * 0 when the kernel's list can't be read (no /proc). */
int os_threads(int *tids, int max)
{
    struct tids t = {.at = tids, .max = max};
    int fd = os_open("/proc/self/task");
    if (fd < 0)
        return 0;
    for (; t.pass < 16; t.pass++) {
        bool whole = tids_read(&t, fd);
        if (t.found > max)
            break; /* the caller comes back with more room */
        if (!tids_drop_dead(&t) && whole)
            break;
    }
    os_close(fd);
    if (t.found <= max)
        tids_drop_main(&t);
    return t.found;
}
