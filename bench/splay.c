/* splay.c: a splay tree of fixed size whose nodes carry a payload; the idea
 * is that of the program of this name in the Octane suite for JavaScript.
 * Each look-up turns pointers all along its path: stores into old objects,
 * and a live heap whose shape never rests.
 *
 *   Node --left, right--> Node
 *     `--payload--> Payload --numbers--> ten small numbers
 *                      `-----text------> the key in hexadecimal, 16 signs
 *
 * An operation inserts a node with a random key and removes the one with the
 * greatest smaller key (or, if there is none, the new one).
 * splay NODES OPERATIONS
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>

typedef struct Payload {
    int32_t *numbers;
    char *text;
} Payload;
LAYOUT(Payload, numbers, text)

typedef struct Node {
    struct Node *left, *right;
    Payload *payload;
    uint64_t key;
} Node;
LAYOUT(Node, left, right, payload)

enum { NUMBERS = 10, SIGNS = 16 };

static struct meter meter;
static Node *root;

/* ---- Nodes ------------------------------------------------------------ */

static Payload *payload_new(uint64_t key)
{
    Payload *p = NEW(Payload);
    ST(&p->numbers, BYTES(NUMBERS * sizeof *p->numbers));
    for (int32_t i = 0; i < NUMBERS; i++)
        p->numbers[i] = i;
    ST(&p->text, BYTES(SIGNS));
    for (unsigned i = 0; i < SIGNS; i++)
        p->text[i] = "0123456789abcdef"[key >> (60 - 4 * i) & 15];
    return p;
}

static Node *node_new(uint64_t key)
{
    Node *n = NEW(Node);
    n->key = key;
    ST(&n->payload, payload_new(key));
    return n;
}

static void node_free(Node *n)
{
    FREE(n->payload->numbers);
    FREE(n->payload->text);
    FREE(n->payload);
    FREE(n);
}

/* A little of everything in it, for the checksum. */
static uint64_t node_sum(const Node *n)
{
    uint64_t sum = n->key;
    for (unsigned i = 0; i < NUMBERS; i++)
        sum += (uint64_t)n->payload->numbers[i];
    return scramble(sum + (uint64_t)n->payload->text[sum % SIGNS]);
}

/* ---- The tree --------------------------------------------------------- */

/* Brings the node with that key, or the last one on the way to it, to the
 * root: from the top down, in one pass.  What is smaller than the key gathers
 * at the right edge of one tree, what is greater at the left edge of another;
 * both begin in `edge`, with their sides exchanged. */
static void splay(uint64_t key)
{
    Node edge = {.left = NULL}, *t = root, *less = &edge, *more = &edge, *c;
    while (key != t->key) {
        if (key < t->key) {
            if ((c = t->left) && key < c->key) {
                ST(&t->left, c->right);
                ST(&c->right, t);
                t = c;
            }
            if (!t->left)
                break;
            ST(&more->left, t);
            more = t;
            t = t->left;
        } else {
            if ((c = t->right) && key > c->key) {
                ST(&t->right, c->left);
                ST(&c->left, t);
                t = c;
            }
            if (!t->right)
                break;
            ST(&less->right, t);
            less = t;
            t = t->right;
        }
    }
    ST(&less->right, t->left);
    ST(&more->left, t->right);
    ST(&t->left, edge.right);
    ST(&t->right, edge.left);
    ST(&root, t);
}

/* Zero if the key was there. */
static int tree_insert(uint64_t key)
{
    Node *n;
    if (root) {
        splay(key);
        if (root->key == key)
            return 0;
    }
    n = node_new(key);
    if (root && key > root->key) {
        ST(&n->left, root);
        ST(&n->right, root->right);
        ST(&root->right, NULL);
    } else if (root) {
        ST(&n->right, root);
        ST(&n->left, root->left);
        ST(&root->left, NULL);
    }
    ST(&root, n);
    return 1;
}

/* The greatest key below that of the root, or that of the root. */
static uint64_t key_before_root(void)
{
    const Node *n = root->left;
    if (!n)
        return root->key;
    while (n->right)
        n = n->right;
    return n->key;
}

static uint64_t tree_remove(uint64_t key)
{
    splay(key);
    Node *gone = root, *right = root->right;
    if (gone->left) {
        ST(&root, gone->left);
        splay(key);
        ST(&root->right, right);
    } else {
        ST(&root, right);
    }
    uint64_t sum = node_sum(gone);
    if (BY_HAND)
        node_free(gone);
    return sum;
}

/* ---- The run ---------------------------------------------------------- */

static void insert_one(uint64_t *seed)
{
    while (!tree_insert(scramble((*seed)++)))
        ;
}

/* Empties the tree, smallest key first. */
static uint64_t tree_end(void)
{
    uint64_t sum = 0;
    while (root)
        sum = scramble(sum + tree_remove(0));
    return sum;
}

int main(int argc, char **argv)
{
    uint64_t nodes = size_argument(argc, argv, 1, "number of nodes");
    uint64_t ops = size_argument(argc, argv, 2, "number of operations");
    uint64_t check = 0, seed = 0, last;
    port_start();
    for (uint64_t i = 0; i < nodes; i++)
        insert_one(&seed);
    last = meter_now();
    for (uint64_t i = 0; i < ops; i++) {
        insert_one(&seed);
        check += tree_remove(key_before_root());
        meter_lap(&meter, &last);
    }
    check = scramble(check + tree_end());
    meter_report(&meter, check);
    return 0;
}
