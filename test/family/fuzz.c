/* fuzz.c: the whole family, driven by bytes, against a shadow of all blocks.
 *
 *   bytes --> which function, which slot, what size --> the allocator
 *                                                         |
 *   slots: address, size, alignment, seed of contents <---' compared
 *
 * Checked: contents at each change and end, alignment, usable sizes, zeros of
 * calloc, that no two blocks overlap, and that what must fail does.
 *
 * Cases run SEEDS sequences (SEED is the first), FUZZ_SAY=1 says which; with
 * more threads, blocks also go from one to another over an exchange.
 *
 * As a libFuzzer target:
 *
 *   clang -g -O1 -DFUZZER -fsanitize=fuzzer-no-link,fuzzer -fno-builtin fuzz.c
 */
#define _GNU_SOURCE
#include "case.h"

#include <pthread.h>
#include <stdatomic.h>

#define SLOTS 48

struct block {
    unsigned char *p;
    size_t size, usable, align;
    unsigned seed;
};

struct input {
    const unsigned char *at, *end;
};

struct shadow {
    struct block slot[SLOTS];
    unsigned seed;
    int alone; /* no other thread has blocks of this one */
};

/* One place for blocks on their way to other threads. */
static _Atomic(struct block *) exchange[16];

static void (*sized_free)(void *, size_t);
static void (*aligned_sized_free)(void *, size_t, size_t);

static unsigned byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static unsigned word(struct input *in) { return byte(in) << 8 | byte(in); }

/* Small sizes most often; each class's ends; sometimes large ones. */
static size_t size_of(struct input *in)
{
    unsigned kind = byte(in), n = word(in);
    if (kind < 140)
        return n % 300;
    if (kind < 200)
        return n % 5000;
    if (kind < 225)
        return n;
    if (kind < 245) {
        size_t base = (size_t)16 << n % 14, by = n >> 12 & 7;
        return base + by * (base / 8) + (n >> 8 & 3) - 1;
    }
    return (size_t)n * (kind < 254 ? 3 : 37);
}

static void whole(const struct block *b)
{
    size_t at = filled(b->p, b->size, b->seed);
    EXPECT(at == b->size, "byte %zu of %zu at %p changed", at, b->size,
           (void *)b->p);
}

static void apart(const struct shadow *s, const struct block *b)
{
    for (int i = 0; i < SLOTS; i++) {
        const struct block *o = &s->slot[i];
        EXPECT(!o->p || o == b || o->p + o->usable <= b->p ||
                   b->p + b->usable <= o->p,
               "%p of %zu and %p of %zu overlap", (void *)o->p, o->usable,
               (void *)b->p, b->usable);
    }
}

/* A new or changed block: what is promised of it holds; it gets contents. */
static void enter(struct shadow *s, struct block *b, void *p, size_t n,
                  size_t align)
{
    EXPECT(p, "no memory for %zu, align %zu", n, align);
    *b = (struct block){p, n, malloc_usable_size(p), align, ++s->seed};
    EXPECT(aligned_to(p, align), "%p of %zu: not aligned to %zu", p, n, align);
    EXPECT(b->usable >= n, "%p: %zu of %zu", p, b->usable, n);
    apart(s, b);
    fill(p, n, b->seed);
    if (s->seed % 4 == 0)
        memset(b->p + n, 0x5a, b->usable - n);
}

static void give(struct block *b, unsigned how)
{
    if (!b->p)
        return;
    whole(b);
    if (how % 8 == 1)
        b->p = realloc(b->p, hide_size(0));
    else if (how % 8 == 2 && sized_free && b->align == 16)
        sized_free(b->p, b->size);
    else if (how % 8 == 3 && aligned_sized_free && b->align > 16)
        aligned_sized_free(b->p, b->align, b->size);
    else
        free(b->p);
    b->p = NULL;
}

static void all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; p && i < n; i++)
        EXPECT(!p[i], "calloc: byte %zu of %zu", i, n);
}

static void take(struct shadow *s, struct block *b, struct input *in)
{
    size_t n = size_of(in), align = (size_t)16 << byte(in) % 10;
    void *p = NULL;
    switch (byte(in) % 8) {
    case 0: case 1: case 2:
        enter(s, b, hide(malloc(n)), n, 16);
        break;
    case 3:
        p = hide(n % 3 ? calloc(1, n) : calloc(n / 3, 3));
        all_zero(p, n);
        enter(s, b, p, n, 16);
        break;
    case 4:
        enter(s, b, hide(aligned_alloc(align, n)), n, align);
        break;
    case 5:
        EXPECT(!posix_memalign(&p, align, n), "%zu %zu", align, n);
        enter(s, b, p, n, align);
        break;
    case 6:
        enter(s, b, hide(memalign(align, n)), n, align);
        break;
    default:
        if (n & 1 || !n)
            p = hide(valloc(n));
        else { /* whole pages */
            p = hide(pvalloc(n));
            n = (n + 4095) & ~(size_t)4095;
        }
        enter(s, b, p, n, 4096);
        break;
    }
}

static void change(struct shadow *s, struct block *b, struct input *in)
{
    size_t n = size_of(in) + 1, least = b->size < n ? b->size : n;
    void *p;
    whole(b);
    if (byte(in) & 1)
        p = hide(realloc(b->p, n));
    else
        p = hide(reallocarray(b->p, n, 1));
    EXPECT(p, "no memory for %zu", n);
    EXPECT(filled(p, least, b->seed) == least, "realloc to %zu lost", n);
    b->p = NULL;
    enter(s, b, p, n, 16);
}

static void must_fail(const struct block *b, unsigned kind)
{
    size_t n = SIZE_MAX / 2 + 1 + ((size_t)kind << 50);
    errno = 0;
    void *p = kind & 1 ? hide(realloc(b->p, hide_size(n)))
                       : hide(calloc(hide_size(n), 2 + kind));
    EXPECT(!p && errno == ENOMEM, "%p, errno %d", p, errno);
    whole(b);
}

/* Puts a block where another thread may take it, and takes what is there. */
static void swap(struct shadow *s, struct block *b, unsigned where)
{
    struct block *on = malloc(sizeof *on), *got;
    *on = *b;
    b->p = NULL;
    got = atomic_exchange(&exchange[where % COUNT(exchange)], on);
    if (!got)
        return;
    whole(got);
    *b = *got;
    free(got);
    apart(s, b);
}

static void step(struct shadow *s, struct input *in)
{
    unsigned what = byte(in);
    struct block *b = &s->slot[byte(in) % SLOTS];
    if (!b->p)
        take(s, b, in);
    else if (what < 110)
        give(b, what);
    else if (what < 180)
        change(s, b, in);
    else if (what < 190)
        must_fail(b, what);
    else if (what < 230 && !s->alone)
        swap(s, b, what);
    else if (what == 230)
        malloc_trim(0);
    else
        EXPECT(malloc_usable_size(b->p) == b->usable, "%p", (void *)b->p);
}

static void sequence(struct shadow *s, const unsigned char *data, size_t n)
{
    struct input in = {data, data + n};
    while (in.at < in.end)
        step(s, &in);
    for (int i = 0; i < SLOTS; i++)
        give(&s->slot[i], data[0] + (unsigned)i);
}

static void look_up(void)
{
    *(void **)&sized_free = dlsym(RTLD_DEFAULT, "free_sized");
    *(void **)&aligned_sized_free = dlsym(RTLD_DEFAULT, "free_aligned_sized");
}

#ifdef FUZZER
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    struct shadow s = {.alone = 1};
    look_up();
    if (n)
        sequence(&s, data, n);
    return 0;
}
#endif

static unsigned long number(const char *name, unsigned long other)
{
    const char *s = getenv(name);
    return s ? strtoul(s, NULL, 0) : other;
}

static void random_sequence(struct shadow *s, unsigned long seed)
{
    static __thread unsigned char data[4096];
    unsigned long x = seed * 0x9e3779b97f4a7c15 + 1;
    for (size_t i = 0; i < sizeof data; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        data[i] = (unsigned char)(x >> 32);
    }
    s->seed = (unsigned)seed;
    sequence(s, data, sizeof data);
}

static int threads = 1;

static void *many_sequences(void *arg)
{
    unsigned long first = number("SEED", 1), count = number("SEEDS", 200);
    struct shadow s = {.alone = threads == 1};
    count = (count + (unsigned long)threads - 1) / (unsigned long)threads;
    for (unsigned long i = 0; i < count; i++) {
        unsigned long seed = first + i * (unsigned long)threads +
                             (uintptr_t)arg;
        if (number("FUZZ_SAY", 0))
            dprintf(2, "SEED=%lu\n", seed);
        random_sequence(&s, seed);
    }
    return NULL;
}

static void in_threads(int many)
{
    pthread_t t[16];
    threads = many;
    look_up();
    for (int i = 0; i < many; i++)
        EXPECT(!pthread_create(&t[i], NULL, many_sequences,
                               (void *)(uintptr_t)i), "thread");
    for (int i = 0; i < many; i++)
        pthread_join(t[i], NULL);
    for (size_t i = 0; i < COUNT(exchange); i++)
        if (exchange[i]) {
            give(exchange[i], 0);
            free(exchange[i]);
        }
}

CASE(one_thread)
{
    look_up();
    many_sequences(NULL);
}

CASE(four_threads) { in_threads(4); }
CASE(twelve_threads) { in_threads(12); }
