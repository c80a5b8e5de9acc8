/* vmjson.c: what draw.c and picture.c draw, as JSON.
 *
 * All mappings with what they are, their sums and the kernel's; for our heap
 * the classes that have spans.  Bytes, not KiB.
 */
#include "tool.h"

/* One mapping; what is not known of it is left out. */
static void mapping(struct json *j, const struct mapping *m)
{
    json_open(j, NULL, '{');
    json_address(j, "from", m->lo);
    json_address(j, "to", m->hi);
    json_text(j, "rights", m->rights);
    json_text(j, "what", region_name(m->region));
    if (m->region == REGION_METADATA)
        json_text(j, "kind", metadata_name(m->detail));
    if (m->region == REGION_THREAD_STACK && m->detail)
        json_number(j, "thread", m->detail);
    if (m->guess)
        json_flag(j, "guess", true);
    if (m->path[0])
        json_text(j, "path", m->path);
    json_number(j, "reserved", m->hi - m->lo);
    json_number(j, "committed", m->committed);
    json_number(j, "resident", m->resident);
    json_flag(j, "summed", !m->outside);
    json_close(j, '}');
}

/* Two of the kernel's figures must be ours: agree says whether they are. */
static void sums(struct json *j, const struct process *p)
{
    json_open(j, "sum", '{');
    json_number(j, "reserved", p->size);
    json_number(j, "committed", p->committed);
    json_number(j, "resident", p->resident);
    json_number(j, "swapped", p->swapped);
    json_close(j, '}');
    json_open(j, "kernel", '{');
    json_number(j, "vm_size", p->vm_size);
    if (p->has_rollup)
        json_number(j, "rollup_rss", p->rollup);
    json_number(j, "vm_rss", p->vm_rss);
    json_close(j, '}');
    json_flag(j, "agree", p->tries > 0);
    json_signed(j, "readings", p->tries);
}

/* A class, or (c < 0) large objects of a kind, if it has any pages. */
static void class_json(struct json *j, const struct heap *h, int c,
                       const char *kind, const struct class_sum *s)
{
    if (s->pages == 0)
        return;
    json_open(j, NULL, '{');
    json_text(j, "kind", kind);
    json_flag(j, "large", c < 0);
    if (c >= 0) {
        json_signed(j, "class", c);
        json_text(j, "type", h->classes[c].name);
        json_number(j, "slot", h->classes[c].size);
    }
    json_number(j, "spans", s->spans);
    json_number(j, "bytes", s->pages << h->dir.page_shift);
    json_number(j, "resident", s->resident);
    json_close(j, '}');
}

static void classes_json(struct json *j, const struct heap *h)
{
    json_open(j, "classes", '[');
    for (int c = 0; c < SC_CLASSES_MAX; c++)
        class_json(j, h, c, class_kind_name(&h->classes[c]), &h->sum[c]);
    for (int k = 0; k < LARGE_KINDS; k++)
        class_json(j, h, -1, large_kind_name((enum large_kind)k),
                   &h->large[k]);
    json_close(j, ']');
}

/* The sums over all classes, and over the free pages. */
static void sum_json(struct json *j, const char *key, const struct heap *h,
                     const struct class_sum *s)
{
    json_open(j, key, '{');
    json_number(j, "spans", s->spans);
    json_number(j, "bytes", s->pages << h->dir.page_shift);
    json_number(j, "resident", s->resident);
    json_close(j, '}');
}

/* Of a directory that we don't understand, only that it is there. */
static void heap_json(struct json *j, const struct heap *h)
{
    json_open(j, "sancai", '{');
    json_number(j, "directory_version", h->version);
    json_address(j, "directory", h->where);
    json_signed(j, "more_copies", h->others);
    if (h->version == SC_DIRECTORY_VERSION) {
        json_address(j, "heap", h->dir.heap_base);
        json_number(j, "reserved", h->dir.heap_reserved);
        json_number(j, "page", (uint64_t)1 << h->dir.page_shift);
        json_number(j, "ranges", h->ranges.n);
        json_flag(j, "ranges_whole", h->ranges.whole && !h->ranges.lost);
        json_number(j, "grown", (uint64_t)h->top << h->dir.page_shift);
        sum_json(j, "in_use", h, &h->used);
        sum_json(j, "free", h, &h->free);
        classes_json(j, h);
        if (h->has_stats) {
            json_open(j, "numbers", '{');
            report_numbers(j, &h->stats.now);
            json_close(j, '}');
        }
    }
    json_close(j, '}');
}

void vm_json(FILE *to, const struct process *p, const struct heap *h)
{
    struct json j = {.to = to};
    json_open(&j, NULL, '{');
    json_signed(&j, "pid", p->pid);
    json_text(&j, "name", p->name);
    json_text(&j, "program", p->exe);
    json_signed(&j, "threads", p->threads);
    sums(&j, p);
    json_open(&j, "mappings", '[');
    for (size_t i = 0; i < p->n; i++)
        mapping(&j, &p->map[i]);
    json_close(&j, ']');
    json_flag(&j, "memory_readable", h->refused == 0);
    if (h->present)
        heap_json(&j, h);
    else
        json_null(&j, "sancai");
    json_close(&j, '}');
}
