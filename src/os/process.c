/* process.c: the process as a whole, its end, and the ends of its threads.
 *
 * A thread's end is seen through a pthread key: the C library calls the
 * key's destructor on the dying thread, in up to PTHREAD_DESTRUCTOR_ITERATIONS
 * rounds, so a destructor of somebody else that calls us again may arm again
 * and ours runs in the next round.
 */
#include "os_private.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* ---- Files, without errno and without retries at the caller ------------ */

int os_open(const char *path)
{
    return (int)OS_CALL4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

long os_read(int fd, void *to, size_t n)
{
    long r;
    do
        r = OS_CALL3(SYS_read, fd, to, n);
    while (r == -EINTR);
    return r;
}

void os_close(int fd)
{
    OS_CALL1(SYS_close, fd);
}

/* All or as much as goes: there is nobody to tell that telling failed. */
void os_write_error(const char *text, size_t n)
{
    while (n > 0) {
        long r = OS_CALL3(SYS_write, 2, text, n);
        if (r == -EINTR)
            continue;
        if (r <= 0)
            return;
        text += r;
        n -= (size_t)r;
    }
}

/* ---- The process ------------------------------------------------------- */

/* Asked each time: a remembered one would be wrong after fork. */
int os_pid(void)
{
    return (int)OS_CALL1(SYS_getpid, 0);
}

bool os_secure_mode(void)
{
    return getauxval(AT_SECURE) != 0;
}

/* Sent first, then let in: it's delivered here, and not later elsewhere. */
static void abort_raise(void)
{
    uint64_t set = (uint64_t)1 << (SIGABRT - 1);
    OS_CALL3(SYS_tgkill, os_pid(), os_tid(), SIGABRT);
    OS_CALL4(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, 0, sizeof set);
}

/* abort() takes a lock, which the code that we interrupted may hold.  Like
 * it, this gives the program's handler of SIGABRT one chance. */
_Noreturn void os_abort(void)
{
    struct sigaction deadly = {.sa_handler = SIG_DFL};
    abort_raise();
    sigaction(SIGABRT, &deadly, NULL);
    abort_raise();
    for (;;)
        __builtin_trap();
}

/* Fails only for want of a few bytes at start; a fork would then be unsafe,
 * which fork's caller can't be told either. */
void os_atfork(void (*prepare)(void), void (*parent)(void),
               void (*child)(void))
{
    int saved = errno;
    pthread_atfork(prepare, parent, child);
    errno = saved;
}

/* ---- The end of a thread ----------------------------------------------- */

static pthread_key_t exit_key;

int os_exit_init(void (*fn)(void *))
{
    return pthread_key_create(&exit_key, fn);
}

/* A key above the 32nd makes the C library allocate: hence at attach, not in
 * a handler. */
int os_exit_arm(void *arg)
{
    int saved = errno;
    int e = pthread_setspecific(exit_key, arg);
    errno = saved;
    return e;
}

void os_exit_disarm(void)
{
    os_exit_arm(NULL);
}

void *os_map_given(const char *env, size_t n)
{
    const char *fd = os_secure_mode() ? NULL : getenv(env);
    if (fd == NULL)
        return NULL;
    int saved = errno;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(fd), 0);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

void os_unmap_given(void *p, size_t n)
{
    OS_CALL2(SYS_munmap, p, n);
}

void os_at_exit(void (*fn)(void)) { atexit(fn); }
