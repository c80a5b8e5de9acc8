/* links: cc/loop.c cc/component.c cc/need.c
 *
 * Components and loops of random graphs against what their definitions say,
 * computed slowly: by which node reaches which.
 */
#include "../check.h"
#include "../../cc/order.h"
#include <stdbool.h>

#define MOST 12

struct slow {
    int n;
    bool edge[MOST][MOST];
    bool in[MOST];           /* the part that is looked at */
    bool reach[MOST][MOST];  /* by at least one edge, within it */
};

static void reach_all(struct slow *w)
{
    memset(w->reach, 0, sizeof w->reach);
    for (int a = 0; a < w->n; a++)
        for (int b = 0; b < w->n; b++)
            w->reach[a][b] = w->edge[a][b] && w->in[a] && w->in[b];
    for (int k = 0; k < w->n; k++)
        for (int a = 0; a < w->n; a++)
            for (int b = 0; b < w->n; b++)
                w->reach[a][b] |= w->reach[a][k] && w->reach[k][b];
}

static void random_graph(struct slow *w, struct digraph *g)
{
    memset(w, 0, sizeof *w);
    w->n = 1 + rand() % MOST;
    digraph_init(g, w->n);
    for (int i = rand() % (2 * w->n + 1); i > 0; i--) {
        int a = rand() % w->n, b = rand() % w->n;
        w->edge[a][b] = true;
        digraph_edge(g, a, b);
    }
    for (int i = 0; i < w->n; i++)
        w->in[i] = true;
}

TEST(components)
{
    for (int round = 0; round < 2000; round++) {
        struct slow w;
        struct digraph g;
        struct components c;
        int all[MOST], of[MOST], seen = 0;
        random_graph(&w, &g);
        reach_all(&w);
        for (int i = 0; i < w.n; i++)
            all[i] = i;
        components_find(&c, &g, all, w.n, 0);
        for (int k = 0; k < c.n; k++)
            for (; seen < c.end[k]; seen++)
                of[c.member[seen]] = k;
        CHECK_EQ(seen, w.n);
        for (int a = 0; a < w.n; a++)
            for (int b = 0; b < w.n; b++) {
                bool both = a == b || (w.reach[a][b] && w.reach[b][a]);
                CHECK_EQ(of[a] == of[b], both);
                CHECK(!w.edge[a][b] || of[a] >= of[b]);
            }
        components_free(&c);
        digraph_free(&g);
    }
}

/* The loops among the nodes of w->in, which are inside loop `parent`; each of
 * them is checked and counted. */
static int loops_check(const struct slow *given, const struct loops *l,
                       int parent)
{
    struct slow w = *given;
    bool done[MOST] = {false};
    int count = 0;
    reach_all(&w);
    for (int a = 0; a < w.n; a++) {
        struct slow inside = *given;
        int loop = -1, entered = 0, headers = 0;
        if (done[a] || !w.reach[a][a])
            continue;
        /* The loop that a is in, just below the parent. */
        for (loop = l->of[a]; loop >= 0 && l->parent[loop] != parent;)
            loop = l->parent[loop];
        CHECK(loop >= 0);
        count++;
        for (int b = 0; b < w.n; b++) {
            bool member = w.reach[a][b] && w.reach[b][a], header = b == 0;
            inside.in[b] = member;
            if (!member)
                continue;
            done[b] = true;
            for (int c = 0; c < w.n; c++)
                header |= w.edge[c][b] && !(w.reach[a][c] && w.reach[c][a]);
            CHECK(!header || l->heads[b] == loop);
            entered += header;
            headers += l->heads[b] == loop;
            inside.in[b] = l->heads[b] != loop;
        }
        /* Dead code that nothing enters has a header all the same. */
        CHECK_EQ(headers, entered ? entered : 1);
        count += loops_check(&inside, l, loop);
    }
    return count;
}

TEST(loops)
{
    for (int round = 0; round < 2000; round++) {
        struct slow w;
        struct digraph g;
        struct loops l;
        random_graph(&w, &g);
        loops_find(&l, &g);
        CHECK_EQ(loops_check(&w, &l, -1), l.n);
        loops_free(&l);
        digraph_free(&g);
    }
}
