/* component.c: strongly connected components (Tarjan), without recursion.
 *
 * They come out callees first if edges are calls: what a component leads to
 * was complete before it.
 */
#include "order.h"

#include <stdbool.h>
#include <string.h>

#include "need.h"

struct search {
    const struct digraph *g;
    const int *region;
    struct components *c;
    int *number, *low, count;
    int *stack, nstack;
    bool *on_stack;
    int *path, *at, npath; /* and the next edge of each on the path */
};

void digraph_init(struct digraph *g, int n)
{
    g->n = n;
    g->next = need(NULL, (size_t)n * sizeof *g->next);
    g->nnext = need(NULL, (size_t)n * sizeof *g->nnext);
}

/* Room grows at powers of two. */
void digraph_edge(struct digraph *g, int from, int to)
{
    int n = g->nnext[from]++;
    if ((n & (n - 1)) == 0)
        g->next[from] = need(g->next[from],
                             (size_t)(n ? 2 * n : 1) * sizeof(int));
    g->next[from][n] = to;
}

void digraph_free(struct digraph *g)
{
    for (int i = 0; i < g->n; i++)
        need_free(g->next[i]);
    need_free(g->next);
    need_free(g->nnext);
}

static void lower(int *a, int b)
{
    if (b < *a)
        *a = b;
}

static void enter(struct search *s, int b)
{
    s->number[b] = s->low[b] = ++s->count;
    s->stack[s->nstack++] = b;
    s->on_stack[b] = true;
    s->path[s->npath] = b;
    s->at[s->npath++] = 0;
}

/* All edges of b were followed: does a component begin with it? */
static void leave(struct search *s, int b)
{
    struct components *c = s->c;
    int x, end = c->n ? c->end[c->n - 1] : 0;
    if (--s->npath > 0)
        lower(&s->low[s->path[s->npath - 1]], s->low[b]);
    if (s->low[b] != s->number[b])
        return;
    do {
        x = s->stack[--s->nstack];
        s->on_stack[x] = false;
        c->member[end++] = x;
    } while (x != b);
    c->end[c->n++] = end;
}

static void visit(struct search *s, int start)
{
    enter(s, start);
    while (s->npath > 0) {
        int b = s->path[s->npath - 1], i = s->at[s->npath - 1]++, to;
        if (i == s->g->nnext[b]) {
            leave(s, b);
            continue;
        }
        to = s->g->next[b][i];
        if (s->region && s->region[to] != s->region[b])
            continue;
        if (!s->number[to])
            enter(s, to);
        else if (s->on_stack[to])
            lower(&s->low[b], s->number[to]);
    }
}

void components_find(struct components *c, const struct digraph *g,
                     const int *nodes, int n, const int *region)
{
    size_t bytes = (size_t)g->n * sizeof(int);
    struct search s = {.g = g, .region = region, .c = c};
    c->n = 0;
    c->member = need(NULL, (size_t)n * sizeof(int));
    c->end = need(NULL, (size_t)n * sizeof(int));
    s.number = need(NULL, bytes), s.low = need(NULL, bytes);
    s.stack = need(NULL, bytes);
    s.path = need(NULL, bytes), s.at = need(NULL, bytes);
    s.on_stack = need(NULL, (size_t)g->n * sizeof *s.on_stack);
    for (int i = 0; i < n; i++)
        if (!s.number[nodes[i]])
            visit(&s, nodes[i]);
    need_free(s.number), need_free(s.low), need_free(s.stack);
    need_free(s.path), need_free(s.at), need_free(s.on_stack);
}

void components_free(struct components *c)
{
    need_free(c->member);
    need_free(c->end);
}
