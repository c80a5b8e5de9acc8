/* trace.c: a thread that blocks every signal is held, let go, and held by
 * nobody once the process has ended.  links: os base
 */
#include "../check.h"
#include "../../src/os/os.h"
#include <pthread.h>

static _Atomic unsigned long counted;
static _Atomic int counter_tid, counter_stop;

static void *count(void *unused)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    counter_tid = gettid();
    while (!counter_stop)
        counted++;
    return NULL;
}

static pthread_t counter_start(void)
{
    pthread_t t;

    CHECK_EQ(pthread_create(&t, NULL, count, NULL), 0);
    while (!counted)
        usleep(100);
    return t;
}

/* Ends the test as skipped where no tracing is allowed. */
static struct os_held *hold(void)
{
    struct os_context *c;
    uintptr_t tp;
    struct os_held *h = os_trace_hold(counter_tid, &c, &tp);

    if (!h)
        SKIP("the system allows no tracing here");
    CHECK(c->pc && c->sp && tp);
    return h;
}

TEST(held_and_let_go)
{
    if (SIGNALS_LATE)
        SKIP("the sanitizer's own locks may be held with the thread");
    pthread_t t = counter_start();

    for (int i = 0; i < 20; i++) {
        struct os_held *h = hold();
        unsigned long before = counted;
        usleep(2000);
        CHECK_EQ(counted, before);
        os_trace_release(h);
        while (counted == before)
            usleep(100);
    }
    counter_stop = 1;
    CHECK_EQ(pthread_join(t, NULL), 0);
}

enum { NOT_HELD = 6, AS_WISHED = 7 };

static void hold_and_end(int sig)
{
    struct os_context *c;
    uintptr_t tp;

    counter_start();
    if (!os_trace_hold(counter_tid, &c, &tp))
        _exit(NOT_HELD);
    if (sig)
        kill(getpid(), sig);
    _exit(AS_WISHED);
}

/* The pipe's other end is closed when the last of the child's is: tracers share
 * its files.  Its parent can wait for it only when its threads are buried. */
static void ends_while_held(int sig)
{
    int ends[2], status = 0;
    char c;

    CHECK_EQ(pipe(ends), 0);
    pid_t p = fork();
    if (p == 0) {
        close(ends[0]);
        hold_and_end(sig);
    }
    close(ends[1]);
    CHECK_EQ(read(ends[0], &c, 1), 0);
    CHECK_EQ(waitpid(p, &status, 0), p);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HELD)
        SKIP("the system allows no tracing here");
    CHECK_EQ(status, sig ? sig : AS_WISHED << 8);
}

TEST_T(ends_by_itself, 20) { ends_while_held(0); }
TEST_T(ends_by_a_signal, 20) { ends_while_held(SIGKILL); }
