/* tool_own.c: a program whose library has memory of every kind: a large heap,
 * threads, specials, roots, thousands of pieces.
 *
 * First it writes what anonymous memory there is before the library's first
 * use, then "ready".  Usage: tool_own still | busy
 * still: nothing moves after "ready".  busy: threads come and go, ranges too.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sancai.h>

#define OBJECTS 200000
#define WAITING 40 /* threads, each with a record */
#define ROOTS 2000

typedef struct Node { struct Node *next; char rest[240]; } Node;
SC_LAYOUT(Node, next)

static Node *first;
static struct sc_weak *weak[OBJECTS / 10];
static char roots[ROOTS][16];
static char stack[4][1 << 16] __attribute__((aligned(4096)));
static pthread_barrier_t ready;

/* Before main allocates anything, or starts a thread. */
static void write_anonymous(void)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        if (strstr(line, " rw-p 00000000 00:00 0") && !strchr(line, '['))
            printf("before %s", line);
    if (f)
        fclose(f);
}

static void fill(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        Node *n = sc_new(Node);
        sc_store(&n->next, first);
        sc_store(&first, n);
        if (i % 10 == 0)
            weak[i / 10] = sc_weak_new(n);
    }
    for (int i = 0; i < ROOTS; i++)
        sc_root_add(roots[i], sizeof roots[i]);
}

static void *waiter(void *arg)
{
    if (!sc_alloc(100))
        exit(1);
    pthread_barrier_wait(&ready);
    sc_blocking_begin();
    for (;;)
        pause();
    return arg;
}

static void *visitor(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (!sc_alloc(1000))
            exit(1);
    return arg;
}

/* Stacks of its own, since the C library keeps those it made. */
static void visit(void)
{
    pthread_t t[4];
    pthread_attr_t a;
    for (int i = 0; i < 4; i++) {
        pthread_attr_init(&a);
        pthread_attr_setstack(&a, stack[i], sizeof stack[i]);
        pthread_create(&t[i], &a, visitor, NULL);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

/* Tables grow and shrink, thousands of small pieces come. */
static void churn(int round)
{
    visit();
    for (int i = 0; i < 500; i++) {
        void *p = sc_alloc(16);
        if (!p || !sc_weak_new(p))
            exit(1);
    }
    for (int i = 0; i < ROOTS; i++)
        if ((round + i) % 2)
            sc_root_remove(roots[i]);
        else
            sc_root_add(roots[i], sizeof roots[i]);
}

int main(int argc, char **argv)
{
    struct sc_config c = {.barriers = SC_BARRIERS_EXPLICIT, .max_procs = 4};
    pthread_t t;
    printf("pid %d\n", (int)getpid());
    write_anonymous();
    sc_init(&c);
    pthread_barrier_init(&ready, NULL, WAITING + 1);
    for (int i = 0; i < WAITING; i++)
        pthread_create(&t, NULL, waiter, NULL);
    pthread_barrier_wait(&ready);
    fill();
    sc_collect();
    puts("ready");
    fflush(stdout);
    for (int i = 0; argc > 1 && !strcmp(argv[1], "busy"); i++)
        churn(i);
    sc_blocking_begin();
    for (;;)
        pause();
}
