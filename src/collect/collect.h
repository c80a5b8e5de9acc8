/* collect.h: threads, marking, barriers, sweeping, lifetime: the collector.
 *
 *   pacer, limiter, thread, work < handshake, mark < root, barrier, special
 *     < drain < assist, sweep < verify < cycle
 *
 * The walk of a marked object: root.c or barrier.c finds a word -> mark_word
 * (mark.c) sets its bit and puts it into a work buffer (work.c) -> drain.c
 * takes it out and scans it (black) -> its words go the same way.
 */
#ifndef SC_COLLECT_H
#define SC_COLLECT_H

#include "../heap/heap.h"
#include "pacer.h"

/* ---- work.c: grey objects ---------------------------------------------- */

#define WORK_ENTRIES 254
struct work_buffer {
    struct work_buffer *next;
    uint64_t n;
    uintptr_t entry[WORK_ENTRIES];
};
/* A private stack of grey objects, in two buffers; used by one thread. */
struct work {
    struct work_buffer *in, *spare; /* both or none */
    struct work_buffer *fresh, *due; /* queue.c: pages */
    uint64_t due_at;                /* entries of due already taken */
    uint64_t bytes_marked;          /* not yet added to gc.bytes_marked */
    uint64_t density;               /* bytes scanned of a page, on average */
    uint64_t scan_work;             /* bytes scanned, not yet credited */
    bool flushed;                   /* gave work to others since asked */
    bool checking;                  /* second marking (gccheckmark) */
    bool aside;                     /* takes no buffers: mark_aside */
    uint32_t slow;                  /* DESC_PAGED then: all by themselves */
    uintptr_t parent;               /* object being scanned; 0: a root */
};
void work_put(struct work *, uintptr_t);
uintptr_t work_get(struct work *); /* 0: neither here nor in the pool */
bool work_is_empty(const struct work *);
void work_flush(struct work *);    /* all to the pool */
void work_discard(struct work *);  /* and the pool: a cycle is given up */
void work_balance(struct work *);  /* half to the pool if that is empty */
/* Between cycles: memory of spare buffers goes back to the system. */
void work_trim(void);
bool work_pool_empty(void);
struct work_buffer *work_buffer_take(void); /* empty; NULL: no memory */
void work_buffer_give(struct work_buffer *);
uint64_t work_puts(void);          /* buffers ever put into the pool */
void work_reset_locks(void);

/* ---- queue.c: pages with grey objects ----------------------------------- */

/* Who set the page's queued flag puts it, who takes it clears the flag. */
void queue_put(struct work *, uint32_t page);
uint32_t queue_get(struct work *); /* NO_PAGE: neither here nor in the line */
/* The one i behind the next, if it is here; else NO_PAGE. */
uint32_t queue_peek(const struct work *, unsigned i);
bool queue_is_empty(const struct work *);
void queue_flush(struct work *);
void queue_balance(struct work *);
void queue_discard(void);
bool queue_line_empty(void);
uint64_t queue_puts(void);
void queue_reset_locks(void);

/* ---- thread.c: the threads that have called us ------------------------- */

/* Who may touch the stack: RUNNING the thread; BLOCKED nobody (it promised to
 * stay off the heap); HELD the collector, until it sets BLOCKED again. */
enum thread_state { THREAD_RUNNING, THREAD_BLOCKED, THREAD_HELD };

#define BARRIER_ENTRIES 256
#define SAVED_REGS 12
struct thread {
    struct cache cache; /* first: the fast path's offset is zero */
    struct thread *next, *prev;
    int tid;
    _Atomic uint32_t state;
    _Atomic uint32_t busy;     /* depth of calls into us: do not interrupt */
    _Atomic uint32_t pending;  /* a handshake waits for busy to end */
    _Atomic uint32_t want, done; /* handshake numbers */
    _Atomic bool answering;
    bool detached;             /* sc_thread_detach was called */
    bool masked;               /* blocked our signal when last looked at */
    struct os_held *traced;    /* so it is held by tracing */
    struct os_stack stack;
    uintptr_t saved_sp;        /* while BLOCKED */
    uintptr_t saved_alt_hi;
    uintptr_t held_sp;         /* of the last handshake */
    uintptr_t saved_regs[SAVED_REGS];
    struct work work;
    _Atomic uint32_t nbarrier; /* handlers add to it: barrier.c */
    uintptr_t barrier[BARRIER_ENTRIES];
    int64_t assist_debt;       /* bytes allocated and not paid for */
    uint64_t assist_ns, seen_cycle;
    uint64_t stress;           /* slow allocations, for gcstress */
};
extern _Thread_local struct thread *thread_self;

struct threads {
    struct lock lock;  /* the list; held through a handshake */
    struct thread *all;
    uint32_t n;
    uint64_t dead_alloc_bytes, dead_alloc_objects; /* of ended threads */
};
extern struct threads threads;

/* Start and end of every slow call.  enter attaches; NULL: no memory. */
struct thread *thread_enter_unattached(void);
/* Nonzero while a fork goes on: threads wait outside of us. */
extern _Atomic uint32_t thread_gate;
void thread_wait_at_gate(struct thread *);
void handshake_answer(struct thread *);
INLINE struct thread *thread_enter(void)
{
    struct thread *t = thread_self;
    if (unlikely(!t))
        return thread_enter_unattached();
    uint32_t busy = load_relaxed(&t->busy) + 1;
    store_relaxed(&t->busy, busy);
    fence_signal();
    if (unlikely(load_relaxed(&thread_gate)) && busy == 1)
        thread_wait_at_gate(t);
    return t;
}
INLINE void thread_leave(struct thread *t)
{
    fence_signal();
    uint32_t busy = load_relaxed(&t->busy) - 1;
    store_relaxed(&t->busy, busy);
    fence_signal();
    if (unlikely(load_relaxed(&t->pending)) && !busy)
        handshake_answer(t);
}
/* handshake_answer (handshake.c): what it was asked while it could not. */
int thread_attach(void);
void thread_detach(struct thread *, bool by_call);
/* The caller's frame is published; it stays off the heap until end. */
void thread_block_begin(struct thread *);
/* As os_alternate_end. */
uintptr_t thread_alternate_end(const struct thread *, uintptr_t sp);
void thread_block_at(struct thread *, uintptr_t sp, const uintptr_t *regs,
                     int n);
void thread_block_end(struct thread *);
/* Waits for a lock or word in BLOCKED state, so that handshakes go on. */
void thread_lock(struct thread *, struct lock *);
void thread_wait(struct thread *, _Atomic uint32_t *, uint32_t v, uint64_t ns);
int thread_init(void);
void thread_fork_child(void);
/* Called with threads.lock held, by cycle.c's wish: a thread joined (it scans
 * itself if marking is on), a thread leaves (its grey objects go on). */
extern void (*thread_joined_hook)(struct thread *);
extern void (*thread_leaving_hook)(struct thread *);

/* Callee-saved registers, which may hold the only pointer to an object. */
INLINE void save_registers(uintptr_t *r)
{
#if defined(__x86_64__)
    __asm__ volatile("movq %%rbx, 0(%0); movq %%rbp, 8(%0);"
                     "movq %%r12, 16(%0); movq %%r13, 24(%0);"
                     "movq %%r14, 32(%0); movq %%r15, 40(%0)"
                     : : "r"(r) : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("stp x19, x20, [%0]; stp x21, x22, [%0, #16];"
                     "stp x23, x24, [%0, #32]; stp x25, x26, [%0, #48];"
                     "stp x27, x28, [%0, #64]; str x29, [%0, #80]"
                     : : "r"(r) : "memory");
#endif
}

/* Lies below all that the caller's prologue pushed, unlike its frame address:
 * what it pushed are registers of its own caller. */
INLINE uintptr_t stack_pointer(void)
{
    uintptr_t sp;
#if defined(__x86_64__)
    __asm__ volatile("movq %%rsp, %0" : "=r"(sp) : : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("mov %0, sp" : "=r"(sp) : : "memory");
#endif
    return sp;
}

/* ---- handshake.c ------------------------------------------------------- */

/* What a handshake function learns of its thread. */
struct hand {
    struct thread *thread;     /* NULL: a thread that never called us */
    uintptr_t sp;
    uintptr_t lo, hi;          /* its own stack; sp may be on another */
    uintptr_t alt_hi;          /* end of the alternate one; 0: not there */
    const struct os_context *context; /* interrupted by a signal, or NULL */
    uintptr_t tp;
    const uintptr_t *regs;
    int nregs;
    struct work *work;         /* where found objects go */
};
typedef void (*hand_fn)(struct hand *);

/* Runs fn once for each thread.  hold: every thread stays held until
 * handshake_release.  strangers: also for threads that never called us.
 * False: a thread could not be reached; what was done stands. */
bool handshake_run(hand_fn fn, bool hold, bool strangers);
void handshake_release(void);
int handshake_init(void);
extern struct hist hold_times, hold_cpu_times, stop_times;
/* Threads of ours are left alone. */
void handshake_exempt(int tid);
extern _Atomic uint32_t handshake_answers; /* moves with every answer */

/* guest.c */
void guest_signal(struct os_context *);   /* in the handler of such a thread */
bool guests_ask(hand_fn, bool hold);      /* false: one can't be reached */
void guests_release(void);
int guests_init(void);
void guests_fork_child(void);

/* ---- mark.c: grey and black -------------------------------------------- */

#define OBLET KIB(128)

enum gc_state { GC_IDLE, GC_MARKING, GC_TERMINATING, GC_CENSUS };

struct gc {
    /* Read by every barrier; nothing else in this line changes often. */
    _Atomic uint8_t marking __attribute__((aligned(64)));
    _Atomic uint32_t state __attribute__((aligned(64))); /* enum gc_state */
    bool explicit_barriers;
    _Atomic uint32_t cycle;        /* cycles begun */
    _Atomic uint32_t done;         /* cycles whose sweep has ended */
    _Atomic uint64_t bytes_marked, scan_work;
    _Atomic uint64_t stack_scanned, globals_scanned;
    _Atomic int64_t credit;        /* scan work that assists may take */
    _Atomic uint64_t heap_marked;  /* of the last cycle */
    _Atomic uint64_t live_base;    /* heap.live_bytes when that was counted */
    _Atomic uint64_t trigger, goal;
    _Atomic bool overflow; /* a grey object was dropped for want of memory */
    bool black;            /* threads allocate black (H2 to H5) */
};
extern struct gc gc HIDDEN;

struct sc_marker { /* what a custom trace function gets */
    struct work *work;
};
/* A word that may be a pointer: if it is, its object becomes grey. */
void mark_word(struct work *, uintptr_t word);
/* Each aligned word of [lo, hi). */
void mark_range(struct work *, uintptr_t lo, uintptr_t hi);
/* Scans one grey entry; bytes scanned. */
size_t mark_scan(struct work *, uintptr_t entry);
/* Scans the grey objects of a page that was queued, until there is none; next,
 * if it is not NO_PAGE, is fetched meanwhile, and what leads to other pages is
 * left in far (ahead.h). */
struct far;
size_t mark_scan_page(struct work *, struct far *, uint32_t page,
                      uint32_t next);
size_t mark_scan_page_alone(struct work *, uint32_t page);

/* What the object at base refers to becomes grey, though it is not marked. */
void mark_fields(struct work *, uintptr_t base);
/* Scans all marked objects of the span that begins on this page, if any. */
void mark_page_again(struct work *, uint32_t page);
void mark_clear_all(void);         /* a cycle was given up */
/* Bytes of objects marked or allocated since: what the trigger looks at. */
uint64_t gc_heap_live(void);

/* ---- root.c ------------------------------------------------------------ */

int root_add(uintptr_t lo, size_t n);
int root_remove(uintptr_t lo, size_t *n);
/* Handshake function: the thread's registers, stack and TLS. */
void root_scan_thread(struct hand *);
/* Data, bss and registered ranges. */
void root_scan_globals(struct work *, bool live);
void root_init(void);
void root_lock(void); /* around fork */
void root_unlock(void);
void root_reset_locks(void);

/* ---- remains.c: values that ended threads returned --------------------- */

void remains_add(const struct thread *); /* it is ending, in its own context */
void remains_scan(struct work *);
void remains_reset_locks(void);

/* ---- barrier.c, sequence.c, quick.c ------------------------------------ */

void barrier_shade(struct thread *, uintptr_t word); /* only while marking */
/* For stores of our own; the thread is inside us. */
INLINE void barrier_shade_if(struct thread *t, const void *p)
{
    if (load_relaxed(&gc.marking))
        barrier_shade(t, (uintptr_t)p);
}
/* Each word that touches [p, p + n). */
void barrier_shade_range(struct thread *, const void *p, size_t n);
void barrier_flush(struct thread *);
/* If pc lies in a restartable store, its start; else pc. */
uintptr_t barrier_restart(uintptr_t pc);
void barrier_store_slow(void **slot, void *value);
/* The store is done, and a handshake waits. */
void barrier_answer(void **slot, void *value);
/* sequence.c: the same for stores within compiled code, all of which lie in
 * [lo, lo + bytes).  Every word of a stack is asked about, so what can't be one
 * costs no call. */
extern struct sequences {
    uintptr_t lo;
    size_t bytes; /* 0: there are none */
} sequences HIDDEN;
uintptr_t sequence_find(uintptr_t pc);
INLINE RACY uintptr_t sequence_start(uintptr_t pc)
{
    return pc - sequences.lo < sequences.bytes ? sequence_find(pc) : pc;
}
/* The same for stores that handlers of the program interrupted, whose program
 * counters lie in signal frames among the words [lo, hi) of a stack. */
void barrier_restart_frames(uintptr_t lo, uintptr_t hi);

/* ---- special.c: cleanups, finalizers, weak, ephemerons, pins ----------- */

enum special_kind { SPECIAL_CLEANUP, SPECIAL_FINALIZER, SPECIAL_WEAK,
                    SPECIAL_KEY, SPECIAL_PIN };
struct special { /* one fact about one object */
    struct special *next; /* of the same bucket, or of the life queue */
    uintptr_t object;     /* start of its slot */
    uintptr_t exact;      /* the pointer that was given */
    uint8_t kind;
    uint64_t id;          /* cleanup: for stop; pin: count */
    union {
        void (*cleanup)(void *arg);
        void (*finalizer)(void *obj, void *arg);
    };
    void *arg;            /* kept alive; weak: handle; key: ephemeron */
};
/* A copy of *like joins the table, with an id of its own, which is returned.
 * 0: no memory. */
uint64_t special_add(const struct special *like);
/* Calls fn for the specials of an object, with its shard locked, until fn says
 * stop; SPECIAL_DROP takes it off and frees the record. */
enum special_do { SPECIAL_NEXT, SPECIAL_STOP, SPECIAL_DROP };
typedef enum special_do (*special_fn)(struct special *, void *);
void special_each_of(uintptr_t object, special_fn, void *arg);
/* The same, and unless fn said stop a copy of *like joins, in one step.
 * False: no memory, and nothing was done. */
bool special_add_unless(const struct special *like, special_fn, void *arg);
int special_init(void);
/* Roots: what specials keep alive. */
void special_scan(struct work *);
/* Unmarked objects' specials are dealt with: weak ones cleared, cleanups and
 * finalizers queued, finalizable objects marked again. */
void special_census(struct work *);
/* An object that may be the key of ephemerons is reachable. */
void special_key_marked(struct work *, uintptr_t object);
void special_free(struct special *);
void special_lock_all(void);
void special_unlock_all(void);
void special_reset_locks(void);

/* ---- weak.c: weak pointers and ephemerons; life.c: callbacks ------------ */

struct sc_weak {
    _Atomic uintptr_t target;
};
struct sc_ephemeron {
    _Atomic uintptr_t key, value;
};
/* The strong pointer to a, if `judge` (a itself, or the ephemeron's key) is
 * alive; else 0.  The thread is inside us. */
uintptr_t weak_strengthen(struct thread *, uintptr_t a, uintptr_t judge);
size_t ephemeron_trace(const void *obj, size_t size, size_t cursor,
                       struct sc_marker *);
void weak_clear(struct special *);       /* census: the target is dead */
void ephemeron_clear(struct special *);  /* census: the key is dead */
uintptr_t ephemeron_value_of(const struct special *);
bool object_is_marked(uintptr_t base);

/* Specials of one kind, in the order found; `last` counts if there are any. */
struct special_list {
    struct special *first, **last;
    uint32_t n;
};
#define SPECIAL_LIST(name) {0, &(name).first, 0}
void life_queue(const struct special_list *); /* to be run; none is fine */
void life_scan(struct work *);           /* queued ones are roots */
struct special_counts {
    uint64_t cleanups_queued, cleanups_run;
    uint64_t finalizers_queued, finalizers_run;
};
void life_counts(struct special_counts *);
/* Waits until the queue is empty, at most ns; not from a callback. */
void life_wait(struct thread *, uint64_t ns);
void life_start(void);                   /* if there is something to run */
void life_lock(void);
void life_unlock(void);
void life_fork_child(void);

/* ---- drain.c: workers; assist.c; sweep.c ------------------------------- */

/* Scans until `budget` bytes are done or nothing is left; bytes scanned. */
size_t drain(struct work *, size_t budget);
/* Marks with all workers until no grey object is known.  urgent: nobody cares
 * about their share of the CPUs (threads are held, or wait for this). */
void drain_until_idle(struct work *, bool urgent);
bool drain_is_idle(struct work *);
/* At the begin of a cycle: n of the helpers will work.  Those there are. */
int drain_start_workers(int n);
void drain_begin(bool periodic);
/* Between begin and end.  Before, some threads may still allocate white, and
 * nothing may be scanned (markpage.c, M1). */
bool drain_is_on(void);
void drain_end(void);
struct drain_times { uint64_t background, idle; };
void drain_times(struct drain_times *);  /* CPU ns of this cycle */
uint64_t drain_background(void);         /* CPU ns of all cycles */
uint64_t drain_idle(void);
void drain_fork_child(void);

/* Before `bytes` more are handed out: sweep debt, marking debt, trigger. */
void assist_before(struct thread *, size_t bytes);
void assist_set_ratio(double work_per_byte);
extern _Atomic uint64_t assist_ns;       /* all assists, ever */

void sweep_begin(uint64_t until_trigger); /* the generation has moved */
bool sweep_some(uint32_t pages);          /* false: all is swept */
void sweep_finish(void);
void sweep_pay(size_t bytes);             /* in proportion to allocation */
bool sweep_is_done(void);
extern _Atomic uint64_t sweep_ns;

/* ---- verify.c ---------------------------------------------------------- */

void verify_heap(const char *when); /* all threads held */
void verify_checkmark(void);        /* second marking; all threads held */
#define VERIFY_STACK 1             /* parent: a stack */
bool verify_mark_again(uintptr_t parent, uintptr_t base, unsigned slot,
                       uint32_t page);

/* ---- policy.c: the pacer's owner; cycle.c: the phases ------------------ */

int policy_init(const struct sc_config *);
void policy_cycle_start(uint64_t now, bool periodic);
void policy_revise(void);           /* often, from any worker */
void policy_cycle_end(uint64_t now, bool forced);
void policy_cycle_abandoned(uint64_t now);
void policy_goals(void);            /* trigger and goal anew */
bool policy_limited(void);          /* the CPU limiter holds GC back */
void policy_add_assist(uint64_t ns);
bool policy_awaited(void);  /* threads wait for the end of the cycle */
int policy_gc_percent(int set, bool change);
int64_t policy_memory_limit(int64_t set, bool change);
int policy_procs(void);
int policy_max_procs(int set); /* from the next cycle on; 0 only asks */
double policy_background_share(void); /* CPUs that background marking gets */
bool policy_rests(void);            /* no cycle by itself for now */
/* Gives memory back, or waits for a cycle, so that n more bytes fit the
 * limit. */
void policy_fit_limit(struct thread *, size_t n);
void policy_reset_locks(void);

int cycle_init(void);
void cycle_run(bool forced, bool periodic);

/* collector.c: the thread that runs them. */
/* A cycle that starts after this call has ended and swept on return. */
void cycle_collect(struct thread *);
void cycle_request(void);           /* asks for one; does not wait */
void cycle_start_thread(void);
bool cycle_asked(void);
bool cycle_running(void);
/* Waits, at most ns, for the end of the cycle that runs or was asked for;
 * false at once if there is none. */
bool cycle_wait(struct thread *, uint64_t ns);
void cycle_set_explicit(struct thread *);
struct cycle_report {               /* one cycle, for gctrace and the totals */
    uint32_t number;
    bool forced, stopped;
    uint64_t end_ns, start_ns;      /* since the library started */
    uint64_t begin_wall, mark_wall, end_wall;  /* handshakes, marking */
    uint64_t begin_cpu, end_cpu, assist_cpu, background_cpu, idle_cpu;
    uint64_t heap_start, heap_end, heap_marked, goal;
    uint64_t stacks, globals;
    int procs;
};
struct cycle_totals {
    uint64_t num, forced, gc_cpu_ns, mark_cpu_ns;
};
void cycle_totals(struct cycle_totals *);
/* Called at the end of each cycle; set by obs. */
extern void (*cycle_report_hook)(const struct cycle_report *);
/* Called when the pacer decided: 0 at start, 1 at end. */
extern void (*policy_report_hook)(const struct pacer *, int when);
void cycle_fork_prepare(struct thread *);
void cycle_fork_parent(void);
void cycle_fork_child(void);

#endif
