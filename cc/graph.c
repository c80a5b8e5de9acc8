/* graph.c: the location graph, and what escapes by it (after Go's
 * cmd/compile/internal/escape).
 *
 *   int *f(int a)               a ---(-1)---> p ---(0)---> result
 *   {
 *       int *p = &a;            Read: the address of a flows to p, the value
 *       return p;               of p to the result.  So &a reaches what
 *   }                           outlives a: a must live on the heap.
 *
 * An edge from x to y with d dereferences says: y = x with d stars before it,
 * or y = &x for -1.  All stores into a node are one edge set: the graph knows
 * no order in time.  Values of the intermediate code are nodes too, and these
 * are assigned once, so for what has no address it does.
 *
 * From each root (what has a lifetime: variables, objects, parameters' memory,
 * the result, the heap) the graph is walked against its edges; the sum of d,
 * with 0 as the least before each step, says how a node reaches the root.
 * Below 0 it is the node's address:
 *
 *   - the root outlives the node:  the node escapes, and is as good as the
 *     heap from then on: a root to be walked (again) as such;
 *   - the root only outlasts its block:  the node must stay where it is until
 *     the function returns.  (An object of malloc that does not escape has no
 *     block: it is asked for the same, but that is no finding.)
 *
 * A parameter that is met is a line of the summary.  Few dereferences stand
 * for many: what flows at 4 or more is taken to flow at 4.
 *
 * Invariants: escapes never goes back to false, numbers in a summary only
 * fall; so all repetition ends.
 */
#include "graph.h"

#include <string.h>

#include "need.h"

void graph_init(struct graph *g, int params)
{
    memset(g, 0, sizeof *g);
    g->heap = graph_node(g, NODE_HEAP, NULL);
    g->result = graph_node(g, NODE_RESULT, NULL);
    g->nodes[g->heap].escapes = true;
    g->memory = need(NULL, (size_t)(params + 1) * sizeof *g->memory);
    for (int i = 0; i < params; i++)
        g->memory[i] = -1;
}

void graph_free(struct graph *g)
{
    need_free(g->nodes);
    need_free(g->edges);
    need_free(g->flows);
    need_free(g->hops);
    need_free(g->memory);
}

int graph_node(struct graph *g, enum node_kind kind, const void *is)
{
    struct node n = {.kind = kind, .is = is, .in = -1, .loop = -1,
                     .param = -1, .flow = -1};
    ROOM(g->nodes, g->nnodes, g->rnodes);
    g->nodes[g->nnodes] = n;
    return g->nnodes++;
}

void graph_edge(struct graph *g, int to, int from, int derefs,
                const void *why)
{
    if (to < 0 || from < 0 || (to == from && derefs >= 0))
        return;
    ROOM(g->edges, g->nedges, g->redges);
    g->edges[g->nedges] =
        (struct edge){from, derefs, g->nodes[to].in, why};
    g->nodes[to].in = g->nedges++;
}

void summary_init(struct summary *s, int params)
{
    size_t n = (size_t)params;
    s->params = params;
    s->changed = false;
    s->heap = need(NULL, n + 1);
    s->result = need(NULL, n + 1);
    s->memory = need(NULL, n * n + 1);
    memset(s->heap, FLOW_NEVER, n);
    memset(s->result, FLOW_NEVER, n);
    memset(s->memory, FLOW_NEVER, n * n);
}

void summary_free(struct summary *s)
{
    need_free(s->heap);
    need_free(s->result);
    need_free(s->memory);
}

bool graph_within(const int *parent, int a, int outer)
{
    for (; a >= 0; a = parent[a])
        if (a == outer)
            return true;
    return outer < 0;
}

/* ---- Who outlives whom ------------------------------------------------- */

static bool is_root(const struct node *n)
{
    return n->kind != NODE_VALUE || n->leaves;
}

static bool has_address(const struct node *n)
{
    return n->kind == NODE_LOCAL || n->kind == NODE_OBJECT;
}

/* Within a function: a variable lives as long as one iteration of the
 * innermost loop it is declared in.  What is carried around a loop has seen
 * the iteration before. */
static bool outlives(const struct graph *g, const struct node *root,
                     const struct node *n)
{
    if (root->escapes || root->kind >= NODE_MEMORY)
        return true;
    if (n->loop < 0 || root->kind == NODE_VALUE)
        return false;
    if (root->kind == NODE_CARRIED)
        return graph_within(g->loop_parent, n->loop, root->loop);
    return !graph_within(g->loop_parent, root->loop, n->loop);
}

static bool outlasts_block(const struct graph *g, const struct node *root,
                           const struct node *n)
{
    return n->kind == NODE_LOCAL && n->scope > 0 && root->scope >= 0
        && !graph_within(g->scope_parent, root->scope, n->scope);
}

/* ---- Walking ----------------------------------------------------------- */

struct queue {
    int *at, n, room;
};

static void queue_put(struct queue *q, int x)
{
    ROOM(q->at, q->n, q->room);
    q->at[q->n++] = x;
}

/* The path from n to the root of this walk, as it was reached.  A node that
 * was reached again, by a shorter way, may have closed a circle: then only its
 * beginning is told. */
static int flow_keep(struct graph *g, int n, int root, int param, int level)
{
    struct flow f = {n, root, param, level, g->nhops, 0};
    if (!g->explain)
        return -1;
    for (int at = n; at != root && g->nodes[at].path != g->nflows + 1;
         at = g->nodes[at].via, f.count++) {
        g->nodes[at].path = g->nflows + 1;
        ROOM(g->hops, g->nhops, g->rhops);
        g->hops[g->nhops++] = g->nodes[at].by;
    }
    ROOM(g->flows, g->nflows, g->rflows);
    g->flows[g->nflows] = f;
    return g->nflows++;
}

/* In a round that changes nothing, flows are still to be noted. */
static bool flow_known(const struct graph *g, int root, int param, int level)
{
    for (int i = 0; i < g->nflows; i++)
        if (g->flows[i].root == root && g->flows[i].param == param
            && g->flows[i].level <= level)
            return true;
    return !g->explain;
}

static void lower(struct graph *g, struct summary *s, signed char *to, int d,
                  int n, int root)
{
    if (d > *to)
        return;
    if (d < *to)
        s->changed = true;
    *to = (signed char)d;
    if (!flow_known(g, root, g->nodes[n].param, d))
        flow_keep(g, n, root, g->nodes[n].param, d);
}

/* Parameter p flows to a root that callers can see.  What is in *p may go
 * about in *p as it likes. */
static void param_leaks(struct graph *g, struct summary *s, int n, int root,
                        int d)
{
    const struct node *r = &g->nodes[root];
    int p = g->nodes[n].param;
    if (r->escapes)
        lower(g, s, &s->heap[p], d, n, root);
    else if (r->kind == NODE_RESULT)
        lower(g, s, &s->result[p], d, n, root);
    else if (r->kind == NODE_MEMORY)
        for (int j = 0; j < s->params; j++)
            if (g->memory[j] == root && !(j == p && d > 0))
                lower(g, s, &s->memory[p * s->params + j], d, n, root);
}

/* The address of n reaches the root. */
static bool address_reaches(struct graph *g, int n, int root)
{
    struct node *x = &g->nodes[n];
    const struct node *r = &g->nodes[root];
    if (!has_address(x) || x->escapes)
        return false;
    if (outlives(g, r, x)) {
        x->escapes = true;
        x->flow = flow_keep(g, n, root, -1, 0);
        return true;
    }
    if (!x->outstays && outlasts_block(g, r, x)) {
        if (r->kind == NODE_OBJECT) {
            x->stored = true;
            return false;
        }
        x->outstays = true;
        x->flow = flow_keep(g, n, root, -1, 0);
    }
    return false;
}

/* Steps against the edges into n, which was reached with d dereferences.  What
 * escapes is a root of its own. */
static void walk_on(struct graph *g, struct queue *todo, int n, int d)
{
    for (int e = g->nodes[n].in; e >= 0; e = g->edges[e].next) {
        struct node *from = &g->nodes[g->edges[e].from];
        int sum = d + g->edges[e].derefs;
        if (has_address(from) && from->escapes)
            continue;
        if (sum > FLOW_MOST)
            sum = FLOW_MOST;
        if (from->walk == g->walks && from->derefs <= sum)
            continue;
        from->walk = g->walks;
        from->derefs = sum;
        from->via = n;
        from->by = e;
        queue_put(todo, g->edges[e].from);
    }
}

static void walk(struct graph *g, struct summary *s, struct queue *roots,
                 struct queue *todo, int root)
{
    g->nodes[root].walk = ++g->walks;
    g->nodes[root].derefs = 0;
    queue_put(todo, root);
    while (todo->n > 0) {
        int n = todo->at[--todo->n], d = g->nodes[n].derefs;
        if (d < 0) {
            d = 0;
            if (n != root && address_reaches(g, n, root)) {
                queue_put(roots, n);
                continue;
            }
        }
        if (g->nodes[n].param >= 0 && n != root)
            param_leaks(g, s, n, root, d);
        walk_on(g, todo, n, d);
    }
}

void graph_solve(struct graph *g, struct summary *s)
{
    struct queue roots = {0}, todo = {0};
    for (int i = g->nnodes - 1; i >= 0; i--)
        if (is_root(&g->nodes[i]))
            queue_put(&roots, i);
    while (roots.n > 0)
        walk(g, s, &roots, &todo, roots.at[--roots.n]);
    need_free(roots.at);
    need_free(todo.at);
}
