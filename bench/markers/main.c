/* main.c: the table: recorded heaps, and how much faster N markers are than
 * one.
 *
 *   markers [OPTION...] HEAP...
 *     --COST=n      a cost in steps: word object far mark turn entry lock slice
 *                   call wake-up poll doze
 *     --RULE=n      how work is shared: entries budget balance few least
 *                   stash, and 0 or 1 for hungry split ring wake
 *     --then        rules from here on are those of the second row
 *     --one         no second row
 *     --seed=n      of the delays of sleepers
 *     --why         where the time of each row goes
 *
 * The first row of a heap shares at times, the second on demand (markers.h).
 * Speed-ups of both are over one marker of the first.  A row ends with the
 * first number of markers of which each does less than half of what one alone
 * does, and what most of the rest of their time goes to:
 *
 *   roots     only the collector's thread has something: globals and specials
 *   chain     the longest chain alone takes half of it
 *   narrow    nothing waits to be scanned
 *   kept      others have something, and keep it
 *   asleep    something is in the lists, and the sleeper was not woken yet
 *   lock      waiting for a list's lock
 *   more      there is more to do than for one marker: slices, hand-overs
 */
#include "markers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned numbers[] = {1, 2, 4, 8, 16, 32, 64};
enum { RUNS = sizeof numbers / sizeof numbers[0] };

static struct setup ways[2] = {
    {.costs = COSTS_USUAL, .sharing = SHARING_AT_TIMES, .seed = 1},
    {.costs = COSTS_USUAL, .sharing = SHARING_ON_DEMAND, .seed = 1},
};
static int nways = 2, ruled; /* the row that rules are for */
static bool why;

/* ---- Options ------------------------------------------------------------- */

#define COST(f) {#f, offsetof(struct setup, costs.f), 4, true}
#define RULE(f, n) {#f, offsetof(struct setup, sharing.f), n, false}
static const struct option {
    const char *name;
    size_t at, bytes;
    bool both;          /* rows */
} options[] = {
    COST(word), COST(object), COST(far), COST(mark), COST(turn), COST(entry),
    COST(lock), COST(slice), COST(call), COST(poll), COST(doze),
    {"wake-up", offsetof(struct setup, costs.wake), 4, true},
    {"budget", offsetof(struct setup, sharing.slice), 4, false},
    RULE(entries, 4), RULE(balance, 4), RULE(few, 4), RULE(least, 4),
    RULE(stash, 4), RULE(hungry, 1), RULE(split, 1), RULE(ring, 1),
    RULE(wake, 1),
    {"seed", offsetof(struct setup, seed), 8, true},
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
        for (int k = 0; k < 2; k++)
            if (o->both || k == ruled)
                memcpy((char *)&ways[k] + o->at, &v, o->bytes);
        return;
    }
    fprintf(stderr, "markers: no option --%s\n", word);
    exit(2);
}

static void option(const char *word)
{
    if (!strcmp(word, "why"))
        why = true;
    else if (!strcmp(word, "one"))
        nways = 1;
    else if (!strcmp(word, "then"))
        ruled = 1;
    else
        option_set(word);
}

static void check_rules(void)
{
    for (int i = 0; i < 2; i++) {
        struct sharing *s = &ways[i].sharing;
        if (s->entries >= 1 && s->entries <= BUFFER_ENTRIES && s->balance)
            continue;
        fprintf(stderr, "markers: entries are 1 to %d, balance is not 0\n",
                BUFFER_ENTRIES);
        exit(2);
    }
}

/* ---- One heap ------------------------------------------------------------ */

struct heap {
    const char *name;
    struct graph g;
    uint32_t depth;
    uint64_t chain;     /* in steps */
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

/* What no number of markers is faster than. */
static double bound(const struct heap *h)
{
    return (double)h->one.steps / (double)(h->chain ? h->chain : 1);
}

/* A link costs at least the look at its word, its object, and if that is on
 * another page the way there. */
static uint64_t chain_of(const struct graph *g, const struct costs *c)
{
    uint32_t near = c->word + c->object;
    return graph_chain(g, near, near + c->far + c->mark);
}

/* The first number of markers that is too many, or RUNS. */
static int limit_of(const struct heap *h)
{
    for (int i = 0; i < RUNS; i++)
        if (speed_up(h, i) < 0.5 * numbers[i])
            return i;
    return RUNS;
}

static const char *reason(const struct heap *h, int i)
{
    const struct outcome *o = &h->run[i];
    if (2 * h->chain > o->steps)
        return "chain";
    const struct {
        const char *name;
        uint64_t time;
    } all[] = {
        {"roots", o->roots}, {"narrow", o->narrow}, {"kept", o->kept},
        {"asleep", o->asleep}, {"lock", o->waits},
        {"more", o->work > h->one.work ? o->work - h->one.work : 0},
    };
    int most = 0;
    for (int k = 1; k < 6; k++)
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
        const struct {
            const char *name;
            uint64_t time;
        } all[] = {{"work", o->work}, {"roots", o->roots},
                   {"narrow", o->narrow}, {"kept", o->kept},
                   {"asleep", o->asleep}, {"lock", o->waits}};
        printf("    %2u:", numbers[i]);
        for (int k = 0; k < 6; k++)
            printf(" %s %.1f%%", all[k].name, share(h, i, all[k].time));
        printf("; %.1f objects a turn, %" PRIu64 " turns, %" PRIu64
               " slices, %" PRIu64 " handed over, %" PRIu64 " woken\n",
               (double)o->scanned / (double)(o->turns ? o->turns : 1),
               o->turns, o->slices, o->handed, o->wakes);
    }
}

static uint64_t idle(const struct outcome *o)
{
    return o->roots + o->narrow + o->kept + o->asleep;
}

static void print_row(const struct heap *h, int way)
{
    int last = RUNS - 1, limit = limit_of(h);
    const struct outcome *o = &h->run[last];
    printf("| %s | %s | %u | %u | %.1f |", h->name,
           way ? "on demand" : "at times", h->g.nobjects - h->g.nparts,
           h->depth, (double)h->one.steps / 1e6);
    printf(bound(h) > 64 ? " more |" : " %.1f |", bound(h));
    for (int i = 1; i < RUNS; i++)
        printf(" %.1f |", speed_up(h, i));
    printf(" %.0f | %.1f |", share(h, last, idle(o)),
           share(h, last, o->waits));
    if (limit < RUNS)
        printf(" %u: %s |\n", numbers[limit], reason(h, limit));
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
    h.chain = chain_of(&h.g, &ways[0].costs);
    for (int i = 0; i < nways; i++) {
        simulate(&h, &ways[i]);
        if (!i)
            h.one = h.run[0];
        print_row(&h, i);
    }
    graph_free(&h.g);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "--", 2))
            option(argv[i] + 2);
    check_rules();
    printf("| heap | sharing | objects | longest chain | 1, million steps "
           "| chain allows | 2 "
           "| 4 | 8 | 16 | 32 | 64 | idle %% | lock %% | below half at |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--", 2))
            heap(argv[i]);
    return 0;
}
