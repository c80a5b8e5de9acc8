/* pkgquery.c: what must be installed for a package?  All that can be reached
 * by following Pre-Depends and Depends, breadth first.
 *
 *   queue:  first -> Step -> Step -> last      one Step per package
 *   seen:   one bit per package name           a block without pointers
 *
 * Both are garbage as soon as the answer is there.  An alternative is chosen
 * as a package manager would by default: the first one that has a version,
 * else the first provider of the first one that has any.  Version relations
 * are kept but not compared: a distribution's index agrees with itself.
 */
#include "pkggraph.h"

#include <string.h>

typedef struct Step {
    struct Step *next;
    const Version *version;
} Step;
SC_LAYOUT(Step, next, version)

struct walk {
    Step *last;
    unsigned char *seen;
    struct closure found;
};

static const Version *version_for(const Depend *d)
{
    for (const Alternative *a = d->alts; a; a = a->next)
        if (a->target->versions)
            return a->target->versions;
    for (const Alternative *a = d->alts; a; a = a->next)
        if (a->target->providers)
            return a->target->providers->by;
    return NULL;
}

static void walk_add(struct walk *w, const Version *v)
{
    uint32_t id = v->package->id;
    unsigned char bit = (unsigned char)(1u << id % 8);
    if (w->seen[id / 8] & bit)
        return;
    w->seen[id / 8] |= bit;
    Step *s = NEW(Step);
    sc_store(&s->version, v);
    if (w->last)
        sc_store(&w->last->next, s);
    w->last = s;
}

/* Counts v.  Sums, so that the order of the walk does not matter; text, so
 * that each answer proves the names and numbers it passed. */
static void walk_visit(struct walk *w, const Version *v)
{
    uint64_t h = hash_text(v->package->hash, v->package->name);
    w->found.packages++;
    w->found.kilobytes += v->kilobytes;
    w->found.digest += mix(hash_text(h, v->number));
    for (const Depend *d = v->depends; d; d = d->next) {
        const Version *next;
        if (d->kind > DEPENDS)
            continue;
        next = version_for(d);
        if (next)
            walk_add(w, next);
        else
            w->found.missing++;
    }
}

struct closure closure_of(const Index *ix, const Package *p)
{
    size_t bytes = ix->names / 8 + 1;
    struct walk w = {.seen = need(sc_alloc_noscan(bytes))};
    memset(w.seen, 0, bytes);   /* blocks without pointers come as they are */
    walk_add(&w, p->versions);
    for (const Step *s = w.last; s; s = s->next)
        walk_visit(&w, s->version);
    return w.found;
}
