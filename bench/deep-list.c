/* deep-list.c: one list of very many nodes that stays while short ones come
 * and go.  Marking cannot be shared out: each node is only found through the
 * one before it, and a marker that recursed would need a stack as deep.
 *
 *   kept:     Node -> Node -> Node -> ...                 N nodes
 *   garbage:  Node -> ... 100 nodes, dropped; 4 N nodes in all
 *   then:     one walk over the kept list
 *
 * An operation is the making of 100 nodes, of the long list or of a short
 * one.  deep-list NODES
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>

typedef struct Node {
    struct Node *next;
    uint64_t value;
} Node;
LAYOUT(Node, next)

enum { TIMED = 100, GARBAGE = 4 };

static struct meter meter;

/* A list of 100 more nodes, before those of rest. */
static Node *list_more(Node *rest, uint64_t value)
{
    uint64_t start = meter_now();
    for (unsigned i = 0; i < TIMED; i++) {
        Node *n = NEW(Node);
        n->value = value + i;
        ST(&n->next, rest);
        rest = n;
    }
    meter_add(&meter, meter_now() - start);
    return rest;
}

static uint64_t list_sum(const Node *n)
{
    uint64_t sum = 0;
    for (; n; n = n->next)
        sum = 3 * sum + n->value;
    return sum;
}

static void list_free(Node *n)
{
    for (Node *next; n; n = next) {
        next = n->next;
        FREE(n);
    }
}

int main(int argc, char **argv)
{
    uint64_t nodes = size_argument(argc, argv, 1, "number of nodes");
    uint64_t check = 0;
    Node *kept = NULL;
    port_start();
    for (uint64_t i = 0; i < nodes; i += TIMED)
        kept = list_more(kept, i);
    for (uint64_t i = 0; i < GARBAGE * nodes; i += TIMED) {
        Node *n = list_more(NULL, i);
        check = scramble(check + list_sum(n));
        if (BY_HAND)
            list_free(n);
    }
    meter_report(&meter, scramble(check + list_sum(kept)));
    if (BY_HAND)
        list_free(kept);
    return 0;
}
