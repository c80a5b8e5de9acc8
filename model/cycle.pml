/* cycle.pml: one collection cycle as a finite machine, for spin.
 *
 * The idea: a heap of a few slots, two threads of the program and the
 * collector, each a process.  What the program can do between two looks of
 * another thread is one step; spin tries every order of all steps.
 *
 *   collector  H1 on -> H2 black, scan -> mark <-> H3 flush -> census
 *        ^                                                       |
 *        +---- sweep <- H5 black off <- flip <- H4 off <---------+
 *
 * There is no cycle counter: the collector starts again for ever, so a stale
 * mark bit or a lost reference of cycle n meets cycle n+1.
 *
 * An object is a number 1..OBJECTS, null is 0; a set of objects is a byte
 * with bit x for object x.  Field 0 of "object" 0 is the one global variable,
 * so in the queue bit 0 says "the global is still to be scanned".
 *
 * Invariants, asserted below:
 *   - a cycle starts with no mark bit, no grey object, nothing to sweep;
 *   - when marking ends no object is grey and all that is reachable is marked;
 *   - what is freed can be reached from no thread, nor weakly;
 *   - a load never yields a free slot.
 *
 * Sizes are given with -D: OBJECTS (2, 3), FIELDS (1, 2), WEAK (with weak
 * pointers) and GRAIN, that is into how many steps a store is cut: 0 one, 1
 * barrier and store, 2 each access.  SURVIVAL asserts only what the program
 * can notice.  Any other macro that is not defined here is a mutant: one
 * deliberate fault, which spin must find.  See docs/model.md.
 */
#ifndef OBJECTS
#define OBJECTS 2
#endif
#ifndef FIELDS
#define FIELDS 1
#endif

#ifndef GRAIN
#define GRAIN 1
#endif
#ifdef SURVIVAL
#define INVARIANT(e) skip
#else
#define INVARIANT(e) assert(e)
#endif

#define BIT(x) (1 << (x))
#define HAS(set, x) ((set) & BIT(x))
#define ALL ((1 << (OBJECTS + 1)) - 2)
#define AT(x, f) ((x) == 0 -> 0 : ((x) - 1) * FIELDS + 1 + (f))

/* ---- The heap --------------------------------------------------------- */

byte slot[OBJECTS * FIELDS + 1]; /* the global, then the objects' fields */
byte alloc;                      /* allocation bits */
byte mark;                       /* mark bits */
byte old;                        /* slots whose span is not swept yet */
byte queue;                      /* grey objects that the collector sees */

/* ---- The cycle -------------------------------------------------------- */

mtype = { NONE, H1, H2, H3, H4, H5, IDLE, MARKING, TERMINATING, CENSUS };
mtype state = IDLE; /* gc.state */
mtype ask = NONE;   /* the handshake under way */
byte pending;       /* threads that have not answered it */
bit marking;        /* gc.marking as the collector set it */
bit flipped;        /* the sweep generation moved, H5 is not complete */
bit any;            /* a thread had something to flush */
bit weak;           /* the weak pointer to object 1 is not cleared */

/* ---- The threads, bit or element per thread --------------------------- */

byte hold[2];   /* objects in registers and stack */
byte buffer[2]; /* grey objects in the barrier buffer: the queue lacks them */
byte on;        /* sees gc.marking set.  A relaxed load may be late, but not
                   later than the handshake: so it changes when answering */
byte black;     /* allocates black */
byte spilled;   /* emptied a full buffer since its last flush */

byte r, z;      /* scratch within a step, else 0 */

#define ME BIT(me)
#define HOLD hold[me]

/* Mark bit by test and set: who set it has the object in his set. */
#define SHADE(x, set)                                  \
    if                                                 \
    :: (x) && !HAS(mark, x) -> mark = mark | BIT(x);   \
       set = set | BIT(x)                              \
    :: else                                            \
    fi

#if FIELDS > 1
#define KIDS(x) (BIT(slot[AT(x, 0)]) | BIT(slot[AT(x, 1)]))
#define WIPE(x) slot[AT(x, 0)] = 0; slot[AT(x, 1)] = 0
#else
#define KIDS(x) BIT(slot[AT(x, 0)])
#define WIPE(x) slot[AT(x, 0)] = 0
#endif
#define VIA(x) | (HAS(r, x) -> KIDS(x) : 0)
#if OBJECTS > 2
#define EACH(M) M(1) M(2) M(3)
#else
#define EACH(M) M(1) M(2)
#endif

/* r = all objects that a thread can get at without a weak pointer. */
inline reach()
{
    r = hold[0] | hold[1] | BIT(slot[0]);
    r = r EACH(VIA);
    r = r EACH(VIA);
#if OBJECTS > 2
    r = r EACH(VIA);
#endif
    r = r & ALL
}

/* ---- handshake_run: what a thread does when asked --------------------- */

#define SHADE_HELD(x)                                       \
    if                                                      \
    :: HAS(HOLD, x) -> SHADE(x, buffer[me])                 \
    :: else                                                 \
    fi;

inline answer()
{
    if
    :: ask == H1 ->
       on = on | ME;
#if defined(BLACK_BEFORE_BARRIER) || defined(ONE_HANDSHAKE)
       black = black | ME;
#endif
#ifdef ONE_HANDSHAKE
       EACH(SHADE_HELD)
#endif
    :: ask == H2 ->
       black = black | ME;
       EACH(SHADE_HELD)
    :: ask == H3 ->
       any = any || buffer[me] || (spilled & ME);
       queue = queue | buffer[me];
       buffer[me] = 0;
       spilled = spilled & ~ME
    :: ask == H4 -> on = on & ~ME
    :: ask == H5 -> black = black & ~ME
    fi;
    pending = pending & ~ME
}
#define ANSWER d_step { pending & ME -> answer() }

/* A full buffer goes to the queue at any time.  Only during H3 can that make
 * a difference, hence the condition; with three objects it is left out, to
 * keep the number of states down. */
#ifdef SPILL_NOT_COUNTED
#define COUNT
#else
#define COUNT spilled = spilled | ME;
#endif
#define SPILL                                               \
    d_step { ask == H3 && buffer[me] && OBJECTS < 3 ->      \
        queue = queue | buffer[me]; COUNT buffer[me] = 0 }

/* ---- The steps of the program ----------------------------------------- */

#define DROP(x) :: d_step { HAS(HOLD, x) -> HOLD = HOLD & ~BIT(x) }

/* HOLD | 1: the global can always be named, and null always be stored. */
#define LOAD(x, f)                                              \
    :: d_step { HAS(HOLD | 1, x) &&                             \
                !HAS(HOLD | 1, slot[AT(x, f)]) ->               \
        z = slot[AT(x, f)]; assert(HAS(alloc, z));              \
        HOLD = HOLD | BIT(z); z = 0 }

/* barrier_store: slot t := v.  Barrier off: check and store are one
 * restartable sequence, so a thread that has not answered H1 may as well store
 * at once.  In the midst of H1 the two are also shown apart (checked).
 * Barrier on: shade the new value, read the old one, shade it, and store only
 * if the old value is still there (swap).  A thread in there is busy: it
 * answers nothing. */
#ifdef NO_DELETION_SHADE
#define SHADE_OLD
#else
#define SHADE_OLD SHADE(s, buffer[me]);
#endif
#ifdef NO_INSERTION_SHADE
#define SHADE_NEW
#else
#define SHADE_NEW SHADE(v, buffer[me]);
#endif
#define MAY_STORE(x, y) (HAS(HOLD | 1, x) && HAS(HOLD | 1, y))
#if GRAIN == 0
#define THEN s = slot[t]; SHADE_OLD slot[t] = v; t = 0; v = 0; s = 0 }
#elif defined(STORE_EXCHANGES)
#define THEN s = slot[t]; slot[t] = v } -> goto swap
#elif GRAIN == 1
#define THEN s = slot[t]; SHADE_OLD } -> goto swap
#else
#define THEN } -> goto read_old
#endif
#define MAY_STORE(x, y) (HAS(HOLD | 1, x) && HAS(HOLD | 1, y))
#define STORE(x, f, y)                                              \
    :: d_step { MAY_STORE(x, y) && !(on & ME) &&                    \
                slot[AT(x, f)] != y -> slot[AT(x, f)] = y }         \
    :: d_step { MAY_STORE(x, y) && !(on & ME) && marking && GRAIN ->\
        t = AT(x, f); v = y } -> goto checked                       \
    :: d_step { MAY_STORE(x, y) && (on & ME) ->                     \
        t = AT(x, f); v = y; SHADE_NEW THEN

/* A slot of an unswept span can only be taken by the thread that cached the
 * span before the flip, which then still allocates black. */
#define FREE (ALL & ~alloc & ((black & ME) -> ALL : ~old))
#ifdef BLACK_IN_SWEPT
#define BLACKEN (black & ME)
#else
#define BLACKEN ((black & ME) && (HAS(old, z) || !flipped))
#endif

inline allocate()
{
    r = FREE;
    z = (HAS(r, 1) -> 1 : (HAS(r, 2) -> 2 : 3));
    alloc = alloc | BIT(z);
    if
    :: BLACKEN -> mark = mark | BIT(z)
    :: else
    fi;
#ifdef WEAK
    weak = weak || z == 1; /* a new object, a new weak pointer */
#endif
    HOLD = HOLD | BIT(z);
    r = 0;
    z = 0
}

/* sc_weak_get, busy from the reading of the state on. */
#ifdef WEAK_READS_FIRST
#define OBJECT v
#else
#define OBJECT weak
#endif
#define GOT                                                     \
    if                                                          \
    :: OBJECT -> assert(HAS(alloc, 1)); HOLD = HOLD | BIT(1)    \
    :: else                                                     \
    fi;                                                         \
    s = 0; v = 0

proctype mutator(bit me)
{
    byte t, v, s;

idle:
    do
    :: ANSWER
    :: SPILL
    :: d_step { FREE -> allocate() }
    EACH(DROP)
    LOAD(0, 0)
    LOAD(1, 0)
    LOAD(2, 0)
    STORE(0, 0, 0)
    STORE(0, 0, 1)
    STORE(0, 0, 2)
    STORE(1, 0, 0)
    STORE(1, 0, 2)
    STORE(2, 0, 0)
    STORE(2, 0, 1)
#if FIELDS > 1
    LOAD(1, 1)
    LOAD(2, 1)
    STORE(1, 1, 0)
    STORE(1, 1, 2)
    STORE(2, 1, 0)
    STORE(2, 1, 1)
#endif
#if OBJECTS > 2
    LOAD(3, 0)
    STORE(0, 0, 3)
    STORE(1, 0, 3)
    STORE(2, 0, 3)
    STORE(3, 0, 0)
    STORE(3, 0, 1)
    STORE(3, 0, 2)
#endif
#ifdef WEAK_READS_FIRST
    :: d_step { v = weak; s = NONE } -> goto weak_get
#elif defined(WEAK)
    :: d_step { s = state } -> goto weak_get
#endif
    od;
checked:
    if
#ifdef STORE_NOT_RESTARTED
    :: ANSWER -> goto checked
#else
    :: ANSWER -> d_step { t = 0; v = 0 } -> goto idle
#endif
    :: d_step { slot[t] = v; t = 0; v = 0 } -> goto idle
    fi;
#if GRAIN > 1
read_old:
    if
    :: SPILL -> goto read_old
    :: d_step { true -> s = slot[t] } -> goto shade_old
    fi;
shade_old:
    if
    :: SPILL -> goto shade_old
    :: d_step { true -> SHADE_OLD } -> goto swap
    fi;
#endif
#if GRAIN > 0
swap:
    if
    :: SPILL -> goto swap
#ifdef BARRIER_NOT_BUSY
    :: ANSWER -> goto swap
#endif
#if defined(STORE_EXCHANGES)
    :: d_step { SHADE_OLD t = 0; v = 0; s = 0 } -> goto idle
#elif defined(STORE_READS_EARLY)
    :: d_step { slot[t] = v; t = 0; v = 0; s = 0 } -> goto idle
#else
    :: d_step { slot[t] == s -> slot[t] = v; t = 0; v = 0; s = 0 }
       -> goto idle
#if GRAIN > 1
    :: d_step { slot[t] != s -> s = slot[t] } -> goto shade_old
#else
    :: d_step { slot[t] != s -> s = slot[t]; SHADE_OLD } -> goto swap
#endif
    :: d_step { slot[t] != s -> t = 0; v = 0; s = 0 } /* sc_cas: no */
       -> goto idle
#endif
    fi;
#endif
#ifdef WEAK
weak_get:
    if
#ifdef WEAK_NOT_BUSY
    :: ANSWER -> goto weak_get
#endif
#ifdef WEAK_READS_FIRST
    :: d_step { s == NONE -> s = state } -> goto weak_get
#endif
    :: d_step { s == IDLE -> GOT } -> goto idle
    :: d_step { s == MARKING -> SHADE(OBJECT, buffer[me]); GOT }
       -> goto idle
    :: d_step { s == TERMINATING && (!OBJECT || HAS(mark, 1)) -> GOT }
       -> goto idle
    :: d_step { s == TERMINATING && OBJECT && !HAS(mark, 1) ->
#ifdef WEAK_NO_CAS
        s = MARKING
#else
        if
        :: state == TERMINATING -> state = MARKING
        :: else
        fi;
        s = state
#endif
        } -> goto weak_get
    :: d_step { s == CENSUS && HAS(mark, 1) -> GOT } -> goto idle
    :: d_step { s == CENSUS && !HAS(mark, 1) -> s = 0; v = 0 } -> goto idle
    fi
#endif
}

/* ---- The collector ---------------------------------------------------- */

#define ASK(h) ask = h; pending = 3
#define ANSWERED d_step { pending == 0 -> ask = NONE }
#ifdef TERMINATE_WITHOUT_WAVE
#define WAVE pending = 0
#else
#define WAVE ASK(H3)
#endif

/* cycle_mark: one grey object, field by field. */
#if FIELDS > 1
#define SCAN(x)                                                 \
    :: d_step { HAS(queue, x) && !rest ->                       \
        queue = queue & ~BIT(x); z = slot[AT(x, 0)];            \
        SHADE(z, queue); z = 0; rest = x }
#define SCAN_REST                                               \
    :: d_step { rest ->                                         \
        z = slot[AT(rest, 1)]; SHADE(z, queue); z = 0; rest = 0 }
#else
#define SCAN(x)                                                 \
    :: d_step { HAS(queue, x) ->                                \
        queue = queue & ~BIT(x); z = slot[AT(x, 0)];            \
        SHADE(z, queue); z = 0 }
#define SCAN_REST
#define rest 0
#endif

#define SWEEP(x) :: d_step { HAS(old, x) -> sweep(x) }

/* Mark bits become allocation bits, one slot per step. */
inline sweep(x)
{
    old = old & ~BIT(x);
    if
    :: HAS(mark, x) -> mark = mark & ~BIT(x)
    :: !HAS(mark, x) && HAS(alloc, x) ->
       reach();
       assert(!HAS(r, x));
       assert(x != 1 || !weak);
       r = 0;
       alloc = alloc & ~BIT(x);
       WIPE(x)
    :: else
    fi
}

active proctype collector()
{
#if FIELDS > 1
    byte rest; /* object whose second field is still to be read */
#endif
    atomic { run mutator(0); run mutator(1) }
    do
    :: d_step {
        INVARIANT(!mark && !queue && !buffer[0] && !buffer[1] && !old);
        INVARIANT(!on && !black && !spilled);
        marking = 1;
#ifndef WEAK_MARKING_LATE
        state = MARKING;
#endif
        ASK(H1) }
    ANSWERED;
#ifndef ONE_HANDSHAKE
#ifdef H1_TWICE
    d_step { ASK(H1) };
    ANSWERED;
#endif
    d_step { ASK(H2) };
    ANSWERED;
#endif
    d_step { state = MARKING; queue = queue | BIT(0) };
mark_on:
    do
    SCAN(0)
    EACH(SCAN)
    SCAN_REST
    :: d_step { !queue && !rest -> state = TERMINATING; any = 0; WAVE }
       -> break
    od;
    do /* cycle_terminate; workers may find spilled objects meanwhile */
    EACH(SCAN)
    SCAN_REST
    :: ANSWERED -> break
    od;
    if
    :: d_step { any || state != TERMINATING -> state = MARKING; any = 0 }
       -> goto mark_on
    :: d_step { !any && state == TERMINATING ->
        state = CENSUS;
        INVARIANT(!queue && !buffer[0] && !buffer[1]);
        reach();
        INVARIANT(!(r & ~mark));
        r = 0 }
    fi;
#ifdef WEAK
    d_step { weak = weak && HAS(mark, 1) }; /* special_census */
#endif
    state = IDLE;
#ifdef SWEEP_BEFORE_H4
    d_step { marking = 0; ASK(H4); old = ALL; flipped = 1 };
#elif defined(FLIP_AFTER_H5)
    d_step { marking = 0; ASK(H4) };
    ANSWERED;
    d_step { ASK(H5) };
    ANSWERED;
    d_step { old = ALL; flipped = 1; ASK(H5) };
#else
    d_step { marking = 0; ASK(H4) };
    ANSWERED;
    d_step { old = ALL; flipped = 1 };
    d_step { ASK(H5) };
#endif
    do
    EACH(SWEEP)
#ifdef SWEEP_BEFORE_H4
    :: d_step { pending == 0 && ask == H4 -> ASK(H5) }
#endif
    :: d_step { pending == 0 && ask == H5 -> ask = NONE; flipped = 0 }
       -> break
    od;
    do
    EACH(SWEEP)
    :: old == 0 -> break
    od
    od
}
