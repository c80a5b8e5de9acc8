/* loop.c: loops as nested strongly connected components (after Steensgaard).
 *
 *   entry -> a -> b -> c -> exit       {a b c} is a loop, its header is a.
 *            ^    ^____|    |          Without the edges into a, {b c} is a
 *            |______________|          loop inside it, with header b.
 *
 * A header is a block of the component that is entered from outside.  In code
 * without wild jumps there is one, and these are the natural loops; a loop
 * that is entered at several places just has several headers.  No dominators
 * are needed.
 */
#include "order.h"

#include <stdbool.h>
#include <string.h>

#include "need.h"

struct search {
    const struct digraph *g;
    struct loops *l;
    int room;
    int *region, regions; /* the part that each block is in now */
};

static void search(struct search *, const int *blocks, int n, int parent);

static bool is_loop(const struct search *s, const int *members, int n)
{
    int b = members[0];
    if (n > 1)
        return true;
    for (int i = 0; i < s->g->nnext[b]; i++)
        if (s->g->next[b][i] == b)
            return true;
    return false;
}

/* Blocks of this region that are entered from another, or from nowhere.  Dead
 * code may be a loop that nothing enters: then it is the first that was met. */
static void heads_find(struct search *s, int loop, int region, int first)
{
    bool any = s->region[0] == region;
    for (int b = 0; b < s->g->n; b++)
        for (int i = 0; i < s->g->nnext[b] && s->region[b] != region; i++)
            if (s->region[s->g->next[b][i]] == region) {
                s->l->heads[s->g->next[b][i]] = loop;
                any = true;
            }
    if (s->region[0] == region)
        s->l->heads[0] = loop;
    if (!any)
        s->l->heads[first] = loop;
}

/* The members become a loop.  Loops inside it are looked for in what is left
 * without its headers. */
static void loop_add(struct search *s, const int *members, int n, int parent)
{
    int loop = s->l->n, inside = ++s->regions, rest = 0;
    int *body = need(NULL, (size_t)n * sizeof *body);
    ROOM(s->l->parent, s->l->n, s->room);
    s->l->parent[s->l->n++] = parent;
    for (int i = 0; i < n; i++) {
        s->l->of[members[i]] = loop;
        s->region[members[i]] = inside;
    }
    heads_find(s, loop, inside, members[0]);
    s->regions++;
    for (int i = 0; i < n; i++) {
        if (s->l->heads[members[i]] == loop)
            continue;
        s->region[members[i]] = s->regions;
        body[rest++] = members[i];
    }
    search(s, body, rest, loop);
    need_free(body);
}

/* Loops among these blocks, which are one region. */
static void search(struct search *s, const int *blocks, int n, int parent)
{
    struct components c;
    components_find(&c, s->g, blocks, n, s->region);
    for (int i = 0, start = 0; i < c.n; start = c.end[i++])
        if (is_loop(s, c.member + start, c.end[i] - start))
            loop_add(s, c.member + start, c.end[i] - start, parent);
    components_free(&c);
}

void loops_find(struct loops *l, const struct digraph *g)
{
    size_t bytes = (size_t)g->n * sizeof(int);
    struct search s = {.g = g, .l = l, .region = need(NULL, bytes)};
    int *all = need(NULL, bytes);
    memset(l, 0, sizeof *l);
    l->of = need(NULL, bytes), l->heads = need(NULL, bytes);
    for (int b = 0; b < g->n; b++) {
        all[b] = b;
        l->of[b] = l->heads[b] = -1;
    }
    search(&s, all, g->n, -1);
    need_free(all);
    need_free(s.region);
}

void loops_free(struct loops *l)
{
    need_free(l->parent);
    need_free(l->of);
    need_free(l->heads);
}
