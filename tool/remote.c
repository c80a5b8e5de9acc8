/* remote.c: memory of another process, read without disturbing it.
 *
 * The contents by process_vm_readv, which reads up to the first page that is
 * not there; where that call is forbidden, by /proc/PID/mem.  Which pages are
 * in memory by /proc/PID/pagemap, 8 bytes per page with bit 63 for "in memory".
 * Looking at a page map makes no page resident.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define PRESENT ((uint64_t)1 << 63)
#define ENTRIES 4096 /* of the page map at a time */

static size_t mem_read(int pid, uint64_t at, void *to, size_t n)
{
    char path[64];
    ssize_t got;
    int fd;
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    got = pread(fd, to, n, (off_t)at);
    close(fd);
    return got > 0 ? (size_t)got : 0;
}

size_t remote_read(int pid, uint64_t at, void *to, size_t n)
{
    size_t done = 0;
    while (done < n) {
        /* In pieces: the kernel limits one call, and stops at a hole. */
        size_t part = n - done < (1u << 20) ? n - done : 1u << 20;
        struct iovec local = {(char *)to + done, part};
        struct iovec there = {(void *)(uintptr_t)(at + done), part};
        ssize_t got = process_vm_readv(pid, &local, 1, &there, 1, 0);
        if (got < 0 && errno != EFAULT)
            return done + mem_read(pid, at + done, local.iov_base, part);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

int remote_refused(const struct process *p)
{
    char byte;
    for (size_t i = 0; i < p->n; i++) {
        if (p->map[i].rights[0] != 'r' || p->map[i].outside)
            continue;
        errno = 0;
        if (remote_read(p->pid, p->map[i].lo, &byte, 1) == 1)
            return 0;
        if (errno == EPERM || errno == EACCES)
            return errno;
    }
    return errno ? errno : EPERM;
}

void remote_resident(int pid, uint64_t lo, uint64_t hi,
                     void (*fn)(uint64_t page, void *), void *arg)
{
    uint64_t entry[ENTRIES], size = (uint64_t)sysconf(_SC_PAGESIZE);
    char path[64];
    int fd;
    snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && lo < hi) {
        uint64_t n = (hi - lo + size - 1) / size;
        ssize_t got = pread(fd, entry, (n < ENTRIES ? n : ENTRIES) * 8,
                            (off_t)(lo / size * 8));
        if (got < 8)
            break;
        for (ssize_t i = 0; i < got / 8; i++, lo += size)
            if (entry[i] & PRESENT)
                fn(lo, arg);
    }
    if (fd >= 0)
        close(fd);
}

static void count_page(uint64_t page, void *arg)
{
    (void)page;
    *(uint64_t *)arg += (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t remote_resident_bytes(int pid, uint64_t lo, uint64_t hi)
{
    uint64_t sum = 0;
    remote_resident(pid, lo, hi, count_page, &sum);
    return sum;
}
