/* signals.c: signals of the program's own arrive all the time, with handlers on
 * the stack and on an alternate one; its SIGURGs stay its own.  links: lib
 */
#include "torture.h"
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t ticks, urgent;

static void on_tick(int sig)
{
    volatile char frame[512];

    memset((char *)frame, sig, sizeof(frame));
    ticks++;
}

static void on_urgent(int sig) { urgent++; }

static void handle(int sig, void (*fn)(int), int flags)
{
    struct sigaction a = {.sa_handler = fn, .sa_flags = flags | SA_RESTART};

    CHECK_EQ(sigaction(sig, &a, NULL), 0);
}

static void storm(int flags)
{
    struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    static char alternate[64 << 10];
    stack_t s = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    Canary *head = NULL;

    CHECK_EQ(sigaltstack(&s, NULL), 0);
    handle(SIGALRM, on_tick, flags);
    setitimer(ITIMER_REAL, &every, NULL);
    driver_start();
    for (long i = 0; i < scaled(300000); i++) {
        Canary *c = canary_new((uint64_t)i);
        STORE(&c->next, head);
        head = c;
        if (i % 300 == 0) {
            for (Canary *k = head; k; k = k->next)
                canary_check(k);
            head = NULL;
        }
    }
    driver_end();
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK(ticks > 0);
}

TEST_BOTH(storm_on_the_stack, 60)
{
    storm(0);
}

TEST_BOTH(storm_on_an_alternate_stack, 60)
{
    storm(SA_ONSTACK);
}

/* The program had a handler for SIGURG before the library started. */
TEST_T(own_sigurg, 60)
{
    handle(SIGURG, on_urgent, 0);
    start(1);
    driver_start();
    for (int i = 1; i <= 100; i++) {
        raise(SIGURG);
        litter(1000);
    }
    driver_end();
    CHECK(urgent >= 100);
}
