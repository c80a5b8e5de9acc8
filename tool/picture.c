/* picture.c: our heap: its pages as a picture, its spans as a table.
 *
 *   7e0000000000  NNNNNNNNccccCCCCPPPPPPPPLLLLLLLLLLLLLLLL....----
 *   7e0000200000  ...
 *                 a character is N pages; its letter is what most of those
 *                 in use hold, capital if all N are in use
 *
 * N is the power of two that brings the grown heap to a dozen or so lines.
 */
#include "tool.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LINES 16
#define LABEL 14 /* address before a line */
#define CLASSES_SHOWN 16

/* What a page holds; also the order of the legend. */
enum content { FREE_AWAY, FREE_HERE, NOSCAN, CONSERVATIVE, PRECISE, TRACED,
               LARGE, UNKNOWN, CONTENTS };
static const struct {
    char letter;
    enum colour colour;
    const char *meaning;
} contents[CONTENTS] = {
    [FREE_AWAY] = {'-', DIM, "free, not in memory"},
    [FREE_HERE] = {'.', PLAIN, "free, in memory"},
    [NOSCAN] = {'n', BLUE, "no pointers"},
    [CONSERVATIVE] = {'c', YELLOW, "conservative"},
    [PRECISE] = {'p', GREEN, "precise"},
    [TRACED] = {'t', CYAN, "traced"},
    [LARGE] = {'l', MAGENTA, "large object"},
    [UNKNOWN] = {'?', RED, "unknown"}};

/* Free pages differ by whether they cost memory, used ones by what the
 * collector knows of their objects. */
static enum content page_content(const struct heap *h, uint32_t i)
{
    uint32_t d = h->page[i].desc;
    if (!(d & SC_PAGE_IN_USE))
        return h->page[i].resident ? FREE_HERE : FREE_AWAY;
    if (d & SC_PAGE_LARGE)
        return LARGE;
    switch (h->classes[d & SC_PAGE_CLASS].kind) {
    case SC_CLASS_NOSCAN: return NOSCAN;
    case SC_CLASS_CONSERVATIVE: return CONSERVATIVE;
    case SC_CLASS_PRECISE: return PRECISE;
    case SC_CLASS_TRACED: return TRACED;
    default: return UNKNOWN;
    }
}

/* The letter of a cell that is wholly so. */
static char letter_of(int c)
{
    return (char)toupper(contents[c].letter);
}

/* One character for n pages; `seen` gathers what the legend must explain. */
static void cell(struct out *o, const struct heap *h, uint32_t page,
                 uint32_t n, bool *seen)
{
    uint32_t count[CONTENTS] = {0}, free;
    enum content most = CONTENTS;
    char letter;
    for (uint32_t i = page; i < page + n && i < h->top; i++)
        count[page_content(h, i)]++;
    free = count[FREE_HERE] + count[FREE_AWAY];
    for (int c = NOSCAN; c < CONTENTS; c++)
        if (count[c] && (most == CONTENTS || count[c] > count[most]))
            most = (enum content)c;
    if (most == CONTENTS)
        most = count[FREE_HERE] ? FREE_HERE : FREE_AWAY;
    seen[most] = true;
    letter = contents[most].letter;
    if (free == 0)
        letter = letter_of(most);
    out_colour(o, contents[most].colour);
    fputc(letter, o->to);
    out_colour(o, PLAIN);
}

/* Only the letters that occur. */
static void legend(struct out *o, const bool *seen, uint32_t pages,
                   uint32_t shift)
{
    char words[TEXT], text[512];
    int n = snprintf(text, sizeof text, "A character: %u page%s = %s.", pages,
                     pages == 1 ? "" : "s",
                     text_bytes(words, (uint64_t)pages << shift));
    if (pages > 1)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      " Small letter: not all in use.");
    for (int c = 0; c < CONTENTS; c++)
        if (seen[c])
            n += snprintf(text + n, sizeof text - (size_t)n, " %c: %s.",
                          letter_of(c), contents[c].meaning);
    fprintf(o->to, "%*s", LABEL, "");
    text_wrap(o, LABEL, text);
    fputc('\n', o->to);
}

/* The picture: a power of two of pages per character, so that lines begin at
 * round addresses. */
static void pages_draw(struct out *o, const struct heap *h)
{
    bool seen[CONTENTS] = {false};
    uint32_t cells = o->width >= 144 ? 128 : 64, n = 1;
    while ((uint64_t)n * cells * LINES < h->top)
        n *= 2;
    for (uint64_t at = 0; at < h->top; at += (uint64_t)cells * n) {
        fprintf(o->to, "%0*llx  ", LABEL - 2,
                (unsigned long long)(h->dir.heap_base
                                     + (at << h->dir.page_shift)));
        for (uint64_t c = at; c < at + (uint64_t)cells * n && c < h->top;
             c += n)
            cell(o, h, (uint32_t)c, n, seen);
        fputc('\n', o->to);
    }
    legend(o, seen, n, h->dir.page_shift);
}

/* ---- Spans by class --------------------------------------------------- */

struct class_row {
    const char *kind, *type;
    uint32_t slot; /* 0: large objects */
    const struct class_sum *sum;
};

/* Largest first. */
static int by_pages(const void *a, const void *b)
{
    const struct class_row *x = a, *y = b;
    return (x->sum->pages < y->sum->pages) - (x->sum->pages > y->sum->pages);
}

/* Classes that have pages; the number of them. */
static int classes_collect(const struct heap *h, struct class_row *rows)
{
    int n = 0;
    for (int c = 0; c < SC_CLASSES_MAX; c++)
        if (h->sum[c].pages)
            rows[n++] = (struct class_row){
                class_kind_name(&h->classes[c]), h->classes[c].name,
                h->classes[c].size, &h->sum[c]};
    for (int k = 0; k < LARGE_KINDS; k++)
        if (h->large[k].pages)
            rows[n++] = (struct class_row){
                large_kind_name((enum large_kind)k), "", 0, &h->large[k]};
    qsort(rows, (size_t)n, sizeof *rows, by_pages);
    return n;
}

/* One row of the table; all of its rows have these columns. */
static void span_row(struct out *o, const struct heap *h, const char *kind,
                     const char *type, const char *slot,
                     const struct class_sum *s)
{
    char spans[TEXT], kib[TEXT], here[TEXT];
    int width = o->width - 13 - 9 - 10 - 13 - 13 - 2;
    fprintf(o->to, "%-13s %-*.*s %8s%10s%13s%13s\n", kind, width, width,
            type, slot, s->spans ? text_grouped(spans, s->spans) : "",
            text_grouped(kib, s->pages << h->dir.page_shift >> 10),
            text_grouped(here, s->resident >> 10));
}

static void class_draw(struct out *o, const struct heap *h,
                       const struct class_row *r)
{
    char slot[TEXT] = "large";
    if (r->slot)
        snprintf(slot, sizeof slot, "%u", r->slot);
    span_row(o, h, r->kind, r->type, slot, r->sum);
}

/* The largest classes; the others together in one row, so that the column
 * still adds up. */
static void classes_draw(struct out *o, const struct heap *h, bool every)
{
    static struct class_row rows[SC_CLASSES_MAX + LARGE_KINDS];
    struct class_sum rest = {0};
    char more[TEXT];
    int n = classes_collect(h, rows);
    int shown = every || n <= CLASSES_SHOWN + 1 ? n : CLASSES_SHOWN;
    for (int i = 0; i < shown; i++)
        class_draw(o, h, &rows[i]);
    for (int i = shown; i < n; i++) {
        rest.spans += rows[i].sum->spans;
        rest.pages += rows[i].sum->pages;
        rest.resident += rows[i].sum->resident;
    }
    snprintf(more, sizeof more, "%d more", n - shown);
    if (shown < n)
        span_row(o, h, more, "(--all)", "", &rest);
}

/* The table, with its sums: in use and free are all that was grown. */
static void spans_draw(struct out *o, const struct heap *h, bool every)
{
    struct class_sum all = {0, h->top, h->used.resident + h->free.resident};
    out_colour(o, DIM);
    fprintf(o->to, "%-13s %-*s %8s%10s%13s%13s\n", "spans of kind",
            o->width - 13 - 9 - 10 - 13 - 13 - 2, "type", "slot", "spans",
            "KiB", "resident");
    out_colour(o, PLAIN);
    classes_draw(o, h, every);
    span_row(o, h, "in use", "", "", &h->used);
    span_row(o, h, "free pages", "", "", &h->free);
    out_colour(o, BOLD);
    span_row(o, h, "sum = grown", "", "", &all);
    out_colour(o, PLAIN);
}

/* The library writes its numbers now and then: these may be old. */
static void last_cycle(struct out *o, const struct heap *h)
{
    const struct sc_numbers *n = &h->stats.now;
    char live[TEXT], goal[TEXT], mapped[TEXT];
    if (h->has_stats && h->stats.updates)
        fprintf(o->to, "at the last update: %llu cycles, live %s, goal %s, "
                "mapped %s\n", (unsigned long long)n->num_gc,
                text_bytes(live, n->heap_live), text_bytes(goal, n->heap_goal),
                text_bytes(mapped, n->mapped));
}

void picture_heap(struct out *o, const struct heap *h, bool every)
{
    const struct sc_directory *d = &h->dir;
    uint64_t arena = (uint64_t)1 << (d->arena_shift - d->page_shift);
    char reserved[TEXT], grown[TEXT], page[TEXT];
    out_colour(o, BOLD);
    fprintf(o->to, "\nSancai heap: %s reserved, %s grown",
            text_bytes(reserved, d->heap_reserved),
            text_bytes(grown, (uint64_t)h->top << d->page_shift));
    out_colour(o, PLAIN);
    fprintf(o->to, " in %llu arena%s, pages of %s\n",
            (unsigned long long)((h->top + arena - 1) / arena),
            h->top > arena ? "s" : "",
            text_bytes(page, (uint64_t)1 << d->page_shift));
    last_cycle(o, h);
    if (h->others)
        fprintf(o->to, "%d more copies of the library are not drawn\n",
                h->others);
    pages_draw(o, h);
    spans_draw(o, h, every);
}
