/* lru.c: a cache of fixed capacity, always full: a hash table whose entries
 * are also in a list, newest first.  A large live heap that changes all over,
 * and operations of well under a microsecond, so each pause shows.
 *
 *   table:  [ ] [ ]--chain--> Entry --chain--> Entry
 *                               ^ newer/older    ^
 *   newest -> Entry <-> Entry <-+-> Entry <-> ...+ <- oldest
 *
 * An operation draws a key from twice the capacity, small ones more often.
 * If it is there: its value is replaced and it becomes the newest.  If not:
 * the oldest is dropped and the key put in.  Each operation is timed, from
 * the end of the one before.  lru ENTRIES OPERATIONS
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>
#include <string.h>

typedef struct Entry {
    struct Entry *chain, *newer, *older;
    unsigned char *value;
    uint64_t key;
    uint64_t size;
} Entry;
LAYOUT(Entry, chain, newer, older, value)

typedef struct Bucket {
    Entry *first;
} Bucket;
LAYOUT(Bucket, first)

typedef struct Cache {
    Bucket *table;
    Entry *newest, *oldest;
    uint64_t mask, used, room;
} Cache;
LAYOUT(Cache, table, newest, oldest)

enum { VALUE_MIN = 64, VALUE_VARIES = 128 };

static struct meter meter;
static unsigned char pattern[256 + VALUE_MIN + VALUE_VARIES];

/* ---- The list --------------------------------------------------------- */

static void list_put(Cache *c, Entry *e)
{
    ST(&e->newer, NULL);
    ST(&e->older, c->newest);
    if (c->newest)
        ST(&c->newest->newer, e);
    else
        ST(&c->oldest, e);
    ST(&c->newest, e);
}

static void list_take(Cache *c, Entry *e)
{
    if (e->newer)
        ST(&e->newer->older, e->older);
    else
        ST(&c->newest, e->older);
    if (e->older)
        ST(&e->older->newer, e->newer);
    else
        ST(&c->oldest, e->newer);
}

/* ---- The table -------------------------------------------------------- */

/* Where the pointer to the entry of that key stands, or would. */
static Entry **place_of(Cache *c, uint64_t key)
{
    Entry **at = &c->table[scramble(key) & c->mask].first;
    while (*at && (*at)->key != key)
        at = &(*at)->chain;
    return at;
}

static void value_set(Entry *e, uint64_t r)
{
    e->size = VALUE_MIN + (r >> 40) % VALUE_VARIES;
    ST(&e->value, BYTES(e->size));
    memcpy(e->value, pattern + r % 256, e->size);
}

static void oldest_drop(Cache *c)
{
    Entry *e = c->oldest, **at = place_of(c, e->key);
    ST(at, e->chain);
    list_take(c, e);
    c->used--;
    if (BY_HAND) {
        FREE(e->value);
        FREE(e);
    }
}

static void entry_add(Cache *c, uint64_t key, uint64_t r)
{
    if (c->used == c->room)
        oldest_drop(c);
    Entry *e = NEW(Entry), **at = place_of(c, key);
    e->key = key;
    value_set(e, r);
    ST(&e->chain, *at);
    ST(at, e);
    list_put(c, e);
    c->used++;
}

/* One operation; returns a little of the value found, for the checksum. */
static uint64_t cache_use(Cache *c, uint64_t key, uint64_t r)
{
    Entry *e = *place_of(c, key);
    if (!e) {
        entry_add(c, key, r);
        return 1;
    }
    uint64_t found = e->value[e->size - 1] + e->size;
    FREE(e->value);
    value_set(e, r);
    list_take(c, e);
    list_put(c, e);
    return found;
}

/* ---- The run ---------------------------------------------------------- */

static Cache *cache_new(uint64_t room)
{
    uint64_t buckets = 1;
    while (buckets < room)
        buckets *= 2;
    Cache *c = NEW(Cache);
    ST(&c->table, NEW_ARRAY(Bucket, buckets));
    c->mask = buckets - 1;
    c->room = room;
    return c;
}

static void cache_free(Cache *c)
{
    while (c->oldest)
        oldest_drop(c);
    FREE(c->table);
    FREE(c);
}

int main(int argc, char **argv)
{
    uint64_t room = size_argument(argc, argv, 1, "number of entries");
    uint64_t ops = size_argument(argc, argv, 2, "number of operations");
    uint64_t check = 0, last;
    port_start();
    scramble_bytes(pattern, sizeof pattern);
    Cache *c = cache_new(room);
    for (uint64_t i = 0; i < room; i++)
        entry_add(c, i, scramble(i));
    last = meter_now();
    for (uint64_t i = 0; i < ops; i++) {
        uint64_t r = scramble(room + i), s = scramble(r);
        uint64_t a = r % (2 * room), b = s % (2 * room);
        check += cache_use(c, a < b ? a : b, s);
        meter_lap(&meter, &last);
    }
    meter_report(&meter, scramble(check));
    if (BY_HAND)
        cache_free(c);
    return 0;
}
