/* binary-trees.c: the Benchmarks Game's program of that name: many small
 * trees that die young beside one that lives on.  Allocation and marking of
 * the smallest objects that have pointers, in one thread.
 *
 *   stretch    one tree of depth N + 1, dropped
 *   long-lived one tree of depth N, kept to the end
 *   for d = 4, 6 .. N:  2^(N - d + 4) trees of depth d, one after another
 *
 * An operation is the building of a tree, or of a part of it, of depth 6: 127
 * objects.  binary-trees N
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>

typedef struct Tree {
    struct Tree *left, *right;
} Tree;
LAYOUT(Tree, left, right)

enum { SHALLOWEST = 4, TIMED = 6 };

static struct meter meter;

static Tree *tree_join(Tree *left, Tree *right)
{
    Tree *t = NEW(Tree);
    ST(&t->left, left);
    ST(&t->right, right);
    return t;
}

static Tree *tree_grow(unsigned depth)
{
    if (!depth)
        return NEW(Tree);
    Tree *left = tree_grow(depth - 1);
    return tree_join(left, tree_grow(depth - 1));
}

static Tree *tree_timed(unsigned depth)
{
    if (depth < TIMED)
        return tree_grow(depth);
    if (depth > TIMED) {
        Tree *left = tree_timed(depth - 1);
        return tree_join(left, tree_timed(depth - 1));
    }
    uint64_t start = meter_now();
    Tree *t = tree_grow(depth);
    meter_add(&meter, meter_now() - start);
    return t;
}

static uint64_t tree_count(const Tree *t)
{
    return t->left ? 1 + tree_count(t->left) + tree_count(t->right) : 1;
}

static void tree_free(Tree *t)
{
    if (t->left) {
        tree_free(t->left);
        tree_free(t->right);
    }
    FREE(t);
}

static uint64_t tree_once(unsigned depth)
{
    Tree *t = tree_timed(depth);
    uint64_t n = tree_count(t);
    if (BY_HAND)
        tree_free(t);
    return n;
}

int main(int argc, char **argv)
{
    unsigned deepest = (unsigned)size_argument(argc, argv, 1, "depth");
    uint64_t check;
    port_start();
    check = scramble(tree_once(deepest + 1));
    Tree *kept = tree_timed(deepest);
    for (unsigned d = SHALLOWEST; d <= deepest; d += 2) {
        uint64_t n = 0;
        for (uint64_t i = 0; i < 1u << (deepest - d + SHALLOWEST); i++)
            n += tree_once(d);
        check = scramble(check + n);
    }
    check = scramble(check + tree_count(kept));
    meter_report(&meter, check);
    if (BY_HAND)
        tree_free(kept);
    return 0;
}
