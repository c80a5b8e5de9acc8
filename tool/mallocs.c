/* mallocs.c: what a program's malloc held when it ended, as rows that add up.
 *
 * The rows are the library's own (src/malloc/stats.h); beneath them, what the
 * size classes hold, those that hold most first.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

#define CLASSES_SHOWN 8

bool mallocs_present(const struct sc_malloc_page *p)
{
    return memcmp(p->magic, SC_MALLOC_MAGIC, sizeof p->magic) == 0;
}

static void row(struct out *o, const char *text, uint64_t v)
{
    char exact[TEXT], words[TEXT];
    fprintf(o->to, "    %-40s %18s  %10s\n", text, text_grouped(exact, v),
            text_bytes(words, v));
}

static uint64_t held(const struct sc_malloc_class *c)
{
    return (uint64_t)c->size * c->slots;
}

static int by_bytes(const void *a, const void *b)
{
    uint64_t x = held(a), y = held(b);
    return x < y ? 1 : x > y ? -1 : 0;
}

static void classes(struct out *o, const struct sc_malloc_page *p)
{
    struct sc_malloc_class all[SC_MALLOC_CLASSES];
    memcpy(all, p->classes, sizeof all);
    qsort(all, SC_MALLOC_CLASSES, sizeof *all, by_bytes);
    fprintf(o->to, "    %8s %8s %12s %12s %12s\n", "size", "spans", "in use",
            "in caches", "free");
    for (int i = 0; i < CLASSES_SHOWN && all[i].slots; i++)
        fprintf(o->to, "    %8u %8u %12u %12u %12u\n", all[i].size,
                all[i].spans, all[i].slots - all[i].free - all[i].cached,
                all[i].cached, all[i].free);
}

void mallocs_table(struct out *o, const struct sc_malloc_page *p)
{
    if (!mallocs_present(p)) {
        fputs("    the program ended without telling what its malloc held\n",
              o->to);
        return;
    }
    out_colour(o, CYAN);
    fprintf(o->to, "  malloc, bytes%s\n",
            p->finished ? "" : " (not the last: no orderly exit)");
    out_colour(o, PLAIN);
#define ROW(name, text) row(o, text, p->name);
    SC_MALLOC_ROWS(ROW)
#undef ROW
    classes(o, p);
}

void mallocs_json(struct json *j, const struct sc_malloc_page *p)
{
    if (!mallocs_present(p)) {
        json_null(j, "malloc");
        return;
    }
    json_open(j, "malloc", '{');
    json_number(j, "pid", p->pid);
    json_flag(j, "finished", p->finished != 0);
#define ROW(name, text) json_number(j, #name, p->name);
    SC_MALLOC_ROWS(ROW)
#undef ROW
    json_open(j, "classes", '[');
    for (int i = 0; i < SC_MALLOC_CLASSES; i++) {
        const struct sc_malloc_class *c = &p->classes[i];
        if (!c->slots)
            continue;
        json_open(j, NULL, '{');
        json_number(j, "size", c->size);
        json_number(j, "spans", c->spans);
        json_number(j, "used", c->slots - c->cached - c->free);
        json_number(j, "cached", c->cached);
        json_number(j, "free", c->free);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}
