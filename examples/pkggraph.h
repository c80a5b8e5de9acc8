/* pkggraph.h: a package index as linked objects, and questions about it.
 *
 *   Index --list--> Package --versions--> Version --depends--> Depend
 *                     |  ^                   |  ^                 |
 *                     |  +------package------+  |                alts
 *                     |  ^                      |                 v
 *                     |  +------target----------|-------------- Alternative
 *                     +-------providers------> Provide
 *
 * A Depend is satisfied by any of its alternatives; an alternative names a
 * package, which may have versions, or be virtual and only have providers.
 * Packages depend on each other in circles, so nobody owns anybody: freeing
 * an old index by hand, while threads still walk it, would need a count of
 * its readers.  Here nothing is ever freed.
 *
 * Invariant of the whole program: a pointer goes into an object or a global
 * by sc_store or sc_copy only.  Locals need nothing.
 */
#ifndef PKGGRAPH_H
#define PKGGRAPH_H

#include <sancai.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Package Package;
typedef struct Version Version;
typedef struct Depend Depend;
typedef struct Alternative Alternative;
typedef struct Provide Provide;

/* An element of the arrays that hold packages. */
typedef struct Slot {
    Package *package;
} Slot;

struct Package {
    Package *same_hash;
    char *name;
    Version *versions;
    Provide *providers;
    uint64_t hash;
    uint32_t id;            /* place in bit sets; virtual packages have one */
};

struct Version {
    Version *next;
    Package *package;
    Depend *depends;
    char *number, *section, *summary;
    uint64_t kilobytes;     /* when installed */
};

enum depend_kind { PRE_DEPENDS, DEPENDS, RECOMMENDS, SUGGESTS };

struct Depend {
    Depend *next;
    Alternative *alts;
    enum depend_kind kind;
};

struct Alternative {
    Alternative *next;
    Package *target;
    char *relation;         /* "(>= 2.34)", or NULL */
};

struct Provide {
    Provide *next;
    Version *by;
};

typedef struct Index {
    Slot *buckets;          /* chains of same_hash; a power of two of them */
    Slot *list;             /* packages with a version, in file order */
    size_t nbuckets, nlist, list_room;
    size_t names, versions, edges;
    uint64_t digest;        /* of all that was loaded, read back */
} Index;

/* What must be installed for one package, itself included. */
struct closure {
    uint64_t packages, kilobytes, missing, digest;
};

/* pkgload.c */
Index *index_load(const char *path);
uint64_t index_digest(const Index *);

/* pkgquery.c */
struct closure closure_of(const Index *, const Package *);

/* pkgsource.c: path of the machine's own package index, as a temporary
 * file.  Says what is wrong and exits with 2 if there is none. */
const char *index_fetch(int quiet);

/* What a run has to say about itself. */
struct report {
    int threads, reloads, bad_reloads;
    const Index *index;
    uint64_t queries, packages, digest, bad_answers;
    struct closure largest;
    char largest_name[80];
    uint64_t held_peak, heap_peak;  /* bytes; seen by sampling */
    double seconds;
};

/* What the same run said with SANCAI_GC=off. */
struct other_run {
    uint64_t digest, rss, wall_ns;
};

/* pkgreport.c */
void report_print(const struct report *, const struct sc_stats *);
void report_line(const struct report *);
void report_compare(const struct report *, const struct sc_stats *,
                    char *const argv[]);
const char *show_bytes(uint64_t bytes, char out[32]);

/* A word's share of a checksum: order matters within an object, so that
 * swapped fields show, and objects are added up. */
static inline uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;  /* odd, about half its bits set */
    return h ^ h >> 32;
}

static inline uint64_t hash_text(uint64_t h, const char *s)
{
    while (s && *s)
        h = (h ^ (unsigned char)*s++) * 0x100000001b3u;  /* FNV-1a's prime */
    return h;
}

/* p, unless memory ran out. */
void *need(void *p);
#define NEW(T) ((T *)need(sc_new(T)))
#define NEW_ARRAY(T, n) ((T *)need(sc_new_array(T, n)))

#endif
