/* pacer.h: when to start a cycle and how hard to push it; numbers in, numbers
 * out.  After Go's pacer of 1.18 and its memory limit of 1.19; docs/pacer.md
 * says what the numbers mean.
 *
 *   init --> commit --> trigger reached --> start --> revise ... revise
 *              ^                                                   |
 *              +---- reset_live <-------------- end <--------------+
 *
 *   marked        trigger           goal
 *     |--allocate--->|---runway------>|    live heap, bytes
 *     end of last    cycle starts     and should be done
 *
 * Pure: no clock, no globals, no locks.  The caller serialises the calls (many
 * threads may call revise, one at a time).  Two values may be read at any time
 * without the caller's lock: pacer_work_per_byte and pacer_bytes_per_work.
 */
#ifndef SC_PACER_H
#define SC_PACER_H

#include "../def.h"

#define PACER_BACKGROUND 0.25        /* share of CPUs that marks */
#define PACER_HEAP_MINIMUM MIB(4)    /* at 100 percent */
#define PACER_CONS_MARK_HISTORY 4
#define PACER_IDLE UINT64_MAX        /* `triggered` between cycles */
#define PACER_NO_LIMIT INT64_MAX

/* What the caller counted.  `live` and `scan` only grow between the ends of
 * cycles; after pacer_reset_live the caller sets live to the bytes marked and
 * scan to the heap_scan_work it reported.  All zero but live and scan is fine
 * as long as there is no limit. */
struct pacer_memory {
    uint64_t live;         /* marked by the last cycle + allocated since */
    uint64_t scan;         /* of live, bytes in objects with pointers */
    uint64_t mapped_ready; /* memory of ours that the system may hold */
    uint64_t heap_free;    /* of mapped_ready, pages in no span */
    uint64_t heap_alloc;   /* of mapped_ready, bytes in objects */
};

struct pacer {
    /* settings; pacer_set */
    int gc_percent;        /* -1: off */
    int64_t memory_limit;  /* PACER_NO_LIMIT: off */
    int procs;
    /* the caller writes these two whenever it knows better */
    uint64_t stack_scan_max; /* scannable stack bytes now, at most */
    uint64_t globals_scan;   /* data, bss, registered ranges */
    /* of the last cycle */
    uint64_t heap_marked, last_heap_goal;
    uint64_t last_heap_scan, last_stack_scan;
    double utilization;      /* of all CPU time: background and assists */
    double cons_mark, last_cons_mark[PACER_CONS_MARK_HISTORY];
    /* of commit */
    uint64_t runway;       /* bytes that the program allocates meanwhile */
    uint64_t percent_goal; /* goal from gc_percent alone */
    uint64_t sweep_floor;  /* no trigger below, so that sweeping has time */
    /* of this cycle */
    uint64_t triggered;    /* live when it started, or PACER_IDLE */
    uint64_t start_time;
    uint64_t heap_work, stack_work; /* of the last pacer_end */
    int dedicated;         /* workers that only mark */
    double fractional;     /* CPU share of each processor's part-time worker */
    int max_idle;          /* idle workers allowed */
    double work_per_byte, bytes_per_work; /* atomic */
};

/* A limit below 0 means none.  Includes the first commit. */
void pacer_init(struct pacer *, int gc_percent, int64_t limit, int procs);
/* New settings; pacer_commit, and pacer_revise if marking, must follow.  A
 * limit below 0 leaves the old one; procs only between cycles. */
void pacer_set(struct pacer *, int gc_percent, int64_t limit, int procs);
/* After a setting changed, or a cycle ended: recomputes runway and goals. */
void pacer_commit(struct pacer *, uint64_t live, bool sweep_done);
/* The live size at which the current or next cycle should end. */
uint64_t pacer_goal(const struct pacer *, const struct pacer_memory *);
/* Trigger and goal: start when live reaches trigger (<= goal). */
struct pacer_trigger { uint64_t trigger, goal; };
struct pacer_trigger pacer_trigger(const struct pacer *,
                                   const struct pacer_memory *);

enum pacer_kind {
    PACER_NORMAL,
    PACER_PERIODIC, /* the program idles: no idle workers beyond need */
    PACER_HELD      /* threads are held while marking: all CPUs mark */
};
/* A cycle starts: decides workers and the first assist ratio. */
void pacer_start(struct pacer *, const struct pacer_memory *, uint64_t now,
                 enum pacer_kind);
/* While marking (else ignored): the assist ratio from what is left.  work:
 * bytes scanned so far, of heap, stacks and globals. */
void pacer_revise(struct pacer *, const struct pacer_memory *,
                  uint64_t work);
/* Marking done: cons/mark from what it cost.  now is on the clock of start,
 * the other two are CPU time, summed over threads; all ns. */
struct pacer_end {
    uint64_t now, assist_time, idle_time;
    uint64_t heap_scan_work, stack_scan_work, globals_scan_work;
};
void pacer_end(struct pacer *, const struct pacer_memory *,
               const struct pacer_end *);
/* World back: live heap of this cycle becomes the base of the next.  A cycle
 * that is given up skips pacer_end and passes all that is live: then the next
 * trigger is as far away as after a cycle in which nothing died. */
void pacer_reset_live(struct pacer *, uint64_t bytes_marked);
/* Bytes of work that this cycle should need, if nothing grew. */
uint64_t pacer_expected(const struct pacer *);

/* For assists: bytes to scan for a byte allocated, and the inverse.  The two
 * may be of different revisions; they are close enough to each other. */
INLINE double pacer_work_per_byte(const struct pacer *p)
{
    double d;

    __atomic_load(&p->work_per_byte, &d, __ATOMIC_RELAXED);
    return d;
}
INLINE double pacer_bytes_per_work(const struct pacer *p)
{
    double d;

    __atomic_load(&p->bytes_per_work, &d, __ATOMIC_RELAXED);
    return d;
}

/* ---- limiter.c: GC never takes more than half of the CPUs for long ----- */

#define LIMITER_PERIOD 10000000u         /* ns; update this often */
#define LIMITER_CAPACITY 1000000000u     /* ns of CPU per processor */

enum limiter_phase {
    LIMITER_RUN,  /* no marking */
    LIMITER_MARK, /* background work counts 25 % of the processors */
    LIMITER_HELD  /* threads are held: all processors count as the GC's */
};

/* A leaky bucket: GC time flows in, the program's time flows out.  The caller
 * serialises procs, phase and update; the rest may be called by any thread,
 * at any time, in a signal handler too. */
struct limiter {
    int procs;
    enum limiter_phase phase;
    uint64_t capacity, fill; /* ns of CPU, fill <= capacity */
    uint64_t overflow;       /* what found no room, ever */
    uint64_t last_update;    /* atomic */
    uint64_t assist, idle;   /* atomic; pooled since the last update, ns */
    bool limiting;           /* atomic */
};
void limiter_init(struct limiter *, uint64_t now, int procs);
/* Between cycles only. */
void limiter_procs(struct limiter *, uint64_t now, int procs);
void limiter_phase(struct limiter *, uint64_t now, enum limiter_phase);
/* Time that a thread of the program worked for the collector. */
void limiter_add_assist(struct limiter *, uint64_t ns);
/* Time in which a processor had nothing else to do: idle, idle marking. */
void limiter_add_idle(struct limiter *, uint64_t ns);
/* True if the last update is more than LIMITER_PERIOD ago. */
bool limiter_due(const struct limiter *, uint64_t now);
/* Accounts the time since the last one; true while GC must hold back.  A
 * caller that loses the race for the lock may leave: nothing is lost. */
bool limiter_update(struct limiter *, uint64_t now);
/* True while GC must hold back: no assists, no idle workers. */
INLINE bool limiter_limiting(const struct limiter *l)
{
    return load_relaxed(&l->limiting);
}

#endif
