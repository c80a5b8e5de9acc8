/* backtrace.c: who called, and what a code address is called.
 *
 *   0x7f12a4c2951a  --/proc/self/maps-->  libfoo.so+0x2951a
 *                                         what addr2line -e libfoo.so takes
 *
 * The walk over the stack is the C library's, which loads a library of the
 * compiler's at the first call and allocates then: so that call is made where
 * allocating is allowed, and there are no frames before it.  A static program
 * without it has none at all.
 *
 * Names are read from the kernel's list of mappings, line by line: no locks of
 * the loader, so this works in a handler too.  A module begins at its mapping
 * of offset 0; a program that is not position-independent shows addresses that
 * are relative to its first page all the same.
 */
#include "os_private.h"

extern int backtrace(void **to, int n) __attribute__((weak));

static _Atomic bool ready;

void os_backtrace_prepare(void)
{
    void *one[1];
    int saved = errno;
    if (backtrace && backtrace(one, 1) > 0)
        store_release(&ready, true);
    errno = saved;
}

int os_backtrace(void **to, int n)
{
    int saved = errno, got = 0;
    if (load_acquire(&ready))
        got = backtrace(to, n);
    errno = saved;
    return got;
}

/* ---- Names ------------------------------------------------------------- */

/* The file's lines, through a small buffer. */
struct lines {
    int fd;
    long n, at;
    char b[OS_BUFFER];
};

/* The next line without its end, cut to fit; false after the last. */
static bool line_next(struct lines *l, char *to, size_t room)
{
    size_t k = 0;
    for (;; l->at++) {
        if (l->at == l->n) {
            l->n = os_read(l->fd, l->b, sizeof l->b);
            l->at = 0;
            if (l->n <= 0)
                return false;
        }
        if (l->b[l->at] == '\n')
            break;
        if (k + 1 < room)
            to[k++] = l->b[l->at];
    }
    l->at++;
    to[k] = 0;
    return true;
}

static uintptr_t hex(const char **s)
{
    uintptr_t v = 0;
    for (;; ++*s) {
        unsigned c = (unsigned char)**s, digit = c - '0';
        if (digit > 9)
            digit = c - 'a' < 6 ? c - 'a' + 10 : 16;
        if (digit > 15)
            return v;
        v = v * 16 + digit;
    }
}

/* "lo-hi perms offset dev inode   /path/name" */
struct mapping {
    uintptr_t lo, hi, offset;
    const char *name; /* after the last slash; "" if it is of no file */
};

static struct mapping mapping_of(const char *s)
{
    struct mapping m = {0};
    m.lo = hex(&s);
    s += *s == '-';
    m.hi = hex(&s);
    for (int fields = 0; fields < 2 && *s; s++) /* past the permissions */
        fields += *s == ' ';
    m.offset = hex(&s);
    m.name = "";
    for (; *s; s++)
        if (*s == '/')
            m.name = s + 1;
    return m;
}

static size_t put_text(char *to, size_t room, const char *s)
{
    size_t n = 0;
    for (; s[n] && n + 1 < room; n++)
        to[n] = s[n];
    to[n] = 0;
    return n;
}

static void put_name(char *to, size_t room, const char *name, uintptr_t a)
{
    char digits[20];
    size_t n = sizeof digits;
    digits[--n] = 0;
    do
        digits[--n] = "0123456789abcdef"[a & 15];
    while (a >>= 4);
    size_t k = put_text(to, room, name);
    k += put_text(to + k, room - k, *name ? "+0x" : "0x");
    put_text(to + k, room - k, digits + n);
}

void os_code_name(uintptr_t a, char *to, size_t room)
{
    struct lines l = {.fd = os_open("/proc/self/maps")};
    char line[512];
    uintptr_t begin = 0; /* of the module, at its last mapping of offset 0 */
    put_name(to, room, "", a);
    if (l.fd < 0)
        return;
    while (line_next(&l, line, sizeof line)) {
        struct mapping m = mapping_of(line);
        if (!m.offset)
            begin = m.lo;
        if (a - m.lo >= m.hi - m.lo)
            continue;
        if (*m.name)
            put_name(to, room, m.name, a - begin);
        break;
    }
    os_close(l.fd);
}
