/* links: cc/graph.c cc/need.c
 *
 * Location graphs made by hand: what escapes, what a summary says.  Whole
 * programs are in test/cc/case.
 */
#include "../check.h"
#include "../../cc/graph.h"

static struct graph g;
static struct summary s;

static void begin(int params)
{
    static const int no_loop[1] = {-1}, one_block[3] = {-1, 0, 1};
    graph_init(&g, params);
    summary_init(&s, params);
    g.loop_parent = no_loop;
    g.scope_parent = one_block;
}

static int local(void) { return graph_node(&g, NODE_LOCAL, 0); }
static int value(void) { return graph_node(&g, NODE_VALUE, 0); }

static int param(int i)
{
    int v = value();
    g.nodes[v].param = i;
    g.memory[i] = graph_node(&g, NODE_MEMORY, 0);
    graph_edge(&g, v, g.memory[i], -1, 0);
    return v;
}

static void end(void)
{
    graph_free(&g);
    summary_free(&s);
}

TEST(address_to_result)
{
    begin(0);
    int x = local(), p = value();
    graph_edge(&g, p, x, -1, 0);
    graph_edge(&g, g.result, p, 0, 0);
    graph_solve(&g, &s);
    CHECK(g.nodes[x].escapes);
    end();
}

TEST(value_to_result)
{
    begin(0);
    int x = local(), p = value();
    graph_edge(&g, p, x, -1, 0);
    graph_edge(&g, g.result, p, 1, 0);
    graph_solve(&g, &s);
    CHECK(!g.nodes[x].escapes);
    end();
}

/* p = &x; q = &p; result = **q is the value of x. */
TEST(two_levels)
{
    for (int derefs = 0; derefs < 3; derefs++) {
        begin(0);
        int x = local(), p = local();
        graph_edge(&g, p, x, -1, 0);
        int q = value();
        graph_edge(&g, q, p, -1, 0);
        graph_edge(&g, g.result, q, derefs, 0);
        graph_solve(&g, &s);
        CHECK_EQ(g.nodes[p].escapes, derefs == 0);
        CHECK_EQ(g.nodes[x].escapes, derefs <= 1);
        end();
    }
}

TEST(escape_is_contagious)
{
    begin(0);
    int chain[5];
    for (int i = 0; i < 5; i++)
        chain[i] = local();
    for (int i = 1; i < 5; i++)
        graph_edge(&g, chain[i], chain[i - 1], -1, 0);
    graph_edge(&g, g.heap, chain[4], -1, 0);
    graph_solve(&g, &s);
    for (int i = 0; i < 5; i++)
        CHECK(g.nodes[chain[i]].escapes);
    end();
}

TEST(param_levels)
{
    for (int derefs = 0; derefs < 7; derefs++) {
        begin(1);
        int p = param(0);
        graph_edge(&g, g.result, p, derefs, 0);
        graph_solve(&g, &s);
        CHECK_EQ(s.result[0], derefs < FLOW_MOST ? derefs : FLOW_MOST);
        CHECK_EQ(s.heap[0], FLOW_NEVER);
        CHECK(s.changed);
        end();
    }
}

/* The least of several ways counts. */
TEST(param_least)
{
    begin(1);
    int p = param(0), v = value();
    graph_edge(&g, v, p, 2, 0);
    graph_edge(&g, v, p, 1, 0);
    graph_edge(&g, g.heap, v, 0, 0);
    graph_solve(&g, &s);
    CHECK_EQ(s.heap[0], 1);
    end();
}

/* *p = q: a line of its own, and no leak. */
TEST(param_to_param)
{
    begin(2);
    int p = param(0), q = param(1);
    (void)p;
    graph_edge(&g, g.memory[0], q, 0, 0);
    graph_solve(&g, &s);
    CHECK_EQ(s.memory[1 * 2 + 0], 0);
    CHECK_EQ(s.memory[0 * 2 + 1], FLOW_NEVER);
    CHECK_EQ(s.heap[1], FLOW_NEVER);
    end();
}

/* *p = &x: x outlives the call. */
TEST(local_to_param)
{
    begin(1);
    param(0);
    int x = local();
    graph_edge(&g, g.memory[0], x, -1, 0);
    graph_solve(&g, &s);
    CHECK(g.nodes[x].escapes);
    end();
}

/* x = p; the address of x escapes: p leaks. */
TEST(param_in_escaping_local)
{
    begin(1);
    int p = param(0), x = local();
    graph_edge(&g, x, p, 0, 0);
    graph_edge(&g, g.heap, x, -1, 0);
    graph_solve(&g, &s);
    CHECK_EQ(s.heap[0], 0);
    end();
}

/* A variable of an inner loop, kept by one of an outer. */
TEST(loops)
{
    static const int parent[] = {-1, 0, 0};
    for (int of_x = -1; of_x < 3; of_x++)
        for (int of_p = -1; of_p < 3; of_p++) {
            begin(0);
            g.loop_parent = parent;
            int x = local(), p = local();
            g.nodes[x].loop = of_x;
            g.nodes[p].loop = of_p;
            graph_edge(&g, p, x, -1, 0);
            graph_solve(&g, &s);
            bool inside = of_p == of_x || of_x == -1
                       || (of_x == 0 && of_p > 0);
            CHECK_EQ(g.nodes[x].escapes, !inside);
            end();
        }
}

TEST(carried)
{
    for (int of_x = -1; of_x < 1; of_x++) {
        begin(0);
        int x = local(), phi = graph_node(&g, NODE_CARRIED, 0);
        g.nodes[x].loop = of_x;
        g.nodes[phi].loop = 0;
        graph_edge(&g, phi, x, -1, 0);
        graph_solve(&g, &s);
        CHECK_EQ(g.nodes[x].escapes, of_x == 0);
        end();
    }
}

/* Blocks 0 > 1 > 2. */
TEST(blocks)
{
    for (int of_x = 0; of_x < 3; of_x++)
        for (int of_p = 0; of_p < 3; of_p++) {
            begin(0);
            int x = local(), p = local();
            g.nodes[x].scope = of_x;
            g.nodes[p].scope = of_p;
            graph_edge(&g, p, x, -1, 0);
            graph_solve(&g, &s);
            CHECK_EQ(g.nodes[x].outstays, of_p < of_x);
            CHECK(!g.nodes[x].escapes);
            end();
        }
}

TEST(flows_are_kept)
{
    begin(0);
    g.explain = true;
    int x = local(), p = value(), q = value();
    graph_edge(&g, p, x, -1, "a");
    graph_edge(&g, q, p, 0, "b");
    graph_edge(&g, g.result, q, 0, "c");
    graph_solve(&g, &s);
    CHECK(g.nodes[x].flow >= 0);
    const struct flow *f = &g.flows[g.nodes[x].flow];
    CHECK_EQ(f->count, 3);
    for (int i = 0; i < 3; i++) {
        const char *why = g.edges[g.hops[f->first + i]].why;
        CHECK_EQ(why[0], "abc"[i]);
    }
    end();
}

/* Random graphs: once solved, a second solving changes nothing, and with one
 * more edge nothing escapes less. */
TEST(monotonic)
{
    for (int round = 0; round < 300; round++) {
        begin(3);
        int n[20];
        for (int i = 0; i < 3; i++)
            n[i] = param(i);
        for (int i = 3; i < 20; i++)
            n[i] = i % 2 ? local() : value();
        for (int i = 0; i < 30; i++)
            graph_edge(&g, n[3 + rand() % 17], n[rand() % 20],
                       rand() % 4 - 1, 0);
        graph_edge(&g, g.result, n[rand() % 20], rand() % 3 - 1, 0);
        graph_solve(&g, &s);
        s.changed = false;
        bool escaped[20];
        for (int i = 0; i < 20; i++)
            escaped[i] = g.nodes[n[i]].escapes;
        graph_solve(&g, &s);
        CHECK(!s.changed);
        for (int i = 0; i < 20; i++)
            CHECK_EQ(g.nodes[n[i]].escapes, escaped[i]);
        graph_edge(&g, g.heap, n[rand() % 20], 0, 0);
        graph_solve(&g, &s);
        for (int i = 0; i < 20; i++)
            CHECK(g.nodes[n[i]].escapes >= escaped[i]);
        end();
    }
}
