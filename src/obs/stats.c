/* stats.c: one snapshot of the counters, whose classes add up.
 *
 *   mapped == heap_objects_bytes + heap_unused_bytes      (spans in use)
 *           + heap_free_bytes + heap_released_bytes       (free pages)
 *           + gc_bytes + span_bytes + thread_bytes + work_bytes + other_bytes
 *
 * The equation holds for every snapshot: the parts are read, and mapped is
 * their sum.  heap_unused is what spans hold and no object fills, so it takes
 * up what moved while the others were read.
 */
#include <string.h>

#include "obs.h"

/* Times may be added meanwhile; the smaller quantiles come first and the
 * maximum last, so that they are in order all the same. */
static void fill_hist(struct sc_histogram *to, const struct hist *h)
{
    to->p50 = hist_quantile(h, 5000);
    to->p99 = max_size(hist_quantile(h, 9900), to->p50);
    to->p999 = max_size(hist_quantile(h, 9990), to->p99);
    to->count = load_relaxed(&h->count);
    to->sum = load_relaxed(&h->sum);
    to->max = load_relaxed(&h->max);
}

struct allocated {
    uint64_t bytes, objects;
};

/* Sums over the threads; each is the owner's counter, read as it stands. */
static struct allocated allocated(struct sc_stats *s)
{
    struct thread *self = thread_self;
    struct allocated a;
    if (self)
        thread_lock(self, &threads.lock);
    else
        lock_take(&threads.lock);
    a.bytes = threads.dead_alloc_bytes;
    a.objects = threads.dead_alloc_objects;
    for (struct thread *t = threads.all; t; t = t->next) {
        a.bytes += load_relaxed(&t->cache.alloc_bytes);
        a.objects += load_relaxed(&t->cache.alloc_objects);
    }
    s->num_threads = threads.n;
    lock_drop(&threads.lock);
    return a;
}

static void fill_heap(struct sc_stats *s)
{
    struct allocated a = allocated(s);
    s->total_alloc_bytes = a.bytes;
    s->total_alloc_objects = a.objects;
    s->total_free_bytes = load_relaxed(&heap.swept_free_bytes);
    s->total_free_objects = load_relaxed(&heap.swept_free_objects);
    s->heap_objects = a.objects - s->total_free_objects;
    s->heap_live = gc_heap_live();
    s->heap_goal = load_relaxed(&gc.goal);
    s->heap_marked = load_relaxed(&gc.heap_marked);
}

static void fill_classes(struct sc_stats *s)
{
    struct page_stats p;
    page_stats(&p);
    uint64_t held = s->total_alloc_bytes - s->total_free_bytes;
    s->heap_objects_bytes = held < p.in_use ? held : p.in_use;
    s->heap_unused_bytes = p.in_use - s->heap_objects_bytes;
    s->heap_free_bytes = p.free;
    s->heap_released_bytes = s->released = p.released;
    s->gc_bytes = meta_bytes(META_BITS);
    s->span_bytes = meta_bytes(META_SPAN);
    s->thread_bytes = meta_bytes(META_THREAD);
    s->work_bytes = meta_bytes(META_WORK);
    s->other_bytes = meta_bytes(META_OTHER);
    s->metadata = s->gc_bytes + s->span_bytes + s->thread_bytes +
                  s->work_bytes + s->other_bytes;
    s->mapped = p.in_use + p.free + p.released + s->metadata;
}

static void fill_times(struct sc_stats *s)
{
    struct cycle_totals t;
    cycle_totals(&t);
    s->num_gc = t.num;
    s->num_forced_gc = t.forced;
    s->gc_cpu_ns = t.gc_cpu_ns;
    s->assist_ns = load_relaxed(&assist_ns);
    uint64_t had = (os_now() - os_start_time()) * (uint64_t)policy_procs();
    s->gc_cpu_permille = had ? t.gc_cpu_ns * 1000 / had : 0;
    fill_hist(&s->hold, &hold_times);
    fill_hist(&s->hold_cpu, &hold_cpu_times);
    fill_hist(&s->stop, &stop_times);
}

void obs_stats(struct sc_stats *s)
{
    memset(s, 0, sizeof *s);
    fill_heap(s);
    fill_classes(s);
    fill_times(s);
    struct special_counts c;
    life_counts(&c);
    s->cleanups_queued = c.cleanups_queued;
    s->cleanups_run = c.cleanups_run;
    s->finalizers_queued = c.finalizers_queued;
    s->finalizers_run = c.finalizers_run;
    s->memory_limit = (uint64_t)policy_memory_limit(0, false);
    s->gc_percent = policy_gc_percent(0, false);
    s->max_procs = policy_max_procs(0);
}
