/* spans.c: what lies in our heap, seen from outside.
 *
 *   mappings of at most 64 KiB --magic?--> directory (src/obs/directory.h)
 *   directory --> page descriptors  0 0 [3|0][3|1][3|2] 0 [7|0] ...
 *                                       '-- a span --'     '- another
 *   a page whose place in its span is 0 counts one span of that class
 *
 * The process goes on while we read, so all of it is a guess: counts are
 * bounded, and memory that can't be read counts as zero.  Used and free pages
 * add up to the grown ones by construction.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* There are a few dozen such mappings at most. */
static bool could_hold_directory(const struct mapping *m)
{
    return map_anonymous(m) && map_writable(m)
        && m->hi - m->lo <= SC_DIRECTORY_SCAN_MAX;
}

/* Numbers that would lead us astray if they were taken for true. */
static bool directory_sane(const struct sc_directory *d)
{
    return d->size >= sizeof *d && d->page_shift >= 12
        && d->page_shift <= 20 && d->pagedesc_entry == sizeof(uint32_t)
        && d->class_count <= SC_CLASSES_MAX
        && d->heap_base + d->heap_reserved > d->heap_base;
}

/* Takes the directory at a, if there is one and it is the better one. */
static bool directory_at(struct heap *h, const struct process *p, uint64_t a)
{
    struct sc_directory d;
    if (remote_read(p->pid, a, &d, SC_MAGIC_BYTES) != SC_MAGIC_BYTES
        || memcmp(d.magic, SC_DIRECTORY_MAGIC, SC_MAGIC_BYTES) != 0
        || remote_read(p->pid, a, &d, sizeof d) != sizeof d)
        return false;
    if (h->present) {
        /* Two copies of the library: the one of this process, not one that
         * a fork left behind. */
        h->others++;
        if (d.pid != (uint64_t)p->pid || h->dir.pid == d.pid)
            return true;
    }
    if (d.version == SC_DIRECTORY_VERSION && !directory_sane(&d)) {
        complain("the directory at 0x%llx makes no sense; not used",
                 (unsigned long long)a);
        return false;
    }
    h->present = true;
    h->version = d.version;
    h->where = a;
    h->dir = d;
    return true;
}

/* Records of classes that came into being while we read may be torn: the
 * kind is stored last, so they are still of kind 0. */
static void classes_read(struct heap *h, const struct process *p)
{
    const struct sc_directory *d = &h->dir;
    for (uint32_t i = 0; i < d->class_count; i++) {
        struct sc_class_info *c = &h->classes[i];
        if (remote_read(p->pid, d->classes + (uint64_t)i * d->class_entry, c,
                        sizeof *c) != sizeof *c)
            memset(c, 0, sizeof *c);
        c->name[sizeof c->name - 1] = 0;
    }
}

/* As a reader of a sequence lock: again if a writer was at work. */
static void stats_read(struct heap *h, const struct process *p)
{
    struct sc_stats_page *s = &h->stats;
    for (int i = 0; i < 10 && h->dir.stats && !h->has_stats; i++) {
        uint64_t seq = 0, at = h->dir.stats;
        bool whole = remote_read(p->pid, at, s, sizeof *s) == sizeof *s;
        remote_read(p->pid, at + offsetof(struct sc_stats_page, seq), &seq,
                    sizeof seq);
        h->has_stats = whole && !(s->seq & 1) && s->seq == seq
                    && !memcmp(s->magic, SC_STATS_MAGIC, SC_MAGIC_BYTES)
                    && s->version == SC_STATS_VERSION;
    }
}

void heap_find(struct heap *h, const struct process *p)
{
    uint64_t step = (uint64_t)sysconf(_SC_PAGESIZE);
    memset(h, 0, sizeof *h);
    h->refused = remote_refused(p);
    if (h->refused)
        return;
    for (size_t i = 0; i < p->n; i++) {
        if (!could_hold_directory(&p->map[i]))
            continue;
        for (uint64_t a = p->map[i].lo; a < p->map[i].hi; a += step)
            directory_at(h, p, a);
    }
    if (h->present && h->version == SC_DIRECTORY_VERSION) {
        ranges_read(&h->ranges, p->pid, h->dir.ranges);
        classes_read(h, p);
        stats_read(h, p);
    }
}

/* Pages up to the last writable one: no more can be in use, whatever the
 * directory says. */
static uint64_t top_bound(const struct heap *h, const struct process *p)
{
    const struct sc_directory *d = &h->dir;
    uint64_t end = d->heap_base;
    for (size_t i = 0; i < p->n; i++) {
        const struct mapping *m = &p->map[i];
        if (map_writable(m) && m->lo < d->heap_base + d->heap_reserved
            && m->hi > end)
            end = m->hi;
    }
    if (end > d->heap_base + d->heap_reserved)
        end = d->heap_base + d->heap_reserved;
    return (end - d->heap_base) >> d->page_shift;
}

static void top_read(struct heap *h, const struct process *p)
{
    uint64_t top = h->dir.top, bound = top_bound(h, p);
    uint32_t live = 0;
    if (h->dir.top_at && remote_read(p->pid, h->dir.top_at, &live,
                                     sizeof live) == sizeof live)
        top = live;
    h->top = (uint32_t)(top < bound ? top : bound);
}

#define DESC_PIECE 16384 /* descriptors in 64 KiB, ready or not as one */

static void descriptors_read(struct heap *h, const struct process *p)
{
    uint32_t *piece = grow(NULL, DESC_PIECE * sizeof *piece);
    h->page = grow(NULL, h->top * sizeof *h->page);
    for (uint32_t at = 0; at < h->top; at += DESC_PIECE) {
        uint32_t n = h->top - at < DESC_PIECE ? h->top - at : DESC_PIECE;
        memset(piece, 0, DESC_PIECE * sizeof *piece);
        remote_read(p->pid, h->dir.pagedesc + (uint64_t)at * sizeof *piece,
                    piece, n * sizeof *piece);
        for (uint32_t i = 0; i < n; i++)
            h->page[at + i] = (struct page_seen){.desc = piece[i]};
    }
    free(piece);
}

/* Called per page of the system, of which ours has one or more. */
static void page_is_resident(uint64_t a, void *arg)
{
    struct heap *h = arg;
    uint64_t i = (a - h->dir.heap_base) >> h->dir.page_shift;
    if (i < h->top)
        h->page[i].resident += (uint32_t)sysconf(_SC_PAGESIZE);
}

static void residence_read(struct heap *h, const struct process *p)
{
    uint64_t lo = h->dir.heap_base;
    uint64_t hi = lo + ((uint64_t)h->top << h->dir.page_shift);
    for (size_t i = 0; i < p->n; i++) {
        const struct mapping *m = &p->map[i];
        if (m->hi <= lo || m->lo >= hi || m->resident == 0)
            continue;
        remote_resident(p->pid, m->lo > lo ? m->lo : lo,
                        m->hi < hi ? m->hi : hi, page_is_resident, h);
    }
}

static void sum_add(struct class_sum *to, const struct class_sum *one)
{
    to->spans += one->spans;
    to->pages += one->pages;
    to->resident += one->resident;
}

static enum large_kind large_kind(uint32_t desc)
{
    return desc & SC_PAGE_NOSCAN ? LARGE_NOSCAN
         : desc & SC_PAGE_CUSTOM ? LARGE_TRACED
                                 : LARGE_SCANNED;
}

void heap_count(struct heap *h, const struct process *p)
{
    if (!h->present || h->version != SC_DIRECTORY_VERSION)
        return;
    top_read(h, p);
    descriptors_read(h, p);
    residence_read(h, p);
    for (uint32_t i = 0; i < h->top; i++) {
        uint32_t d = h->page[i].desc;
        bool large = d & SC_PAGE_LARGE;
        bool first = large ? d & SC_PAGE_LARGE_FIRST
                           : !(d >> SC_PAGE_INDEX_SHIFT & SC_PAGE_INDEX);
        struct class_sum one = {first, 1, h->page[i].resident};
        if (d & SC_PAGE_IN_USE) {
            sum_add(large ? &h->large[large_kind(d)]
                          : &h->sum[d & SC_PAGE_CLASS], &one);
            sum_add(&h->used, &one);
        } else {
            one.spans = 0;
            sum_add(&h->free, &one);
        }
    }
}

const char *large_kind_name(enum large_kind k)
{
    static const char *const name[LARGE_KINDS] = {"scanned", "noscan",
                                                  "traced"};
    return name[k];
}

const char *class_kind_name(const struct sc_class_info *c)
{
    static const char *const name[SC_CLASS_KINDS] = {
        "unknown", "noscan", "conservative", "precise", "traced"};
    return name[c->kind < SC_CLASS_KINDS ? c->kind : 0];
}
