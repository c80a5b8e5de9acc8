/* regions.c: whose mapping is it.
 *
 *   low   program (text, data, bss)   brk heap
 *         ... anonymous mappings, our heap and metadata, thread stacks,
 *         libraries ...                                   stack, vdso   high
 *
 * The kernel names files, [heap], [stack] and its own pages.  The library's
 * directory says which anonymous mappings are ours.  The rest is told from
 * the neighbourhood: anonymous memory right behind a file's writable part is
 * that file's bss; 64 MiB aligned to 64 MiB, half of it inaccessible, is how
 * the C library's malloc keeps an arena.
 */
#include "tool.h"

#include <string.h>

#define MALLOC_ARENA ((uint64_t)64 << 20)

static const char *const names[REGIONS] = {
    [REGION_UNKNOWN] = "unknown",
    [REGION_TEXT] = "program: text",
    [REGION_RODATA] = "program: constants",
    [REGION_DATA] = "program: data",
    [REGION_BSS] = "program: bss",
    [REGION_BRK] = "brk heap (malloc)",
    [REGION_HEAP] = "Sancai heap",
    [REGION_METADATA] = "Sancai metadata",
    [REGION_DIRECTORY] = "Sancai directory",
    [REGION_LIBRARY] = "libraries",
    [REGION_STACK] = "stack of main thread",
    [REGION_THREAD_STACK] = "thread stack",
    [REGION_MALLOC_ARENA] = "malloc arena",
    [REGION_ANON] = "mmap, anonymous",
    [REGION_NO_ACCESS] = "mmap, no access",
    [REGION_SHARED] = "shared memory",
    [REGION_FILE] = "file",
    [REGION_KERNEL] = "kernel: vdso, vvar"};

const char *region_name(enum region r)
{
    return names[r];
}

const char *metadata_name(uint32_t kind)
{
    static const char *const name[SC_METADATA_KINDS] = {
        "other", "mark bits", "pages, spans", "threads", "mark queues",
        "other", "heap", "directory", "stacks"};
    return name[kind < SC_METADATA_KINDS ? kind : 0];
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* A reservation, or a guard. */
static bool no_access(const struct mapping *m)
{
    return strncmp(m->rights, "---", 3) == 0;
}

/* Boundaries where our ranges begin and end: the kernel may have joined
 * them with their neighbours.  Of a stack only the upper end is known. */
static void split_ours(struct process *p, const struct heap *h)
{
    const struct ranges *r = &h->ranges;
    map_split(p, h->dir.heap_base);
    map_split(p, h->dir.heap_base + h->dir.heap_reserved);
    for (size_t i = 0; i < r->n; i++) {
        if (r->at[i].kind != SC_METADATA_STACK)
            map_split(p, r->at[i].lo);
        map_split(p, r->at[i].hi);
    }
}

/* What the library's directory says of it.  The last address is looked up: of
 * a stack only the upper end is in the list. */
static enum region ours(struct mapping *m, const struct heap *h)
{
    const struct sc_directory *d = &h->dir;
    const struct sc_range *r;
    if (!h->present || h->version != SC_DIRECTORY_VERSION)
        return REGION_UNKNOWN;
    if (m->lo >= d->heap_base && m->hi <= d->heap_base + d->heap_reserved)
        return REGION_HEAP;
    r = range_at(&h->ranges, m->hi - 1);
    m->detail = r && r->kind ? r->kind : SC_METADATA_OTHER;
    if (m->lo <= h->where && h->where < m->hi)
        return REGION_DIRECTORY;
    if (r)
        return r->kind == SC_METADATA_DIRECTORY ? REGION_DIRECTORY
                                                : REGION_METADATA;
    return starts(m->path, "[anon:sancai") ? REGION_METADATA
                                           : REGION_UNKNOWN;
}

/* Names in brackets, but those that a program can give: [anon:...]. */
static enum region named_by_kernel(const struct mapping *m)
{
    if (strcmp(m->path, "[heap]") == 0)
        return REGION_BRK;
    if (starts(m->path, "[stack"))
        return REGION_STACK;
    if (m->path[0] == '[' && !map_anonymous(m))
        return REGION_KERNEL;
    return REGION_UNKNOWN;
}

/* A file of which some part can be executed is a library, data only else. */
static bool is_library(const struct process *p, const struct mapping *m)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->map[i].rights[2] == 'x'
            && strcmp(p->map[i].path, m->path) == 0)
            return true;
    return strstr(path_base(m->path), ".so") != NULL;
}

/* Mappings of files, by file and rights. */
static enum region of_file(const struct process *p, const struct mapping *m)
{
    if (m->path[0] != '/')
        return REGION_UNKNOWN;
    if (strcmp(m->path, p->exe) == 0)
        return m->rights[2] == 'x' ? REGION_TEXT
             : map_writable(m)     ? REGION_DATA
                                   : REGION_RODATA;
    if (m->rights[3] == 's')
        return starts(m->path, "/memfd:") || starts(m->path, "/dev/")
                   || starts(m->path, "/SYSV")
                 ? REGION_SHARED
                 : REGION_FILE;
    return is_library(p, m) ? REGION_LIBRARY : REGION_FILE;
}

/* Is m the accessible part of an arena of malloc's, with `next` behind? */
static bool malloc_arena(const struct mapping *m, const struct mapping *next)
{
    return m->lo % MALLOC_ARENA == 0 && map_writable(m) && no_access(next)
        && next->lo == m->hi && next->hi == m->lo + MALLOC_ARENA
        && map_anonymous(next) && next->region != REGION_HEAP;
}

/* Anonymous memory of which nobody has said anything. */
static enum region by_neighbours(struct process *p, size_t i)
{
    struct mapping *m = &p->map[i];
    const struct mapping *before = i > 0 ? &m[-1] : NULL;
    if (m->rights[3] == 's')
        return REGION_SHARED;
    if (before && before->hi == m->lo && map_writable(m)
        && map_writable(before)) {
        if (before->region == REGION_DATA)
            return REGION_BSS;
        if (before->region == REGION_LIBRARY)
            return REGION_LIBRARY;
    }
    if (i + 1 < p->n && malloc_arena(m, m + 1)) {
        m[1].region = REGION_MALLOC_ARENA;
        return REGION_MALLOC_ARENA;
    }
    return no_access(m) ? REGION_NO_ACCESS : REGION_ANON;
}

void regions_mark(struct process *p, const struct heap *h)
{
    if (h->present && h->version == SC_DIRECTORY_VERSION)
        split_ours(p, h);
    for (size_t i = 0; i < p->n; i++) {
        struct mapping *m = &p->map[i];
        if (m->region == REGION_UNKNOWN)
            m->region = ours(m, h);
        if (m->region == REGION_UNKNOWN)
            m->region = named_by_kernel(m);
        if (m->region == REGION_UNKNOWN)
            m->region = of_file(p, m);
        if (m->region == REGION_UNKNOWN)
            m->region = by_neighbours(p, i);
    }
}
