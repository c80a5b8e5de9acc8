/* micro.c: which of the small programs to run; threads. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "micro.h"

enum { THREADS_MOST = 64 };

_Noreturn void micro_die(const char *what)
{
    fprintf(stderr, "micro: %s\n", what);
    abort();
}

/* Each thread counts in its own: no two share a line of memory. */
struct start {
    _Alignas(128) void (*fn)(struct work *);
    struct work work;
};

static void *begin(void *arg)
{
    struct start *s = arg;
    s->fn(&s->work);
    return NULL;
}

uint64_t micro_threads(unsigned n, void (*fn)(struct work *),
                       const struct work *like)
{
    struct start s[THREADS_MOST];
    pthread_t t[THREADS_MOST];
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++) {
        s[i] = (struct start){fn, *like};
        s[i].work.seed = like->seed * THREADS_MOST + i;
        s[i].work.sum = 0;
        if (pthread_create(&t[i], NULL, begin, &s[i]))
            micro_die("pthread_create");
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(t[i], NULL);
        sum += s[i].work.sum;
    }
    return sum;
}

static const struct micro *find(const struct micro *m, const char *name)
{
    for (; m->name; m++)
        if (!name || !strcmp(m->name, name))
            return m;
    return NULL;
}

static int list(const struct micro *m)
{
    for (; m->name; m++)
        puts(m->name);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "single"))
        return list(micro_single);
    if (argc == 2 && !strcmp(argv[1], "threaded"))
        return list(micro_threaded);
    const struct micro *m = argc == 3 ? find(micro_single, argv[1]) : NULL;
    if (!m && argc == 3)
        m = find(micro_threaded, argv[1]);
    int percent = argc == 3 ? atoi(argv[2]) : 0;
    if (!m || percent < 1) {
        fputs("micro single | threaded | PROGRAM PERCENT\n", stderr);
        return 2;
    }
    struct work w = {.seed = 1, .percent = (unsigned)percent};
    printf("CHECK %" PRIu64 "\n", m->run(&w));
    return 0;
}
