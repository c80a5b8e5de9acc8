/* retention.c: what is kept though the program has dropped it, because a dead
 * word somewhere looks like a pointer to it: on a stack, in a register, among
 * the numbers of an object.
 *
 *   lists N   N lists of 100 nodes, made by calls of different depth, dropped
 *             one after the other
 *   numbers N the same, but each node has three numbers that lie within 32 MiB
 *             of its own address: hashes, or differences of pointers
 *   queue N   N nodes pass through a queue that is 100 long; a node that left
 *             still points to the one behind it, so whatever keeps one node
 *             keeps all that came after it
 *
 * Each list, and each hundredth node of the queue, has a cleanup.  After some
 * collections those that have not run are what is kept: in thousandths.  The
 * thread that did it all still runs; it has called other functions since.
 * retention KIND N
 */
#include "port.h"

#include "meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 100, COLLECTIONS = 6 };

typedef struct Node {
    struct Node *next;
    uint64_t number[3];
} Node;
LAYOUT(Node, next)

typedef struct Head {
    Node *first;
} Head;
LAYOUT(Head, first)

static Head *heads;
static Node *oldest, *newest;
static uint64_t runs;

CLEANUP(thing_died, arg)
{
    __atomic_fetch_add((uint64_t *)arg, 1, __ATOMIC_RELAXED);
}

static int near_addresses;

static Node *node_new(uint64_t i)
{
    Node *n = NEW(Node);
    if (!n)
        exit(1);
    for (int k = 0; k < 3; k++)
        n->number[k] = scramble(3 * i + (uint64_t)k) % (64 << 20) +
                       (near_addresses ? (uintptr_t)n - (32 << 20) : 0);
    return n;
}

static Node *list_new(uint64_t i)
{
    Node *first = NULL;
    for (int k = 0; k < LENGTH; k++) {
        Node *n = node_new(LENGTH * i + (uint64_t)k);
        ST(&n->next, first);
        first = n;
    }
    CLEANUP_ADD(first, thing_died, &runs);
    return first;
}

/* Leaves its words at another place of the stack each time. */
static void deep(Head *at, uint64_t i, unsigned depth)
{
    volatile uint64_t room[8] = {i};
    if (depth)
        deep(at, i, depth - 1);
    else
        ST(&at->first, list_new(i));
    (void)room[0];
}

static uint64_t lists(uint64_t n)
{
    ST(&heads, NEW_ARRAY(Head, n));
    for (uint64_t i = 0; i < n; i++)
        deep(&heads[i], i, (unsigned)(scramble(i) % 16));
    for (uint64_t i = 0; i < n; i++)
        ST(&heads[i].first, NULL);
    return n;
}

static void push(uint64_t i)
{
    Node *n = node_new(i);
    if (i % LENGTH == 0)
        CLEANUP_ADD(n, thing_died, &runs);
    if (newest)
        ST(&newest->next, n);
    else
        ST(&oldest, n);
    ST(&newest, n);
}

static uint64_t queue(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        push(i);
        if (i >= LENGTH)
            ST(&oldest, oldest->next);
    }
    ST(&oldest, NULL);
    ST(&newest, NULL);
    return (n + LENGTH - 1) / LENGTH;
}

static void settle(void)
{
    struct timespec ms = {.tv_nsec = 20000000};
    for (int i = 0; i < COLLECTIONS; i++) {
        COLLECT();
        nanosleep(&ms, NULL);
    }
}

int main(int argc, char **argv)
{
    uint64_t n = size_argument(argc, argv, 2, "number");
    port_start();
    near_addresses = !strcmp(argv[1], "numbers");
    uint64_t all = strcmp(argv[1], "queue") ? lists(n) : queue(n);
    settle();
    uint64_t kept = all - __atomic_load_n(&runs, __ATOMIC_RELAXED);
    printf("CHECK %" PRIu64 "\n", all);
    fprintf(stderr, "BENCH kept_per_mille=%.3f\n",
            1000.0 * (double)kept / (double)all);
    return 0;
}
