/* finalizers.c: each object has something run once it is dead.
 *
 *   slots   [ ] [ ] [ ] ...
 *            |
 *          Thing - - when dead: runs++, sum of numbers - -> the collector
 *
 * An operation replaces the thing of a random slot by a new one.  At the end
 * all slots are emptied and the collector is asked to collect until nearly
 * every cleanup has run (a word that looks like a pointer may keep a few),
 * or twenty times in vain.  The checksum has the number of things and whether
 * 99 in 100 were cleaned up, so not when; by hand the cleanup is a call.
 * finalizers SLOTS OPERATIONS
 */
#include "meter.h"
#include "port.h"

#include <stdio.h>
#include <string.h>

typedef struct Thing {
    unsigned char *text;
    uint64_t number;
} Thing;
LAYOUT(Thing, text)

typedef struct Slot {
    Thing *thing;
} Slot;
LAYOUT(Slot, thing)

enum { TEXT = 48, TRIES = 20 };

static struct meter meter;
static unsigned char pattern[256 + TEXT];
static Slot *slots;
static uint64_t made;
static uint64_t runs, sum;      /* atomic: of the cleanups */

CLEANUP(thing_gone, number)
{
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&sum, (uintptr_t)number, __ATOMIC_RELAXED);
}

static Thing *thing_new(void)
{
    Thing *t = NEW(Thing);
    t->number = made++;
    ST(&t->text, memcpy(BYTES(TEXT), pattern + t->number % 256, TEXT));
    CLEANUP_ADD(t, thing_gone, (void *)(uintptr_t)t->number);
    return t;
}

/* Puts t in the old one's place; returns a little of that. */
static uint64_t thing_replace(Slot *at, Thing *t)
{
    Thing *old = at->thing;
    uint64_t found = old->text[old->number % TEXT] + old->number;
    ST(&at->thing, t);
    CLEANUP_NOW(thing_gone, (void *)(uintptr_t)old->number);
    if (BY_HAND) {
        FREE(old->text);
        FREE(old);
    }
    return found;
}

/* Waits as long as cleanups run; returns whether 99 in 100 have. */
static int runs_settle(void)
{
    struct timespec ms = {.tv_nsec = 1000000};
    uint64_t before, now = __atomic_load_n(&runs, __ATOMIC_RELAXED);
    do {
        before = now;
        nanosleep(&ms, NULL);
        now = __atomic_load_n(&runs, __ATOMIC_RELAXED);
    } while (now != before);
    return now >= made - made / 100;
}

/* 1 if nearly all have run; 0 if not, or if more than all. */
static uint64_t slots_empty(uint64_t n)
{
    int most = 0;
    for (uint64_t i = 0; i < n; i++)
        thing_replace(&slots[i], NULL);
    for (int i = 0; i < TRIES && !most; i++) {
        COLLECT();
        most = runs_settle();
    }
    uint64_t all = made * (made - 1) / 2;
    return most && runs <= made && sum <= all && (runs < made || sum == all);
}

static void begin(uint64_t n)
{
    scramble_bytes(pattern, sizeof pattern);
    ST(&slots, NEW_ARRAY(Slot, n));
    for (uint64_t i = 0; i < n; i++)
        ST(&slots[i].thing, thing_new());
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
        check += thing_replace(&slots[r % n], thing_new());
        meter_lap(&meter, &last);
    }
    check = scramble(check + slots_empty(n));
    meter_report(&meter, scramble(check + made));
    FREE(slots);
    return 0;
}
