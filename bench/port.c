/* port.c: starting a memory manager, and asking it afterwards what it did.
 *
 *   sancai, plain   sc_stats
 *   libgc           its events around each stop of the world:
 *
 *       PRE_STOP ----- all threads stop, marking, they start ----- POST_START
 *          |<------------- wall time: how long threads are held ------->|
 *          |<------------- CPU time of the process: the marking -------->|
 *
 *   malloc          nothing: no cycles, no holds
 *
 * Called by one thread at a time: at start, at the end, and libgc's events
 * under its own lock.
 */
#include "port.h"

#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(PORT_SANCAI) || defined(PORT_PLAIN)

void port_start(void)
{
#ifdef PORT_SANCAI
    struct sc_config c = {.barriers = SC_BARRIERS_EXPLICIT};
#else
    struct sc_config c = {.barriers = SC_BARRIERS_NONE};
#endif
    if (sc_init(&c)) {
        fputs("bench: sc_init failed\n", stderr);
        exit(1);
    }
}

void port_cost(struct port_cost *c)
{
    struct sc_stats s;
    sc_stats(&s);
    c->cycles = s.num_gc;
    c->gc_cpu_ns = s.gc_cpu_ns;
    c->hold_p999_ns = s.hold.p999;
    c->hold_max_ns = s.hold.max;
    c->hold_cpu_ns = s.hold_cpu.max;
    c->alloc_bytes = s.total_alloc_bytes;
}

#elif defined(PORT_LIBGC)

static struct meter stops;
static uint64_t stop_wall, stop_cpu, gc_cpu;

static void on_event(GC_EventType e)
{
    if (e == GC_EVENT_PRE_STOP_WORLD) {
        stop_wall = meter_now();
        stop_cpu = meter_clock(CLOCK_PROCESS_CPUTIME_ID);
    } else if (e == GC_EVENT_POST_START_WORLD) {
        gc_cpu += meter_clock(CLOCK_PROCESS_CPUTIME_ID) - stop_cpu;
        meter_add(&stops, meter_now() - stop_wall);
    }
}

/* The marker threads would else come with the program's first own thread:
 * the other collectors here use all processors too. */
void port_start(void)
{
    GC_INIT();
    GC_start_mark_threads();
    GC_set_on_collection_event(on_event);
}

void port_cost(struct port_cost *c)
{
    c->cycles = GC_get_gc_no();
    c->gc_cpu_ns = gc_cpu;
    c->hold_p999_ns = meter_at(&stops, 0.999);
    c->hold_max_ns = stops.max;
    c->hold_cpu_ns = UNKNOWN;
    c->alloc_bytes = GC_get_total_bytes();
}

#else

void port_start(void) {}

void port_cost(struct port_cost *c)
{
    c->cycles = c->gc_cpu_ns = c->hold_p999_ns = c->hold_max_ns = UNKNOWN;
    c->hold_cpu_ns = c->alloc_bytes = UNKNOWN;
}

#endif
