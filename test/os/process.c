/* links: os
 * Error text, abort, fork, and the ends of threads. */
#include "../check.h"
#include "../../src/os/os.h"
#include <pthread.h>
#include <sys/prctl.h>

static int child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        fn();
        _exit(9);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

TEST(write_error)
{
    int fd[2];
    char b[40] = "";
    CHECK_EQ(pipe(fd), 0);
    int old = dup(2);
    dup2(fd[1], 2);
    os_write_error("one line\n", 9);
    dup2(old, 2);
    CHECK_EQ(read(fd[0], b, sizeof b), 9);
    CHECK_STR(b, "one line\n");
}

static void write_closed(void)
{
    close(2);
    errno = 77;
    os_write_error("lost", 4);
    _exit(errno == 77 ? 0 : 1);
}

TEST(write_error_when_closed)
{
    CHECK_EQ(child(write_closed), 0);
}

static void abort_plain(void)
{
    os_abort();
}

static void abort_blocked(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    os_abort();
}

static void abort_ignored(void)
{
    signal(SIGABRT, SIG_IGN);
    os_abort();
}

static void say_bye(int sig)
{
    _exit(5);
}

static void abort_handled(void)
{
    signal(SIGABRT, say_bye);
    os_abort();
}

TEST(abort_kills)
{
    void (*how[])(void) = {abort_plain, abort_blocked, abort_ignored};
    for (size_t i = 0; i < COUNT(how); i++) {
        int status = child(how[i]);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), SIGABRT);
    }
}

TEST(abort_lets_handler_run)
{
    CHECK_EQ(WEXITSTATUS(child(abort_handled)), 5);
}

TEST(ids)
{
    CHECK_EQ(os_pid(), getpid());
    CHECK_EQ(os_tid(), gettid());
    CHECK(!os_secure_mode());
}

/* ---- fork -------------------------------------------------------------- */

static int prepared, in_parent, in_child;
static void on_prepare(void)
{
    prepared++;
}
static void on_parent(void)
{
    in_parent++;
}
static void on_child(void)
{
    in_child++;
}
static void fork_seen(void)
{
    _exit(prepared == 1 && in_parent == 0 && in_child == 1 &&
                  os_pid() == getpid() && os_tid() == gettid()
              ? 0
              : 1);
}

TEST(atfork)
{
    os_atfork(on_prepare, on_parent, on_child);
    CHECK_EQ(child(fork_seen), 0);
    CHECK_EQ(prepared, 1);
    CHECK_EQ(in_parent, 1);
    CHECK_EQ(in_child, 0);
}

/* ---- The end of a thread ----------------------------------------------- */

static int ended[4], value[4];
static pthread_key_t other;

static void on_end(void *arg)
{
    ended[(int *)arg - value]++;
}

static void *end_armed(void *arg)
{
    CHECK_EQ(os_exit_arm(arg), 0);
    CHECK_EQ(ended[(int *)arg - value], 0);
    return NULL;
}

static void *end_disarmed(void *arg)
{
    os_exit_arm(arg);
    os_exit_disarm();
    return NULL;
}

static void other_end(void *arg)
{
    CHECK_EQ(os_exit_arm(arg), 0);
}

static void *end_other(void *arg)
{
    os_exit_arm(arg);
    pthread_setspecific(other, arg);
    return NULL;
}

static void run(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
    pthread_join(t, NULL);
}

TEST(thread_end_is_seen)
{
    CHECK_EQ(os_exit_init(on_end), 0);
    run(end_armed, &value[0]);
    CHECK_EQ(ended[0], 1);
    run(end_disarmed, &value[1]);
    CHECK_EQ(ended[1], 0);
}

/* Another library's destructor calls us after ours ran: once more. */
TEST(thread_end_rearmed)
{
    CHECK_EQ(os_exit_init(on_end), 0);
    CHECK_EQ(pthread_key_create(&other, other_end), 0);
    run(end_other, &value[2]);
    CHECK_EQ(ended[2], 2);
}
