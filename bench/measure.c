/* measure.c: runs one command and says what it took.
 *
 *   measure SECONDS COMMAND ARG...     the command's output goes through
 *   -> on descriptor 3:  wall_ns=N cpu_ns=N rss_kb=N status=N
 *
 * BENCH_PRELOAD in the environment is the command's LD_PRELOAD, and not ours.
 *
 * The kernel tells the peak memory of a process that has ended; as a child
 * starts with the peak of whoever started it, the measuring process must be
 * small, which is why this is a program of its own.  After SECONDS the
 * command is killed, so that one that hangs ends the comparison's patience,
 * not the user's.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPORT_FD = 3 };

static volatile pid_t child;

static void on_alarm(int sig)
{
    if (child > 0)
        kill(child, SIGKILL);
}

static uint64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t timeval_ns(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000;
}

/* As a shell counts: the exit status, or 128 and the signal. */
static int status_of(int raw)
{
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

static _Noreturn void become(char **argv)
{
    const char *preload = getenv("BENCH_PRELOAD");
    close(REPORT_FD);
    if (preload && setenv("LD_PRELOAD", preload, 1))
        _exit(127);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    struct rusage u;
    int raw = 0;
    if (argc < 3) {
        fputs("measure SECONDS COMMAND ARG... 3>FILE\n", stderr);
        return 2;
    }
    signal(SIGALRM, on_alarm);
    uint64_t start = wall_ns();
    child = fork();
    if (child < 0) {
        perror("fork");
        return 1;
    }
    if (!child)
        become(argv + 2);
    alarm((unsigned)atoi(argv[1]));
    while (wait4(child, &raw, 0, &u) < 0 && errno == EINTR)
        ;
    dprintf(REPORT_FD,
            "wall_ns=%" PRIu64 " cpu_ns=%" PRIu64 " rss_kb=%ld status=%d\n",
            wall_ns() - start,
            timeval_ns(u.ru_utime) + timeval_ns(u.ru_stime), u.ru_maxrss,
            status_of(raw));
    return status_of(raw);
}
