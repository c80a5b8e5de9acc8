/* modes: gctrace=0 clobberfree=1 gccheckmark=1 gcstress=2000,clobberfree=1 */
/* Pointers are taken out of the heap into locals and put back elsewhere, while
 * the collector looks for them: without barriers it loses some. */
#include <stdio.h>
#include <stdlib.h>
enum { SLOTS = 200000, HANDS = 64, CANARY = 0x5afe };
struct item { struct item *twin; long canary, filler[4]; };
struct chunk { struct item *slot[500]; };
static struct chunk *chunks[SLOTS / 500];
static unsigned seed = 7;

static struct item **slot(unsigned i)
{
    return &chunks[i % SLOTS / 500]->slot[i % 500];
}

static unsigned any(void)
{
    return (seed = seed * 1664525 + 1013904223) >> 8;
}

static struct item *make(void)
{
    struct item *i = malloc(sizeof *i);
    i->canary = CANARY;
    i->twin = malloc(sizeof *i);
    i->twin->canary = CANARY;
    return i;
}

int main(void)
{
    long bad = 0;
    for (int i = 0; i < SLOTS / 500; i++)
        chunks[i] = calloc(1, sizeof **chunks);
    for (unsigned i = 0; i < SLOTS; i++)
        *slot(i) = make();
    for (int round = 0; round < 30000; round++) {
        struct item *hand[HANDS];
        unsigned from[HANDS];
        for (int i = 0; i < HANDS; i++) {
            from[i] = any();
            hand[i] = *slot(from[i]);
            *slot(from[i]) = NULL;
        }
        for (int i = 0; i < 50; i++)
            malloc(500);
        for (int i = 0; i < HANDS; i++) {
            struct item *h = hand[i];
            if (!h)
                h = make();
            bad += h->canary != CANARY || h->twin->canary != CANARY;
            *slot(from[HANDS - 1 - i]) = h;
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        struct item *h = *slot(i);
        bad += h && (h->canary != CANARY || h->twin->canary != CANARY);
    }
    printf("%ld\n", bad);
    return 0;
}
