/* queue.pml: pages with grey objects, and the wave that ends marking.
 *
 * The idea: one page of two objects.  Object 0 is grey: a thread holds it in
 * its barrier buffer, not marked yet.  It refers to object 1, so the threads can
 * reach that, and one of them shades it at some time.  Marks are made and the
 * page is queued as in src/collect/mark.h and markpage.c.
 *
 *   thread 0: buffer {0}     thread 1: shades 1     worker: takes the page
 *        \                       /                   from the line, scans
 *         +--> private queue, line (whoever sets the flag) --> +
 *
 * Invariants, asserted below:
 *   - Q1: the page is held once: in one private queue, in the line, or by one
 *     who scans it;
 *   - when the wave says that marking has ended both objects are black.
 *
 * Any macro that is not defined here is a mutant (see docs/model.md).
 */
bit mark[2], black[2], queued;
bit fresh[2];              /* the page is in this thread's private queue */
bit line;                  /* the page is in the line */
bit busy;                  /* the worker may hold work */
bit scanning, gave[2], asked[2], any, over;
bit buffer0 = 1;           /* thread 0 holds object 0, not marked */
bit shaded1;               /* thread 1 has shaded object 1, once */

#define HELD (fresh[0] + fresh[1] + line + scanning)
#define GREY(s) (mark[s] && !black[s])

/* Marks slot s on behalf of thread t; 2: the worker, which is busy.  Its own
 * put goes to the line at once. */
inline put(t)
{
    atomic {
        assert(HELD == 0 || (t == 2 && HELD == 1));
        if
        :: t == 2 -> line = 1
        :: else -> fresh[t] = 1
        fi
    }
}
inline take_flag(t)
{
    atomic { was = queued; queued = 1 }
    if
    :: was -> gave_on(t)
    :: else -> put(t)
    fi
}
inline gave_on(t)
{
#ifndef QUEUED_NOT_COUNTED
    if
    :: t < 2 -> gave[t] = 1
    :: else
    fi
#else
    skip
#endif
}
inline look_and_queue(t)
{
    if
    :: queued -> gave_on(t)
    :: else -> take_flag(t)
    fi
}
inline set_mark(t, s)
{
    if
    :: mark[s]
    :: else ->
#ifdef MARK_AFTER_FLAG
       look_and_queue(t);
       mark[s] = 1
#else
       mark[s] = 1;
       look_and_queue(t)
#endif
    fi
}

/* All that a thread has: buffer, then private queue, to the line. */
inline flush(t)
{
    if
    :: t == 0 && buffer0 -> set_mark(0, 0); buffer0 = 0
    :: else
    fi;
    if
    :: fresh[t] -> atomic { fresh[t] = 0; line = 1; gave[t] = 1 }
    :: else
    fi
}

active [2] proctype thread()
{
    bit was;
    byte t = _pid;
    do
    :: over -> break
    :: t == 1 && !shaded1 && !asked[1] -> shaded1 = 1; set_mark(1, 1)
    :: asked[t] ->
       flush(t);
       atomic { any = any || gave[t]; gave[t] = 0; asked[t] = 0 }
    od
}

active proctype worker()
{
    bit was, grey;
    do
    :: over -> break
    :: atomic { line -> busy = 1 };
       atomic { line = 0; scanning = 1 };
again: skip;
       do
       :: GREY(0) -> black[0] = 1; set_mark(2, 1)
       :: GREY(1) -> black[1] = 1
       :: !GREY(0) && !GREY(1) -> break
       od;
#ifdef NO_SECOND_LOOK
       atomic { scanning = 0; queued = 0 };
#else
       atomic { scanning = 0; queued = 0 };
       if
       :: GREY(0) || GREY(1) ->
          atomic { was = queued; queued = 1 };
          if
          :: was
          :: else -> scanning = 1; goto again
          fi
       :: else
       fi;
#endif
       busy = 0
    od
}

active proctype collector()
{
    do
    :: any = 0;
       asked[0] = 1; asked[1] = 1;
       !asked[0] && !asked[1];
       /* drain_is_idle: nobody is busy, nothing in the line. */
       if
       :: !any && !busy && !line -> break
       :: else -> !line && !busy /* drained again */
       fi
    od;
    assert(!GREY(0) && !GREY(1));
    assert(mark[0] && black[0]);
    assert(mark[1] && black[1]);
    over = 1
}
