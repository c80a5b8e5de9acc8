/* graph.c: reads a recorded heap, and asks of it what no simulation is needed
 * for: what is reached, and how long the longest chain is.
 *
 *   file --mmap--> arrays --check, number--> struct graph
 *
 * Invariant: what graph_make accepts can be followed without another look: each
 * link and root is the number of an object, and no part.
 */
#include "graph.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_object(const struct heap_head *h, const struct heap_object *o,
                      uint32_t i)
{
    return i < h->nobjects && !(o[i].flags & HEAP_PART);
}

static const char *check(const struct heap_head *h,
                         const struct heap_object *o,
                         const struct heap_job *job, const uint32_t *link,
                         const uint32_t *root)
{
    uint64_t links = 0, roots = 0;
    for (uint32_t i = 0; i < h->nobjects; i++) {
        links += o[i].nlinks;
        if (o[i].slot >= 512)
            return "a slot is beyond its page";
        if (i && (o[i].flags & HEAP_PART ? o[i].page != o[i - 1].page
                  : o[i].page < o[i - 1].page ||
                    (o[i].page == o[i - 1].page && o[i].slot <= o[i - 1].slot)))
            return "the objects are not in order";
    }
    for (uint32_t i = 0; i < h->njobs; i++)
        roots += job[i].nroots;
    if (links != h->nlinks || roots != h->nroots || links > UINT32_MAX)
        return "the links or roots are not as many as it says";
    for (uint64_t i = 0; i < links; i++)
        if (!is_object(h, o, link[i]))
            return "a link leads nowhere";
    for (uint64_t i = 0; i < roots; i++)
        if (!is_object(h, o, root[i]))
            return "a root leads nowhere";
    return NULL;
}

/* Pages are numbered anew, without gaps. */
static void number(struct graph *g)
{
    uint32_t page = 0, at = 0;
    for (uint32_t i = 0; i < g->nobjects; i++) {
        const struct heap_object *o = &g->object[i];
        page += i && o->page != o[-1].page;
        g->first[i] = at;
        at += o->nlinks;
        g->at[i] = page * 512 + o->slot;
        if (o->flags & HEAP_PART) {
            g->nparts++;
            continue;
        }
        struct graph_word *w = &g->word[g->at[i] / 64];
        if (!w->exist)
            w->first = i;
        w->exist |= 1ull << o->slot % 64;
    }
    g->first[g->nobjects] = at;
    g->npages = page + 1;
}

static uint32_t count_pages(const struct heap_object *o, uint32_t n)
{
    uint32_t pages = 1;
    for (uint32_t i = 1; i < n; i++)
        pages += o[i].page != o[i - 1].page;
    return pages;
}

const char *graph_make(struct graph *g, const struct heap_head *h,
                       const struct heap_object *object,
                       const struct heap_job *job, const uint32_t *link,
                       const uint32_t *root)
{
    const char *wrong = check(h, object, job, link, root);
    if (wrong)
        return wrong;
    memset(g, 0, sizeof *g);
    g->nobjects = h->nobjects;
    g->njobs = h->njobs;
    g->object = object;
    g->job = job;
    g->link = link;
    g->root = root;
    g->first = calloc(g->nobjects + 1ul, sizeof *g->first);
    g->at = calloc(g->nobjects + 1ul, sizeof *g->at);
    g->word = calloc(8ul * count_pages(object, g->nobjects), sizeof *g->word);
    if (!g->first || !g->at || !g->word)
        return "no memory";
    number(g);
    return NULL;
}

const char *graph_load(struct graph *g, const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY);
    if (fd < 0 || fstat(fd, &st))
        return "there is no such file";
    void *m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    const struct heap_head *h = m;
    if (m == MAP_FAILED || (size_t)st.st_size < sizeof *h ||
        memcmp(h->magic, HEAP_MAGIC, sizeof HEAP_MAGIC - 1))
        return "not a recorded heap";
    const struct heap_object *o = (const void *)(h + 1);
    uint64_t bytes = sizeof *h + h->nobjects * sizeof *o +
                     h->njobs * sizeof *g->job + 4 * (h->nlinks + h->nroots);
    if (bytes != (uint64_t)st.st_size)
        return "the file was cut off";
    const uint32_t *link = (const void *)((const struct heap_job *)
                                          (o + h->nobjects) + h->njobs);
    const char *wrong = graph_make(g, h, o, (const void *)(o + h->nobjects),
                                   link, link + h->nlinks);
    g->memory = m;
    g->bytes = (size_t)st.st_size;
    return wrong;
}

void graph_free(struct graph *g)
{
    free(g->first);
    free(g->at);
    free(g->word);
    if (g->memory)
        munmap(g->memory, g->bytes);
}

/* ---- Breadth first ------------------------------------------------------- */

struct wave {
    uint32_t *queue, head, tail;
    bool *seen;
};

static void meet(struct wave *v, uint32_t i)
{
    if (v->seen[i])
        return;
    v->seen[i] = true;
    v->queue[v->tail++] = i;
}

/* Behind the parts of an object: they need nobody to lead to them. */
static uint32_t parts_end(const struct graph *g, uint32_t i)
{
    do
        i++;
    while (i < g->nobjects && g->object[i].flags & HEAP_PART);
    return i;
}

static void follow(const struct graph *g, struct wave *v, uint32_t i)
{
    for (uint32_t k = g->first[i]; k < g->first[parts_end(g, i)]; k++)
        meet(v, g->link[k]);
}

static uint32_t go(const struct graph *g, uint32_t *depth)
{
    struct wave v = {malloc((g->nobjects + 1ul) * sizeof *v.queue), 0, 0,
                     calloc(g->nobjects + 1ul, sizeof *v.seen)};
    uint32_t roots = 0;
    if (!v.queue || !v.seen)
        abort();
    for (uint32_t j = 0; j < g->njobs; j++)
        roots += g->job[j].nroots;
    for (uint32_t i = 0; i < roots; i++)
        meet(&v, g->root[i]);
    for (*depth = 0; v.head < v.tail; ++*depth)
        for (uint32_t end = v.tail; v.head < end;)
            follow(g, &v, v.queue[v.head++]);
    free(v.queue);
    free(v.seen);
    return v.tail;
}

uint32_t graph_depth(const struct graph *g)
{
    uint32_t depth;
    go(g, &depth);
    return depth;
}

uint32_t graph_reached(const struct graph *g)
{
    uint32_t depth;
    return go(g, &depth);
}

/* ---- The cheapest ways --------------------------------------------------- */

/* Objects at a distance, for as many distances as a link may cost and one more:
 * bucket d % n holds those at distance d, and some that were met sooner. */
struct ways {
    const struct graph *g;
    uint32_t near, far, n;
    struct bucket {
        uint32_t *object, n, room;
    } *bucket;
    uint64_t *least;        /* distance + 1; 0: not met */
    uint64_t waiting;
};

static void way_to(struct ways *w, uint32_t i, uint64_t d)
{
    if (w->least[i] && w->least[i] <= d + 1)
        return;
    struct bucket *b = &w->bucket[d % w->n];
    if (b->n == b->room) {
        b->room = b->room ? 2 * b->room : 64;
        b->object = realloc(b->object, b->room * sizeof *b->object);
        if (!b->object)
            abort();
    }
    w->least[i] = d + 1;
    b->object[b->n++] = i;
    w->waiting++;
}

static bool same_page(const struct graph *g, uint32_t i, uint32_t j)
{
    return g->object[i].flags & g->object[j].flags & HEAP_PAGED &&
           g->at[i] / 512 == g->at[j] / 512;
}

static void ways_from(struct ways *w, uint32_t i, uint64_t d)
{
    const struct graph *g = w->g;
    for (uint32_t k = g->first[i]; k < g->first[parts_end(g, i)]; k++)
        way_to(w, g->link[k],
               d + (same_page(g, i, g->link[k]) ? w->near : w->far));
}

static uint64_t ways_go(struct ways *w)
{
    uint64_t d, longest = 0;
    for (d = 0; w->waiting; d++)
        for (struct bucket *b = &w->bucket[d % w->n]; b->n; w->waiting--) {
            uint32_t i = b->object[--b->n];
            if (w->least[i] != d + 1)
                continue;
            longest = d;
            ways_from(w, i, d);
        }
    return longest;
}

uint64_t graph_chain(const struct graph *g, uint32_t near, uint32_t far)
{
    struct ways w = {.g = g, .near = near, .far = far, .n = near + far + 1};
    uint32_t roots = 0;
    w.bucket = calloc(w.n, sizeof *w.bucket);
    w.least = calloc(g->nobjects + 1ul, sizeof *w.least);
    if (!w.bucket || !w.least)
        abort();
    for (uint32_t j = 0; j < g->njobs; j++)
        roots += g->job[j].nroots;
    for (uint32_t i = 0; i < roots; i++)
        way_to(&w, g->root[i], 0);
    uint64_t longest = ways_go(&w);
    for (uint32_t i = 0; i < w.n; i++)
        free(w.bucket[i].object);
    free(w.bucket);
    free(w.least);
    return longest;
}
