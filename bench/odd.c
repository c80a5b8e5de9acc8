/* odd.c: heaps of unusual shape, collected a few times: is the price of a thing
 * the same, however many there are?
 *
 *   odd KIND N      a BENCH line with ns of CPU per item and collection
 *
 *   list      one list of N nodes: no two can be found at the same time
 *   array     one array of N bytes, each 64th word a pointer
 *   threads   N threads that sleep, each with an object on its stack
 *   weak      N weak references, to half of which the objects are dead
 *   chain     N ephemerons, the value of each leads to the key of the next one,
 *             and nothing else does
 *
 * What must be alive is counted at the end: the CHECK line.
 */
#include "port.h"

#include "meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLLECTIONS = 3, STEP = 64 };

typedef struct Cell {
    struct Cell *next;
    uint64_t number;
} Cell;
LAYOUT(Cell, next)

typedef struct Slot {
    Cell *cell;
} Slot;
LAYOUT(Slot, cell)

typedef struct WeakSlot {
    Weak *weak;
} WeakSlot;
LAYOUT(WeakSlot, weak)

typedef struct PairSlot {
    Pair *pair;
} PairSlot;
LAYOUT(PairSlot, pair)

/* The globals that keep everything. */
static Cell *cells;
static Slot *slots;
static WeakSlot *weaks;
static PairSlot *pairs;

static void *must(void *p)
{
    if (!p) {
        fputs("odd: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static Cell *cell_new(uint64_t number, Cell *next)
{
    Cell *c = must(NEW(Cell));
    c->number = number;
    ST(&c->next, next);
    return c;
}

/* ---- list, array ------------------------------------------------------- */

static void list_make(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ST(&cells, cell_new(i, cells));
}

static uint64_t list_count(uint64_t n)
{
    uint64_t sum = 0;
    for (const Cell *c = cells; c; c = c->next)
        sum++;
    return sum;
}

static void array_make(uint64_t bytes)
{
    uint64_t n = bytes / sizeof(Slot);
    ST(&slots, must(NEW_ARRAY(Slot, n)));
    for (uint64_t i = 0; i < n; i += STEP)
        ST(&slots[i].cell, cell_new(i, NULL));
}

static uint64_t array_count(uint64_t bytes)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < bytes / sizeof(Slot); i++)
        sum += slots[i].cell && slots[i].cell->number == i;
    return sum;
}

/* ---- threads ----------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t ready, right;
static int over;
static pthread_t *thread_ids;   /* malloc's */

static void *thread_run(void *number)
{
    Cell *volatile mine = cell_new((uintptr_t)number, NULL);
    pthread_mutex_lock(&lock);
    ready++;
    pthread_cond_broadcast(&changed);
    while (!over)
        pthread_cond_wait(&changed, &lock);
    right += mine->number == (uintptr_t)number;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void threads_make(uint64_t n)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    thread_ids = must(malloc(n * sizeof *thread_ids));
    for (uint64_t i = 0; i < n; i++)
        if (pthread_create(&thread_ids[i], &small, thread_run, (void *)i)) {
            fputs("odd: no thread\n", stderr);
            exit(1);
        }
    pthread_mutex_lock(&lock);
    while (ready < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static uint64_t threads_count(uint64_t n)
{
    pthread_mutex_lock(&lock);
    over = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (uint64_t i = 0; i < n; i++)
        pthread_join(thread_ids[i], NULL);
    return right;
}

/* ---- weak, chain ------------------------------------------------------- */

static void weak_make(uint64_t n)
{
    ST(&weaks, must(NEW_ARRAY(WeakSlot, n)));
    for (uint64_t i = 0; i < n; i++) {
        Cell *c = cell_new(i, i % 2 ? NULL : cells);
        if (i % 2 == 0)
            ST(&cells, c);
        ST(&weaks[i].weak, must(WEAK_NEW(c)));
    }
}

/* Those of the living, each of which must be there. */
static uint64_t weak_count(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i += 2) {
        const Cell *c = WEAK_GET(weaks[i].weak);
        sum += c && c->number == i;
    }
    return sum;
}

static void chain_make(uint64_t n)
{
    Cell *key = cell_new(0, NULL);
    ST(&cells, key);
    ST(&pairs, must(NEW_ARRAY(PairSlot, n)));
    for (uint64_t i = 0; i < n; i++) {
        Cell *next = cell_new(i + 1, NULL);
        ST(&pairs[i].pair, must(PAIR_NEW(key, next)));
        key = next;
    }
}

static uint64_t chain_count(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        const Cell *c = PAIR_VALUE(pairs[i].pair);
        sum += PAIR_KEY(pairs[i].pair) && c && c->number == i + 1;
    }
    return sum;
}

static const struct kind {
    const char *name;
    void (*make)(uint64_t n);
    uint64_t (*count)(uint64_t n);
} kinds[] = {
    {"list", list_make, list_count},
    {"array", array_make, array_count},
    {"threads", threads_make, threads_count},
    {"weak", weak_make, weak_count},
    {"chain", chain_make, chain_count},
};

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    fprintf(stderr, "odd: no kind %s\n", name);
    exit(2);
}

/* CPU time of the whole process: markers, and threads that answer. */
static uint64_t collections(void)
{
    uint64_t start = meter_clock(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < COLLECTIONS; i++)
        COLLECT();
    return meter_clock(CLOCK_PROCESS_CPUTIME_ID) - start;
}

int main(int argc, char **argv)
{
    struct port_cost cost;
    uint64_t n = size_argument(argc, argv, 2, "number");
    const struct kind *k = kind_named(argv[1]);
    port_start();
    k->make(n);
    COLLECT();
    uint64_t ns = collections();
    port_cost(&cost);
    printf("CHECK %" PRIu64 "\n", k->count(n));
    fprintf(stderr, "BENCH per_item_ns=%.3f hold_max_ns=%" PRIu64 "\n",
            (double)ns / COLLECTIONS / (double)n, cost.hold_max_ns);
    return 0;
}
