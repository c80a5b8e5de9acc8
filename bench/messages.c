/* messages.c: producers make messages, consumers read them: everything dies
 * in another thread than it was born in.  By hand the consumer frees.
 *
 *   producer --.                                 .--> consumer
 *               :--> [ queue of 128 messages ] --:
 *   producer --'     one mutex, two conditions   '--> consumer
 *
 *   Message --parts--> Part --> Part ...   1 to 8 of them
 *                       `--> 32 to 95 bytes
 *
 * An operation is the making of a message or the reading of one, without the
 * waiting at the queue: how long that takes is up to the others.  The Go
 * program has a channel in the queue's place, as any Go program would.
 * messages MESSAGES [PRODUCERS [CONSUMERS]]; that many from each producer
 */
#define _GNU_SOURCE /* the adaptive mutex */
#include "port.h"

#include "meter.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

typedef struct Part {
    struct Part *next;
    unsigned char *bytes;
    uint64_t size;
} Part;
LAYOUT(Part, next, bytes)

typedef struct Message {
    Part *parts;
    uint64_t number;
} Message;
LAYOUT(Message, parts)

enum { ROOM = 128, PARTS = 8, YIELDS = 4, BYTES_MIN = 32, BYTES_VARY = 64 };

struct worker {
    pthread_t thread;
    uint64_t number, check;
    struct meter meter;
};

static struct worker producers[MAX_THREADS], consumers[MAX_THREADS];
static unsigned char pattern[256 + BYTES_MIN + BYTES_VARY];
static uint64_t messages;       /* from each producer */

/* ---- The queue: all under the lock ------------------------------------ */

/* Threads change as seldom as possible, which is what costs here: who finds the
 * lock taken tries a moment longer; who finds the queue full or empty lets
 * others run before it sleeps; and room is told of when half of the queue is
 * empty, not for each message taken. */
static pthread_mutex_t lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_cond_t less = PTHREAD_COND_INITIALIZER;
static Message *queue[ROOM];
static uint64_t put, taken;
static int closed;

static void queue_wait(pthread_cond_t *change, int *yields)
{
    if (*yields == YIELDS) {
        pthread_cond_wait(change, &lock);
        return;
    }
    ++*yields;
    pthread_mutex_unlock(&lock);
    sched_yield();
    pthread_mutex_lock(&lock);
}

static void queue_put(Message *m)
{
    int yields = 0;
    pthread_mutex_lock(&lock);
    while (put - taken == ROOM)
        queue_wait(&less, &yields);
    ST(&queue[put++ % ROOM], m);
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&more);
}

/* NULL: there is none and will be none. */
static Message *queue_take(void)
{
    Message *m = NULL;
    int half = 0, yields = 0;
    pthread_mutex_lock(&lock);
    while (put == taken && !closed)
        queue_wait(&more, &yields);
    if (put != taken) {
        m = queue[taken % ROOM];
        ST(&queue[taken++ % ROOM], NULL);
        half = put - taken == ROOM / 2;
    }
    pthread_mutex_unlock(&lock);
    if (half)
        pthread_cond_broadcast(&less);
    return m;
}

static void queue_close(void)
{
    pthread_mutex_lock(&lock);
    closed = 1;
    pthread_mutex_unlock(&lock);
    pthread_cond_broadcast(&more);
}

/* ---- Messages --------------------------------------------------------- */

static Part *part_new(Part *next, uint64_t r)
{
    Part *p = NEW(Part);
    p->size = BYTES_MIN + (r >> 40) % BYTES_VARY;
    ST(&p->bytes, BYTES(p->size));
    memcpy(p->bytes, pattern + r % 256, p->size);
    ST(&p->next, next);
    return p;
}

static Message *message_new(uint64_t number)
{
    uint64_t r = scramble(number);
    Part *parts = NULL;
    for (uint64_t n = 1 + r % PARTS; n; n--) {
        r = scramble(r);
        parts = part_new(parts, r);
    }
    Message *m = NEW(Message);
    m->number = number;
    ST(&m->parts, parts);
    return m;
}

static uint64_t message_read(const Message *m)
{
    uint64_t sum = m->number;
    for (const Part *p = m->parts; p; p = p->next)
        for (uint64_t i = 0; i < p->size; i++)
            sum = (sum ^ p->bytes[i]) * 0x100000001b3u; /* FNV-1a */
    return scramble(sum);
}

static void message_free(Message *m)
{
    for (Part *p = m->parts, *next; p; p = next) {
        next = p->next;
        FREE(p->bytes);
        FREE(p);
    }
    FREE(m);
}

/* ---- The run ---------------------------------------------------------- */

static void *produce(void *arg)
{
    struct worker *w = arg;
    for (uint64_t i = 0; i < messages; i++) {
        uint64_t start = meter_now();
        Message *m = message_new(w->number * messages + i);
        meter_add(&w->meter, meter_now() - start);
        queue_put(m);
    }
    return NULL;
}

static void *consume(void *arg)
{
    struct worker *w = arg;
    Message *m;
    while ((m = queue_take())) {
        uint64_t start = meter_now();
        w->check += message_read(m);
        if (BY_HAND)
            message_free(m);
        meter_add(&w->meter, meter_now() - start);
    }
    return NULL;
}

static int start(struct worker *w, uint64_t n, void *(*run)(void *))
{
    for (uint64_t i = 0; i < n; i++) {
        w[i].number = i;
        if (pthread_create(&w[i].thread, NULL, run, &w[i]))
            return 1;
    }
    return 0;
}

/* Returns the sum of what they saw, which does not tell who saw what. */
static uint64_t join(struct worker *w, uint64_t n, struct meter *all)
{
    uint64_t check = 0;
    for (uint64_t i = 0; i < n; i++) {
        pthread_join(w[i].thread, NULL);
        meter_merge(all, &w[i].meter);
        check += w[i].check;
    }
    return check;
}

int main(int argc, char **argv)
{
    static struct meter all;
    uint64_t check, from = threads_argument(argc, argv, 2);
    uint64_t to = threads_argument(argc, argv, 3);
    messages = size_argument(argc, argv, 1, "messages of each producer");
    port_start();
    scramble_bytes(pattern, sizeof pattern);
    if (start(consumers, to, consume) || start(producers, from, produce))
        return 1;
    check = join(producers, from, &all);
    queue_close();
    check += join(consumers, to, &all);
    meter_report(&all, scramble(check));
    return 0;
}
