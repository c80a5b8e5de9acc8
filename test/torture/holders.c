/* holders.c: an object whose only pointer stands in memory that counts, or is
 * held by one of the library's own means, survives whole cycles.  links: lib
 *
 *   memory   thread-local, thread-specific, data, bss, registered range, a
 *            pointer into the object or one past its end
 *   threads  argument of pthread_create, result until pthread_join
 *   means    pin, weak pointer (while read), ephemeron, cleanup, finalizer
 *
 * (The game: hide.h.)
 */
#include "hide.h"

#define NOINLINE __attribute__((noinline))

/* Not a word of the object stays in a register or a dead frame. */
static NOINLINE void put(Canary **slot, uintptr_t masked)
{
    STORE(slot, (Canary *)~masked);
}

static NOINLINE Canary *take(Canary **slot)
{
    Canary *c = LOAD(slot);

    STORE(slot, NULL);
    return c;
}

static NOINLINE void wait_hidden(void)
{
    scrub();
    hidden = 1;
    while (cycles_done < hide_target)
        usleep(100);
}

static NOINLINE Canary *in_slot(Canary **slot, uintptr_t masked)
{
    put(slot, masked);
    wait_hidden();
    return take(slot);
}

/* ---- Memory ------------------------------------------------------------ */

static _Thread_local Canary *tls_small;
static _Thread_local struct {
    char before[5000];
    Canary *slot;
    char after[3000];
} tls_big;
static Canary *in_bss;
static struct {
    long n;
    Canary *slot;
} in_data = {42, NULL};

static Canary *hide_tls(uintptr_t m) { return in_slot(&tls_small, m); }
static Canary *hide_tls_big(uintptr_t m) { return in_slot(&tls_big.slot, m); }
static Canary *hide_bss(uintptr_t m) { return in_slot(&in_bss, m); }
static Canary *hide_data(uintptr_t m) { return in_slot(&in_data.slot, m); }

static pthread_key_t keys[60];

static Canary *hide_key(pthread_key_t k, uintptr_t m)
{
    pthread_setspecific(k, (void *)~m);
    wait_hidden();
    Canary *c = pthread_getspecific(k);
    pthread_setspecific(k, NULL);
    return c;
}
static Canary *hide_key_low(uintptr_t m) { return hide_key(keys[2], m); }
static Canary *hide_key_high(uintptr_t m) { return hide_key(keys[59], m); }

static Canary *hide_root(uintptr_t m)
{
    size_t n = 3 << 20;
    Canary **range = mmap(NULL, n, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK_EQ(sc_root_add(range, n), 0);
    Canary *c = in_slot(&range[n / 8 - 1], m);
    CHECK_EQ(sc_root_remove(range), 0);
    munmap(range, n);
    return c;
}

/* A range that holds the object when it is registered. */
static Canary *hide_late_root(uintptr_t m)
{
    Canary **range = malloc(4096);

    range[511] = (Canary *)~m;
    CHECK_EQ(sc_root_add(range, 4096), 0);
    wait_hidden();
    Canary *c = range[511];
    CHECK_EQ(sc_root_remove(range), 0);
    free(range);
    return c;
}

static Canary *hide_field(uintptr_t m)
{
    Canary *box = canary_new(1);
    Canary *c = in_slot(&box->other, m);

    canary_is(box, 1);
    return c;
}

/* ---- Pointers that are not to the start -------------------------------- */

static Canary *hide_interior(uintptr_t m)
{
    volatile uintptr_t inside = ~m + sizeof(Canary) - 1;

    wait_hidden();
    return (Canary *)(inside - (sizeof(Canary) - 1));
}

static Canary *hide_array_end(uintptr_t m)
{
    static _Atomic unsigned turn;
    static const unsigned lengths[] = {1, 2, 3, 7, 16, 51, 204, 700, 5000};
    unsigned n = lengths[turn++ % 9];
    Canary *volatile end = sc_new_array(Canary, n) + n;

    STORE(&end[-(long)n].other, (Canary *)~m);
    wait_hidden();
    return end[-(long)n].other;
}

/* Every kind of size, exact sizes of slots above all. */
static Canary *hide_block_end(uintptr_t m)
{
    static _Atomic unsigned turn;
    static const unsigned sizes[] = {8, 16, 48, 64, 112, 128, 1024, 2048,
                                     4096, 8192, 32768, 65536, 1 << 20};
    unsigned n = sizes[turn++ % 13];
    char *volatile end = (char *)sc_alloc(n) + n;

    STORE((Canary **)(end - n), (Canary *)~m);
    wait_hidden();
    return *(Canary **)(end - n);
}

/* The start of a large block, the object hangs on its last word. */
static Canary *hide_large(uintptr_t m)
{
    size_t n = 700000 / sizeof(Canary *);
    Canary **volatile block = sc_alloc(n * sizeof(Canary *));

    return in_slot(&block[n - 1], m);
}

/* ---- Threads ----------------------------------------------------------- */

static _Atomic int has_it;

static void *give_back(void *arg)
{
    uintptr_t *m = arg;

    sc_thread_attach();
    Canary *volatile c = (Canary *)~*m;
    has_it = 1;
    return c;
}

/* The result stands in the ended thread's descriptor only. */
static Canary *hide_result(uintptr_t m)
{
    has_it = 0;
    pthread_t t = spawn(give_back, &m);
    void *c;

    while (!has_it)
        usleep(100);
    usleep(3000);
    wait_hidden();
    CHECK_EQ(pthread_join(t, &c), 0);
    return c;
}

static void *hold_arg(void *arg)
{
    Canary *volatile c = arg;

    wait_hidden();
    in_bss = c; /* shows that it was held here, not only passed */
    return NULL;
}

static Canary *hide_argument(uintptr_t m)
{
    pthread_t t = spawn(hold_arg, (void *)~m);

    scrub();
    CHECK_EQ(pthread_join(t, NULL), 0);
    return take(&in_bss);
}

/* ---- The library's means ----------------------------------------------- */

static Canary *hide_pin(uintptr_t m)
{
    CHECK_EQ(sc_pin((void *)~m), 0);
    wait_hidden();
    Canary *c = (Canary *)~m;
    CHECK_EQ(sc_unpin(c), 0);
    return c;
}

static Canary *hide_ephemeron(uintptr_t m)
{
    Canary *volatile key = canary_new(1);
    struct sc_ephemeron *volatile e =
        sc_ephemeron_new((void *)key, (void *)~m);

    wait_hidden();
    Canary *c = sc_ephemeron_value(e);
    canary_is(sc_ephemeron_key(e), 1);
    return c;
}

/* Value of one, key of the next: a chain that marking must follow. */
static Canary *hide_chain(uintptr_t m)
{
    enum { N = 20 };
    Canary *volatile key = canary_new(0);
    struct sc_ephemeron **volatile e = sc_alloc(N * sizeof(*e));
    Canary *from = key;

    for (uintptr_t i = 0; i < N; i++) {
        Canary *to = i == N - 1 ? (Canary *)~m : canary_new(i + 1);
        STORE(&e[N - 1 - i], sc_ephemeron_new(from, to));
        from = to;
    }
    from = NULL;
    wait_hidden();
    for (int i = N - 1; i > 0; i--)
        canary_check((Canary *)sc_ephemeron_value(e[i]));
    return sc_ephemeron_value(e[0]);
}

static Canary *given;
static void on_cleanup(void *arg) { STORE(&given, (Canary *)arg); }
static void on_finalizer(void *obj, void *arg)
{
    canary_check((Canary *)obj);
    STORE(&given, (Canary *)arg ? (Canary *)arg : (Canary *)obj);
}

static NOINLINE Canary *take_given(void)
{
    while (!LOAD(&given))
        usleep(200);
    return take(&given);
}

static NOINLINE void clean_when_gone(uintptr_t m)
{
    CHECK(sc_cleanup(canary_new(1), on_cleanup, (void *)~m));
}

static Canary *hide_cleanup(uintptr_t m)
{
    clean_when_gone(m);
    scrub();
    wait_hidden();
    return take_given();
}

static NOINLINE void finalize_when_gone(uintptr_t m)
{
    CHECK_EQ(sc_finalizer(canary_new(1), on_finalizer, (void *)~m), 0);
}

static Canary *hide_finalizer_arg(uintptr_t m)
{
    finalize_when_gone(m);
    scrub();
    wait_hidden();
    return take_given();
}

static NOINLINE void give_when_gone(uintptr_t m)
{
    CHECK_EQ(sc_finalizer((void *)~m, on_finalizer, NULL), 0);
}

static Canary *hide_finalized(uintptr_t m)
{
    give_when_gone(m);
    wait_hidden();
    return take_given();
}

/* ---- All of them ------------------------------------------------------- */

static const struct {
    const char *name;
    hide_fn *fn;
    int foreign; /* makes sense for a thread that never calls us */
} places[] = {
    {"thread-local", hide_tls, 1},
    {"thread-local, big", hide_tls_big, 1},
    {"thread-specific, low key", hide_key_low, 1},
    {"thread-specific, high key", hide_key_high, 1},
    {"bss", hide_bss, 0},
    {"data", hide_data, 0},
    {"registered range", hide_root, 0},
    {"registered late", hide_late_root, 0},
    {"field", hide_field, 0},
    {"pointer into", hide_interior, 1},
    {"one past an array", hide_array_end, 0},
    {"one past a block", hide_block_end, 0},
    {"large block", hide_large, 0},
    {"result", hide_result, 1},
    {"argument", hide_argument, 0},
    {"pin", hide_pin, 0},
    {"ephemeron", hide_ephemeron, 0},
    {"chain of ephemerons", hide_chain, 0},
    {"cleanup", hide_cleanup, 0},
    {"finalizer's argument", hide_finalizer_arg, 0},
    {"finalized object", hide_finalized, 0},
};

static void hide_all(int foreign)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (foreign && !places[i].foreign)
            continue;
        dprintf(1, "%s\n", places[i].name);
        for (long n = scaled(12); n > 0; n--)
            hide_once(places[i].fn, foreign, NO_HANDLER);
    }
}

TEST_BOTH(memory, 90)
{
    for (int i = 0; i < 60; i++)
        CHECK_EQ(pthread_key_create(&keys[i], NULL), 0);
    driver_start();
    hide_all(0);
    driver_end();
}

TEST_BOTH(memory_foreign, 90)
{
    for (int i = 0; i < 60; i++)
        CHECK_EQ(pthread_key_create(&keys[i], NULL), 0);
    driver_start();
    hide_all(1);
    driver_end();
}

/* ---- Weak pointers: strong only while somebody holds what was read ----- */

static struct sc_weak *weak_slot[8];

static void *weak_reader(void *n)
{
    rng_seed((uintptr_t)n);
    for (double end = until(0.8); test_clock() < end;) {
        unsigned i = pick(8);
        struct sc_weak *w = LOAD(&weak_slot[i]);
        Canary *c = sc_weak_get(w);

        if (!c) {
            c = canary_new(rng());
            STORE(&c->next, canary_new(1));
            w = sc_weak_new(c);
            if (w)
                STORE(&weak_slot[i], w);
        }
        for (unsigned spin = pick(pick(20) ? 50 : 20000); spin; spin--)
            __asm__ volatile("");
        if (!pick(10))
            litter(30);
        canary_check(c);
        canary_is(c->next, 1);
        Canary *same = sc_weak_get(w);
        CHECK(same == c);
    }
    return NULL;
}

TEST_BOTH(weak_reads, 60)
{
    pthread_t t[3];

    driver_start();
    for (uintptr_t i = 0; i < 3; i++)
        t[i] = spawn(weak_reader, (void *)i);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    driver_end();
}
