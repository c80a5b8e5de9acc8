/* links: os
 * Threads of ours, and the list of everybody's. */
#include "../check.h"
#include "../../src/os/os.h"
#include "help.h"
#include <pthread.h>
#include <sched.h>

#define MS 1000000u

static _Atomic uint32_t done, go;
static char name[16];
static sigset_t mask;
static size_t stack_size;
static int detached, tid, policy;

static void await(_Atomic uint32_t *w, uint32_t v)
{
    while (*w != v)
        os_sleep(MS);
}

static void look(void *arg)
{
    pthread_attr_t a;
    prctl(PR_GET_NAME, name);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    pthread_getattr_np(pthread_self(), &a);
    pthread_attr_getstacksize(&a, &stack_size);
    pthread_attr_getdetachstate(&a, &detached);
    pthread_attr_destroy(&a);
    tid = os_tid();
    *(int *)arg = 42;
    done = 1;
}

TEST(start)
{
    int arg = 0;
    sigset_t before, after;
    memset(&before, 0, sizeof before);
    after = before;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    errno = 77;
    CHECK_EQ(os_thread_start(look, &arg, "a name that is too long"), 0);
    CHECK_EQ(errno, 77);
    await(&done, 1);
    CHECK_EQ(arg, 42);
    CHECK_STR(name, "a name that is ");
    CHECK_EQ(detached, PTHREAD_CREATE_DETACHED);
    CHECK(stack_size >= KIB(248) && stack_size <= MIB(1));
    CHECK(tid != os_tid() && tid != os_pid());
    CHECK_EQ(os_tid(), os_pid());
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    CHECK_EQ(memcmp(&before, &after, sizeof before), 0);
}

TEST(blocks_signals)
{
    int arg;
    static const int open[] = {SIGSEGV, SIGBUS, SIGILL,
                               SIGFPE, SIGTRAP, SIGSYS};
    CHECK_EQ(os_thread_start(look, &arg, "t"), 0);
    await(&done, 1);
    int last = emulated() ? SIGRTMAX - 2 : SIGRTMAX; /* it keeps two */
    for (int s = 1; s <= last; s++) {
        bool fault = s == SIGKILL || s == SIGSTOP || (s > 31 && s < SIGRTMIN);
        for (size_t i = 0; i < COUNT(open); i++)
            fault |= s == open[i];
        if (!fault)
            CHECK(sigismember(&mask, s));
    }
    CHECK(!sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGSYS));
}

TEST(start_fails_whole)
{
    int arg = 0;
    os_fail_at(1, false);
    CHECK_EQ(os_thread_start(look, &arg, "t"), ENOMEM);
    os_sleep(5 * MS);
    CHECK_EQ(arg, 0);
}

TEST(start_refused_by_kernel)
{
    int arg = 0;
    os_thread_start(look, &arg, "t"); /* whatever a sanitizer starts too */
    await(&done, 1);
    refuse(SYS_clone3, EAGAIN);
    errno = 77;
    CHECK_EQ(os_thread_start(look, &arg, "t"), EAGAIN);
    CHECK_EQ(errno, 77);
}

static void idle(void *arg)
{
    policy = os_thread_idle_class(true) ? -1 : sched_getscheduler(0);
    *(int *)arg = os_thread_idle_class(false);
    done = 1;
}

TEST(idle_class)
{
    int back = -1;
    CHECK_EQ(os_thread_start(idle, &back, "idle"), 0);
    await(&done, 1);
    CHECK_EQ(policy, SCHED_IDLE);
    CHECK(back == 0 || (back == EPERM && geteuid() != 0));
}

/* ---- The list ---------------------------------------------------------- */

static int listed[4096];

static bool is_listed(int n, int t)
{
    for (int i = 0; i < n && i < (int)COUNT(listed); i++)
        if (listed[i] == t)
            return true;
    return false;
}

static void linger(void *arg)
{
    *(_Atomic int *)arg = os_tid();
    while (go == 0)
        os_wait(&go, 0, UINT64_MAX);
    done++;
}

TEST(list_has_all)
{
    enum { N = 100 }; /* more than fit in one read of the directory */
    static _Atomic int id[N];
    CHECK_EQ(os_thread_start(linger, (void *)&id[0], "linger"), 0);
    while (id[0] == 0) /* a sanitizer's helper comes with the first */
        os_sleep(MS);
    int base = os_threads(listed, COUNT(listed)) - 1;
    CHECK(base >= 1 && is_listed(base + 1, os_tid()));
    for (int i = 1; i < N; i++)
        CHECK_EQ(os_thread_start(linger, (void *)&id[i], "linger"), 0);
    for (int i = 0; i < N; i++)
        while (id[i] == 0)
            os_sleep(MS);
    int n = os_threads(listed, COUNT(listed));
    CHECK_EQ(n, base + N);
    for (int i = 0; i < N; i++)
        CHECK(is_listed(n, id[i]));
    listed[3] = -1;
    CHECK_EQ(os_threads(listed, 3), base + N); /* tells how many it needs */
    CHECK_EQ(listed[3], -1);
    go = 1;
    os_wake(&go, N);
    await(&done, N);
    while (os_threads(listed, COUNT(listed)) != base)
        os_sleep(MS);
}

enum { PASSING = 60, STAYING = 40 };
static _Atomic int passing[PASSING], staying[STAYING];
static _Atomic uint32_t leave, missed;

static void pass(void *arg)
{
    *(_Atomic int *)arg = os_tid();
    while (leave == 0)
        os_wait(&leave, 0, UINT64_MAX);
}

static void start_all(void (*fn)(void *), _Atomic int *ids, int n)
{
    for (int i = 0; i < n; i++)
        CHECK_EQ(os_thread_start(fn, (void *)&ids[i], "t"), 0);
    for (int i = 0; i < n; i++)
        while (ids[i] == 0)
            os_yield();
}

static void *lister(void *arg)
{
    while (done == 0) {
        int n = os_threads(listed, COUNT(listed));
        for (int i = 0; i < STAYING; i++)
            missed += !is_listed(n, staying[i]);
    }
    return arg;
}

/* Threads that end must not hide those that stay.  The list is longer than
 * one read, and the thread where the second read goes on is one that ends. */
TEST(list_while_threads_end)
{
    for (int round = 0; round < 40 && missed == 0; round++) {
        pthread_t t;
        leave = go = done = 0;
        memset((void *)passing, 0, sizeof passing);
        memset((void *)staying, 0, sizeof staying);
        start_all(pass, passing, PASSING);
        start_all(linger, staying, STAYING);
        CHECK_EQ(pthread_create(&t, NULL, lister, NULL), 0);
        os_sleep(MS);
        leave = 1;
        os_wake(&leave, PASSING);
        os_sleep(2 * MS);
        done = 1;
        pthread_join(t, NULL);
        done = 0;
        go = 1;
        os_wake(&go, STAYING);
        await(&done, STAYING);
    }
    CHECK_EQ(missed, 0);
}

static int main_tid;

static void *after_main(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        int n = os_threads(listed, COUNT(listed));
        if (is_listed(n, os_tid()) && !is_listed(n, main_tid))
            _exit(0);
        os_sleep(MS);
    }
    _exit(1);
}

TEST(list_leaves_out_dead_main)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        main_tid = os_tid();
        pthread_create(&t, NULL, after_main, NULL);
        pthread_exit(NULL);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* ---- Masks ------------------------------------------------------------- */

static _Atomic int mask_tid;

static void *mask_thread(void *arg)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, arg ? os_signal_number() : SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    mask_tid = os_tid();
    while (go == 0)
        os_wait(&go, 0, UINT64_MAX);
    return NULL;
}

static bool seen_blocked(void *arg)
{
    pthread_t t;
    mask_tid = 0;
    go = 0;
    pthread_create(&t, NULL, mask_thread, arg);
    while (mask_tid == 0)
        os_sleep(MS);
    bool b = os_thread_blocks_signal(mask_tid);
    go = 1;
    os_wake(&go, 1);
    pthread_join(t, NULL);
    return b;
}

TEST(mask_is_seen)
{
    CHECK(!os_thread_blocks_signal(os_tid()));
    CHECK(!seen_blocked(NULL));
    if (!seen_blocked(""))
        SKIP("the kernel's view of masks is an emulator's");
    CHECK(!os_thread_blocks_signal(os_tid()));
}

static void unblock(void *arg)
{
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, os_signal_number()));
    os_signal_unblock();
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    done = 1;
}

TEST(own_thread_lets_signal_through)
{
    CHECK_EQ(os_thread_start(unblock, NULL, "t"), 0);
    await(&done, 1);
    CHECK(!sigismember(&mask, os_signal_number()));
    CHECK(sigismember(&mask, SIGUSR1));
}

TEST(mask_of_nobody)
{
    errno = 77;
    CHECK(!os_thread_blocks_signal(999999999));
    CHECK_EQ(os_signal_thread(999999999), ESRCH);
    CHECK_EQ(errno, 77);
}
