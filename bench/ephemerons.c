/* ephemerons.c: objects that know nothing of a table with data about them.
 * The table must not keep them alive, and must let go of an object's data
 * when the object is gone.
 *
 *   slots   [ ] [ ] [ ] ...            what keeps the owners alive
 *            |
 *          Owner < - - weak - - pair --strong--> Side
 *                                 ^
 *   table   [ ] ... --chain--> Entry --chain--> Entry    by owner's address
 *
 * An operation draws a slot.  One time in four its owner is replaced by a
 * new one, with new data; else the owner's data is looked up, changed, and
 * added to the checksum, which so has no part of what is dead.
 *
 *   sancai, plain  ephemerons; whoever passes the entry of a dead owner in a
 *                  chain takes it out
 *   libgc          a strong pointer to the data, a hidden one to the owner
 *                  that libgc clears ("disappearing link"); then the same
 *   go             weak.Pointer is the key of a map, a cleanup deletes
 *   malloc         the entry is taken out when its owner is freed
 *
 * Only with ephemerons may the data point back to its owner; as that would
 * keep both forever elsewhere, it does not here.  ephemerons SLOTS OPERATIONS
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>
#include <string.h>

typedef struct Owner {
    unsigned char *name;
    uint64_t id;
} Owner;
LAYOUT(Owner, name)

typedef struct Side {
    unsigned char *text;
    uint64_t value;
} Side;
LAYOUT(Side, text)

typedef struct Entry {
    struct Entry *chain;
    Pair *pair;
} Entry;
LAYOUT(Entry, chain, pair)

typedef struct Bucket {
    Entry *first;
} Bucket;
LAYOUT(Bucket, first)

typedef struct Slot {
    Owner *owner;
} Slot;
LAYOUT(Slot, owner)

enum { NAME = 24, TEXT = 40 };

static struct meter meter;
static unsigned char pattern[256 + NAME + TEXT];
static Bucket *table;
static Slot *slots;
static uint64_t mask;

/* ---- The table -------------------------------------------------------- */

static Entry **bucket_of(const Owner *o)
{
    return &table[scramble((uintptr_t)o) & mask].first;
}

/* Where the pointer to that owner's entry stands; takes out the dead ones on
 * the way. */
static Entry **place_of(const Owner *o)
{
    Entry **at = bucket_of(o);
    while (*at) {
        const void *key = PAIR_KEY((*at)->pair);
        if (key == o)
            return at;
        if (key)
            at = &(*at)->chain;
        else
            ST(at, (*at)->chain);
    }
    return at;
}

static void side_put(Owner *o, Side *s)
{
    Entry *e = NEW(Entry), **at = place_of(o);
    ST(&e->pair, PAIR_NEW(o, s));
    ST(&e->chain, *at);
    ST(at, e);
}

static Side *side_of(const Owner *o)
{
    return PAIR_VALUE((*place_of(o))->pair);
}

static void owner_free(Owner *o)
{
    Entry **at = place_of(o), *e = *at;
    Side *s = PAIR_VALUE(e->pair);
    ST(at, e->chain);
    FREE(e->pair);
    FREE(e);
    FREE(s->text);
    FREE(s);
    FREE(o->name);
    FREE(o);
}

/* ---- The run ---------------------------------------------------------- */

static unsigned char *bytes_new(size_t n, uint64_t r)
{
    return memcpy(BYTES(n), pattern + r % 256, n);
}

static void owner_put(Slot *at, uint64_t id)
{
    uint64_t r = scramble(id);
    Owner *o = NEW(Owner);
    Side *s = NEW(Side);
    o->id = id;
    ST(&o->name, bytes_new(NAME, r));
    s->value = r;
    ST(&s->text, bytes_new(TEXT, id));
    side_put(o, s);
    ST(&at->owner, o);
}

static uint64_t owner_use(const Owner *o)
{
    Side *s = side_of(o);
    s->value = scramble(s->value + o->id);
    return s->value + s->text[s->value % TEXT] + o->name[o->id % NAME];
}

static uint64_t operation(Slot *at, uint64_t id, uint64_t r)
{
    if (r >> 62)
        return owner_use(at->owner);
    Owner *old = at->owner;
    owner_put(at, id);
    if (BY_HAND)
        owner_free(old);
    return 1;
}

static void begin(uint64_t n)
{
    uint64_t buckets = 1;
    while (buckets < n)
        buckets *= 2;
    mask = buckets - 1;
    scramble_bytes(pattern, sizeof pattern);
    ST(&table, NEW_ARRAY(Bucket, buckets));
    ST(&slots, NEW_ARRAY(Slot, n));
    for (uint64_t i = 0; i < n; i++)
        owner_put(&slots[i], i);
}

static void end(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        owner_free(slots[i].owner);
    FREE(slots);
    FREE(table);
}

int main(int argc, char **argv)
{
    uint64_t n = size_argument(argc, argv, 1, "number of slots");
    uint64_t ops = size_argument(argc, argv, 2, "number of operations");
    uint64_t check = 0, last;
    port_start();
    begin(n);
    last = meter_now();
    for (uint64_t i = 0; i < ops; i++) {
        uint64_t r = scramble(n + i);
        check += operation(&slots[r % n], n + i, r);
        meter_lap(&meter, &last);
    }
    meter_report(&meter, scramble(check));
    if (BY_HAND)
        end(n);
    return 0;
}
