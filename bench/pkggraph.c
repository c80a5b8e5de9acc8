/* pkggraph.c: the example of that name without its talk: threads follow the
 * dependencies of packages while the main thread loads the index anew, again
 * and again.  A graph with circles, shared by threads, replaced as a whole.
 *
 *   main      load -> publish -> load -> publish ...
 *   threads   current -> closure, closure, closure ...
 *
 *   Package --versions--> Version --depends--> Depend --alts--> Alternative
 *      ^ providers -> Provide --by--> ^                  target -> Package
 *
 * By hand, each query counts as a reader of its index, and the last reader
 * of a replaced index frees it; with a collector there is no such count.
 * An operation is one query.  pkggraph FILE LOADS THREADS QUERIES
 */
#include "port.h"

#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Package Package;
typedef struct Version Version;

typedef struct Provide {
    struct Provide *next;
    Version *by;
} Provide;
LAYOUT(Provide, next, by)

typedef struct Alternative {
    struct Alternative *next;
    Package *target;
    char *relation;
} Alternative;
LAYOUT(Alternative, next, target, relation)

typedef struct Depend {
    struct Depend *next;
    Alternative *alts;
} Depend;
LAYOUT(Depend, next, alts)

struct Version {
    Version *next;
    Package *package;
    Depend *depends;
    char *number;
};
LAYOUT(Version, next, package, depends, number)

struct Package {
    Package *chain, *next;      /* in its bucket; of all, in file order */
    char *name;
    Version *versions;
    Provide *providers;
    uint64_t hash, id;
};
LAYOUT(Package, chain, next, name, versions, providers)

typedef struct Slot {
    Package *package;
} Slot;
LAYOUT(Slot, package)

typedef struct Index {
    Slot *buckets, *list;       /* list: packages with a version */
    Package *first;
    uint64_t names, listed;
    int64_t readers;            /* BY_HAND only; under the lock */
} Index;
LAYOUT(Index, buckets, list, first)

typedef struct Step {
    struct Step *next;
    const Version *version;
} Step;
LAYOUT(Step, next, version)

/* Enough for a whole distribution's names, so that the table need not grow;
 * chains are then of length one or two. */
enum { BUCKETS = 1 << 16 };

struct worker {
    pthread_t thread;
    uint64_t number, check;
    struct meter meter;
};

struct loader {
    Index *ix;
    Version *version;
    Depend *last;
    Package *last_package;
};

static struct worker workers[MAX_THREADS];
static Index *current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t queries;

/* ---- Names ------------------------------------------------------------ */

static uint64_t hash_bytes(uint64_t h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static char *text_new(const char *from, size_t n)
{
    char *s = BYTES(n + 1);
    memcpy(s, from, n);
    s[n] = 0;
    return s;
}

static Package *package_add(struct loader *l, Slot *s, const char *name,
                            size_t n)
{
    Package *p = NEW(Package);
    ST(&p->name, text_new(name, n));
    ST(&p->chain, s->package);
    ST(&s->package, p);
    if (l->last_package)
        ST(&l->last_package->next, p);
    else
        ST(&l->ix->first, p);
    l->last_package = p;
    p->id = l->ix->names++;
    return p;
}

static Package *package_named(struct loader *l, const char *name, size_t n)
{
    uint64_t h = scramble(hash_bytes(n, name, n));
    Slot *s = &l->ix->buckets[h % BUCKETS];
    for (Package *p = s->package; p; p = p->chain)
        if (p->hash == h && !strncmp(p->name, name, n) && !p->name[n])
            return p;
    Package *p = package_add(l, s, name, n);
    p->hash = h;
    return p;
}

/* ---- Relations: "a (>= 1) | b, c:any" --------------------------------- */

/* Cuts the next target off *at, and says which sign ended it. */
static Package *target_read(struct loader *l, char **at, char **rel,
                            size_t *nrel)
{
    char *s = *at + strspn(*at, " ");
    size_t whole = strcspn(s, ",|"), name = strcspn(s, " :(,|");
    char *open = memchr(s, '(', whole);
    char *shut = open ? memchr(open, ')', whole - (size_t)(open - s)) : NULL;
    *at = s + whole;
    *rel = open;
    *nrel = shut ? (size_t)(shut + 1 - open) : 0;
    return name ? package_named(l, s, name) : NULL;
}

static void depend_add(struct loader *l, Depend *d)
{
    if (l->last)
        ST(&l->last->next, d);
    else
        ST(&l->version->depends, d);
    l->last = d;
}

static void depends_read(struct loader *l, char *s)
{
    Alternative *last = NULL;
    char *rel;
    size_t nrel;
    while (*s) {
        Package *target = target_read(l, &s, &rel, &nrel);
        if (target) {
            Alternative *a = NEW(Alternative);
            ST(&a->target, target);
            if (nrel)
                ST(&a->relation, text_new(rel, nrel));
            if (last) {
                ST(&last->next, a);
            } else {
                Depend *d = NEW(Depend);
                ST(&d->alts, a);
                depend_add(l, d);
            }
            last = a;
        }
        if (*s && *s++ == ',')
            last = NULL;
    }
}

static void provides_read(struct loader *l, char *s)
{
    char *rel;
    size_t nrel;
    while (*s) {
        Package *target = target_read(l, &s, &rel, &nrel);
        if (*s)
            s++;
        if (!target)
            continue;
        Provide *p = NEW(Provide);
        ST(&p->by, l->version);
        ST(&p->next, target->providers);
        ST(&target->providers, p);
    }
}

/* ---- Loading ---------------------------------------------------------- */

static void version_begin(struct loader *l, char *name)
{
    Package *p = package_named(l, name, strcspn(name, " "));
    Version *v = NEW(Version);
    if (!p->versions)
        ST(&l->ix->list[l->ix->listed++].package, p);
    ST(&v->next, p->versions);
    ST(&v->package, p);
    ST(&p->versions, v);
    l->version = v;
    l->last = NULL;
}

static char *value_of(char *line, const char *field, size_t n)
{
    return strncmp(line, field, n) ? NULL : line + n;
}
#define VALUE(line, field) value_of(line, field, sizeof(field) - 1)

static void line_read(struct loader *l, char *line)
{
    char *s;
    if ((s = VALUE(line, "Package: ")))
        version_begin(l, s);
    else if ((s = VALUE(line, "Version: ")))
        ST(&l->version->number, text_new(s, strlen(s)));
    else if ((s = VALUE(line, "Pre-Depends: ")))
        depends_read(l, s);
    else if ((s = VALUE(line, "Depends: ")))
        depends_read(l, s);
    else if ((s = VALUE(line, "Provides: ")))
        provides_read(l, s);
}

/* Packages in the file; the list of them has that many places. */
static uint64_t packages_count(FILE *f)
{
    static char line[256];  /* longer lines come in pieces, begun in one */
    uint64_t n = 0;
    while (fgets(line, sizeof line, f))
        n += !strncmp(line, "Package: ", 9);
    rewind(f);
    return n;
}

static Index *index_load(const char *path)
{
    static char *line;      /* getline's own; only main loads */
    static size_t room;
    ssize_t n;
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        exit(2);
    }
    struct loader l = {.ix = NEW(Index)};
    ST(&l.ix->buckets, NEW_ARRAY(Slot, BUCKETS));
    ST(&l.ix->list, NEW_ARRAY(Slot, packages_count(f)));
    while ((n = getline(&line, &room, f)) >= 0) {
        line[strcspn(line, "\n")] = 0;
        line_read(&l, line);
    }
    fclose(f);
    return l.ix;
}

/* ---- By hand ---------------------------------------------------------- */

static void version_free(Version *v)
{
    for (Depend *d = v->depends, *next; d; d = next) {
        for (Alternative *a = d->alts, *more; a; a = more) {
            more = a->next;
            FREE(a->relation);
            FREE(a);
        }
        next = d->next;
        FREE(d);
    }
    FREE(v->number);
    FREE(v);
}

static void package_free(Package *p)
{
    for (Version *v = p->versions, *next; v; v = next) {
        next = v->next;
        version_free(v);
    }
    for (Provide *r = p->providers, *next; r; r = next) {
        next = r->next;
        FREE(r);
    }
    FREE(p->name);
    FREE(p);
}

static void index_free(Index *ix)
{
    for (Package *p = ix->first, *next; p; p = next) {
        next = p->next;
        package_free(p);
    }
    FREE(ix->buckets);
    FREE(ix->list);
    FREE(ix);
}

/* ---- Sharing ---------------------------------------------------------- */

static Index *index_take(void)
{
    if (!BY_HAND)
        return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
    pthread_mutex_lock(&lock);
    Index *ix = current;
    ix->readers++;
    pthread_mutex_unlock(&lock);
    return ix;
}

static void index_leave(Index *ix)
{
    if (!BY_HAND)
        return;
    pthread_mutex_lock(&lock);
    int last = !--ix->readers;
    pthread_mutex_unlock(&lock);
    if (last)
        index_free(ix);
}

/* By hand, being the current index counts as a reader. */
static void index_publish(Index *ix)
{
    Index *old = current;
    ix->readers = 1;
    if (BY_HAND)
        pthread_mutex_lock(&lock);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    ST(&current, ix);
    if (BY_HAND)
        pthread_mutex_unlock(&lock);
    if (old)
        index_leave(old);
}

/* ---- Queries ---------------------------------------------------------- */

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

/* Appends v to the queue, unless its package was there before. */
static Step *step_add(Step *last, const Version *v, unsigned char *seen)
{
    uint64_t id = v->package->id;
    if (seen[id / 8] & 1u << id % 8)
        return last;
    seen[id / 8] |= (unsigned char)(1u << id % 8);
    Step *s = NEW(Step);
    ST(&s->version, v);
    if (last)
        ST(&last->next, s);
    return s;
}

static uint64_t visit(const Version *v, Step **last, unsigned char *seen)
{
    for (const Depend *d = v->depends; d; d = d->next) {
        const Version *next = version_for(d);
        if (next)
            *last = step_add(*last, next, seen);
    }
    return hash_bytes(v->package->hash, v->number, strlen(v->number));
}

static uint64_t closure(const Index *ix, const Package *p)
{
    size_t bytes = ix->names / 8 + 1;
    unsigned char *seen = BYTES(bytes);
    uint64_t sum = 0;
    memset(seen, 0, bytes);
    Step *s = step_add(NULL, p->versions, seen), *last = s;
    while (s) {
        Step *done = s;
        sum += visit(s->version, &last, seen);
        s = s->next;
        FREE(done);
    }
    FREE(seen);
    return sum;
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    for (uint64_t i = 0; i < queries; i++) {
        uint64_t start = meter_now(), r = scramble(w->number * queries + i);
        Index *ix = index_take();
        w->check += scramble(closure(ix, ix->list[r % ix->listed].package));
        index_leave(ix);
        meter_add(&w->meter, meter_now() - start);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct meter all;
    uint64_t loads = size_argument(argc, argv, 2, "number of loads");
    uint64_t threads = threads_argument(argc, argv, 3);
    uint64_t check = 0;
    queries = size_argument(argc, argv, 4, "queries of each thread");
    port_start();
    index_publish(index_load(argv[1]));
    for (uint64_t i = 0; i < threads; i++) {
        workers[i].number = i;
        if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]))
            return 1;
    }
    for (uint64_t i = 1; i < loads; i++)
        index_publish(index_load(argv[1]));
    for (uint64_t i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        meter_merge(&all, &workers[i].meter);
        check += workers[i].check;
    }
    meter_report(&all, scramble(check + current->names));
    if (BY_HAND)
        index_leave(current);
    return 0;
}
