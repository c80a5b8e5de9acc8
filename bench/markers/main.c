/* main.c: the table: recorded heaps, and how much faster N markers are than one.
 *
 *   markers [OPTION...] HEAP...
 *     --COST=n      a cost in steps: word object far mark turn entry lock slice
 *                   call wake poll doze
 *     --RULE=n      how work is shared: entries slice balance few, and 0 or 1
 *                   for split hungry wake chain; later ones hold for the rows
 *                   called "then"
 *     --then        what follows is a second way to share
 *     --seed=n      of the delays of sleepers
 *     --why         where the time of each row goes
 *
 * A row ends with the first number of markers of which each does less than half
 * of what one alone does, and what most of the rest of their time goes to:
 *
 *   chain     the longest chain alone takes so long
 *   narrow    nothing waits to be scanned
 *   kept      others have something, and keep it
 *   asleep    something is in the lists, and the sleeper was not woken yet
 *   lock      waiting for a list's lock
 *   more      there is more to do than for one marker: slices, hand-overs
 */
#include "markers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned numbers[] = {1, 2, 4, 8, 16, 32, 64};
enum { RUNS = sizeof numbers / sizeof numbers[0] };

static struct setup ways[2] = {
    {.costs = COSTS_USUAL, .sharing = SHARING_NOW, .seed = 1},
};
static int nways = 1;
static bool why;

/* ---- Options ------------------------------------------------------------- */

#define COST(f) {#f, offsetof(struct setup, costs.f), 4}
#define RULE(f, n) {#f, offsetof(struct setup, sharing.f), n}
static const struct option {
    const char *name;
    size_t at, bytes;
} options[] = {
    COST(word), COST(object), COST(far), COST(mark), COST(turn), COST(entry),
    COST(lock), COST(slice), COST(call), COST(wake), COST(poll), COST(doze),
    RULE(entries, 4), RULE(slice, 4), RULE(balance, 4), RULE(few, 4),
    RULE(split, 1), RULE(hungry, 1), RULE(wake, 1), RULE(chain, 1),
    {"seed", offsetof(struct setup, seed), 8},
};

static bool option_is(const struct option *o, const char *word)
{
    size_t n = strlen(o->name);
    return !strncmp(word, o->name, n) && word[n] == '=';
}

static void option_set(const char *word)
{
    size_t n = sizeof options / sizeof options[0];
    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];
        if (!option_is(o, word))
            continue;
        uint64_t v = strtoull(word + strlen(o->name) + 1, NULL, 0);
        memcpy((char *)&ways[nways - 1] + o->at, &v, o->bytes);
        return;
    }
    fprintf(stderr, "markers: no option --%s\n", word);
    exit(2);
}

static void option(const char *word)
{
    if (!strcmp(word, "why"))
        why = true;
    else if (strcmp(word, "then"))
        option_set(word);
    else if (nways == 1)
        ways[nways++] = ways[0];
}

/* ---- One heap ------------------------------------------------------------ */

struct heap {
    const char *name;
    struct graph g;
    uint32_t depth;
    struct outcome one, run[RUNS];
};

static double speed_up(const struct heap *h, int i)
{
    return (double)h->one.steps / (double)h->run[i].steps;
}

static double share(const struct heap *h, int i, uint64_t of)
{
    return 100.0 * (double)of / (double)(numbers[i] * h->run[i].steps);
}

/* What no number of markers is faster than: the links of the longest chain. */
static double bound(const struct heap *h, const struct costs *c)
{
    double link = c->object + c->word;
    return (double)h->one.steps / (link * (h->depth ? h->depth : 1));
}

/* The first number of markers that is too many, or RUNS. */
static int limit_of(const struct heap *h)
{
    for (int i = 0; i < RUNS; i++)
        if (speed_up(h, i) < 0.5 * numbers[i])
            return i;
    return RUNS;
}

static const char *reason(const struct heap *h, const struct costs *c, int i)
{
    const struct outcome *o = &h->run[i];
    if (bound(h, c) < 0.5 * numbers[i])
        return "chain";
    const struct {
        const char *name;
        uint64_t time;
    } all[] = {
        {"narrow", o->narrow}, {"kept", o->kept}, {"asleep", o->asleep},
        {"lock", o->waits},
        {"more", o->work > h->one.work ? o->work - h->one.work : 0},
    };
    int most = 0;
    for (int k = 1; k < 5; k++)
        if (all[k].time > all[most].time)
            most = k;
    return all[most].name;
}

static void simulate(struct heap *h, const struct setup *way)
{
    for (int i = 0; i < RUNS; i++) {
        struct setup s = *way;
        s.n = numbers[i];
        markers_run(&h->g, &s, &h->run[i]);
        if (h->run[i].wrong) {
            fprintf(stderr, "markers: %s, %u markers: %s\n", h->name,
                    numbers[i], h->run[i].wrong);
            exit(1);
        }
    }
}

static void print_why(const struct heap *h)
{
    for (int i = 0; i < RUNS; i++) {
        const struct outcome *o = &h->run[i];
        printf("| | %u markers | | | %.1f | work %.0f%% narrow %.0f%% "
               "kept %.0f%% asleep %.0f%% lock %.1f%%; %.2f objects a turn, "
               "%llu slices, %llu handed, %llu wakes |\n", numbers[i],
               speed_up(h, i), share(h, i, o->work), share(h, i, o->narrow),
               share(h, i, o->kept), share(h, i, o->asleep),
               share(h, i, o->waits),
               (double)o->scanned / (double)(o->turns ? o->turns : 1),
               (unsigned long long)o->slices, (unsigned long long)o->handed,
               (unsigned long long)o->wakes);
    }
}

static void print_row(const struct heap *h, const struct costs *c, int way)
{
    int last = RUNS - 1, limit = limit_of(h);
    const struct outcome *o = &h->run[last];
    printf("| %s | %s | %u | %u | %.1f |", h->name, way ? "then" : "now",
           h->g.nobjects - h->g.nparts, h->depth,
           (double)h->one.steps / 1e6);
    for (int i = 1; i < RUNS; i++)
        printf(" %.1f |", speed_up(h, i));
    printf(" %.0f | %.1f |", share(h, last, o->narrow + o->kept + o->asleep),
           share(h, last, o->waits));
    if (limit < RUNS)
        printf(" %u: %s |\n", numbers[limit], reason(h, c, limit));
    else
        printf(" - |\n");
    if (why)
        print_why(h);
    fflush(stdout);
}

static const char *base_name(char *file)
{
    char *slash = strrchr(file, '/'), *dot = strrchr(file, '.');
    if (dot)
        *dot = 0;
    return slash ? slash + 1 : file;
}

static void heap(char *file)
{
    struct heap h;
    memset(&h, 0, sizeof h);
    const char *bad = graph_load(&h.g, file);
    if (!bad && graph_reached(&h.g) != h.g.nobjects - h.g.nparts)
        bad = "not all of it is reached from its roots";
    if (bad) {
        fprintf(stderr, "markers: %s: %s\n", file, bad);
        exit(1);
    }
    h.name = base_name(file);
    h.depth = graph_depth(&h.g);
    for (int i = 0; i < nways; i++) {
        simulate(&h, &ways[i]);
        if (!i)
            h.one = h.run[0];
        print_row(&h, &ways[i].costs, i);
    }
    graph_free(&h.g);
}

int main(int argc, char **argv)
{
    printf("| heap | sharing | objects | longest chain | million steps, 1 | 2 "
           "| 4 | 8 | 16 | 32 | 64 | idle %% | lock %% | below half at |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "--", 2))
            option(argv[i] + 2);
        else
            heap(argv[i]);
    return 0;
}
