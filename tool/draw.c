/* draw.c: the map of a process, from low to high addresses.
 *
 *   address        what             reserved  committed  resident
 *   55d0c0a00000   program: text    ...
 *             : 42.1 TiB free
 *   7e0000000000   Sancai heap      ...
 *                  sum
 *                  the kernel's figures, and the difference
 *
 * Neighbours of one kind share a row.  Numbers are exact, in KiB, so that
 * the reader can add them up.
 */
#include "tool.h"

#include <string.h>

#define ADDRESS 12        /* hex digits of 47 bits */
#define NUMBERS (14 + 12 + 11) /* three columns of KiB */
#define GAP_SHOWN ((uint64_t)1 << 30)
/* Neighbours further apart than this get rows of their own. */
#define GAP_JOINED ((uint64_t)64 << 20)

/* Mappings [first, last] of one kind. */
struct row {
    const struct mapping *first, *last;
    uint64_t size, committed, resident;
    int n;
};

/* What the other columns leave. */
static int name_width(const struct out *o)
{
    return o->width - ADDRESS - 1 - NUMBERS - 1;
}

/* Ours is green; what is the same in every process is dim. */
static enum colour region_colour(enum region r)
{
    switch (r) {
    case REGION_HEAP:
    case REGION_METADATA:
    case REGION_DIRECTORY:
        return GREEN;
    case REGION_TEXT:
    case REGION_RODATA:
    case REGION_DATA:
    case REGION_BSS:
        return CYAN;
    case REGION_STACK:
    case REGION_THREAD_STACK:
        return YELLOW;
    case REGION_BRK:
    case REGION_MALLOC_ARENA:
        return MAGENTA;
    case REGION_LIBRARY:
    case REGION_KERNEL:
    case REGION_NO_ACCESS:
        return DIM;
    default:
        return PLAIN;
    }
}

/* ---- Rows ------------------------------------------------------------- */

/* Does m belong into the row that ends with `last`? */
static bool row_takes(const struct row *r, const struct mapping *m)
{
    const struct mapping *l = r->last;
    if (m->region != l->region || m->lo - l->hi > GAP_JOINED
        || m->guess != l->guess || m->outside != l->outside)
        return false;
    if (m->region == REGION_METADATA)
        return m->detail == l->detail;
    if (m->region == REGION_SHARED)
        return strcmp(m->path, l->path) == 0;
    return true;
}

static void row_add(struct row *r, const struct mapping *m)
{
    r->last = m;
    r->size += m->hi - m->lo;
    r->committed += m->committed;
    r->resident += m->resident;
    r->n++;
}

/* Stacks in the row: their guards are mappings of it too. */
static int row_threads(const struct row *r)
{
    int n = 0;
    for (const struct mapping *m = r->first; m <= r->last; m++)
        n += m->rights[0] != '-';
    return n;
}

/* "lib: libc.so.6 libm.so.6 +3": as many as there is room for. */
static void name_files(const struct row *r, const char *what, char *to,
                       size_t room)
{
    const char *seen = "";
    size_t n = (size_t)snprintf(to, room, "%s:", what);
    int more = 0;
    for (const struct mapping *m = r->first; m <= r->last; m++) {
        const char *base = path_base(m->path);
        if (!*base || strcmp(base, seen) == 0)
            continue;
        seen = base;
        /* Room must be left for " +99", but for a lone file. */
        if (more == 0 && n + strlen(base) + 6 < room)
            n += (size_t)snprintf(to + n, room - n, " %s", base);
        else if (strcmp(path_base(r->last->path), base) == 0 && m == r->first)
            snprintf(to + n, room - n, " %s", base);
        else
            more++;
    }
    if (more)
        snprintf(to + n, room - n, " +%d", more);
}

/* "stacks of 12 threads", "stack of thread 123", "... (guess)" */
static void name_threads(const struct row *r, char *to, size_t room)
{
    int n = row_threads(r);
    const char *mark = r->first->guess ? " (guess)" : "";
    if (n == 0)
        snprintf(to, room, "guard of a stack%s", mark);
    else if (n > 1)
        snprintf(to, room, "stacks of %d threads%s", n, mark);
    else if (r->first->detail)
        snprintf(to, room, "stack of thread %u", r->first->detail);
    else
        snprintf(to, room, "thread stack%s", mark);
}

static void row_name(const struct row *r, char *to, size_t room)
{
    const struct mapping *m = r->first;
    switch (m->region) {
    case REGION_LIBRARY:
        if (r->n == 1 && m->path[0] == 0)
            snprintf(to, room, "lib: bss");
        else
            name_files(r, "lib", to, room);
        break;
    case REGION_FILE:
        name_files(r, "file", to, room);
        break;
    case REGION_THREAD_STACK:
        name_threads(r, to, room);
        break;
    case REGION_METADATA:
        snprintf(to, room, "Sancai %s", metadata_name(m->detail));
        break;
    case REGION_SHARED:
        snprintf(to, room, "shared %s", path_base(m->path));
        break;
    case REGION_KERNEL:
        if (m->outside)
            snprintf(to, room, "%s, not summed", m->path);
        else
            snprintf(to, room, "%s", region_name(m->region));
        break;
    default:
        snprintf(to, room, "%s", region_name(m->region));
        break;
    }
}

/* With --all: the rights as well. */
static void name_mapping(const struct row *r, char *to, size_t room)
{
    char name[128];
    row_name(r, name, room < sizeof name ? room - 5 : sizeof name);
    snprintf(to, room, "%s %s", r->first->rights, name);
}

/* ---- Writing ---------------------------------------------------------- */

/* The three columns, in KiB. */
static void numbers(struct out *o, uint64_t size, uint64_t committed,
                    uint64_t resident)
{
    char a[TEXT], b[TEXT], c[TEXT];
    fprintf(o->to, "%14s%12s%11s\n", text_grouped(a, size / 1024),
            text_grouped(b, committed / 1024),
            text_grouped(c, resident / 1024));
}

/* Free address space is most of it: shown where it is worth a line. */
static void gap(struct out *o, uint64_t bytes)
{
    char words[TEXT];
    if (bytes < GAP_SHOWN)
        return;
    out_colour(o, DIM);
    fprintf(o->to, "%*s : %s free\n", ADDRESS - 2, "",
            text_bytes(words, bytes));
    out_colour(o, PLAIN);
}

static void row_draw(struct out *o, const struct row *r, bool every)
{
    char name[160] = "";
    int width = name_width(o), address;
    size_t room = (size_t)width + 1 < sizeof name ? (size_t)width + 1
                                                  : sizeof name;
    if (every)
        name_mapping(r, name, room);
    else
        row_name(r, name, room);
    /* The vsyscall page has 16 digits; its name has room to spare. */
    address = fprintf(o->to, "%0*llx ", ADDRESS,
                      (unsigned long long)r->first->lo);
    out_colour(o, region_colour(r->first->region));
    fprintf(o->to, "%-*s", width + 1 - (address - ADDRESS - 1), name);
    out_colour(o, PLAIN);
    numbers(o, r->size, r->committed, r->resident);
}

static void rows(struct out *o, const struct process *p, bool every)
{
    const struct mapping *m = p->map, *end = m + p->n;
    uint64_t before = 0;
    while (m < end) {
        struct row r = {.first = m};
        gap(o, before ? m->lo - before : 0);
        do
            row_add(&r, m++);
        while (m < end && !every && row_takes(&r, m));
        row_draw(o, &r, every);
        /* The hole below the vsyscall page is no user's to fill. */
        before = m < end && m->outside ? 0 : r.last->hi;
    }
}

/* A row without address. */
static void line(struct out *o, const char *name)
{
    fprintf(o->to, "%*s %-*s", ADDRESS, "", name_width(o) + 1, name);
}

/* Our sums, the kernel's, and that they are the same.  Committed has no
 * counterpart: the kernel counts it for the whole machine only. */
static void sums(struct out *o, const struct process *p)
{
    char a[TEXT], b[TEXT];
    bool same = p->size == p->vm_size && p->resident == p->rollup;
    out_colour(o, BOLD);
    line(o, "sum");
    numbers(o, p->size, p->committed, p->resident);
    out_colour(o, PLAIN);
    line(o, p->has_rollup ? "kernel: VmSize, rollup" : "kernel: VmSize, Rss");
    fprintf(o->to, "%14s%12s%11s\n", text_grouped(a, p->vm_size / 1024), "",
            text_grouped(b, p->rollup / 1024));
    out_colour(o, same ? GREEN : RED);
    line(o, "difference");
    fprintf(o->to, "%14lld%12s%11lld\n",
            ((long long)p->size - (long long)p->vm_size) / 1024, "",
            ((long long)p->resident - (long long)p->rollup) / 1024);
    out_colour(o, PLAIN);
    out_colour(o, DIM);
    line(o, "kernel: VmRSS");
    fprintf(o->to, "%14s%12s%11s\n", "", "",
            text_grouped(a, p->vm_rss / 1024));
    out_colour(o, PLAIN);
    if (p->swapped)
        fprintf(o->to, "%*s swapped out: %s\n", ADDRESS, "",
                text_bytes(a, p->swapped));
}

/* The map needs the right to see, the heap the right to read. */
static void refused(struct out *o, const struct heap *h)
{
    out_colour(o, YELLOW);
    fprintf(o->to, "! its memory can't be read (%s), so there is no look "
            "into its heap\n", strerror(h->refused));
    out_colour(o, PLAIN);
}

static void warn(struct out *o, bool when, const char *text)
{
    if (!when)
        return;
    out_colour(o, YELLOW);
    fprintf(o->to, "! %s\n", text);
    out_colour(o, PLAIN);
}

static void head(struct out *o, const struct process *p, const struct heap *h)
{
    bool known = h->present && h->version == SC_DIRECTORY_VERSION;
    out_colour(o, BOLD);
    fprintf(o->to, "process %d (%s), %d thread%s", p->pid, p->name,
            p->threads, p->threads == 1 ? "" : "s");
    out_colour(o, PLAIN);
    if (h->present && !known)
        fprintf(o->to, "; Sancai inside, but its directory is of version %u "
                "and this tool knows %u", h->version, SC_DIRECTORY_VERSION);
    else if (!h->refused)
        fprintf(o->to, "; %s", h->present ? "Sancai inside"
                                          : "no Sancai inside");
    fputc('\n', o->to);
    if (h->refused)
        refused(o, h);
    warn(o, p->tries == 0, "it changed during every reading, so the sums "
         "differ; --stop holds it");
    warn(o, known && !h->ranges.whole, "Sancai was just taking or giving back "
         "memory, so the map may lack a range");
    warn(o, known && h->ranges.lost, "Sancai had no memory for the list of "
         "its ranges, so the map lacks some");
}

void draw_process(struct out *o, const struct process *p,
                  const struct heap *h, bool every)
{
    head(o, p, h);
    fputc('\n', o->to);
    out_colour(o, DIM);
    fprintf(o->to, "%-*s %-*s%14s%12s%11s\n", ADDRESS, "address",
            name_width(o) + 1, "what (numbers in KiB)", "reserved",
            "committed", "resident");
    out_colour(o, PLAIN);
    rows(o, p, every);
    sums(o, p);
    if (h->page)
        picture_heap(o, h, every);
}
