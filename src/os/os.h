/* os.h: the seam to the operating system; nothing above includes <sys/...>.
 *
 * Address space has four states (after Go's runtime/mem.go):
 *
 *   none --reserve--> reserved --commit--> ready --discard--> ready, zero,
 *    ^                   ^  |                |                 not resident
 *    +-----unreserve-----+  +----decommit----+
 *
 * Functions return 0 or an errno value, or NULL for no memory.  None of them
 * allocates with malloc, takes a lock that the program can hold, or changes
 * the caller's errno.  Those marked [signal] may run in a signal handler.
 */
#ifndef SC_OS_H
#define SC_OS_H

#include "../def.h"

/* ---- Memory ---------------------------------------------------------- */

/* Address space of `size` bytes aligned to `align` (powers of two times the
 * OS page), not accessible; near `hint` if that is free.  NULL if none. */
void *os_reserve(size_t size, size_t align, uintptr_t hint);
void os_unreserve(void *p, size_t size);
/* Makes pages of a reservation readable and writable; they read as zero. */
int os_commit(void *p, size_t size);
/* Back to reserved: contents are gone, access faults. */
int os_decommit(void *p, size_t size);
/* Ready and zero, but not resident: the kernel takes the pages.  [signal] */
int os_discard(void *p, size_t size);
/* New ready memory, zero, OS-page aligned; NULL and nothing changed if there
 * is none.  [signal] */
void *os_map(size_t size);
void os_unmap(void *p, size_t size);
/* What a range is for.  src/obs/directory.h has the same numbers. */
enum os_use { OS_USE_NONE, OS_USE_BITS, OS_USE_SPAN, OS_USE_THREAD,
              OS_USE_WORK, OS_USE_OTHER, OS_USE_HEAP, OS_USE_DIRECTORY,
              OS_USE_STACK };
/* Name shown in /proc/PID/maps as [anon:name]; no effect on old kernels.  The
 * use stands in the list of ranges on all of them. */
void os_name(void *p, size_t size, const char *name, enum os_use);
size_t os_page_size(void);
uint64_t os_physical_memory(void);
/* What the machine has, or less where a control group allows less. */
uint64_t os_memory_limit(void);
uint64_t os_resident(void); /* bytes of this process, as the kernel counts */
/* Address space that the process may still take; SIZE_MAX without a limit. */
size_t os_address_space_left(void);
/* Bit i of map: bytes from a + i * piece on, `piece` of them, may have been
 * touched since they were made ready; the others read as zero.  False: there
 * is no knowing. */
bool os_touched(uintptr_t a, size_t n, size_t piece, uint64_t *map);
/* Copies memory that may be unmapped: bytes copied, 0 if it is gone. */
size_t os_read_memory(void *to, const void *from, size_t n);

/* The list of ranges (ranges.c): all that reserve and map gave and was not
 * given back, and the stacks of our own threads.  Layouts are the directory's.
 */
struct os_range {
    uint64_t lo, hi;      /* lo 0 or 1: no entry */
    uint32_t use, thread; /* thread: whose stack it is */
};
#define OS_RANGES 170
struct os_ranges_block {
    uint64_t next, used;
    struct os_range range[OS_RANGES];
};
struct os_ranges {
    uint64_t begun, ended; /* changes */
    uint64_t lost;         /* ranges not listed, for want of memory */
    uint64_t first;        /* block */
};
extern struct os_ranges os_ranges;
void os_ranges_fork_child(void);

/* The k-th call from now of reserve, commit or map fails, once (k >= 1); 0 is
 * off.  `every`: also all later ones.  For out-of-memory tests. */
void os_fail_at(uint64_t k, bool every);
uint64_t os_memory_calls(void);

/* ---- Time, CPUs, random ---------------------------------------------- */

uint64_t os_now(void);          /* monotonic ns [signal] */
uint64_t os_thread_cpu(void);   /* CPU ns of this thread [signal] */
uint64_t os_process_cpu(void);  /* CPU ns of all threads */
uint64_t os_start_time(void);   /* os_now() at first call */
int os_cpus(void);              /* CPUs that we may run on, >= 1 */
uint64_t os_random(void);
void os_sleep(uint64_t ns);
void os_yield(void);

/* ---- Checkers ---------------------------------------------------------- */

/* The program runs under valgrind; known after os_checker_find. */
extern bool os_checker HIDDEN;
void os_checker_find(void);
/* The same word, which may be looked at though never written.  [signal] */
uintptr_t os_checker_defined(uintptr_t word);

/* ---- Waiting ---------------------------------------------------------- */

/* Sleeps while *w == v, at most ns (UINT64_MAX: no limit).  0 when woken or
 * *w differs, ETIMEDOUT, EINTR.  [signal] */
int os_wait(_Atomic uint32_t *w, uint32_t v, uint64_t ns);
void os_wake(_Atomic uint32_t *w, int n); /* [signal] */

/* ---- Threads ---------------------------------------------------------- */

/* A thread of ours: all signals blocked, small stack, detached. */
int os_thread_start(void (*fn)(void *), void *arg, const char *name);
/* The scheduler may run this thread only when a CPU has nothing else. */
int os_thread_idle_class(bool on);
int os_tid(void); /* [signal] */
/* Thread ids of this process; the number of them, may be more than max. */
int os_threads(int *tids, int max);
/* True if that thread blocks our signal (so a handshake can't reach it). */
bool os_thread_blocks_signal(int tid);
/* Sends the handshake signal: 0, or ESRCH if the thread is gone. */
int os_signal_thread(int tid);

/* What the handler learns of the interrupted thread.  regs are the general
 * registers; context lets os_set_pc.
 *
 * To find every pointer that the thread holds, scan from sp to the top of its
 * stack, and [frame_lo, frame_hi) too.  sp is already below the red zone and
 * below what the kernel saved on that stack (the vector registers as well).
 * The second range is not empty only if the thread has an alternate signal
 * stack and the handler runs there.  on_alternate: so does the thread itself
 * (it was in a handler of the program's): then sp is in the second range, and
 * where its own stack was left off is what os_outer_sp guesses. */
struct os_context {
    uintptr_t pc, sp;
    uintptr_t frame_lo, frame_hi;
    uintptr_t regs[32];
    int nregs;
    bool on_alternate;
    void *context;
};
/* The lowest place in the stack [lo, hi) that the alternate stack knows of,
 * less the red zone; 0 if it knows of none.  For on_alternate.  [signal] */
uintptr_t os_outer_sp(const struct os_context *, uintptr_t lo, uintptr_t hi);
/* Installs the handshake signal (SIGURG: ignored by default, as Go chose).
 * Signals that did not come from os_signal_thread go to the handler that was
 * there before, after fn: a foreign one may have swallowed ours, so fn can be
 * called when nobody asked.  Again: replaces fn. */
int os_signal_init(void (*fn)(struct os_context *));
/* Takes the signal back if the program has set a handler of its own since; that
 * one is called for what others send. */
void os_signal_keep(void);
void os_set_pc(struct os_context *, uintptr_t pc); /* [signal] */
int os_signal_number(void);
/* For a thread of os_thread_start that runs the program's code: lets our
 * signal through. */
void os_signal_unblock(void);

/* From hold to release no handler of the program runs on this thread, but for
 * faults; ours does.  Pairs nest.  [signal] */
struct os_signals {
    uint64_t set[16];
};
void os_signals_hold(struct os_signals *was);
void os_signals_release(const struct os_signals *was);
/* Where the alternate stack of this thread ends, if sp is on it; else 0.
 * [signal] */
uintptr_t os_alternate_end(uintptr_t sp);

/* Holds a thread that blocks our signal, by the tracing interface: its context
 * and thread pointer, or NULL where that is not allowed.  About 100 us.  One
 * thread of ours at a time may do this. */
struct os_held;
struct os_held *os_trace_hold(int tid, struct os_context **, uintptr_t *tp);
void os_trace_set_pc(struct os_held *, uintptr_t pc);
void os_trace_release(struct os_held *);

/* A thread's memory: its stack and its thread-local blocks. */
struct os_stack {
    uintptr_t lo, hi; /* stack grows down from hi */
    uintptr_t tp;     /* thread pointer: base of its TLS and descriptor */
};
/* Of the calling thread; not in a handler.  Touches no heap of ours. */
int os_stack_self(struct os_stack *);
uintptr_t os_thread_pointer(void); /* [signal] */
/* Of another thread, which is held at sp (on whatever stack); false if the
 * kernel doesn't tell. */
bool os_stack_of(int tid, uintptr_t tp, uintptr_t sp, struct os_stack *);
/* The mapping that holds address a, from the kernel's own list; false if it
 * is unmapped.  [signal] */
bool os_mapping(uintptr_t a, uintptr_t *lo, uintptr_t *hi);
uintptr_t os_mapping_end(uintptr_t a); /* 0 if unmapped [signal] */

/* Thread-local blocks of loaded modules (os_modules_load), and the thread's
 * descriptor with its pthread_setspecific values.  tp: of that thread, which
 * is held or is the caller.  [signal] */
void os_tls_each(uintptr_t tp, void (*fn)(uintptr_t lo, uintptr_t hi, void *),
                 void *arg);

/* The descriptor of the thread with that pointer: [*lo, *hi). */
void os_descriptor(uintptr_t tp, uintptr_t *lo, uintptr_t *hi);
/* Of the calling thread, which is ending: will somebody join it? */
bool os_thread_joinable(void);
/* A thread with this pointer and id has ended and waits to be joined (its
 * descriptor is still its own).  For threads that ended by themselves. */
bool os_thread_unjoined(uintptr_t tp, int tid);

/* ---- Faults and callers ------------------------------------------------- */

/* fn is told of an access that faults, if nobody has a handler of SIGSEGV; then
 * the default action follows. */
enum os_access { OS_READ, OS_WRITE, OS_ACCESS /* one of both */ };
void os_fault_init(void (*fn)(uintptr_t, enum os_access));
/* Return addresses of the callers, innermost first; 0 before prepare, which
 * may allocate. */
void os_backtrace_prepare(void);
int os_backtrace(void **to, int n);
/* "libfoo.so+0x1234", or the address if no file is mapped there.  [signal] */
void os_code_name(uintptr_t a, char *to, size_t room);

/* ---- Loaded objects --------------------------------------------------- */

/* Takes stock of the loaded objects; not while threads are held (it takes the
 * loader's lock).  Changes count when a library came or went. */
int os_modules_load(void);
/* Moves whenever an object was added, as of the last taking of stock. */
uint64_t os_modules_version(void);
/* Writable data and bss of each object taken stock of.  When threads run,
 * `live` holds the loader's lock so that nothing is unmapped meanwhile. */
void os_modules_each(bool live, void (*fn)(uintptr_t lo, uintptr_t hi, void *),
                     void *arg);
/* With all threads held: true if the stock is still what is loaded. */
bool os_modules_current(void);
/* Leaves [lo, hi) out of what os_modules_each reports, for good: tables of our
 * own.  At most 32 such ranges; more have no effect. */
void os_modules_skip(uintptr_t lo, uintptr_t hi);

/* ---- Process ----------------------------------------------------------- */

void os_write_error(const char *text, size_t n); /* [signal] */
_Noreturn void os_abort(void);
bool os_secure_mode(void); /* set-uid, set-gid or file capabilities */
int os_pid(void);
/* Maps, shared, the file whose descriptor the environment variable names;
 * NULL if there is none or the process is in secure mode. */
void *os_map_given(const char *env, size_t n);
void os_unmap_given(void *p, size_t n);
void os_at_exit(void (*fn)(void));
void os_atfork(void (*prepare)(void), void (*parent)(void),
               void (*child)(void));
/* fn(arg) when a thread ends for which os_exit_arm was called. */
int os_exit_init(void (*fn)(void *));
int os_exit_arm(void *arg);
void os_exit_disarm(void);

#endif
