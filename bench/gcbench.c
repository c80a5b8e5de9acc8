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
#include "trees.h"

#include <stdio.h>

static struct meter meter;

static uint64_t construct(unsigned depth, unsigned stretch)
{
    uint64_t times = 2 * nodes_of_depth(stretch) / nodes_of_depth(depth);
    uint64_t check = 0;
    for (uint64_t i = 0; i < times; i++) {
        Node *n = tree_down(&meter, depth);
        check += (uint64_t)n->left->depth;
        if (BY_HAND)
            tree_free(n);
    }
    for (uint64_t i = 0; i < times; i++) {
        Node *n = tree_up(&meter, depth);
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
    Node *n = tree_up(&meter, stretch);
    uint64_t check = (uint64_t)n->depth;
    if (BY_HAND)
        tree_free(n);
    Node *kept = tree_down(&meter, live);
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
