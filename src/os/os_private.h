/* os_private.h: what the rooms of the os layer share and nobody else sees.
 *
 * A room calls the kernel through os_call: the answer is the value or a
 * negative errno, and the caller's errno stays as it was.  That makes a room
 * usable in a signal handler without further thought.
 */
#ifndef SC_OS_PRIVATE_H
#define SC_OS_PRIVATE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "os.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

INLINE long os_call(long n, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long r = syscall(n, a, b, c, d, e, f);
    if (r == -1)
        r = -errno;
    errno = saved;
    return r;
}
#define OS_CALL1(n, a) os_call((n), (long)(a), 0, 0, 0, 0, 0)
#define OS_CALL2(n, a, b) os_call((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define OS_CALL3(n, a, b, c) \
    os_call((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define OS_CALL4(n, a, b, c, d) \
    os_call((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define OS_CALL6(n, a, b, c, d, e, f) \
    os_call((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
            (long)(f))

/* Bytes of a stack buffer: handlers may run on stacks of 16 KiB. */
#define OS_BUFFER 1024

/* ---- memory.c, ranges.c ------------------------------------------------ */

/* As os_map and os_unmap, but neither listed nor made to fail. [signal] */
void *os_map_unlisted(size_t size);
void os_unmap_unlisted(void *p, size_t size);
/* Around changes of mappings that are listed; may be nested. */
void os_ranges_begin(void);
void os_ranges_end(void);
void os_range_add(const void *p, size_t size, uint32_t use, int thread);
void os_range_remove(const void *p, size_t size); /* or a part of it */
void os_range_use(const void *p, uint32_t use);

/* ---- process.c --------------------------------------------------------- */

int os_open(const char *path);                    /* or -errno [signal] */
long os_read(int fd, void *to, size_t n);         /* or -errno [signal] */
void os_close(int fd);                            /* [signal] */

/* ---- modules.c --------------------------------------------------------- */

/* One module with thread-local storage: its number in the thread's vector
 * of blocks, and the block's size. */
struct os_tls_module {
    size_t number, size;
};
/* The list taken stock of; valid until the stock is taken twice more. */
const struct os_tls_module *os_tls_modules(size_t *n); /* [signal] */

/* ---- tls.c ------------------------------------------------------------- */

/* Asks the C library for its layout of a thread, once.  Takes the loader's
 * big lock, which a thread holds while it runs a library's constructors; so
 * os_signal_init calls this on the thread that first needs us, lest that one
 * wait in a constructor for a collector that waits for the lock. */
void os_tls_find(void);

#endif
