/* giveback.c: what a process still holds, when it has freed all.
 *
 *   giveback PROGRAM SECONDS [MIB]      default 700
 *   -> MiB resident: at the peak, after SECONDS, after malloc_trim; CPU
 *      meanwhile in percent of a processor
 *
 *   main      one thread allocates and frees, then calls malloc now and then
 *   asleep    the same, but then the process sleeps
 *   dead      four threads allocate and free, and end; the process sleeps
 *   refill    388/700 of that; four of five blocks are freed, and as much is
 *             allocated again in larger blocks, which stay
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static size_t all = 700ul << 20;

/* ---- Blocks in a list ---------------------------------------------------- */

struct block {
    struct block *next;
    size_t size;
};

/* Up to `bytes` of blocks from lo to hi bytes, all of them written. */
static struct block *fill(size_t bytes, size_t lo, size_t hi, uint32_t x)
{
    struct block *first = NULL;
    for (size_t n = 0; n < bytes;) {
        x = x * 1664525u + 1013904223u;
        size_t size = lo + x % (hi - lo + 1);
        struct block *b = malloc(size);
        if (!b)
            abort();
        memset(b, 1, size);
        *b = (struct block){first, size};
        first = b;
        n += size;
    }
    return first;
}

/* Frees all but each keep-th (0: all); the bytes that stay. */
static size_t drop(struct block *b, size_t keep)
{
    size_t left = 0, i = 0;
    for (struct block *next; b; b = next) {
        next = b->next;
        if (keep && ++i % keep == 0)
            left += b->size;
        else
            free(b);
    }
    return left;
}

/* ---- What the kernel says ------------------------------------------------- */

static double resident_mib(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long size, pages = 0;
    if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
        abort();
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- The programs ----------------------------------------------------------- */

static double peak;
static pthread_barrier_t turn;

static void use(size_t bytes)
{
    struct block *b = fill(bytes, 16, 1024, 1);
    peak = resident_mib();
    drop(b, 0);
}

static void *short_life(void *unused)
{
    struct block *b = fill(all / 4, 16, 1024, 1);
    pthread_barrier_wait(&turn); /* all have theirs: the peak */
    pthread_barrier_wait(&turn);
    drop(b, 0);
    return NULL;
}

static void dead(void)
{
    pthread_t t[4];
    pthread_barrier_init(&turn, NULL, 5);
    for (int k = 0; k < 4; k++)
        if (pthread_create(&t[k], NULL, short_life, NULL))
            abort();
    pthread_barrier_wait(&turn);
    peak = resident_mib();
    pthread_barrier_wait(&turn);
    for (int k = 0; k < 4; k++)
        pthread_join(t[k], NULL);
}

static void refill(void)
{
    size_t live = all / 700 * 388;
    size_t left = drop(fill(live, 16, 4096, 1), 5);
    fill(live - left, 1024, 8192, 2);
    peak = resident_mib();
}

/* Allocates a little, if it does not sleep. */
static void wait_for(unsigned seconds, int asleep)
{
    for (unsigned i = 0; i < seconds * 10; i++) {
        struct timespec t = {0, 100000000};
        nanosleep(&t, NULL);
        if (!asleep)
            free(malloc(100 + i));
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("giveback main|asleep|dead|refill SECONDS [MIB]\n", stderr);
        return 2;
    }
    if (argc > 3)
        all = (size_t)atol(argv[3]) << 20;
    if (!strcmp(argv[1], "dead"))
        dead();
    else if (!strcmp(argv[1], "refill"))
        refill();
    else
        use(all);
    unsigned seconds = (unsigned)atoi(argv[2]);
    double before = cpu();
    wait_for(seconds, strcmp(argv[1], "main"));
    double used = cpu() - before, now = resident_mib();
    malloc_trim(0);
    printf("%.0f %.1f %.1f %.2f\n", peak, now, resident_mib(),
           seconds ? used * 100 / seconds : 0);
    return 0;
}
