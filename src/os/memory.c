/* memory.c: the four states of address space, made of mmap and mprotect.
 *
 *   reserved  PROT_NONE, private, no swap set aside
 *   ready     the same mapping made readable and writable
 *
 * A reservation of a big alignment is cut out of a larger one:
 *
 *   mmap:   |-----------------size + align-----------------|
 *   kept:        |<- aligned ------ size -->|
 *   undone: |----|                          |--------------|
 *
 * First the exact size is tried, at the hint and then at the aligned place
 * just below what the kernel chose instead (it works its way down): under an
 * address-space limit the larger one might fail though the exact one fits.
 *
 * Every call that can run out of memory counts itself, so that a test can
 * make the k-th one fail.  No locks.
 */
#include "os_private.h"
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#define RESERVE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* ---- Fault injection --------------------------------------------------- */

/* Always there, not only in test builds: two relaxed operations beside a
 * system call cost nothing, and the code that is tested is the code that is
 * shipped. */
static struct {
    _Atomic uint64_t calls; /* made so far */
    _Atomic uint64_t first; /* number of the call that fails; 0 is none */
    _Atomic bool every;     /* and all calls after it */
} fault;

void os_fail_at(uint64_t k, bool every)
{
    store_relaxed(&fault.first, 0); /* off while `every` changes */
    store_relaxed(&fault.every, every);
    store_release(&fault.first, k ? load_relaxed(&fault.calls) + k : 0);
}

uint64_t os_memory_calls(void)
{
    return load_relaxed(&fault.calls);
}

static bool fault_now(void)
{
    uint64_t call = add_relaxed(&fault.calls, 1) + 1;
    uint64_t first = load_acquire(&fault.first);
    if (likely(first == 0 || call < first))
        return false;
    return call == first || load_relaxed(&fault.every);
}

/* ---- Reserve and release ----------------------------------------------- */

/* The library's own mmap, not the bare call: sanitizers follow it. */
static void *memory_map(uintptr_t at, size_t size, int prot, int flags)
{
    int saved = errno;
    void *p = mmap((void *)at, size, prot, flags, -1, 0);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

/* Can fail only where the kernel must split a mapping and has reached its
 * limit of mappings; then the range stays reserved, which harms nobody. */
static void memory_unmap(uintptr_t p, size_t size)
{
    int saved = errno;
    if (size != 0)
        munmap((void *)p, size);
    errno = saved;
}

/* Begun by the caller, before it asked the kernel. */
static void *listed(void *p, size_t size)
{
    if (p != NULL)
        os_range_add(p, size, OS_USE_NONE, 0);
    os_ranges_end();
    return p;
}

/* Off the list first: once it is unmapped others may have it. */
static void unlist_and_unmap(void *p, size_t size)
{
    if (size == 0)
        return;
    os_ranges_begin();
    os_range_remove(p, size);
    memory_unmap((uintptr_t)p, size);
    os_ranges_end();
}

/* The last resort, which always succeeds if there is room for both. */
static void *reserve_trimmed(size_t size, size_t align, uintptr_t hint)
{
    size_t total;
    if (__builtin_add_overflow(size, align, &total))
        return NULL;
    uintptr_t p = (uintptr_t)memory_map(hint, total, PROT_NONE, RESERVE_FLAGS);
    if (p == 0)
        return NULL;
    uintptr_t start = align_up(p, align);
    memory_unmap(p, start - p);
    memory_unmap(start + size, p + total - (start + size));
    return (void *)start;
}

void *os_reserve(size_t size, size_t align, uintptr_t hint)
{
    if (fault_now() || size == 0)
        return NULL;
    os_ranges_begin();
    uintptr_t at = align_down(hint, align);
    for (int tries = 0; tries < 2; tries++) {
        void *p = memory_map(at, size, PROT_NONE, RESERVE_FLAGS);
        if (p == NULL || ((uintptr_t)p & (align - 1)) == 0)
            return listed(p, size);
        memory_unmap((uintptr_t)p, size);
        at = align_down((uintptr_t)p, align);
    }
    return listed(reserve_trimmed(size, align, align_down(hint, align)), size);
}

void os_unreserve(void *p, size_t size)
{
    unlist_and_unmap(p, size);
}

/* ---- Ready and back ---------------------------------------------------- */

/* Where the kernel keeps strict account of memory (overcommit 2) this is the
 * call that is refused; elsewhere only a limit on mappings or on address
 * space refuses. */
int os_commit(void *p, size_t size)
{
    if (fault_now())
        return ENOMEM;
    int saved = errno, e = 0;
    if (mprotect(p, size, PROT_READ | PROT_WRITE) != 0)
        e = errno;
    errno = saved;
    return e;
}

/* A fresh mapping over the old one drops contents and commit charge at
 * once, which PROT_NONE and MADV_DONTNEED would not. */
int os_decommit(void *p, size_t size)
{
    int saved = errno, e = 0;
    if (mmap(p, size, PROT_NONE, RESERVE_FLAGS | MAP_FIXED, -1, 0) != p)
        e = errno;
    errno = saved;
    return e;
}

/* DONTNEED rather than FREE: what it takes is seen at once in the process's
 * size, which the memory limit is held against. */
int os_discard(void *p, size_t size)
{
    int saved = errno, e = 0;
    if (madvise(p, size, MADV_DONTNEED) != 0)
        e = errno;
    errno = saved;
    return e;
}

void *os_map(size_t size)
{
    if (fault_now() || size == 0)
        return NULL;
    os_ranges_begin();
    return listed(os_map_unlisted(size), size);
}

void os_unmap(void *p, size_t size)
{
    unlist_and_unmap(p, size);
}

void *os_map_unlisted(size_t size)
{
    return memory_map(0, size, PROT_READ | PROT_WRITE, RESERVE_FLAGS);
}

void os_unmap_unlisted(void *p, size_t size)
{
    memory_unmap((uintptr_t)p, size);
}

/* Linux 5.17 and later, if built in: failing is the usual case. */
void os_name(void *p, size_t size, const char *name, enum os_use use)
{
    os_range_use(p, use);
    OS_CALL6(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, size, name, 0);
}

/* ---- How much there is ------------------------------------------------- */

size_t os_page_size(void)
{
    static _Atomic size_t known;
    size_t n = load_relaxed(&known);
    if (unlikely(n == 0)) {
        n = (size_t)sysconf(_SC_PAGESIZE);
        store_relaxed(&known, n);
    }
    return n;
}

uint64_t os_physical_memory(void)
{
    struct sysinfo s;
    if (OS_CALL1(SYS_sysinfo, &s) != 0)
        return 0;
    return (uint64_t)s.totalram * s.mem_unit;
}

/* The i-th number of statm, in bytes: 0 is address space in use, 1 what of it
 * is resident. */
static size_t statm(int i)
{
    char b[128]; /* seven numbers of at most 16 digits */
    int fd = os_open("/proc/self/statm");
    if (fd < 0)
        return 0;
    long n = os_read(fd, b, sizeof b), at = 0;
    os_close(fd);
    size_t pages = 0;
    for (; i > 0 && at < n; at++)
        i -= b[at] == ' ';
    for (; at < n && b[at] >= '0' && b[at] <= '9'; at++)
        pages = pages * 10 + (size_t)(b[at] - '0');
    return pages * os_page_size();
}

uint64_t os_resident(void)
{
    return statm(1);
}

size_t os_address_space_left(void)
{
    struct { uint64_t soft, hard; } limit;
    if (OS_CALL4(SYS_prlimit64, 0, RLIMIT_AS, 0, &limit) != 0 ||
        limit.soft == ~(uint64_t)0)
        return SIZE_MAX;
    size_t used = statm(0);
    return used < limit.soft ? limit.soft - used : 0;
}

/* ---- Memory that may be gone ------------------------------------------- */

/* Waits for no time at all on a word there: to compare it the kernel must
 * read it, and says EFAULT if it can't.  Every sandbox lets a futex pass. */
static bool page_readable(uintptr_t a)
{
    struct timespec none = {0, 0};
    return OS_CALL4(SYS_futex, align_down(a, 4), FUTEX_WAIT_PRIVATE, 0,
                    &none) != -EFAULT;
}

/* By bytes, from page to page; between the question and the copy the page may
 * still go, which the kernel's own copy doesn't suffer from. */
RACY static size_t read_by_pages(char *to, uintptr_t from, size_t n)
{
    size_t done = 0;
    while (done < n && page_readable(from + done)) {
        uintptr_t a = from + done;
        size_t part = align_down(a, os_page_size()) + os_page_size() - a;
        for (part = min_size(part, n - done); part > 0; part--, done++)
            to[done] = *(const volatile char *)(from + done);
    }
    return done;
}

/* The call is meant for debuggers; some sandboxes refuse it, even on
 * oneself. */
size_t os_read_memory(void *to, const void *from, size_t n)
{
    struct iovec dst = {to, n}, src = {(void *)(uintptr_t)from, n};
    long r = OS_CALL6(SYS_process_vm_readv, os_pid(), &dst, 1, &src, 1, 0);
    if (r == -ENOSYS || r == -EPERM)
        return read_by_pages(to, (uintptr_t)from, n);
    return r < 0 ? 0 : (size_t)r;
}
