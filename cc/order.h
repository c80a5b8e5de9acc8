/* order.h: components and loops of a directed graph; see their rooms. */
#ifndef SANCAI_CC_ORDER_H
#define SANCAI_CC_ORDER_H

struct digraph {
    int n;           /* nodes; of a function's blocks, 0 is the entry */
    int **next;      /* next[b][0 .. nnext[b]) */
    int *nnext;
};

void digraph_init(struct digraph *, int n);
void digraph_edge(struct digraph *, int from, int to);
void digraph_free(struct digraph *);

/* ---- component.c ------------------------------------------------------- */

/* Component k is member[end[k - 1] .. end[k]); later ones lead to earlier
 * ones, never the other way. */
struct components {
    int *member, *end, n;
};
/* Of these nodes, by edges within one region (NULL: there are no regions). */
void components_find(struct components *, const struct digraph *,
                     const int *nodes, int n, const int *region);
void components_free(struct components *);

/* ---- loop.c ------------------------------------------------------------ */

struct loops {
    int n;           /* loops */
    int *parent;     /* of each loop, -1: none */
    int *of;         /* innermost loop of each block, -1: none */
    int *heads;      /* the loop that each block is a header of, -1: none */
};
void loops_find(struct loops *, const struct digraph *);
void loops_free(struct loops *);

#endif
