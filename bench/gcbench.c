/* gcbench.c: the classic benchmark of collectors by Ellis, Kovac and Boehm,
 * after its published description: trees built from the top and from the
 * bottom, beside a large tree and a large array of numbers that stay.
 *
 *   stretch     one tree of depth N + 2, dropped
 *   long-lived  one tree of depth N, built from the top, and an array of
 *               2^(N + 3) numbers
 *   for d = 4, 6 .. N:  as many trees as make up twice the stretch tree's
 *               size, first from the top, then from the bottom
 *
 * Trees built from the top store young objects into older ones, those from
 * the bottom the other way round.  An operation is the building of a tree,
 * or of a part of it, of depth 6.  The original has N = 16.  gcbench N
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>

typedef struct Node {
    struct Node *left, *right;
    int32_t depth, mark;
} Node;
LAYOUT(Node, left, right)

enum { SHALLOWEST = 4, TIMED = 6 };

static struct meter meter;

static uint64_t nodes_of_depth(unsigned depth)
{
    return (2ull << depth) - 1;
}

static Node *node_new(unsigned depth)
{
    Node *n = NEW(Node);
    n->depth = (int32_t)depth;
    return n;
}

/* ---- From the top ----------------------------------------------------- */

static void populate(Node *n, unsigned depth)
{
    if (!depth)
        return;
    depth--;
    ST(&n->left, node_new(depth));
    ST(&n->right, node_new(depth));
    populate(n->left, depth);
    populate(n->right, depth);
}

static void populate_timed(Node *n, unsigned depth)
{
    if (depth < TIMED) {
        populate(n, depth);
    } else if (depth > TIMED) {
        depth--;
        ST(&n->left, node_new(depth));
        ST(&n->right, node_new(depth));
        populate_timed(n->left, depth);
        populate_timed(n->right, depth);
    } else {
        uint64_t start = meter_now();
        populate(n, depth);
        meter_add(&meter, meter_now() - start);
    }
}

static Node *tree_down(unsigned depth)
{
    Node *n = node_new(depth);
    populate_timed(n, depth);
    return n;
}

/* ---- From the bottom -------------------------------------------------- */

static Node *join(Node *left, Node *right, unsigned depth)
{
    Node *n = node_new(depth);
    ST(&n->left, left);
    ST(&n->right, right);
    return n;
}

static Node *make(unsigned depth)
{
    if (!depth)
        return node_new(0);
    Node *left = make(depth - 1);
    return join(left, make(depth - 1), depth);
}

static Node *tree_up(unsigned depth)
{
    if (depth < TIMED)
        return make(depth);
    if (depth > TIMED) {
        Node *left = tree_up(depth - 1);
        return join(left, tree_up(depth - 1), depth);
    }
    uint64_t start = meter_now();
    Node *n = make(depth);
    meter_add(&meter, meter_now() - start);
    return n;
}

/* ---- The run ---------------------------------------------------------- */

static void tree_free(Node *n)
{
    if (n->left) {
        tree_free(n->left);
        tree_free(n->right);
    }
    FREE(n);
}

/* All depths of a tree, added up: proves that every node is there. */
static uint64_t tree_sum(const Node *n)
{
    uint64_t sum = (uint64_t)n->depth + 1;
    if (n->left)
        sum += tree_sum(n->left) + tree_sum(n->right);
    return sum;
}

static uint64_t construct(unsigned depth, unsigned stretch)
{
    uint64_t times = 2 * nodes_of_depth(stretch) / nodes_of_depth(depth);
    uint64_t check = 0;
    for (uint64_t i = 0; i < times; i++) {
        Node *n = tree_down(depth);
        check += (uint64_t)n->left->depth;
        if (BY_HAND)
            tree_free(n);
    }
    for (uint64_t i = 0; i < times; i++) {
        Node *n = tree_up(depth);
        check += (uint64_t)n->right->depth;
        if (BY_HAND)
            tree_free(n);
    }
    return check;
}

static double *numbers_new(size_t n)
{
    double *a = BYTES(n * sizeof *a);
    for (size_t i = 0; i < n; i++)
        a[i] = i < n / 2 ? 1.0 / (double)(i + 1) : 0;
    return a;
}

int main(int argc, char **argv)
{
    unsigned live = (unsigned)size_argument(argc, argv, 1, "depth");
    unsigned stretch = live + 2;
    size_t numbers = (size_t)8 << live;
    port_start();
    Node *n = tree_up(stretch);
    uint64_t check = (uint64_t)n->depth;
    if (BY_HAND)
        tree_free(n);
    Node *kept = tree_down(live);
    double *array = numbers_new(numbers);
    for (unsigned d = SHALLOWEST; d <= live; d += 2)
        check = scramble(check + construct(d, stretch));
    check = scramble(check + tree_sum(kept));
    check = scramble(check + (uint64_t)(1e9 * array[numbers / 4]));
    meter_report(&meter, check);
    if (BY_HAND)
        tree_free(kept);
    FREE(array);
    return 0;
}
