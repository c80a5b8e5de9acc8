/* trees.h: the trees of gcbench.c and mt-gcbench.c, built from the top, so
 * that young objects are stored into older ones, and from the bottom, the
 * other way round.
 *
 *   depth  > TIMED   one node, and two trees of a depth less
 *          = TIMED   one operation for the meter: 127 nodes
 *          < TIMED   not timed: reading the clock would cost more
 *
 * The Go programs have the same in bench/go/trees.
 */
#ifndef BENCH_TREES_H
#define BENCH_TREES_H

#include "meter.h"
#include "port.h"

typedef struct Node {
    struct Node *left, *right;
    int32_t depth, mark;
} Node;
LAYOUT(Node, left, right)

enum { SHALLOWEST = 4, TIMED = 6 };

static inline uint64_t nodes_of_depth(unsigned depth)
{
    return (2ull << depth) - 1;
}

static inline Node *node_new(unsigned depth)
{
    Node *n = NEW(Node);
    n->depth = (int32_t)depth;
    return n;
}

/* ---- From the top ----------------------------------------------------- */

static inline void populate(Node *n, unsigned depth)
{
    if (!depth)
        return;
    depth--;
    ST(&n->left, node_new(depth));
    ST(&n->right, node_new(depth));
    populate(n->left, depth);
    populate(n->right, depth);
}

static inline void populate_timed(struct meter *m, Node *n, unsigned depth)
{
    if (depth < TIMED) {
        populate(n, depth);
    } else if (depth > TIMED) {
        depth--;
        ST(&n->left, node_new(depth));
        ST(&n->right, node_new(depth));
        populate_timed(m, n->left, depth);
        populate_timed(m, n->right, depth);
    } else {
        uint64_t start = meter_now();
        populate(n, depth);
        meter_add(m, meter_now() - start);
    }
}

static inline Node *tree_down(struct meter *m, unsigned depth)
{
    Node *n = node_new(depth);
    populate_timed(m, n, depth);
    return n;
}

/* ---- From the bottom -------------------------------------------------- */

static inline Node *join(Node *left, Node *right, unsigned depth)
{
    Node *n = node_new(depth);
    ST(&n->left, left);
    ST(&n->right, right);
    return n;
}

static inline Node *make(unsigned depth)
{
    if (!depth)
        return node_new(0);
    Node *left = make(depth - 1);
    return join(left, make(depth - 1), depth);
}

static inline Node *tree_up(struct meter *m, unsigned depth)
{
    if (depth < TIMED)
        return make(depth);
    if (depth > TIMED) {
        Node *left = tree_up(m, depth - 1);
        return join(left, tree_up(m, depth - 1), depth);
    }
    uint64_t start = meter_now();
    Node *n = make(depth);
    meter_add(m, meter_now() - start);
    return n;
}

/* ---- Of both ----------------------------------------------------------- */

static inline void tree_free(Node *n)
{
    if (n->left) {
        tree_free(n->left);
        tree_free(n->right);
    }
    FREE(n);
}

/* All depths of a tree, added up: proves that every node is there. */
static inline uint64_t tree_sum(const Node *n)
{
    uint64_t sum = (uint64_t)n->depth + 1;
    if (n->left)
        sum += tree_sum(n->left) + tree_sum(n->right);
    return sum;
}

#endif
