/* cliff.c: does the time of a malloc and a free hang on how many are in use?
 *
 *   cliff SIZE [WORKING-SETS]  -> slowest and median ns of a pair, and where
 *
 * For 400 working-set sizes w, from 1 up in even steps of the logarithm to 64
 * MiB of blocks or 100,000: w blocks are asked for and freed, in turns, over and
 * over; the least time of some rounds counts, for another program may have had
 * the processor.  An allocator that gives up its memory at some w, to ask for it
 * again at once, shows there as a cliff.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SETS = 400, PAIRS = 20000, ROUNDS = 5, MOST = 100000 };
static void *at[MOST];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of a pair, with w in use at the most. */
static double once(size_t size, size_t w)
{
    size_t times = PAIRS / w + 1;
    double start = now();
    for (size_t r = 0; r < times; r++) {
        for (size_t i = 0; i < w; i++)
            *(volatile char *)(at[i] = malloc(size)) = 1;
        for (size_t i = 0; i < w; i++)
            free(at[i]);
    }
    return (now() - start) / (double)(times * w);
}

static double least(size_t size, size_t w)
{
    double best = once(size, w);
    for (int r = 1; r < ROUNDS; r++) {
        double t = once(size, w);
        best = t < best ? t : best;
    }
    return best;
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double t[SETS];
    size_t size = argc > 1 ? (size_t)atol(argv[1]) : 0, slowest = 0;
    int sets = argc > 2 ? atoi(argv[2]) : SETS;
    if (!size || sets < 1 || sets > SETS) {
        fputs("cliff SIZE [WORKING-SETS, at most 400]\n", stderr);
        return 2;
    }
    size_t most = (64ul << 20) / size;
    most = most > MOST ? MOST : most;
    double worst = 0;
    for (int i = 0; i < sets; i++) {
        size_t w = (size_t)exp(log((double)most) * (i + 1) / sets);
        w = w ? w : 1;
        t[i] = least(size, w);
        if (t[i] > worst) {
            worst = t[i];
            slowest = w;
        }
    }
    qsort(t, (size_t)sets, sizeof(*t), rising);
    printf("%.1f %.1f %zu\n", worst, t[sets / 2], slowest);
    return 0;
}
