/* signals.c: a program that is full of signals of its own.  links: lib
 *
 *   interval timer (1 ms) --> whoever runs
 *   storm thread: SIGUSR1 --> each mover, again and again
 *        their handlers look at heap objects, or move pointers to some,
 *        dawdle, and are interrupted by the collector's signal while they do
 *
 * The movers (moves.h) notice what is lost.  A handler that runs for whole
 * cycles makes the rare case common: the thread was in the middle of an
 * allocation or a store when the handler began.
 */
#include "moves.h"
#include <setjmp.h>
#include <sys/time.h>

static _Atomic uint64_t handled;
static _Atomic int storm_stop;
static _Atomic unsigned handler_spin;
static Canary *looked_at;
static int mover_alternate;

static void on_storm(int sig)
{
    int saved = errno;
    const Canary *c = LOAD(&looked_at);

    if (c)
        canary_check(c);
    for (unsigned i = handler_spin; i; i--)
        __asm__ volatile("");
    handled++;
    errno = saved;
}

/* Runs while a cycle begins, or through the whole of it.  A cycle may have to
 * wait for just this thread, so the next one must not be there when it ends. */
#define LONG_MS 3
static void on_long(int sig)
{
    struct timespec t;
    double end = test_clock() + LONG_MS / 1e3;
    uint64_t target = cycles_done + 1 + handled % 3;

    while (cycles_done < target && test_clock() < end)
        clock_gettime(CLOCK_MONOTONIC, &t);
    handled++;
}

static void *storm(void *unused)
{
    for (unsigned i = 0; !storm_stop; i++) {
        pthread_kill(mover[i % THREADS], SIGUSR1);
        if (i % 3 == 0)
            usleep(handler_spin ? 50 : (LONG_MS + 1) * 1000);
    }
    return NULL;
}

static void handle(int sig, void (*fn)(int), int flags)
{
    struct sigaction a = {.sa_handler = fn, .sa_flags = SA_RESTART | flags};

    sigemptyset(&a.sa_mask);
    CHECK_EQ(sigaction(sig, &a, NULL), 0);
}

static void timer(long us)
{
    struct itimerval t = {{0, us}, {0, us}};

    CHECK_EQ(setitimer(ITIMER_REAL, &t, NULL), 0);
}

/* A mover with an alternate stack of the usual size, a guard page below.  The
 * frames of code under a sanitizer are several times as large. */
static void *alternate(void)
{
    size_t size = (size_t)sysconf(_SC_SIGSTKSZ), page = 4096;

    size *= SANITIZED ? 4 : 1;
    char *p = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t s = {.ss_sp = p + page, .ss_size = size};

    CHECK_EQ(mprotect(p, page, PROT_NONE), 0);
    CHECK_EQ(sigaltstack(&s, NULL), 0);
    return p;
}

static void *work_alternate(void *n)
{
    alternate();
    return work(n);
}

/* Nothing but allocation: an object that is handed out twice shows, when the
 * first owner looks at it again. */
static void *work_allocate(void *n)
{
    Canary *ring[64] = {NULL};
    uint64_t id = 0;

    rng_seed((uintptr_t)n);
    while (test_clock() < stop_at)
        for (int k = 0; k < 2000; k++, id++) {
            if (id >= 64)
                canary_is(ring[id % 64], id - 64);
            ring[id % 64] = canary_new(id);
        }
    return NULL;
}

static void under_storm(double seconds, int on_alternate, int long_handlers)
{
    pthread_t s;

    handler_spin = long_handlers ? 0 : 3000;
    handle(SIGUSR1, long_handlers ? on_long : on_storm,
           on_alternate ? SA_ONSTACK : 0);
    handle(SIGALRM, on_storm, on_alternate ? SA_ONSTACK : 0);
    STORE(&looked_at, canary_new(5));
    if (on_alternate)
        mover_main = work_alternate;
    movers_start(seconds);
    timer(1000);
    s = spawn(storm, NULL);
    while (test_clock() < stop_at)
        usleep(10000);
    storm_stop = 1;
    pthread_join(s, NULL);
    timer(0);
    movers_join();
    dprintf(1, "%lu signals\n", (unsigned long)handled);
    CHECK(handled > 100);
}

/* ---- Handlers that store ------------------------------------------------ */

/* A thread's canaries that only its handlers move, between two boxes. */
static _Thread_local Box *hand_box;
static _Thread_local uint64_t hand_ids[2][SLOTS];
static _Thread_local uint64_t hand_state, hand_moves;

static unsigned hand_pick(unsigned n)
{
    hand_state = hand_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(hand_state >> 33) % n;
}

static Canary **hand_slot(unsigned place)
{
    Box *b = hand_box;

    if (place >= SLOTS)
        b = LOAD(&b->more);
    return &b->slot[place % SLOTS];
}

/* By turns few stores, and more than a thread's buffer of shaded words has
 * room for. */
static void on_store(int sig)
{
    int saved = errno;

    if (hand_box)
        for (unsigned n = hand_pick(8) ? 3 : 300; n; n--) {
            unsigned from = hand_pick(2 * SLOTS), to = hand_pick(2 * SLOTS);
            uint64_t *idf = &hand_ids[from / SLOTS][from % SLOTS];
            uint64_t *idt = &hand_ids[to / SLOTS][to % SLOTS], id = *idf;
            Canary *c = LOAD(hand_slot(from));
            canary_is(c, id);
            STORE(hand_slot(from), LOAD(hand_slot(to)));
            STORE(hand_slot(to), NULL);
            for (unsigned i = hand_pick(200); i; i--)
                __asm__ volatile("");
            STORE(hand_slot(to), c);
            *idf = *idt;
            *idt = id;
            hand_moves++;
        }
    handled++;
    errno = saved;
}

static void *work_handled(void *n)
{
    Box *b = sc_new(Box);

    if (mover_alternate)
        alternate();
    STORE(&b->more, sc_new(Box));
    for (unsigned i = 0; i < 2 * SLOTS; i++) {
        Box *in = i < SLOTS ? b : LOAD(&b->more);
        hand_ids[i / SLOTS][i % SLOTS] = i + 1;
        STORE(&in->slot[i % SLOTS], canary_new(i + 1));
    }
    hand_state = (uintptr_t)b;
    hand_box = b;
    work(n);
    CHECK(hand_moves > 10);
    hand_box = NULL;
    return NULL;
}

static void under_stores(double seconds, int on_alternate)
{
    pthread_t s;
    struct sigaction a = {.sa_handler = on_store,
                          .sa_flags = SA_RESTART};

    sigemptyset(&a.sa_mask);
    sigaddset(&a.sa_mask, SIGUSR1);
    sigaddset(&a.sa_mask, SIGALRM);
    a.sa_flags |= on_alternate ? SA_ONSTACK : 0;
    CHECK_EQ(sigaction(SIGUSR1, &a, NULL), 0);
    CHECK_EQ(sigaction(SIGALRM, &a, NULL), 0);
    handler_spin = 1; /* the storm does not wait for cycles */
    mover_alternate = on_alternate;
    mover_main = work_handled;
    movers_start(seconds);
    timer(1000);
    s = spawn(storm, NULL);
    while (test_clock() < stop_at)
        usleep(10000);
    storm_stop = 1;
    pthread_join(s, NULL);
    timer(0);
    movers_join();
    CHECK(handled > 100);
}

TEST_BOTH(storm, 60) { under_storm(1.2, 0, 0); }
TEST_BOTH(storm_alternate, 60) { under_storm(1.2, 1, 0); }
TEST_BOTH(storm_of_allocation, 60)
{
    mover_main = work_allocate;
    under_storm(1, 0, 0);
}
TEST_BOTH(long_handlers_in_allocation, 60)
{
    mover_main = work_allocate;
    under_storm(1, 0, 1);
}
TEST_BOTH(long_handlers, 60) { under_storm(1.5, 0, 1); }
TEST_BOTH(storm_of_stores, 60) { under_stores(1.5, 0); }
TEST_BOTH(storm_of_stores_alternate, 60) { under_stores(1.5, 1); }
TEST_BOTH(long_handlers_alternate, 60) { under_storm(1.2, 1, 1); }

/* ---- Our signal is the program's as well ------------------------------- */

static _Atomic int urgent;
static void on_urgent(int sig) { urgent++; }

static void urgent_ones_arrive(void)
{
    driver_start();
    for (int i = 1; i <= 200; i++) {
        CHECK_EQ(kill(getpid(), SIGURG), 0); /* to the process, as sockets do */
        for (double end = until(5); urgent < i && test_clock() < end;)
            usleep(20);
        CHECK(urgent >= i);
        litter(50);
    }
    driver_end();
}

TEST(own_handler_from_before)
{
    handle(SIGURG, on_urgent, 0);
    start(1);
    urgent_ones_arrive();
    CHECK_EQ(urgent, 200); /* and none of ours was passed on */
}

/* A thread that never comes back to us can only be reached by the signal. */
static _Atomic int spin_on;
static void *spin(void *unused)
{
    sc_thread_attach();
    spin_on = 1;
    while (spin_on)
        continue;
    return NULL;
}

static void with_spinner(void)
{
    pthread_t t = spawn(spin, NULL);
    while (!spin_on)
        usleep(100);
    urgent_ones_arrive();
    spin_on = 0;
    CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(own_handler_from_later)
{
    start(1);
    sc_collect();
    handle(SIGURG, on_urgent, 0);
    with_spinner();
}

/* Theirs in our place, which calls ours in turn. */
static struct sigaction before_chain;
static void on_chain(int sig, siginfo_t *info, void *uc)
{
    urgent++;
    before_chain.sa_sigaction(sig, info, uc);
}

TEST(own_handler_that_calls_ours)
{
    struct sigaction a = {.sa_sigaction = on_chain};
    a.sa_flags = SA_SIGINFO | SA_RESTART;
    start(1);
    sc_collect();
    CHECK_EQ(sigaction(SIGURG, &a, &before_chain), 0);
    with_spinner();
    CHECK(urgent < 100000);
}

TEST(ignored_later)
{
    start(0);
    sc_collect();
    CHECK(signal(SIGURG, SIG_IGN) != SIG_ERR);
    for (int i = 0; i < 20; i++)
        sc_collect();
}

/* ---- Blocked ----------------------------------------------------------- */

static int quiet[2];

static void *blocks_all(void *arg)
{
    sigset_t all;
    char c;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (arg)
        litter(10);
    return read(quiet[0], &c, 1) == 1 ? NULL : arg;
}

static void collects_despite(int attached, int n)
{
    pthread_t t[8];
    double longest = 0;

    if (SIGNALS_LATE && attached)
        SKIP("the thread sanitizer does not know that read blocks");
    CHECK_EQ(pipe(quiet), 0);
    for (int i = 0; i < n; i++)
        t[i] = spawn(blocks_all, attached ? &quiet : NULL);
    usleep(20000);
    for (int i = 0; i < 10; i++) {
        double begin = test_clock();
        sc_collect();
        if (test_clock() - begin > longest)
            longest = test_clock() - begin;
    }
    dprintf(1, "longest collection %.1f ms\n", longest * 1e3);
    CHECK(longest < 3);
    for (int i = 0; i < n; i++)
        CHECK_EQ(write(quiet[1], "x", 1), 1);
    for (int i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

TEST_BOTH(foreign_threads_that_block_all, 60) { collects_despite(0, 4); }
TEST_BOTH(attached_threads_that_block_all, 60) { collects_despite(1, 4); }

/* Movers that block everything: they answer when they come to us. */
static void *work_blocked(void *n)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    return work(n);
}

TEST_BOTH(movers_that_block_all, 60)
{
    mover_main = work_blocked;
    run(1);
}

/* ---- Small stacks ------------------------------------------------------ */

static _Atomic int spin_stop;

static void *spin_on_small(void *unused)
{
    alternate();
    litter(100);
    while (!spin_stop)
        continue;
    return NULL;
}

/* Our handler's own need, on an alternate stack of the usual size. */
TEST_BOTH(alternate_stack_is_large_enough, 60)
{
    pthread_t t[2];

    for (int i = 0; i < 2; i++)
        t[i] = spawn(spin_on_small, NULL);
    for (int i = 0; i < 50; i++)
        sc_collect();
    spin_stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

/* ---- Out of a handler by a jump ---------------------------------------- */

static _Thread_local sigjmp_buf way_out;
static _Thread_local volatile int may_jump;

static void on_jump(int sig)
{
    if (may_jump)
        siglongjmp(way_out, 1);
}

/* The program's own loops may be left so; the library's functions not. */
TEST_BOTH(jumps, 60)
{
    Canary *volatile kept = canary_new(77);

    if (SIGNALS_LATE)
        SKIP("the thread sanitizer puts the signal off for ever");
    handle(SIGALRM, on_jump, 0);
    driver_start();
    timer(700);
    for (volatile int i = 0; i < 500; i++) {
        if (!sigsetjmp(way_out, 1)) {
            may_jump = 1;
            for (;;)
                canary_check(kept);
        }
        may_jump = 0;
        litter(20);
    }
    timer(0);
    driver_end();
    canary_is(kept, 77);
}
