/* graph.h: a recorded heap, laid out for the simulator.
 *
 *   object i   its page and slot (`at`), what it costs, link[first[i]] ...
 *   page p     eight words of bits, as the collector has them:
 *              word[8 * p + k].exist   slots k * 64 .. that hold an object
 *
 * The number of an object of a word of bits is word.first plus the number of
 * bits below it, for objects are numbered by address.
 */
#ifndef BENCH_GRAPH_H
#define BENCH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heapfile.h"

struct graph {
    uint32_t nobjects, njobs, npages;
    uint32_t nparts;        /* of the objects: parts of large ones */
    const struct heap_object *object;
    const struct heap_job *job;
    const uint32_t *link, *root;
    uint32_t *first;        /* nobjects + 1 */
    uint32_t *at;           /* 512 * page + slot */
    struct graph_word {
        uint64_t exist;
        uint32_t first;
    } *word;
    void *memory;           /* that all lies in */
    size_t bytes;
};

/* From arrays that stay where they are; NULL if all is well, else what is
 * wrong with them. */
const char *graph_make(struct graph *, const struct heap_head *,
                       const struct heap_object *, const struct heap_job *,
                       const uint32_t *link, const uint32_t *root);
const char *graph_load(struct graph *, const char *file);
void graph_free(struct graph *);
/* What the longest of the cheapest ways from a root costs, if a link to an
 * object of the same page costs `near`, any other `far`: no number of markers
 * has marked all before. */
uint64_t graph_chain(const struct graph *, uint32_t near, uint32_t far);
/* Objects on the longest of the shortest ways from a root. */
uint32_t graph_depth(const struct graph *);
/* What is reached from the roots; all of it, if the recording is right. */
uint32_t graph_reached(const struct graph *);

static inline uint32_t graph_number(const struct graph *g, uint32_t word,
                                    unsigned bit)
{
    const struct graph_word *w = &g->word[word];
    uint64_t below = w->exist & ((1ull << bit) - 1);
    return w->first + (uint32_t)__builtin_popcountll(below);
}

#endif
