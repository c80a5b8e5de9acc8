/* pkgload.c: from the text of a package index to linked objects.
 *
 *   Package: abc              one paragraph is one Version; its fields come
 *   Version: 1.2-3            in any order, but Package is the first
 *   Depends: libc6 (>= 2.34), mail-agent | exim4
 *            ^Depend          ^Depend: two alternatives
 *   Provides: xyz
 *
 * A package is entered by the first mention of its name, be it as a target,
 * and gets its versions when their paragraph comes: that is what closes the
 * circles.  The loader itself lives on the stack, so it holds objects in
 * plain variables; what it stores *into* objects goes through sc_store.
 */
#include "pkggraph.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

SC_LAYOUT(Slot, package)
SC_LAYOUT(Package, same_hash, name, versions, providers)
SC_LAYOUT(Version, next, package, depends, number, section, summary)
SC_LAYOUT(Depend, next, alts)
SC_LAYOUT(Alternative, next, target, relation)
SC_LAYOUT(Provide, next, by)
SC_LAYOUT(Index, buckets, list)

struct loader {
    Index *ix;
    Version *version;       /* of the paragraph being read */
    Depend *last;           /* its last dependency, to append to */
};

void *need(void *p)
{
    if (!p) {
        fputs("pkggraph: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* ---- Strings and names ------------------------------------------------ */

static char *text_new(const char *from, size_t n)
{
    char *s = need(sc_alloc_noscan(n + 1));
    memcpy(s, from, n);
    s[n] = 0;
    return s;
}

static void table_grow(Index *ix)
{
    size_t n = ix->nbuckets * 2;
    Slot *bigger = NEW_ARRAY(Slot, n);
    for (size_t i = 0; i < ix->nbuckets; i++) {
        Package *p = ix->buckets[i].package, *next;
        for (; p; p = next) {
            Slot *s = &bigger[p->hash & (n - 1)];
            next = p->same_hash;
            sc_store(&p->same_hash, s->package);
            sc_store(&s->package, p);
        }
    }
    sc_store(&ix->buckets, bigger);
    ix->nbuckets = n;
}

static uint64_t name_hash(const char *name, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;   /* FNV-1a's start */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3u;
    return mix(h);
}

/* The package of that name, new if this is the first mention. */
static Package *package_named(Index *ix, const char *name, size_t n)
{
    uint64_t h = name_hash(name, n);
    Package *p = ix->buckets[h & (ix->nbuckets - 1)].package;
    for (; p; p = p->same_hash)
        if (p->hash == h && !strncmp(p->name, name, n) && !p->name[n])
            return p;
    if (ix->names >= ix->nbuckets)
        table_grow(ix);
    Slot *s = &ix->buckets[h & (ix->nbuckets - 1)];
    p = NEW(Package);
    p->hash = h;
    p->id = (uint32_t)ix->names++;
    sc_store(&p->name, text_new(name, n));
    sc_store(&p->same_hash, s->package);
    sc_store(&s->package, p);
    return p;
}

/* ---- Relations: "a (>= 1) | b, c:any" --------------------------------- */

static const char *skip_space(const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    return s;
}

/* Reads one "name[:arch] [(relation)]" up to a comma, a bar or the end.
 * NULL when there is no name. */
static Package *target_read(Index *ix, const char **at, const char **rel,
                            size_t *nrel)
{
    const char *s = skip_space(*at), *end = s + strcspn(s, ",|");
    size_t name = strcspn(s, " :(,|\n");
    const char *open = memchr(s, '(', (size_t)(end - s));
    const char *shut = open ? memchr(open, ')', (size_t)(end - open)) : NULL;
    *at = end;
    *rel = open;
    *nrel = shut ? (size_t)(shut + 1 - open) : 0;
    return name ? package_named(ix, s, name) : NULL;
}

static Alternative *alternative_read(Index *ix, const char **at)
{
    const char *rel;
    size_t nrel;
    Package *target = target_read(ix, at, &rel, &nrel);
    if (!target)
        return NULL;
    Alternative *a = NEW(Alternative);
    sc_store(&a->target, target);
    if (nrel)
        sc_store(&a->relation, text_new(rel, nrel));
    ix->edges++;
    return a;
}

/* "a | b | c", up to a comma or the end. */
static Alternative *alternatives_read(Index *ix, const char **at)
{
    Alternative *first = alternative_read(ix, at), *last = first;
    while (**at == '|') {
        ++*at;
        Alternative *a = alternative_read(ix, at);
        if (!a || !last)
            continue;
        sc_store(&last->next, a);
        last = a;
    }
    return first;
}

static void depends_read(struct loader *l, const char *s,
                         enum depend_kind kind)
{
    while (*s) {
        Alternative *alts = alternatives_read(l->ix, &s);
        if (*s == ',')
            s++;
        if (!alts)
            continue;
        Depend *d = NEW(Depend);
        d->kind = kind;
        sc_store(&d->alts, alts);
        if (l->last)
            sc_store(&l->last->next, d);
        else
            sc_store(&l->version->depends, d);
        l->last = d;
    }
}

static void provides_read(struct loader *l, const char *s)
{
    const char *rel;
    size_t nrel;
    while (*s) {
        Package *target = target_read(l->ix, &s, &rel, &nrel);
        if (*s)
            s++;
        if (!target)
            continue;
        Provide *p = NEW(Provide), **last = &target->providers;
        while (*last)
            last = &(*last)->next;
        sc_store(&p->by, l->version);
        sc_store(last, p);
    }
}

/* ---- Paragraphs ------------------------------------------------------- */

static void list_add(Index *ix, Package *p)
{
    if (ix->nlist == ix->list_room) {
        size_t room = ix->list_room * 2;
        Slot *bigger = NEW_ARRAY(Slot, room);
        sc_copy(bigger, ix->list, ix->nlist * sizeof(Slot));
        sc_store(&ix->list, bigger);
        ix->list_room = room;
    }
    sc_store(&ix->list[ix->nlist++].package, p);
}

static void version_begin(struct loader *l, const char *name)
{
    Package *p = package_named(l->ix, name, strcspn(name, " \n"));
    Version *v = NEW(Version), **last = &p->versions;
    if (!p->versions)
        list_add(l->ix, p);
    while (*last)
        last = &(*last)->next;
    sc_store(&v->package, p);
    sc_store(last, v);
    l->version = v;
    l->last = NULL;
    l->ix->versions++;
}

/* The value of the line if it is that field. */
static const char *value_of(const char *line, const char *field)
{
    size_t n = strlen(field);
    if (strncmp(line, field, n) || line[n] != ':')
        return NULL;
    return skip_space(line + n + 1);
}

static void line_read(struct loader *l, const char *line)
{
    const char *s;
    if ((s = value_of(line, "Package")))
        version_begin(l, s);
    else if (!l->version)
        return;
    else if ((s = value_of(line, "Version")))
        sc_store(&l->version->number, text_new(s, strlen(s)));
    else if ((s = value_of(line, "Section")))
        sc_store(&l->version->section, text_new(s, strlen(s)));
    else if ((s = value_of(line, "Description")))
        sc_store(&l->version->summary, text_new(s, strlen(s)));
    else if ((s = value_of(line, "Installed-Size")))
        l->version->kilobytes = strtoull(s, NULL, 10);
    else if ((s = value_of(line, "Pre-Depends")))
        depends_read(l, s, PRE_DEPENDS);
    else if ((s = value_of(line, "Depends")))
        depends_read(l, s, DEPENDS);
    else if ((s = value_of(line, "Recommends")))
        depends_read(l, s, RECOMMENDS);
    else if ((s = value_of(line, "Suggests")))
        depends_read(l, s, SUGGESTS);
    else if ((s = value_of(line, "Provides")))
        provides_read(l, s);
}

static void lines_read(struct loader *l, FILE *f)
{
    static char *line;      /* getline's own; one thread at a time loads */
    static size_t room;
    ssize_t n;
    while ((n = getline(&line, &room, f)) >= 0) {
        if (n && line[n - 1] == '\n')
            line[--n] = 0;
        if (!n)
            l->version = NULL;
        else
            line_read(l, line);
    }
}

Index *index_load(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return NULL;
    Index *ix = NEW(Index);
    ix->nbuckets = ix->list_room = 1024;    /* both grow with the index */
    sc_store(&ix->buckets, NEW_ARRAY(Slot, ix->nbuckets));
    sc_store(&ix->list, NEW_ARRAY(Slot, ix->list_room));
    struct loader l = {.ix = ix};
    lines_read(&l, f);
    fclose(f);
    ix->digest = index_digest(ix);
    return ix;
}

/* ---- Checksum --------------------------------------------------------- */

static uint64_t version_digest(const Version *v)
{
    uint64_t h = hash_text(v->kilobytes, v->package->name);
    h = hash_text(h, v->number);
    h = hash_text(h, v->section);
    h = hash_text(h, v->summary);
    for (const Depend *d = v->depends; d; d = d->next) {
        h = mix(h + d->kind);
        for (const Alternative *a = d->alts; a; a = a->next)
            h = mix(hash_text(h ^ a->target->hash, a->relation));
    }
    return mix(h);
}

/* Reads everything back from the heap, so that an object that was reclaimed
 * too early shows. */
uint64_t index_digest(const Index *ix)
{
    uint64_t sum = ix->names;
    for (size_t i = 0; i < ix->nlist; i++) {
        const Package *p = ix->list[i].package;
        for (const Version *v = p->versions; v; v = v->next)
            sum += version_digest(v);
        for (const Provide *r = p->providers; r; r = r->next)
            sum += mix(r->by->package->hash ^ p->hash);
    }
    return sum;
}
