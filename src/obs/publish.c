/* publish.c: what `sancai vm` and `sancai run` read from outside.
 *
 *   one OS page between two inaccessible ones: the directory, found by its
 *   magic; the table of class names; the statistics page, which is the file of
 *   SANCAI_STATS_FD if `sancai run` gave one.
 *
 * directory.h is the contract.  Updates are made by the collector's thread at
 * the end of each cycle, and at exit.
 */
#include <string.h>

#include "directory.h"
#include "obs.h"

static struct {
    struct sc_directory *dir;
    struct sc_class_info *info;
    struct sc_stats_page *page;
    uint32_t shown;          /* classes described */
    struct lock lock;        /* one writer of the page; all of the
                                statistics are read under it */
} pub = {.lock = LOCK_INIT(RANK_CYCLE)};

/* ---- The statistics page ----------------------------------------------- */

static void copy_numbers(struct sc_numbers *to, const struct sc_stats *from)
{
#define N(m) to->m = (uint64_t)from->m;
#define H(m) memcpy(&to->m, &from->m, sizeof to->m);
    SC_STATS_MEMBERS(N, H)
#undef N
#undef H
}

/* Names of classes that came into being since the last time. */
static void describe_classes(void)
{
    uint32_t n = load_acquire(&class_count);
    for (uint32_t c = pub.shown; c < n; c++) {
        const struct class *k = &classes[c];
        struct sc_class_info *i = &pub.info[c];
        i->size = k->size;
        i->pages = k->npages;
        if (k->shape && k->shape->name)
            say_format(i->name, sizeof i->name, "%s", k->shape->name);
        store_release(&i->kind, (uint8_t)(k->kind + SC_CLASS_NOSCAN));
    }
    pub.shown = n;
}

void publish_update(bool finished)
{
    struct sc_stats s;
    if (!pub.page || !lock_try(&pub.lock))
        return;
    struct sc_stats_page *p = pub.page;
    describe_classes();
    obs_stats(&s);
    store_relaxed(&p->seq, p->seq + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    copy_numbers(&p->now, &s);
    p->updates++;
    p->update_ns = os_now();
    p->finished = finished;
    store_release(&p->seq, p->seq + 1);
    lock_drop(&pub.lock);
}

/* The file that `sancai run` passed, if it is ours to write. */
static struct sc_stats_page *map_given(void)
{
    struct sc_stats_page *page = os_map_given(SC_STATS_ENV, SC_STATS_BYTES);
    if (!page)
        return 0;
    uint64_t none = 0, mine = (uint64_t)os_pid();
    if (cas_seq(&page->pid, &none, mine) || none == mine)
        return page;
    os_unmap(page, SC_STATS_BYTES);
    return 0;
}

static void start_page(struct sc_stats_page *p)
{
    p->version = SC_STATS_VERSION;
    p->size = sizeof *p;
    p->pid = (uint64_t)os_pid();
    p->start_ns = os_start_time();
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(p->magic, SC_STATS_MAGIC, SC_MAGIC_BYTES);
    pub.page = p;
}

/* ---- The directory ----------------------------------------------------- */

/* The list is kept by src/os, which sees no header above it. */
#define SAME(a, b, m)                                                    \
    _Static_assert(offsetof(struct a, m) == offsetof(struct b, m) &&     \
                       sizeof(struct a) == sizeof(struct b),             \
                   "the same struct on both sides")
SAME(os_range, sc_range, hi);
SAME(os_range, sc_range, thread);
SAME(os_ranges_block, sc_range_block, range);
SAME(os_ranges, sc_ranges, first);
_Static_assert(OS_USE_STACK == (int)SC_METADATA_STACK &&
                   OS_USE_OTHER == (int)SC_METADATA_OTHER,
               "the same numbers on both sides");

static void fill(struct sc_directory *d)
{
    d->version = SC_DIRECTORY_VERSION;
    d->size = sizeof *d;
    d->pid = (uint64_t)os_pid();
    d->heap_base = arenas.base;
    d->heap_reserved = arenas.size;
    d->page_shift = PAGE_SHIFT;
    d->arena_shift = 26;
    d->pagedesc = (uint64_t)(uintptr_t)heap.desc;
    d->pagedesc_entry = sizeof heap.desc[0];
    d->classes = (uint64_t)(uintptr_t)pub.info;
    d->class_entry = sizeof *pub.info;
    d->class_count = SC_CLASSES_MAX;
    d->stats = (uint64_t)(uintptr_t)pub.page;
    d->ranges = (uint64_t)(uintptr_t)&os_ranges;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(d->magic, SC_DIRECTORY_MAGIC, SC_MAGIC_BYTES);
}

/* Inside us: a handshake's handler takes the locks that the numbers need.  So
 * this thread attaches if it was not, to be asked when it has left. */
static void at_exit(void)
{
    struct thread *t = pub.page && !thread_attach() ? thread_enter() : 0;
    publish_update(true);
    if (t)
        thread_leave(t);
}

int publish_init(void)
{
    size_t os = os_page_size();
    char *room = os_reserve(3 * os, os, 0);
    pub.info = meta_map(SC_CLASSES_MAX * sizeof *pub.info, META_OTHER);
    if (!room || !pub.info || os_commit(room + os, os))
        return 12;
    os_name(room, 3 * os, "sancai: directory", OS_USE_DIRECTORY);
    struct sc_stats_page *given = map_given();
    if (!given)
        given = meta_map(SC_STATS_BYTES, META_OTHER);
    if (given)
        start_page(given);
    describe_classes();
    pub.dir = (struct sc_directory *)(room + os);
    pub.dir->top_at = (uint64_t)(uintptr_t)&heap.top;
    fill(pub.dir);
    os_at_exit(at_exit);
    return 0;
}

/* The child is another process: it leaves its parent's file alone. */
void publish_fork_child(void)
{
    lock_reset(&pub.lock);
    os_ranges_fork_child();
    if (pub.dir)
        pub.dir->pid = (uint64_t)os_pid();
    if (pub.page && pub.page->pid != (uint64_t)os_pid())
        pub.page = 0;
}
