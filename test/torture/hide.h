/* hide.h: the game of places.c and holders.c.
 *
 *   main                            hider (attached, or a foreign thread)
 *   keeper = object
 *   start hider(masked pointer) -->  unmasks it into the place, hidden = 1
 *   keeper = NULL
 *   target = cycles done + 3         looks at nothing until then
 *   join  <----------------------    takes it out of the place, looks at it
 */
#ifndef SC_TORTURE_HIDE_H
#define SC_TORTURE_HIDE_H

#include "torture.h"

__attribute__((used)) _Atomic uint64_t hide_target;
__attribute__((used)) _Atomic uint32_t hidden;

/* Puts the object into its place, sets hidden, returns it after the target. */
typedef Canary *hide_fn(uintptr_t masked);

static Canary *keeper;
static _Atomic int handler_runs;
enum { NO_HANDLER, HANDLER, HANDLER_ALTERNATE, BLOCKS_SIGNALS };

struct hider {
    hide_fn *fn;
    uintptr_t masked;
    uint64_t id;
    int foreign;
    int blocks;      /* all signals */
    char *alternate; /* signal stack, or NULL */
};

static void *hider_main(void *arg)
{
    struct hider *h = arg;
    stack_t s = {.ss_sp = h->alternate, .ss_size = 65536};

    if (h->alternate)
        sigaltstack(&s, NULL);
    if (!h->foreign)
        sc_thread_attach();
    if (h->blocks) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    }
    scrub();
    Canary *c = h->fn(h->masked);
    canary_is(c, h->id);
    canary_is(c->next, ~h->id);
    return NULL;
}

static void hide_once(hide_fn *fn, int foreign, int handler)
{
    static uint64_t id = 1;
    struct hider h = {fn, 0, ++id, foreign, handler == BLOCKS_SIGNALS, NULL};
    pthread_t t;

    if (handler == HANDLER_ALTERNATE)
        h.alternate = malloc(65536);
    hide_target = UINT64_MAX;
    hidden = handler_runs = 0;
    h.masked = canary_masked(h.id);
    STORE(&keeper, (Canary *)~h.masked);
    t = spawn(hider_main, &h);
    while (!hidden)
        sched_yield();
    if (handler == HANDLER || handler == HANDLER_ALTERNATE) {
        pthread_kill(t, SIGUSR1);
        while (!handler_runs)
            sched_yield();
    }
    STORE(&keeper, NULL);
    scrub();
    hide_target = cycles_done + 3;
    pthread_join(t, NULL);
    free(h.alternate);
}

#endif
