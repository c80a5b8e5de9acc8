/* tool_fake.c: a process that looks, from outside, as if Sancai were inside.
 *
 * It lays out the contract of src/obs/directory.h by hand, with known
 * numbers, so that the tool can be tested against figures that were not
 * computed by the library:
 *
 *   pages 0..15     16 spans of 1 page: precise "Node", 32 B, touched
 *   pages 16..31    2 spans of 8 pages: noscan 1024 B, touched
 *   pages 32..131   one large scanned object, 3 pages touched
 *   pages 132..511  free, 4 of them touched
 *
 * Usage: tool_fake sleep | exit N | crash | quit-from-thread
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/obs/directory.h"

#define PAGE 8192
#define TOP 512
#define RESERVED ((size_t)1 << 36)

static char *reserve(size_t n)
{
    char *p = mmap(NULL, n, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

static char *commit(char *p, size_t n)
{
    if (mprotect(p, n, PROT_READ | PROT_WRITE) != 0)
        abort();
    return p;
}

static void touch(char *heap, int page, int n)
{
    memset(heap + (size_t)page * PAGE, 1, (size_t)n * PAGE);
}

static void pages(char *heap, uint32_t *desc)
{
    for (uint32_t i = 0; i < 16; i++)
        desc[i] = 7 | SC_PAGE_IN_USE;
    for (uint32_t i = 16; i < 32; i++)
        desc[i] = 1 | SC_PAGE_IN_USE | SC_PAGE_NOSCAN
                | (i % 8) << SC_PAGE_INDEX_SHIFT;
    for (uint32_t i = 32; i < 132; i++)
        desc[i] = SC_PAGE_IN_USE | SC_PAGE_LARGE
                | (i == 32 ? SC_PAGE_LARGE_FIRST : 0)
                | (i - 32) | 5u << 21; /* the library's own bits */
    touch(heap, 0, 32);
    touch(heap, 40, 3);
    touch(heap, 300, 4);
}

static void class_set(struct sc_class_info *c, uint32_t size, int n,
                      const char *name, enum sc_class_kind kind)
{
    c->size = size;
    c->pages = (uint8_t)n;
    strcpy(c->name, name);
    c->kind = (uint8_t)kind;
}

static struct sc_stats_page *stats_open(void)
{
    const char *fd = getenv(SC_STATS_ENV);
    void *p = MAP_FAILED;
    if (fd)
        p = mmap(NULL, SC_STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                 atoi(fd), 0);
    return p == MAP_FAILED ? calloc(1, SC_STATS_BYTES) : p;
}

static void stats_write(struct sc_stats_page *s, int finished)
{
    struct sc_numbers *n = &s->now;
    s->seq++;
    n->total_alloc_bytes = 10000000;
    n->total_free_bytes = 7000000;
    n->total_alloc_objects = 1000;
    n->total_free_objects = 600;
    n->heap_objects_bytes = 3000000;
    n->heap_unused_bytes = 1000000;
    n->heap_free_bytes = 150000;
    n->gc_bytes = 50000;
    n->mapped = 4200000;
    n->num_gc = 3;
    n->num_forced_gc = 1;
    n->gc_percent = (uint64_t)-1;
    n->gc_cpu_ns = 1000000;
    n->hold = (struct sc_times){9, 90000, 8000, 20000, 30000, 31000};
    s->pid = (uint64_t)getpid();
    s->updates++;
    s->finished = (uint64_t)finished;
    s->version = SC_STATS_VERSION;
    s->size = sizeof *s;
    memcpy(s->magic, SC_STATS_MAGIC, SC_MAGIC_BYTES);
    __atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
}

/* Two blocks, with holes and nonsense in them. */
static uint64_t ranges_list(char *desc, char *meta, char *around)
{
    static struct sc_range_block last, first = {.used = 3};
    static struct sc_ranges all = {.begun = 7, .ended = 7};
    uintptr_t d = (uintptr_t)desc, m = (uintptr_t)meta, a = (uintptr_t)around;
    first.next = (uintptr_t)&last;
    first.range[1] = (struct sc_range){d, d + (1 << 20), SC_METADATA_SPAN, 0};
    first.range[2] = (struct sc_range){1, m + 4096, SC_METADATA_BITS, 0};
    first.range[169] = (struct sc_range){a, a + 3 * 4096,
                                         SC_METADATA_DIRECTORY, 0};
    last.range[5] = (struct sc_range){m, m + 65536, SC_METADATA_WORK, 0};
    last.range[6] = (struct sc_range){m, m - 65536, SC_METADATA_BITS, 0};
    all.first = (uintptr_t)&first;
    return (uintptr_t)&all;
}

static void publish(char *heap, char *desc, struct sc_class_info *classes,
                    struct sc_stats_page *stats, char *meta)
{
    char *around = reserve(3 * 4096);
    struct sc_directory *d = (void *)commit(around + 4096, 4096);
    d->version = SC_DIRECTORY_VERSION;
    d->size = sizeof *d;
    d->pid = (uint64_t)getpid();
    d->heap_base = (uintptr_t)heap;
    d->heap_reserved = RESERVED;
    d->page_shift = 13;
    d->arena_shift = 26;
    d->top = TOP;
    d->pagedesc = (uintptr_t)desc;
    d->pagedesc_entry = sizeof(uint32_t);
    d->class_entry = sizeof *classes;
    d->classes = (uintptr_t)classes;
    d->class_count = SC_CLASSES_MAX;
    d->stats = (uintptr_t)stats;
    d->ranges = ranges_list(desc, meta, around);
    memcpy(d->magic, SC_DIRECTORY_MAGIC, SC_MAGIC_BYTES);
}

static void *waiter(void *arg)
{
    if (arg)
        exit(5);
    for (;;)
        pause();
}

static void *spinner(void *arg)
{
    (void)arg;
    for (volatile unsigned i = 0;; i++)
        ;
    return NULL;
}

int main(int argc, char **argv)
{
    static struct sc_class_info classes[SC_CLASSES_MAX];
    const char *what = argc > 1 ? argv[1] : "sleep";
    char *heap = commit(reserve(RESERVED), TOP * PAGE);
    char *desc = commit(reserve(1 << 20), 65536);
    /* Joined by the kernel with what lies on both sides: to be divided. */
    char *meta = commit(reserve(3 * 65536), 3 * 65536) + 65536;
    struct sc_stats_page *stats = stats_open();
    pthread_t t;
    memset(meta, 1, 12288);
    memset(meta - 8192, 1, 8192);
    memset(meta + 65536, 1, 4096);
    class_set(&classes[1], 1024, 8, "", SC_CLASS_NOSCAN);
    class_set(&classes[7], 32, 1, "Node", SC_CLASS_PRECISE);
    pages(heap, (uint32_t *)(void *)desc);
    stats_write(stats, 0);
    publish(heap, desc, classes, stats, meta);
    if (!strcmp(what, "crash"))
        raise(SIGKILL);
    if (!strcmp(what, "exit")) {
        stats_write(stats, 1);
        return argc > 2 ? atoi(argv[2]) : 0;
    }
    pthread_create(&t, NULL, waiter,
                   strcmp(what, "quit-from-thread") ? NULL : "");
    pthread_create(&t, NULL, waiter, NULL);
    pthread_create(&t, NULL, spinner, NULL);
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
