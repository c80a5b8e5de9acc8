/* tls.c: a thread's own memory: its stack and its thread-local blocks.
 *
 * The C library lays a thread out around its thread pointer (tp):
 *
 *   x86-64    |  static blocks  |tp  descriptor (struct pthread)  |
 *   aarch64   |  descriptor     |tp  dtv, spare |  static blocks  |
 *
 * The static part holds the blocks of all objects loaded at start, and of
 * later ones that insist (initial-exec); its size is the same in each thread.
 * Blocks of other objects come from malloc at first use; the thread's vector
 * (DTV) says where: entry i, 16 bytes, is the block of module i or -1.
 *
 *   dtv-16: number of entries    dtv+16*i: {block, what to free}
 *
 * A descriptor holds the values of the first 32 pthread keys; those of higher
 * keys are in arrays of their own, listed in the descriptor.
 *
 * The sizes aren't public.  The C library exports them for its own debugger
 * library, whose business is the same as ours; without them (a static
 * program) the vector alone is followed, which there covers everything but
 * keys above the 32nd.  A thread pointer that leads nowhere, or a vector that
 * is being moved by the interrupted thread, must not crash us: what isn't
 * vouched for is read through os_read_memory.
 */
#include "os_private.h"
#include <errno.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>

/* A weak reference doesn't pull the loader into a static program. */
#pragma weak dlsym

/* struct pthread of glibc 2.23 to 2.34; later ones are larger by little.
 * Used if the library doesn't tell. */
#define DESCRIPTOR_USUAL 2304
#define UNALLOCATED (~(uintptr_t)0)

/* The same for all threads, so asked for once. */
static struct {
    bool found;
    size_t descriptor;    /* size of struct pthread */
    size_t fixed;         /* size of the static part; 0 unknown */
    size_t keys_at;       /* in the descriptor: arrays of key values */
    size_t keys, keys_size;
} layout = {.descriptor = DESCRIPTOR_USUAL};

/* ---- What the C library tells ------------------------------------------ */

/* A size is one number; a field is three: bits, how many, offset. */
static size_t library_number(const char *name, int i)
{
    const uint32_t *p = dlsym(RTLD_DEFAULT, name);
    return p ? p[i] : 0;
}

void os_tls_find(void)
{
    if (layout.found || dlsym == NULL)
        return;
    void (*info)(size_t *, size_t *);
    size_t align, size = library_number("_thread_db_sizeof_pthread", 0);
    if (size != 0)
        layout.descriptor = size;
    info = (void (*)(size_t *, size_t *))dlsym(RTLD_DEFAULT,
                                               "_dl_get_tls_static_info");
    if (info != NULL && size != 0)
        info(&layout.fixed, &align);
    layout.keys_size =
        library_number("_thread_db_sizeof_pthread_key_data_level2", 0);
    layout.keys = library_number("_thread_db_pthread_specific", 0) *
                  library_number("_thread_db_pthread_specific", 1) /
                  (8 * sizeof(uintptr_t));
    layout.keys_at = library_number("_thread_db_pthread_specific", 2);
    layout.found = true;
}

/* ---- The stack --------------------------------------------------------- */

uintptr_t os_thread_pointer(void)
{
    uintptr_t tp;
#if defined(__x86_64__)
    __asm__("movq %%fs:0, %0" : "=r"(tp));
#elif defined(__aarch64__)
    __asm__("mrs %0, tpidr_el0" : "=r"(tp));
#endif
    return tp;
}

/* For the main thread the C library reads the kernel's list: the upper end is
 * that of the mapping, the lower one where the stack may grow to.  It does
 * that with malloc. */
int os_stack_self(struct os_stack *s)
{
    pthread_attr_t attr;
    void *lo;
    size_t size;
    int saved = errno;
    int e = pthread_getattr_np(pthread_self(), &attr);
    if (e == 0) {
        e = pthread_attr_getstack(&attr, &lo, &size);
        pthread_attr_destroy(&attr);
    }
    errno = saved;
    if (e != 0)
        return e;
    s->lo = (uintptr_t)lo;
    s->hi = (uintptr_t)lo + size;
    s->tp = os_thread_pointer();
    return 0;
}

/* ---- The kernel's list of mappings ------------------------------------- */

/* Linux 6.11 and later answer for one address; the list of a big process has
 * tens of thousands of lines, too long for a handler.  Older headers lack
 * the structure. */
struct maps_query {
    uint64_t size, flags, address;
    uint64_t start, end, protection, page_size, offset, inode;
    uint32_t dev_major, dev_minor, name_size, build_id_size;
    uint64_t name, build_id;
};
#define MAPS_QUERY _IOWR('f', 17, struct maps_query)

/* False if the kernel is too old to say.  *end 0: a is unmapped. */
static bool maps_ask(int fd, uintptr_t a, uintptr_t *lo, uintptr_t *end)
{
    struct maps_query q = {.size = sizeof q, .address = a};
    long r = OS_CALL3(SYS_ioctl, fd, MAPS_QUERY, &q);
    *lo = (uintptr_t)q.start;
    *end = r == 0 ? (uintptr_t)q.end : 0;
    return r == 0 || r == -ENOENT;
}

/* A line is "lo-hi perms ..."; only the two numbers are looked at. */
struct maps {
    uintptr_t number[2];
    int field; /* 0 lo, 1 hi, 2 the rest of the line */
};

/* One byte at a time, so lines may straddle two readings. */
static void maps_byte(struct maps *m, char c)
{
    if (c == '\n')
        *m = (struct maps){{0, 0}, 0};
    else if (m->field < 2 && (c == '-' || c == ' '))
        m->field++;
    else if (m->field < 2)
        m->number[m->field] = m->number[m->field] << 4 |
                              (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void maps_read(int fd, uintptr_t a, uintptr_t *lo, uintptr_t *end)
{
    char b[OS_BUFFER];
    struct maps m = {{0, 0}, 0};
    long n;
    *end = 0;
    while (*end == 0 && (n = os_read(fd, b, sizeof b)) > 0)
        for (long i = 0; i < n && *end == 0; i++) {
            maps_byte(&m, b[i]);
            if (m.field == 2 && a >= m.number[0] && a < m.number[1]) {
                *lo = m.number[0];
                *end = m.number[1];
            }
        }
}

bool os_mapping(uintptr_t a, uintptr_t *lo, uintptr_t *hi)
{
    int fd = os_open("/proc/self/maps");
    if (fd < 0)
        return false;
    if (!maps_ask(fd, a, lo, hi))
        maps_read(fd, a, lo, hi);
    os_close(fd);
    return *hi != 0;
}

uintptr_t os_mapping_end(uintptr_t a)
{
    uintptr_t lo, hi;
    return os_mapping(a, &lo, &hi) ? hi : 0;
}

/* ---- The stack of another thread --------------------------------------- */

/* The C library puts a thread's descriptor at the top of its stack; what the
 * kernel joined to that mapping above is somebody else's and may go away. */
bool os_stack_of(int tid, uintptr_t tp, uintptr_t sp, struct os_stack *s)
{
    uintptr_t main_top = getauxval(AT_RANDOM), lo, hi;
    s->tp = tp;
    if (!os_mapping(sp, &s->lo, &s->hi))
        return false;
    if (main_top - s->lo < s->hi - s->lo)
        return true;
    if (tp - s->lo >= s->hi - s->lo) { /* sp is on an alternate stack */
        bool first = tid == os_pid();
        if (!os_mapping(first ? main_top : tp, &s->lo, &s->hi))
            return false;
        if (first)
            return true;
    }
    os_descriptor(tp, &lo, &hi);
    if (hi < s->hi)
        s->hi = hi;
    return true;
}

/* ---- Thread-local blocks ----------------------------------------------- */

struct walk {
    void (*fn)(uintptr_t lo, uintptr_t hi, void *);
    void *arg;
    uintptr_t lo, hi;     /* reported already: static part, descriptor */
    uintptr_t dtv, slots; /* the vector and its entries */
    uintptr_t window[64]; /* 32 entries of it, 2 words each */
    size_t first, have;   /* which ones */
};

/* Head of the thread's control block; false if tp can't be one. */
static bool walk_begin(struct walk *w, uintptr_t tp)
{
    uintptr_t head[3];
    if (tp == 0 || tp % sizeof tp != 0 ||
        os_read_memory(head, (void *)tp, sizeof head) != sizeof head)
        return false;
#if defined(__x86_64__)
    if (head[0] != tp || head[2] != tp)
        return false; /* not a thread of this C library */
    w->dtv = head[1];
    w->lo = layout.fixed ? tp + layout.descriptor - layout.fixed : tp;
    w->hi = tp + layout.descriptor;
#elif defined(__aarch64__)
    w->dtv = head[0];
    w->lo = tp - layout.descriptor;
    w->hi = layout.fixed ? tp + layout.fixed : tp;
#endif
    w->lo = align_down(w->lo, sizeof tp);
    w->have = 0;
    return os_read_memory(&w->slots, (void *)(w->dtv - 16),
                          sizeof w->slots) == sizeof w->slots;
}

/* Block of a module; 0 if the thread has none. */
static uintptr_t walk_block(struct walk *w, size_t module)
{
    if (module > w->slots)
        return 0;
    if (module < w->first || module >= w->first + w->have) {
        w->first = module;
        w->have = os_read_memory(w->window, (void *)(w->dtv + module * 16),
                                 sizeof w->window) / 16;
        if (w->have == 0)
            return 0;
    }
    uintptr_t block = w->window[(module - w->first) * 2];
    return block == UNALLOCATED ? 0 : block;
}

/* Both ends suffice: a block is in one piece of malloc's, or isn't one. */
static bool readable(uintptr_t lo, uintptr_t hi)
{
    char c;
    return os_read_memory(&c, (void *)lo, 1) == 1 &&
           os_read_memory(&c, (void *)(hi - 1), 1) == 1;
}

/* Blocks in the static part were reported with it. */
static void walk_module(struct walk *w, const struct os_tls_module *m)
{
    uintptr_t lo = walk_block(w, m->number), hi = lo + m->size;
    if (lo == 0 || m->size == 0 || (lo >= w->lo && hi <= w->hi))
        return;
    if (readable(lo, hi))
        w->fn(lo, hi, w->arg);
}

/* Values of keys from the 32nd on. */
RACY static void walk_keys(struct walk *w, uintptr_t descriptor)
{
    const uintptr_t *list = (const uintptr_t *)(descriptor + layout.keys_at);
    if (layout.keys_at == 0)
        return;
    for (size_t i = 1; i < layout.keys; i++)
        if (list[i] != 0)
            w->fn(list[i], list[i] + layout.keys_size, w->arg);
}

/* The static part and the descriptor are adjacent: one range. */
void os_tls_each(uintptr_t tp, void (*fn)(uintptr_t lo, uintptr_t hi, void *),
                 void *arg)
{
    struct walk w = {.fn = fn, .arg = arg};
    if (!walk_begin(&w, tp))
        return;
    fn(w.lo, w.hi, arg);
#if defined(__x86_64__)
    walk_keys(&w, tp);
#else
    walk_keys(&w, tp - layout.descriptor);
#endif
    size_t n;
    const struct os_tls_module *m = os_tls_modules(&n);
    for (size_t i = 0; i < n; i++)
        walk_module(&w, &m[i]);
}

/* ---- Ended threads ----------------------------------------------------- */

void os_descriptor(uintptr_t tp, uintptr_t *lo, uintptr_t *hi)
{
#if defined(__aarch64__)
    *lo = tp - layout.descriptor;
    *hi = tp;
#else
    *lo = tp;
    *hi = tp + layout.descriptor;
#endif
}

bool os_thread_joinable(void)
{
    pthread_attr_t a;
    int state = PTHREAD_CREATE_DETACHED, saved = errno;
    if (pthread_getattr_np(pthread_self(), &a) == 0) {
        pthread_attr_getdetachstate(&a, &state);
        pthread_attr_destroy(&a);
    }
    errno = saved;
    return state == PTHREAD_CREATE_JOINABLE;
}

/* Where the C library keeps a thread's id in its descriptor: found by looking
 * for our own, since the layout is its secret.  The kernel clears the field
 * when the thread is gone, join overwrites it, and so does the next thread that
 * gets the same stack. */
static size_t tid_offset(void)
{
    static size_t found;
    uintptr_t lo, hi;
    size_t have = load_relaxed(&found);
    if (have != 0)
        return have;
    os_descriptor(os_thread_pointer(), &lo, &hi);
    int tid = os_tid();
    for (size_t i = sizeof(void *); i + sizeof(int) <= hi - lo; i += 4)
        if (*(const int *)(lo + i) == tid) {
            store_relaxed(&found, i);
            return i;
        }
    return 0;
}

bool os_thread_unjoined(uintptr_t tp, int tid)
{
    uintptr_t lo, hi;
    int now;
    size_t at = tid_offset();
    os_descriptor(tp, &lo, &hi);
    if (at == 0 || os_read_memory(&now, (void *)(lo + at), sizeof now) == 0)
        return false;
    return now == 0 || now == tid;
}
