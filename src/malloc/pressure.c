/* pressure.c: the memory limit, which is soft.
 *
 *   pages are asked for and would exceed it
 *     1  free pages go back to the system         here, any lock may be held
 *     2  what caches and lists keep goes back     at the next slow path that
 *     3  the program is asked                     holds no lock: `over` is set
 *     4  they are given all the same
 *
 * What counts is page_mapped_ready(): pages in use, free pages that were not
 * given back, our tables.
 *
 * Locks: none.  `asked` keeps the program's function from being called by two
 * threads at once, or within itself.
 */
#include "../../include/sancai_malloc.h"

#include "malloc.h"

#define ASK_NS 10000000ull /* not more often than that */

static struct {
    _Atomic bool over;
    _Atomic uint32_t asked;
    _Atomic uint64_t last;
    void (*_Atomic fn)(size_t, void *);
    void *_Atomic arg;
} pressure;

static uint64_t excess_with(uint64_t bytes)
{
    uint64_t limit = (uint64_t)knobs.memory_limit;
    uint64_t all = page_mapped_ready() + bytes;
    return knobs.memory_limit && all > limit ? all - limit : 0;
}

void pressure_pages(uint64_t bytes)
{
    uint64_t over = excess_with(bytes);
    if (likely(!over))
        return;
    if (scavenge_now(over, true) < over)
        store_relaxed(&pressure.over, true);
}

/* Once at a time, and not too often. */
static void ask(uint64_t over)
{
    void (*fn)(size_t, void *) = load_acquire(&pressure.fn);
    uint64_t now = os_now();
    if (!fn || now - load_relaxed(&pressure.last) < ASK_NS ||
        swap_seq(&pressure.asked, 1))
        return;
    store_relaxed(&pressure.last, now);
    fn(over, load_relaxed(&pressure.arg));
    store_seq(&pressure.asked, 0);
}

static COLD void relieve(void)
{
    store_relaxed(&pressure.over, false);
    give_all();
    uint64_t over = excess_with(0);
    if (over)
        ask(over);
}

void pressure_relieve(void)
{
    if (unlikely(load_relaxed(&pressure.over)))
        relieve();
}

SC_API void sc_malloc_on_pressure(void (*fn)(size_t, void *), void *arg)
{
    store_relaxed(&pressure.arg, arg);
    store_release(&pressure.fn, fn);
}

SC_API size_t sc_malloc_release(void)
{
    return mbegin() ? give_all() : 0;
}
