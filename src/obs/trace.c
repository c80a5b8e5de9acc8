/* trace.c: lines on standard error, one per cycle, as Go prints them.
 *
 *   gctrace=1       gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu,
 *                   #->#-># MB, # MB goal, # MB stacks, # MB globals, # P
 *   gcpacertrace=1  pacer: assist ratio=... / pacer: #% CPU (25 exp.) ...
 *   scavtrace=1     scav # KiB work (bg), # KiB work (eager), # KiB total,
 *                   #% util
 *
 * Field for field after Go's runtime documentation, so that scripts which read
 * Go's lines read ours.  Where Go stops the world twice, we have handshakes:
 * the first and third number are their wall time, not a stop.
 */
#include "obs.h"

/* Go prints three significant digits below ten milliseconds. */
static const char *ms(char *to, uint64_t ns)
{
    double m = (double)ns / 1e6;
    say_format(to, 24, m >= 10 ? "%.0f" : m >= 1 ? "%.1f" : m >= 0.1 ? "%.2f"
               : m > 0 ? "%.3f" : "%.0f", m);
    return to;
}

static unsigned long mb(uint64_t bytes)
{
    return (unsigned long)(bytes >> 20);
}

static void gc_line(const struct cycle_report *r)
{
    char a[7][24];
    struct cycle_totals t;
    cycle_totals(&t);
    uint64_t since = r->end_ns - os_start_time();
    double share = (double)(t.gc_cpu_ns) * 100 /
                   ((double)since * r->procs + 1);
    say_raw("gc %u @%.3fs %.0f%%: %s+%s+%s ms clock, %s+%s/%s/%s+%s ms cpu, "
            "%lu->%lu->%lu MB, %lu MB goal, %lu MB stacks, %lu MB globals, "
            "%d P%s",
            r->number, (double)(r->start_ns - os_start_time()) / 1e9, share,
            ms(a[0], r->begin_wall), ms(a[1], r->mark_wall),
            ms(a[2], r->end_wall), ms(a[3], r->begin_cpu),
            ms(a[4], r->assist_cpu), ms(a[5], r->background_cpu),
            ms(a[6], r->idle_cpu), ms((char[24]){0}, r->end_cpu),
            mb(r->heap_start), mb(r->heap_end), mb(r->heap_marked),
            mb(r->goal), mb(r->stacks), mb(r->globals), r->procs,
            r->forced ? " (forced)" : "");
}

static void scavenge_line(void)
{
    static struct scavenge_stats last;
    struct scavenge_stats now;
    struct page_stats p;
    scavenge_stats(&now);
    page_stats(&p);
    uint64_t used = p.in_use * 100 / (p.in_use + p.free + 1);
    say_raw("scav %lu KiB work (bg), %lu KiB work (eager), %lu KiB total, "
            "%lu%% util",
            (unsigned long)((now.background - last.background) >> 10),
            (unsigned long)((now.eager - last.eager) >> 10),
            (unsigned long)(p.released >> 10), (unsigned long)used);
    last = now;
}

static void on_cycle(const struct cycle_report *r)
{
    if (knobs.gctrace)
        gc_line(r);
    if (knobs.scavtrace)
        scavenge_line();
    publish_update(false);
}

static void on_pacer(const struct pacer *p, int when)
{
    if (!knobs.gcpacertrace)
        return;
    if (when == 0)
        say_raw("pacer: assist ratio=%.3f (scan %lu MB in %lu->%lu MB) "
                "workers=%d+%.2f",
                p->work_per_byte, mb(p->last_heap_scan), mb(p->triggered),
                mb(load_relaxed(&gc.goal)), p->dedicated, p->fractional);
    else
        say_raw("pacer: %.0f%% CPU (25 exp.) for %lu+%lu+%lu B work "
                "(%lu B exp.) in %lu B -> %lu B (cons/mark %.3f)",
                p->utilization * 100, (unsigned long)p->heap_work,
                (unsigned long)p->stack_work, (unsigned long)p->globals_scan,
                (unsigned long)pacer_expected(p), (unsigned long)p->triggered,
                (unsigned long)gc_heap_live(), p->cons_mark);
}

void trace_init(void)
{
    cycle_report_hook = on_cycle;
    policy_report_hook = on_pacer;
}
