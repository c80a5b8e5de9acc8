/* report.c: the summary that `sancai run` prints, as a table or JSON.
 *
 * Every block of it adds up, and says so by showing the sum: what was
 * allocated is what was reclaimed and what is still held; the memory classes
 * are what is mapped.  If they don't, the difference gets a row of its own
 * rather than being hidden.
 */
#include "tool.h"

#include <string.h>
#include <sys/wait.h>

static uint64_t cpu_ns(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_usec * 1000u;
}

/* One row of bytes: exact, so that it can be added up, and as words. */
static void row_bytes(struct out *o, const char *name, uint64_t v)
{
    char exact[TEXT], words[TEXT];
    fprintf(o->to, "    %-28s %20s  %10s\n", name, text_grouped(exact, v),
            text_bytes(words, v));
}

static void row_sum(struct out *o, const char *name, uint64_t v)
{
    out_colour(o, BOLD);
    row_bytes(o, name, v);
    out_colour(o, PLAIN);
}

/* What is missing to `sum`, if anything. */
static void row_difference(struct out *o, uint64_t parts, uint64_t sum)
{
    char exact[TEXT];
    if (parts == sum)
        return;
    out_colour(o, RED);
    fprintf(o->to, "    %-28s %20s%c\n", "not accounted for",
            text_grouped(exact, parts > sum ? parts - sum : sum - parts),
            parts > sum ? '-' : '+');
    out_colour(o, PLAIN);
}

/* Blocks have a heading each. */
static void head(struct out *o, const char *text)
{
    out_colour(o, CYAN);
    fprintf(o->to, "  %s\n", text);
    out_colour(o, PLAIN);
}

/* What is still held is the difference: it can't fail to add up, but it can
 * be seen to be too much. */
static void objects(struct out *o, const struct sc_numbers *n)
{
    char a[TEXT], b[TEXT], c[TEXT];
    head(o, "objects, bytes");
    row_bytes(o, "reclaimed", n->total_free_bytes);
    row_bytes(o, "still held", n->total_alloc_bytes - n->total_free_bytes);
    row_sum(o, "= allocated", n->total_alloc_bytes);
    fprintf(o->to, "    objects: %s reclaimed + %s still held = %s\n",
            text_grouped(a, n->total_free_objects),
            text_grouped(b, n->total_alloc_objects - n->total_free_objects),
            text_grouped(c, n->total_alloc_objects));
}

/* The classes of struct sc_stats; here a difference would be a defect of the
 * library, and is shown. */
static void memory(struct out *o, const struct sc_numbers *n)
{
    const struct {
        const char *name;
        uint64_t v;
    } rows[] = {{"heap: objects", n->heap_objects_bytes},
                {"heap: slots without object", n->heap_unused_bytes},
                {"heap: free pages", n->heap_free_bytes},
                {"heap: pages given back", n->heap_released_bytes},
                {"mark and allocation bits", n->gc_bytes},
                {"page and span tables", n->span_bytes},
                {"thread caches", n->thread_bytes},
                {"mark queues", n->work_bytes},
                {"all else", n->other_bytes}};
    uint64_t sum = 0;
    head(o, "memory, bytes");
    for (size_t i = 0; i < COUNT(rows); i++) {
        row_bytes(o, rows[i].name, rows[i].v);
        sum += rows[i].v;
    }
    row_difference(o, sum, n->mapped);
    row_sum(o, "= mapped", n->mapped);
}

/* A histogram in a row; nothing if nothing was recorded. */
static void times_row(struct out *o, const char *name,
                      const struct sc_times *t)
{
    char p50[TEXT], p99[TEXT], p999[TEXT], max[TEXT], count[TEXT];
    if (t->count == 0)
        return;
    fprintf(o->to, "    %-16s %10s %10s %10s %10s %12s\n", name,
            text_ns(p50, t->p50), text_ns(p99, t->p99),
            text_ns(p999, t->p999), text_ns(max, t->max),
            text_grouped(count, t->count));
}

/* Permille of the processor time that the program used. */
static uint64_t gc_share(const struct summary *s)
{
    uint64_t all = cpu_ns(&s->child.usage.ru_utime)
                 + cpu_ns(&s->child.usage.ru_stime);
    return all ? s->page.now.gc_cpu_ns * 1000 / all : 0;
}

/* What the collector cost: processor time, and how long it held threads. */
static void cycles(struct out *o, const struct summary *s)
{
    const struct sc_numbers *n = &s->page.now;
    char gc[TEXT], assist[TEXT];
    uint64_t share = gc_share(s);
    head(o, "collector");
    fprintf(o->to, "    %llu cycles, %llu of them asked for by the program\n",
            (unsigned long long)n->num_gc,
            (unsigned long long)n->num_forced_gc);
    fprintf(o->to, "    processor time %s, %s of it in assists: %llu.%llu %% "
            "of the program's,\n    %llu.%llu %% of what was there\n",
            text_ns(gc, n->gc_cpu_ns), text_ns(assist, n->assist_ns),
            (unsigned long long)share / 10, (unsigned long long)share % 10,
            (unsigned long long)n->gc_cpu_permille / 10,
            (unsigned long long)n->gc_cpu_permille % 10);
    if (n->hold.count == 0 && n->stop.count == 0) {
        fputs("    no thread was ever held\n", o->to);
        return;
    }
    out_colour(o, DIM);
    fprintf(o->to, "    %-16s %10s %10s %10s %10s %12s\n", "held", "p50",
            "p99", "p99.9", "max", "times");
    out_colour(o, PLAIN);
    times_row(o, "one thread", &n->hold);
    times_row(o, "all threads", &n->stop);
}

/* What the kernel says of the program, library or not. */
static void process(struct out *o, const struct summary *s)
{
    const struct rusage *u = &s->child.usage;
    char wall[TEXT], user[TEXT], sys[TEXT], rss[TEXT];
    fprintf(o->to, "    %s elapsed, %s user, %s system, peak RSS %s",
            text_ns(wall, s->child.end_ns - s->child.start_ns),
            text_ns(user, cpu_ns(&u->ru_utime)),
            text_ns(sys, cpu_ns(&u->ru_stime)),
            text_bytes(rss, (uint64_t)u->ru_maxrss * 1024));
    if (WIFSIGNALED(s->child.status))
        fprintf(o->to, ", ended by signal %d (%s)",
                WTERMSIG(s->child.status),
                strsignal(WTERMSIG(s->child.status)));
    fputc('\n', o->to);
}

/* Why the numbers may not be the whole truth. */
static void caveat(struct out *o, const struct summary *s)
{
    if (s->torn || !s->page.finished) {
        out_colour(o, YELLOW);
        fprintf(o->to, "    the program ended without goodbye: numbers as of "
                "its last cycle%s\n",
                s->torn ? ", which was being written" : "");
        out_colour(o, PLAIN);
    }
    if (s->page.pid != (uint64_t)s->child.pid)
        fprintf(o->to, "    numbers of its child process %llu\n",
                (unsigned long long)s->page.pid);
}

void report_table(struct out *o, const struct summary *s)
{
    out_colour(o, BOLD);
    fprintf(o->to, "sancai: %s\n", s->program);
    out_colour(o, PLAIN);
    if (!s->present && !s->malloc)
        fputs("    the program does not use the Sancai library\n", o->to);
    process(o, s);
    if (s->malloc)
        mallocs_table(o, s->malloc);
    if (!s->present)
        return;
    caveat(o, s);
    objects(o, &s->page.now);
    memory(o, &s->page.now);
    cycles(o, s);
}

static void report_times(struct json *j, const char *key,
                         const struct sc_times *t)
{
    json_open(j, key, '{');
    json_number(j, "count", t->count);
    json_number(j, "sum", t->sum);
    json_number(j, "p50", t->p50);
    json_number(j, "p99", t->p99);
    json_number(j, "p999", t->p999);
    json_number(j, "max", t->max);
    json_close(j, '}');
}

void report_numbers(struct json *j, const struct sc_numbers *n)
{
/* The one number that can be negative: -1 is off. */
#define N(m)                                             \
    if (strcmp(#m, "gc_percent") == 0)                   \
        json_signed(j, #m, (int64_t)n->m);               \
    else                                                 \
        json_number(j, #m, n->m);
#define H(m) report_times(j, #m, &n->m);
    SC_STATS_MEMBERS(N, H)
#undef N
#undef H
}

void report_json(FILE *to, const struct summary *s)
{
    struct json j = {.to = to};
    const struct child *c = &s->child;
    json_open(&j, NULL, '{');
    json_text(&j, "program", s->program);
    json_signed(&j, "exit_status", child_exit_code(c));
    json_signed(&j, "signal",
                WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0);
    json_number(&j, "elapsed_ns", c->end_ns - c->start_ns);
    json_number(&j, "user_ns", cpu_ns(&c->usage.ru_utime));
    json_number(&j, "system_ns", cpu_ns(&c->usage.ru_stime));
    json_number(&j, "peak_rss", (uint64_t)c->usage.ru_maxrss * 1024);
    if (s->present) {
        json_open(&j, "sancai", '{');
        json_number(&j, "pid", s->page.pid);
        json_flag(&j, "finished", s->page.finished != 0);
        json_flag(&j, "torn", s->torn);
        json_number(&j, "updates", s->page.updates);
        json_number(&j, "gc_cpu_permille_of_program", gc_share(s));
        report_numbers(&j, &s->page.now);
        json_close(&j, '}');
    } else {
        json_null(&j, "sancai");
    }
    if (s->malloc)
        mallocs_json(&j, s->malloc);
    json_close(&j, '}');
}
