/* child.c: a program that we start, watch and wait for.
 *
 *   we                           the program
 *   child_start   fork --------> waits on the gate
 *                 (seize)
 *                 open gate ---> execve; its failure comes back by a pipe
 *   child_wait    <------------- SIGCHLD      | sleeping in sigtimedwait,
 *                 INT, TERM ---> passed on    | all these signals blocked
 *   child_wait    <------------- about to end (only if traced)
 *
 * Tracing serves one thing: to look at a program's memory in its last moment.
 * The tracee is seized without stopping it, its signals pass through, and
 * when tracing is refused (a sandbox) everything else works as before.
 *
 * From a terminal, control-C reaches the program by itself, since it is in
 * our process group; only signals that somebody sent to us are passed on.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1,
                                SIGUSR2};
static sigset_t watched, mask_before;
static struct sigaction chld_before;

/* An ignored SIGCHLD (inherited from some supervisors) would take the exit
 * status away from us. */
static void signals_take(void)
{
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    for (size_t i = 0; i < COUNT(passed_on); i++)
        sigaddset(&watched, passed_on[i]);
    sigprocmask(SIG_BLOCK, &watched, &mask_before);
    sigaction(SIGCHLD, &normal, &chld_before);
}

/* The program must not notice us: it gets what we were given. */
static void signals_restore(void)
{
    sigaction(SIGCHLD, &chld_before, NULL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

/* In the new process: the gate opens, or closes because our parent died. */
static _Noreturn void child_become(char **argv, int gate, int failed)
{
    char go;
    int error;
    if (read(gate, &go, 1) != 1)
        _exit(1);
    signals_restore();
    execvp(argv[0], argv);
    error = errno;
    if (write(failed, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

/* A traced program stopped: let it go on.  True if it is about to end. */
static bool child_stopped(struct child *c, int how)
{
    int sig = WSTOPSIG(c->status), event = c->status >> 16;
    if (event == PTRACE_EVENT_EXIT)
        return true;
    if (event == PTRACE_EVENT_STOP) {
        bool group = sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN
                  || sig == SIGTTOU;
        if (group && how == PTRACE_CONT)
            how = PTRACE_LISTEN; /* it stays stopped until continued */
        sig = 0;
    }
    ptrace(how, c->pid, 0, sig);
    return false;
}

/* What became of the child, if anything. */
static bool child_changed(struct child *c, enum child_event *event)
{
    while (wait4(c->pid, &c->status, WNOHANG, &c->usage) == c->pid) {
        if (!WIFSTOPPED(c->status)) {
            c->end_ns = now_ns();
            *event = CHILD_ENDED;
            return true;
        }
        if (child_stopped(c, PTRACE_CONT)) {
            *event = CHILD_EXITING;
            return true;
        }
    }
    return false;
}

/* Waits for one watched signal; false when the deadline has come. */
static bool child_signal(struct child *c, uint64_t deadline_ns)
{
    siginfo_t info;
    uint64_t now = now_ns();
    uint64_t left = now < deadline_ns ? deadline_ns - now : 0;
    struct timespec t = {(time_t)(left / 1000000000u),
                         (long)(left % 1000000000u)};
    int sig = deadline_ns == UINT64_MAX
            ? sigwaitinfo(&watched, &info)
            : sigtimedwait(&watched, &info, &t);
    if (sig > 0 && sig != SIGCHLD && info.si_code != SI_KERNEL)
        kill(c->pid, sig);
    return sig > 0 || errno != EAGAIN;
}

enum child_event child_wait(struct child *c, uint64_t deadline_ns)
{
    enum child_event event = CHILD_TIME;
    if (c->end_ns)
        return CHILD_ENDED;
    /* Held at its exit by an earlier call: now it may go. */
    if (c->traced && c->status >> 16 == PTRACE_EVENT_EXIT) {
        ptrace(PTRACE_DETACH, c->pid, 0, 0);
        c->traced = false;
        c->status = 0;
    }
    while (!child_changed(c, &event))
        if (!child_signal(c, deadline_ns))
            return CHILD_TIME;
    return event;
}

/* The pipe ends at a good execve; before a failed one it says why.  A signal
 * that hits a tracee on its way there stops it, hence the look now and
 * then. */
static void child_report(struct child *c, int failed, int *error)
{
    struct pollfd p = {.fd = failed, .events = POLLIN};
    enum child_event event = CHILD_TIME;
    while (poll(&p, 1, 10) == 0 && !child_changed(c, &event))
        ;
    bool refused = event == CHILD_TIME
                && read(failed, error, sizeof *error) == sizeof *error;
    close(failed);
    while (refused && child_wait(c, UINT64_MAX) != CHILD_ENDED)
        ;
}

int child_start(struct child *c, char **argv, bool traced)
{
    int gate[2], failed[2], error = 0;
    if (pipe2(gate, O_CLOEXEC) != 0 || pipe2(failed, O_CLOEXEC) != 0)
        return errno;
    signals_take();
    fflush(NULL);
    *c = (struct child){.start_ns = now_ns()};
    c->pid = fork();
    if (c->pid < 0)
        return errno;
    if (c->pid == 0) {
        close(gate[1]);
        child_become(argv, gate[0], failed[1]);
    }
    close(gate[0]);
    close(failed[1]);
    if (traced)
        c->traced = ptrace(PTRACE_SEIZE, c->pid, 0, PTRACE_O_TRACEEXIT) == 0;
    if (write(gate[1], "", 1) != 1)
        error = errno;
    close(gate[1]);
    child_report(c, failed[0], &error);
    return error;
}

bool child_untrace(struct child *c)
{
    if (!c->traced)
        return false;
    ptrace(PTRACE_INTERRUPT, c->pid, 0, 0);
    /* It stops within one system call; if it ended meanwhile, the status
     * stays for child_wait. */
    siginfo_t info;
    if (waitid(P_PID, (id_t)c->pid, &info, WSTOPPED | WEXITED | WNOWAIT) != 0
        || info.si_code == CLD_EXITED || info.si_code == CLD_KILLED
        || info.si_code == CLD_DUMPED)
        return false;
    if (waitpid(c->pid, &c->status, WUNTRACED) != c->pid)
        return false;
    if (child_stopped(c, PTRACE_DETACH))
        return true;
    c->traced = false;
    return false;
}

/* As shells count. */
int child_exit_code(const struct child *c)
{
    if (WIFSIGNALED(c->status))
        return 128 + WTERMSIG(c->status);
    return WEXITSTATUS(c->status);
}

int child_refused(const char *program, int error)
{
    static const char *const why[] = {"no such program", "can't be executed"};
    bool found = error != ENOENT && error != ENOTDIR;
    errno = error;
    complain("%s: %s (%m)", program, why[found]);
    return found ? 126 : 127;
}
