/* counts.c: mallocs and frees to be counted, under callgrind.
 *
 *   counts KIND SIZE N       N mallocs and N frees
 *
 *   single   each block is freed before the next is asked for
 *   batch    a thousand, then all of them are freed, the last one first
 *   other    a thousand, freed by another thread
 *
 * What is counted is what happens inside of timed_malloc and timed_free; each can
 * be counted by itself, as callgrind toggles at the functions' names.  The loop
 * with its calls is counted with KIND loop, as for single, or loops.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000 };
static void *at[BATCH];
static void *no_malloc(size_t size) { return at; }
static void no_free(void *p) {}
static void *(*volatile get)(size_t) = malloc;
static void (*volatile put)(void *) = free;
static pthread_barrier_t turn;

__attribute__((noinline)) void timed_malloc(size_t size, int n)
{
    for (int i = 0; i < n; i++)
        at[i] = get(size);
}

__attribute__((noinline)) void timed_free(int n)
{
    for (int i = n; i-- > 0;)
        put(at[i]);
}

static void *frees(void *times)
{
    for (long i = *(long *)times; i-- > 0;) {
        pthread_barrier_wait(&turn);
        timed_free(BATCH);
        pthread_barrier_wait(&turn);
    }
    return NULL;
}

static void by_other(size_t size, long times)
{
    pthread_t t;
    pthread_barrier_init(&turn, NULL, 2);
    if (pthread_create(&t, NULL, frees, &times))
        abort();
    for (long i = times; i-- > 0;) {
        timed_malloc(size, BATCH);
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
    }
    pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("counts single|batch|other|loop|loops SIZE N\n", stderr);
        return 2;
    }
    size_t size = (size_t)atol(argv[2]);
    long n = atol(argv[3]);
    int k = strcmp(argv[1], "single") && strcmp(argv[1], "loop") ? BATCH : 1;
    if (!strncmp(argv[1], "loop", 4)) {
        get = no_malloc;
        put = no_free;
    }
    if (!strcmp(argv[1], "other"))
        by_other(size, n / BATCH);
    else
        for (long i = 0; i < n; i += k) {
            timed_malloc(size, k);
            timed_free(k);
        }
    return 0;
}
