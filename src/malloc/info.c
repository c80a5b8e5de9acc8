/* info.c: where the bytes are: for the program, and for `sancai run --malloc`.
 *
 *   mapped = used + cached + free in spans + ends of spans
 *          + free pages + given back + tables
 *
 * Each row is counted where its bytes are, so they are told by who owns them:
 * central lists, caches, the page heap.  While other threads run, a block that
 * moves between two of them may be counted twice or not at all.
 *
 * mallinfo2 and its kin answer as the C library's manual has them, as far as
 * this allocator has such a thing: there is one arena, and large blocks stand
 * for those that the C library maps one by one.
 */
#include <errno.h>

#include "family.h"
#include "stats.h"

typedef struct file FILE_OF_C; /* FILE: only handed on */
int fputs(const char *, FILE_OF_C *);

/* ---- Counting ---------------------------------------------------------- */

static void count_class(unsigned c, struct sc_malloc_page *p)
{
    struct mcentral_stats s;
    mcentral_stats(c, &s);
    uint64_t size = size_of_class(c), cached = tcache_count(c);
    if (cached + s.free > s.slots)
        cached = s.slots - s.free;
    p->used_small += (s.slots - s.free - cached) * size;
    p->cached += cached * size;
    p->free_blocks += s.free * size;
    p->tails += s.pages * PAGE_SIZE - s.slots * size;
    p->classes[c] = (struct sc_malloc_class){
        (uint32_t)size, (uint32_t)s.spans, (uint32_t)s.slots,
        (uint32_t)cached, (uint32_t)s.free};
}

static void count(struct sc_malloc_page *p)
{
    struct page_stats s;
    struct scavenge_stats g;
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        count_class(c, p);
    page_stats(&s);
    scavenge_stats(&g);
    p->used_large = load_relaxed(&mheap.large_pages) * PAGE_SIZE;
    p->reserved = load_relaxed(&mheap.reserved_pages) * PAGE_SIZE;
    p->free_pages = s.free;
    p->released = s.released;
    for (int k = 0; k < META_KINDS; k++)
        p->metadata += meta_bytes((enum meta_kind)k);
    p->mapped = p->used_small + p->used_large + p->cached + p->free_blocks +
                p->tails + p->reserved + p->free_pages + p->released +
                p->metadata;
    p->resident = os_resident();
    p->given = g.total;
}

/* ---- To `sancai run --malloc` ------------------------------------------ */

_Static_assert(SC_MALLOC_CLASSES == SIZE_CLASSES, "a row for each class");
static struct sc_malloc_page *page;

void info_publish(bool last)
{
    struct sc_malloc_page now = {.finished = last};
    if (!page)
        return;
    count(&now);
    now.pid = page->pid;
    __builtin_memcpy(now.magic, SC_MALLOC_MAGIC, sizeof(now.magic));
    *page = now;
}

static void publish_last(void) { info_publish(true); }

void info_open(void)
{
    uint64_t nobody = 0, me = (uint64_t)os_pid();
    struct sc_malloc_page *p = os_map_given(SC_MALLOC_ENV, SC_MALLOC_BYTES);
    if (!p)
        return;
    if (!cas_seq(&p->pid, &nobody, me) && nobody != me) {
        os_unmap_given(p, SC_MALLOC_BYTES);
        return;
    }
    page = p;
    os_at_exit(publish_last);
}

void info_fork_child(void) { page = NULL; }

/* ---- mallinfo and its kin ---------------------------------------------- */

struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks,
        fordblks, keepcost;
};
struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks,
        fordblks, keepcost;
};
SC_API struct mallinfo2 mallinfo2(void);
SC_API struct mallinfo mallinfo(void);
SC_API int malloc_trim(size_t pad);
SC_API int mallopt(int what, int value);
SC_API void malloc_stats(void);
SC_API int malloc_info(int options, FILE_OF_C *to);

static size_t free_blocks(const struct sc_malloc_page *p)
{
    size_t n = 0;
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        n += p->classes[c].free + p->classes[c].cached;
    return n;
}

SC_API struct mallinfo2 mallinfo2(void)
{
    struct sc_malloc_page p = {.pid = 0};
    if (!mbegin())
        return (struct mallinfo2){0};
    count(&p);
    size_t used = p.used_small;
    size_t spare = p.cached + p.free_blocks + p.tails + p.reserved +
                   p.free_pages;
    return (struct mallinfo2){
        .arena = used + spare, .ordblks = free_blocks(&p),
        .hblks = load_relaxed(&mheap.large_count), .hblkhd = p.used_large,
        .uordblks = used, .fordblks = spare, .keepcost = p.free_pages};
}

SC_API struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        (int)m.arena, (int)m.ordblks, 0, (int)m.hblks, (int)m.hblkhd, 0, 0,
        (int)m.uordblks, (int)m.fordblks, (int)m.keepcost};
}

/* 1 if memory went back. */
SC_API int malloc_trim(size_t pad)
{
    return mbegin() && give_all() > 0;
}

/* The C library's tunables name parts that are not here; it answers 1 for
 * those that it knows, and so do we: programs take 0 for a failure. */
SC_API int mallopt(int what, int value)
{
    return what == 1 || (what <= -1 && what >= -8);
}

SC_API void malloc_stats(void)
{
    struct sc_malloc_page p = {.pid = 0};
    if (!mbegin())
        return;
    count(&p);
#define ROW(name, text) \
    say_raw("%-40s %14lu", text, (unsigned long)p.name);
    SC_MALLOC_ROWS(ROW)
#undef ROW
}

/* ---- malloc_info: XML, as the C library's manual has it ---------------- */

static void put_class(FILE_OF_C *to, const struct sc_malloc_class *c)
{
    char line[200];
    if (!c->spans)
        return;
    say_format(line, sizeof(line),
               "  <size from=\"%u\" to=\"%u\" total=\"%lu\" count=\"%u\"/>\n",
               c->size, c->size,
               (unsigned long)c->size * (c->free + c->cached),
               c->free + c->cached);
    fputs(line, to);
}

SC_API int malloc_info(int options, FILE_OF_C *to)
{
    struct sc_malloc_page p = {.pid = 0};
    char line[400];
    if (options)
        return EINVAL;
    if (!mbegin())
        return ENOMEM;
    count(&p);
    fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", to);
    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        put_class(to, &p.classes[c]);
    say_format(line, sizeof(line),
               "</sizes>\n</heap>\n"
               "<total type=\"rest\" count=\"%lu\" size=\"%lu\"/>\n"
               "<total type=\"mmap\" count=\"%lu\" size=\"%lu\"/>\n"
               "<system type=\"current\" size=\"%lu\"/>\n</malloc>\n",
               (unsigned long)free_blocks(&p),
               (unsigned long)(p.cached + p.free_blocks),
               (unsigned long)load_relaxed(&mheap.large_count),
               (unsigned long)p.used_large, (unsigned long)p.mapped);
    fputs(line, to);
    return 0;
}
