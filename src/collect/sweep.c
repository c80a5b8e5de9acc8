/* sweep.c: where garbage goes: when spans are swept (how: heap/span.c).
 *
 *   cycle ends --> all spans unswept --> swept by: the allocator that needs
 *   a span of that class; every allocation's share (sweep_pay); the collector's
 *   thread in the background.  An empty span's pages go back at once.
 *
 * The share: what is unswept when the cycle ends must be swept when the next
 * one may begin, so each byte allocated until then pays its part (Go's
 * proportional sweep).
 */
#include "collect.h"

_Atomic uint64_t sweep_ns;
static struct {
    _Atomic double pages_per_byte;
    _Atomic int64_t paid;   /* pages swept beyond what was owed */
    _Atomic uint32_t cursor;
    _Atomic bool done;
} sweep = {.done = true};

void sweep_begin(uint64_t until_trigger)
{
    double bytes = (double)until_trigger - (double)MIB(1);
    if (bytes < (double)KIB(256))
        bytes = (double)KIB(256);
    double rate = (double)load_relaxed(&heap.unswept_pages) / bytes;
    atomic_store_explicit(&sweep.pages_per_byte, rate, memory_order_relaxed);
    store_relaxed(&sweep.paid, 0);
    store_relaxed(&sweep.cursor, 0);
    store_release(&sweep.done, false);
}

bool sweep_is_done(void) { return load_acquire(&sweep.done); }

/* Sweeps about that many pages; false when there is nothing left. */
bool sweep_some(uint32_t pages)
{
    uint32_t cursor = load_relaxed(&sweep.cursor), n = 1, sum = 0;
    while (sum < pages && (n = central_sweep_one(&cursor)))
        sum += n;
    /* Racing sweepers may set it back; they only look again then. */
    store_relaxed(&sweep.cursor, cursor);
    add_relaxed(&sweep.paid, (int64_t)sum);
    return n != 0;
}

void sweep_pay(size_t bytes)
{
    if (load_relaxed(&sweep.done))
        return;
    double owed = atomic_load_explicit(&sweep.pages_per_byte,
                                       memory_order_relaxed) * (double)bytes;
    int64_t before = sub_relaxed(&sweep.paid, (int64_t)(owed + 0.5));
    if (before < (int64_t)owed)
        sweep_some((uint32_t)((int64_t)owed - before) + 1);
}

/* Only the collector's thread, after every thread has given its spans back:
 * then nothing unswept can turn up any more. */
void sweep_finish(void)
{
    uint64_t begin = os_thread_cpu();
    while (sweep_some(64))
        continue;
    store_relaxed(&sweep.cursor, 0);
    while (sweep_some(64)) /* from the start: the cursor may have raced */
        continue;
    /* The next cycle may mark without another handshake before it. */
    central_wait_sweepers();
    store_relaxed(&heap.unswept_pages, 0);
    store_release(&sweep.done, true);
    add_relaxed(&sweep_ns, os_thread_cpu() - begin);
}
