/* fork.c: fork at any moment of a threaded program that is being collected;
 * the child allocates, collects and forks again.  links: lib
 */
#include "torture.h"
#include <sys/wait.h>

static _Atomic int stop;
static Canary *shared;

static Canary *chain(unsigned n)
{
    Canary *head = NULL;

    for (unsigned i = 0; i < n; i++) {
        Canary *c = canary_new(i);
        STORE(&c->next, head);
        head = c;
    }
    return head;
}

static void chain_is(const Canary *c, unsigned n)
{
    for (; c; c = c->next)
        canary_is(c, --n);
    CHECK_EQ(n, 0);
}

static void *busy(void *unused)
{
    while (!stop) {
        Canary *c = chain(1000);
        chain_is(c, 1000);
        STORE(&shared, c);
    }
    return NULL;
}

/* What a child does: its own garbage, its own cycles, the parent's data. */
static int child(int depth)
{
    alarm(40);
    Canary *inherited = LOAD(&shared);
    for (int i = 0; i < 3; i++) {
        Canary *c = chain(5000);
        sc_collect();
        chain_is(c, 5000);
    }
    if (inherited)
        chain_is(inherited, 1000);
    if (depth) {
        pid_t p = fork();
        if (p == 0)
            _exit(child(depth - 1));
        int status = 1;
        waitpid(p, &status, 0);
        return status != 0;
    }
    return 0;
}

TEST_BOTH(fork, 110)
{
    pthread_t t[2];

    if (SIGNALS_LATE)
        SKIP("the thread sanitizer allows no threads after a fork");
    rng_seed(1);
    for (int i = 0; i < 2; i++)
        t[i] = spawn(busy, NULL);
    driver_start();
    for (long i = 0; i < scaled(40); i++) {
        usleep(pick(3000));
        pid_t p = fork();
        if (p == 0)
            _exit(child(i % 7 == 0));
        int status = 1;
        waitpid(p, &status, 0);
        CHECK_EQ(status, 0);
    }
    driver_end();
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}
