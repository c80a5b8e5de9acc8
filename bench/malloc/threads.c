/* threads.c: the small programs of several threads.
 *
 *   larson        each thread replaces blocks of its table at random, and
 *                 hands the table to a new thread, like a server's connection
 *   sh8           sh6 in four threads; each eighth block is passed on to
 *                 another, which frees it
 *   xmalloc       two threads allocate, two others free
 *   cache-scratch blocks born side by side, each written by a thread of its own
 *   mstress       threads that come and go; some blocks outlive them
 *   glibc-thread  each thread in a small table of its own
 *   prodcons      one makes records of several parts, one takes them apart
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "micro.h"

/* ---- A queue of one who puts and one who takes --------------------------- */

enum { QUEUE = 1 << 12 };
struct queue {
    _Alignas(64) _Atomic size_t head;
    _Alignas(64) _Atomic size_t tail;
    void *at[QUEUE];
};

static void put(struct queue *q, void *p)
{
    size_t t = atomic_load_explicit(&q->tail, memory_order_relaxed);
    while (t - atomic_load(&q->head) == QUEUE)
        sched_yield();
    q->at[t % QUEUE] = p;
    atomic_store(&q->tail, t + 1);
}

static void *take(struct queue *q)
{
    size_t h = atomic_load_explicit(&q->head, memory_order_relaxed);
    while (atomic_load(&q->tail) == h)
        sched_yield();
    void *p = q->at[h % QUEUE];
    atomic_store(&q->head, h + 1);
    return p;
}

/* ---- larson --------------------------------------------------------------- */

enum { LARSON_SLOTS = 1000, LARSON_THREADS = 2, LARSON_LIVES = 40 };

struct table {
    void *at[LARSON_SLOTS];
};

static void larson_life(struct work *w)
{
    struct table *t = w->shared;
    size_t n = part(w, 600000);
    for (size_t i = 0; i < n; i++) {
        void **p = &t->at[rng_between(&w->seed, 0, LARSON_SLOTS - 1)];
        w->sum += block_end(*p);
        *p = block_new(rng_between(&w->seed, 10, 500));
    }
}

static void larson_line(struct work *w)
{
    struct table *t = calloc(1, sizeof(*t));
    struct work life = *w;
    life.shared = t;
    for (int i = 0; i < LARSON_LIVES; i++, life.seed++)
        w->sum += micro_threads(1, larson_life, &life);
    for (int i = 0; i < LARSON_SLOTS; i++)
        w->sum += block_end(t->at[i]);
    free(t);
}

static uint64_t larson(struct work *w)
{
    return micro_threads(LARSON_THREADS, larson_line, w);
}

/* ---- sh8 ------------------------------------------------------------------ */

enum { SH8_THREADS = 4, SH8_LIVE = 2048, MAILBOX = 512 };

static struct {
    pthread_mutex_t lock;
    unsigned n;
    void *at[MAILBOX];
} mail = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Sixteen in, and out comes what was there, of somebody else mostly. */
static void exchange(void **box, unsigned n)
{
    pthread_mutex_lock(&mail.lock);
    for (unsigned i = 0; i < n; i++) {
        unsigned k = (mail.n + i) % MAILBOX;
        void *old = mail.at[k];
        mail.at[k] = box[i];
        box[i] = old;
    }
    mail.n = (mail.n + n) % MAILBOX;
    pthread_mutex_unlock(&mail.lock);
}

static size_t weighted(uint64_t *s)
{
    unsigned k = (unsigned)__builtin_ctzll(rng(s) | 1ull << 6);
    return rng_between(s, 8ul << k, 16ul << k);
}

static void shell_game(struct work *w)
{
    void **at = calloc(SH8_LIVE, sizeof(*at)), *box[16];
    size_t n = part(w, 3000000);
    unsigned held = 0;
    for (size_t i = 0; i < n; i++) {
        void **p = &at[rng_between(&w->seed, 0, SH8_LIVE - 1)];
        if (*p && i % 8 == 0) {
            box[held++] = *p;
            if (held == 16) {
                exchange(box, held);
                while (held)
                    w->sum += block_end(box[--held]);
            }
        }
        else
            w->sum += block_end(*p);
        *p = block_new(weighted(&w->seed));
    }
    while (held)
        w->sum += block_end(box[--held]);
    for (size_t i = 0; i < SH8_LIVE; i++)
        w->sum += block_end(at[i]);
    free(at);
}

static uint64_t sh8(struct work *w)
{
    uint64_t sum = micro_threads(SH8_THREADS, shell_game, w);
    for (int i = 0; i < MAILBOX; i++)
        sum += block_end(mail.at[i]);
    return sum;
}

/* ---- xmalloc --------------------------------------------------------------- */

enum { XBATCH = 512 };
struct batch {
    void *at[XBATCH];
};
struct pair {
    struct queue queue;
    size_t batches;
};

static void xmalloc_make(struct work *w)
{
    struct pair *q = (struct pair *)w->shared + w->seed % 2;
    for (size_t i = 0; i < q->batches; i++) {
        struct batch *b = malloc(sizeof(*b));
        for (int k = 0; k < XBATCH; k++)
            b->at[k] = block_new(rng_between(&w->seed, 8, 256));
        put(&q->queue, b);
    }
}

static void xmalloc_free(struct work *w)
{
    struct pair *q = (struct pair *)w->shared + w->seed % 2;
    for (size_t i = 0; i < q->batches; i++) {
        struct batch *b = take(&q->queue);
        for (int k = 0; k < XBATCH; k++)
            w->sum += block_end(b->at[k]);
        free(b);
    }
}

/* Threads 0 and 1 make, 2 and 3 free. */
static void xmalloc_either(struct work *w)
{
    (w->seed % 4 < 2 ? xmalloc_make : xmalloc_free)(w);
}

static uint64_t xmalloc(struct work *w)
{
    struct pair *q = aligned_alloc(64, 2 * sizeof(*q));
    for (int i = 0; i < 2; i++) {
        atomic_store(&q[i].queue.head, 0);
        atomic_store(&q[i].queue.tail, 0);
        q[i].batches = part(w, 12000);
    }
    w->shared = q;
    uint64_t sum = micro_threads(4, xmalloc_either, w);
    free(q);
    return sum;
}

/* ---- cache-scratch ---------------------------------------------------------- */

enum { SCRATCH_THREADS = 2, SCRATCH_WRITES = 100 };

/* The first block was born beside the other threads' ones. */
static void scratch(struct work *w)
{
    char *b = ((char **)w->shared)[w->seed % SCRATCH_THREADS];
    size_t n = part(w, 6000000);
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < SCRATCH_WRITES; k++)
            ((volatile char *)b)[k % 8]++;
        w->sum += (unsigned char)b[0];
        free(b);
        b = calloc(1, 8);
    }
    free(b);
}

static uint64_t cache_scratch(struct work *w)
{
    char *first[SCRATCH_THREADS];
    for (int i = 0; i < SCRATCH_THREADS; i++)
        first[i] = calloc(1, 8);
    w->shared = first;
    return micro_threads(SCRATCH_THREADS, scratch, w);
}

/* ---- mstress ----------------------------------------------------------------- */

enum { MSTRESS_THREADS = 4, MSTRESS_KEPT = 4096, MSTRESS_GENERATIONS = 25 };

static _Atomic(void *) kept[MSTRESS_KEPT];

/* Builds a set of blocks, a few of them large, and drops it; of every sixteen
 * one stays for a thread that comes later. */
static void mstress_life(struct work *w)
{
    size_t n = part(w, 60000), live = 0;
    void **at = calloc(n, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        size_t most = rng(&w->seed) % 500 ? 1024 : 64 << 10;
        at[live++] = block_new(rng_between(&w->seed, 8, most));
        if (i % 3 == 0) {
            size_t k = rng_between(&w->seed, 0, live - 1);
            w->sum += block_end(at[k]);
            at[k] = at[--live];
        }
        if (i % 16 == 0 && live) {
            size_t k = rng_between(&w->seed, 0, MSTRESS_KEPT - 1);
            at[live - 1] = atomic_exchange(&kept[k], at[live - 1]);
            live -= !at[live - 1];
        }
    }
    while (live)
        w->sum += block_end(at[--live]);
    free(at);
}

static uint64_t mstress(struct work *w)
{
    uint64_t sum = 0;
    struct work life = *w;
    for (int i = 0; i < MSTRESS_GENERATIONS; i++, life.seed++)
        sum += micro_threads(MSTRESS_THREADS, mstress_life, &life);
    for (int i = 0; i < MSTRESS_KEPT; i++)
        sum += block_end(atomic_load(&kept[i]));
    return sum;
}

/* ---- glibc-thread -------------------------------------------------------------- */

enum { GT_THREADS = 2, GT_SLOTS = 1024 };

static void glibc_thread_one(struct work *w)
{
    void *at[GT_SLOTS] = {NULL};
    size_t n = part(w, 12000000);
    for (size_t i = 0; i < n; i++) {
        uint64_t x = rng(&w->seed);
        void **p = &at[x % GT_SLOTS];
        w->sum += block_end(*p);
        *p = x >> 63 ? NULL : block_new(8 + (x >> 16) % 120);
    }
    for (int i = 0; i < GT_SLOTS; i++)
        w->sum += block_end(at[i]);
}

static uint64_t glibc_thread(struct work *w)
{
    return micro_threads(GT_THREADS, glibc_thread_one, w);
}

/* ---- prodcons -------------------------------------------------------------------- */

enum { PARTS = 6 };
struct record {
    void *part[PARTS];
};
struct prodcons {
    struct queue queue;
    size_t records;
};

static void produce(struct work *w)
{
    struct prodcons *c = w->shared;
    for (size_t i = 0; i < c->records; i++) {
        struct record *r = malloc(sizeof(*r));
        for (int k = 0; k < PARTS; k++)
            r->part[k] = block_new(rng_between(&w->seed, 8, 8ul << k << k));
        put(&c->queue, r);
    }
}

static void consume(struct work *w)
{
    struct prodcons *c = w->shared;
    for (size_t i = 0; i < c->records; i++) {
        struct record *r = take(&c->queue);
        for (int k = 0; k < PARTS; k++)
            w->sum += block_end(r->part[k]);
        free(r);
    }
}

static void prodcons_either(struct work *w)
{
    (w->seed % 2 ? consume : produce)(w);
}

static uint64_t prodcons(struct work *w)
{
    struct prodcons *c = aligned_alloc(64, sizeof(*c));
    atomic_store(&c->queue.head, 0);
    atomic_store(&c->queue.tail, 0);
    c->records = part(w, 700000);
    w->shared = c;
    uint64_t sum = micro_threads(2, prodcons_either, w);
    free(c);
    return sum;
}

const struct micro micro_threaded[] = {
    {"larson", larson},           {"sh8", sh8},
    {"xmalloc", xmalloc},         {"cache-scratch", cache_scratch},
    {"mstress", mstress},         {"glibc-thread", glibc_thread},
    {"prodcons", prodcons},       {NULL, NULL},
};
