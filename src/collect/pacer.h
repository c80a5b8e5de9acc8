/* pacer.h: when to start a cycle and how hard to push it; numbers in, numbers
 * out.  After Go's 1.18 pacer (proposal 44167) and memory limit (48409).
 *
 * Pure: no clock, no globals, no locks.  The caller serialises calls, except
 * where a field is marked atomic by the caller's use.
 */
#ifndef SC_PACER_H
#define SC_PACER_H

#include "../def.h"

#define PACER_BACKGROUND 0.25        /* share of CPUs that marks */
#define PACER_HEAP_MINIMUM MIB(4)    /* at 100 percent */
#define PACER_CONS_MARK_HISTORY 4

struct pacer_memory { /* inputs for the limit-based goal, bytes */
    uint64_t mapped_ready, heap_free, heap_alloc;
};

struct pacer {
    int gc_percent;        /* -1: off */
    int64_t memory_limit;  /* INT64_MAX: off */
    int procs;
    /* of the last cycle */
    uint64_t heap_marked, last_heap_goal;
    uint64_t last_heap_scan, last_stack_scan;
    uint64_t stack_scan_max; /* scannable stack bytes now */
    uint64_t globals_scan;
    double cons_mark, last_cons_mark[PACER_CONS_MARK_HISTORY];
    /* of this cycle */
    uint64_t triggered;    /* heap live when it started; UINT64_MAX: idle */
    uint64_t runway;
    uint64_t percent_goal; /* goal from gc_percent alone */
    int dedicated;         /* workers that only mark */
    double fractional;     /* CPU share of each processor's part-time worker */
    int max_idle;          /* idle workers allowed */
    double assist_work_per_byte, assist_bytes_per_work;
    uint64_t start_time;
};

void pacer_init(struct pacer *, int gc_percent, int64_t limit, int procs);
/* After a setting changed, or a cycle ended: recomputes runway and goals. */
void pacer_commit(struct pacer *, bool sweep_done);
/* The heap size at which the current or next cycle should end. */
uint64_t pacer_goal(const struct pacer *, const struct pacer_memory *);
/* Trigger and goal: start when heap live reaches trigger. */
struct pacer_trigger { uint64_t trigger, goal; };
struct pacer_trigger pacer_trigger(const struct pacer *,
                                   const struct pacer_memory *);
/* A cycle starts: decides workers.  periodic: no idle workers (go#44163). */
void pacer_start(struct pacer *, uint64_t now, uint64_t heap_live,
                 bool periodic);
/* During marking: the assist ratio from what is left.  work: done so far. */
void pacer_revise(struct pacer *, const struct pacer_memory *,
                  uint64_t heap_live, uint64_t heap_scan, uint64_t work);
/* Marking done: cons/mark from what it cost.  Times in ns. */
struct pacer_end {
    uint64_t now, assist_time, idle_time;
    uint64_t heap_live;
    uint64_t heap_scan_work, stack_scan_work, globals_scan_work;
    bool forced;
};
void pacer_end(struct pacer *, const struct pacer_end *);
/* World back: live heap of this cycle becomes the base of the next. */
void pacer_reset_live(struct pacer *, uint64_t bytes_marked);

/* ---- limiter.c: GC never takes more than half of the CPUs for long ------ */

/* Go's leaky bucket (runtime/mgclimit.go): a second of CPU per processor. */
struct limiter {
    int procs;
    uint64_t capacity, fill, overflow;
    uint64_t last_update;
    uint64_t assist, idle;       /* pooled since the last update, ns */
    bool gc_on, transition;
    bool limiting;
};
void limiter_init(struct limiter *, uint64_t now, int procs);
void limiter_procs(struct limiter *, uint64_t now, int procs);
/* Marking begins or ends: background work counts 25 % of the processors. */
void limiter_phase(struct limiter *, uint64_t now, bool marking);
void limiter_add_assist(struct limiter *, uint64_t ns);
void limiter_add_idle(struct limiter *, uint64_t ns);
/* At most every 10 ms by callers; true while GC must hold back. */
bool limiter_update(struct limiter *, uint64_t now);

#endif
