/* graph.h: the location graph; see graph.c.  No word of LLVM in it. */
#ifndef SANCAI_CC_GRAPH_H
#define SANCAI_CC_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

/* The least dereferences at which something flows; none: it does not. */
#define FLOW_NEVER 127
#define FLOW_MOST  4

enum node_kind {
    NODE_VALUE,   /* a name for a value; has no address */
    NODE_CARRIED, /* a value that one iteration of a loop hands to the next */
    NODE_LOCAL,   /* a variable in the frame */
    NODE_OBJECT,  /* what one call of malloc gives */
    NODE_MEMORY,  /* what a pointer parameter points to */
    NODE_RESULT,  /* what the function returns */
    NODE_HEAP     /* everything that outlives the function */
};

struct edge {
    int from, derefs; /* derefs -1: its address */
    int next;         /* the next edge into the same node, or -1 */
    const void *why;  /* the caller's: which instruction */
};

struct node {
    enum node_kind kind;
    int in;           /* first edge into it, or -1 */
    int loop;         /* innermost loop it is made in; -1: none */
    int scope;        /* innermost block; 0: the function's, -1: unused */
    int param;        /* which parameter's value; -1: none */
    bool leaves;      /* a value that is used outside its block */
    bool escapes;     /* found: outlives its frame or iteration */
    bool outstays;    /* found: its address is used after its block */
    bool stored;      /* found: an object holds its address */
    int flow;         /* why, an index into flows; -1: not known */
    const void *is;   /* the caller's: which value */
    int walk, derefs, via, by; /* of the walk that came by last */
    int path;         /* the last flow that it is on */
};

/* A path of edges: the address of `node` flows to `root`. */
struct flow {
    int node, root, param, level;
    int first, count; /* hops[first ...], from the node to the root */
};

struct graph {
    struct node *nodes;
    struct edge *edges;
    struct flow *flows;
    int *hops;                /* edges */
    int nnodes, nedges, nflows, nhops;
    int rnodes, redges, rflows, rhops; /* room for so many */
    int heap, result, *memory;         /* nodes; memory[param] or -1 */
    const int *loop_parent, *scope_parent;
    bool explain;             /* keep flows */
    int walks;
};

/* What callers need to know of a function: at how many dereferences the value
 * of parameter i flows to the heap, to the result, to what parameter j points
 * to.  A variadic function has one parameter more, for all the rest. */
struct summary {
    int params;
    signed char *heap, *result, *memory; /* memory[i * params + j] */
    bool changed;
};

void graph_init(struct graph *, int params);
void graph_free(struct graph *);
int graph_node(struct graph *, enum node_kind, const void *is);
/* from, so many times dereferenced, flows to `to`; nothing if one is < 0. */
void graph_edge(struct graph *, int to, int from, int derefs,
                const void *why);
/* Finds what escapes; lowers the summary. */
void graph_solve(struct graph *, struct summary *);
/* Is a the same as outer, or inside it?  -1 is outside all. */
bool graph_within(const int *parent, int a, int outer);

void summary_init(struct summary *, int params);
void summary_free(struct summary *);

#endif
