/* mt-gcbench.c: the trees of gcbench.c in several threads at once, each with
 * trees of its own, beside one large tree that all of them read.  Threads
 * that allocate at full speed while the collector needs a processor too.
 *
 *   main      one tree of depth N, built from the top: shared, kept
 *   a thread  for d = 4, 6 .. N:  as many trees as make up twice the size of
 *             the shared one, first from the top, then from the bottom;
 *             with each, one walk from the shared root down to a leaf
 *
 * An operation is the building of a tree, or of a part of it, of depth 6.
 * mt-gcbench N [THREADS]
 */
#include "port.h"

#include "trees.h"

#include <stdio.h>

struct worker {
    pthread_t thread;
    uint64_t number, check;
    struct meter meter;
};

static struct worker workers[MAX_THREADS];
static Node *shared;
static unsigned deepest;

/* Goes left where the path has a 1; proves the nodes that it passes. */
static uint64_t shared_walk(uint64_t path)
{
    uint64_t sum = 0;
    for (const Node *n = shared; n; path /= 2) {
        sum = 3 * sum + (uint64_t)n->depth + path % 2;
        n = path % 2 ? n->left : n->right;
    }
    return sum;
}

static void construct(struct worker *w, unsigned depth)
{
    uint64_t times = 2 * nodes_of_depth(deepest) / nodes_of_depth(depth);
    for (uint64_t i = 0; i < 2 * times; i++) {
        struct meter *m = &w->meter;
        Node *n = i < times ? tree_down(m, depth) : tree_up(m, depth);
        w->check += (uint64_t)n->left->depth;
        w->check += shared_walk(scramble(w->check + w->number));
        if (BY_HAND)
            tree_free(n);
    }
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    for (unsigned d = SHALLOWEST; d <= deepest; d += 2)
        construct(w, d);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct meter all;
    uint64_t check = 0, threads = threads_argument(argc, argv, 2);
    deepest = (unsigned)size_argument(argc, argv, 1, "depth");
    port_start();
    ST(&shared, tree_down(&all, deepest));
    for (uint64_t i = 0; i < threads; i++) {
        workers[i].number = i;
        if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]))
            return 1;
    }
    for (uint64_t i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        meter_merge(&all, &workers[i].meter);
        check = scramble(check + workers[i].check);
    }
    meter_report(&all, scramble(check + tree_sum(shared)));
    if (BY_HAND)
        tree_free(shared);
    return 0;
}
