/* quads.c: a large tree of four-pointer objects that stays, parts of which
 * are replaced again and again.  What dies is old and lies among what lives;
 * what is new hangs at once from what is old.
 *
 *   height N            o                 nodes are made from the top, each
 *                 /   /   \   \           before its children, these from
 *   height k     o   o   (o)   o          left to right: memory order is
 *                        /\ replaced      walking order, until parts are
 *   height 1           o .. o             replaced
 *   height 0           o  . o    each is there with a chance of one half
 *
 * An operation goes down from the root to a random node of height 3, 4 or 5,
 * hangs a newly made tree (13, 53 or 213 nodes on average) in the place of
 * one of its children, and counts the nodes of the old one.  quads N
 * OPERATIONS
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>

typedef struct Quad {
    struct Quad *child[4];
} Quad;
LAYOUT(Quad, child)

enum { LOWEST = 2, HEIGHTS = 3 };

static struct meter meter;

/* A tree of height 1 or more; takes a random number for each node of height
 * 1, which says what leaves there are. */
static Quad *quad_grow(unsigned height, uint64_t *seed)
{
    Quad *q = NEW(Quad);
    uint64_t leaves = height == 1 ? scramble((*seed)++) : 0;
    for (unsigned i = 0; i < 4; i++) {
        if (height > 1)
            ST(&q->child[i], quad_grow(height - 1, seed));
        else if (leaves >> i & 1)
            ST(&q->child[i], NEW(Quad));
    }
    return q;
}

static uint64_t quad_count(const Quad *q)
{
    uint64_t n = 1;
    for (unsigned i = 0; i < 4; i++)
        if (q->child[i])
            n += quad_count(q->child[i]);
    return n;
}

static void quad_free(Quad *q)
{
    for (unsigned i = 0; i < 4; i++)
        if (q->child[i])
            quad_free(q->child[i]);
    FREE(q);
}

/* One operation; the path is taken two bits a level, from r. */
static uint64_t quad_replace(Quad *root, unsigned height, uint64_t r,
                             uint64_t *seed)
{
    unsigned k = LOWEST + (unsigned)(r >> 60) % HEIGHTS;
    Quad **at = &root->child[r % 4];
    for (unsigned h = height - 1; h > k; h--) {
        r /= 4;
        at = &(*at)->child[r % 4];
    }
    Quad *old = *at;
    uint64_t n = quad_count(old);
    ST(at, quad_grow(k, seed));
    if (BY_HAND)
        quad_free(old);
    return n;
}

int main(int argc, char **argv)
{
    unsigned height = (unsigned)size_argument(argc, argv, 1, "height");
    uint64_t ops = size_argument(argc, argv, 2, "number of operations");
    uint64_t check = 0, seed = 0, last;
    if (height < LOWEST + HEIGHTS)
        height = LOWEST + HEIGHTS;
    port_start();
    Quad *root = quad_grow(height, &seed);
    last = meter_now();
    for (uint64_t i = 0; i < ops; i++) {
        uint64_t r = scramble(~i);
        check = scramble(check + quad_replace(root, height, r, &seed));
        meter_lap(&meter, &last);
    }
    meter_report(&meter, scramble(check + quad_count(root)));
    if (BY_HAND)
        quad_free(root);
    return 0;
}
