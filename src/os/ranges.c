/* ranges.c: what of the address space is ours: the list of all reservations,
 * mappings and stacks, for readers outside (src/obs/directory.h).
 *
 *   os_ranges --> block of 170 --> block --> ...     pages of 4 KiB
 *    begun         lo hi use thread
 *    ended         0: free
 *
 * The kernel joins neighbours of equal rights into one mapping and, mostly,
 * knows no names; so whoever looks at the process needs to be told.
 *
 * A block, once there, stays.  Lists grow by the pieces that metadata comes
 * in, some ten for a small heap, one per thread; they are walked when address
 * space is taken or given back, beside a system call.
 *
 * Invariants: an entry with lo above 1 is whole; lo is stored last.
 *             begun == ended: nobody is changing the list, and it is what is
 *             mapped: the call to the kernel stands between the two as well.
 *             A reader that saw `ended`, then the list, then the same number
 *             in `begun`, has seen one state of it.
 * Locks: none, for memory is mapped in handlers too.  An entry is taken by
 * setting its lo from 0 to 1.  It goes before its addresses do, so that nobody
 * else can have taken them in between.
 */
#include "os_private.h"

#define FREE 0
#define TAKEN 1

struct os_ranges os_ranges;

_Static_assert(sizeof(struct os_ranges_block) == 4096, "one page");

static struct os_ranges_block *block_at(const uint64_t *link)
{
    return (struct os_ranges_block *)(uintptr_t)load_acquire(link);
}

/* One more at that link; it lists itself.  Another thread's if that was first;
 * NULL if there is no memory. */
static struct os_ranges_block *block_add(uint64_t *link)
{
    size_t size = align_up(sizeof(struct os_ranges_block), os_page_size());
    struct os_ranges_block *b = os_map_unlisted(size);
    uint64_t none = 0;
    if (b == NULL)
        return NULL;
    b->used = 1;
    b->range[0] = (struct os_range){(uintptr_t)b, (uintptr_t)b + size,
                                    OS_USE_OTHER, 0};
    if (cas_seq(link, &none, (uint64_t)(uintptr_t)b))
        return b;
    os_unmap_unlisted(b, size);
    return block_at(link);
}

static struct os_range *entry_of(struct os_ranges_block *b)
{
    for (int i = 0; i < OS_RANGES; i++) {
        uint64_t none = FREE;
        if (load_relaxed(&b->range[i].lo) == FREE &&
            cas_seq(&b->range[i].lo, &none, TAKEN)) {
            add_relaxed(&b->used, 1);
            return &b->range[i];
        }
    }
    return NULL;
}

static struct os_range *entry_take(void)
{
    uint64_t *link = &os_ranges.first;
    struct os_range *r = NULL;
    while (r == NULL) {
        struct os_ranges_block *b = block_at(link);
        if (b == NULL && (b = block_add(link)) == NULL)
            return NULL;
        if (load_relaxed(&b->used) < OS_RANGES)
            r = entry_of(b);
        link = &b->next;
    }
    return r;
}

/* What finds no room is not listed, and counted. */
static void entry_add(uint64_t lo, uint64_t hi, uint32_t use, int thread)
{
    struct os_range *r = entry_take();
    if (r == NULL) {
        add_relaxed(&os_ranges.lost, 1);
        return;
    }
    store_relaxed(&r->hi, hi);
    store_relaxed(&r->use, use);
    store_relaxed(&r->thread, (uint32_t)thread);
    store_release(&r->lo, lo);
}

static void entry_drop(struct os_ranges_block *b, struct os_range *r)
{
    sub_relaxed(&b->used, 1);
    store_release(&r->lo, FREE);
}

/* Both ends of an entry that others may just be giving back and taking anew:
 * the lower one did not change meanwhile, so they belong together. */
static bool entry_holds(const struct os_range *r, uint64_t a)
{
    uint64_t lo = load_acquire(&r->lo), hi = load_acquire(&r->hi);
    return lo > TAKEN && lo <= a && a < hi && load_relaxed(&r->lo) == lo;
}

/* The entry that begins at address a, or (part) that holds it, and its block.
 * The addresses are the caller's, so nobody else touches that entry. */
static struct os_range *entry_at(uint64_t a, bool part,
                                 struct os_ranges_block **block)
{
    struct os_ranges_block *b = block_at(&os_ranges.first);
    for (; b != NULL; b = block_at(&b->next))
        for (int i = 0; i < OS_RANGES; i++) {
            struct os_range *r = &b->range[i];
            if (part ? entry_holds(r, a) : load_acquire(&r->lo) == a) {
                *block = b;
                return r;
            }
        }
    return part ? NULL : entry_at(a, true, block);
}

void os_ranges_begin(void) { add_seq(&os_ranges.begun, 1); }
void os_ranges_end(void) { add_seq(&os_ranges.ended, 1); }

void os_range_add(const void *p, size_t size, uint32_t use, int thread)
{
    uint64_t lo = (uintptr_t)p;
    os_ranges_begin();
    entry_add(lo, lo + size, use, thread);
    os_ranges_end();
}

/* A part of a range leaves the rest of it, on one side or on both. */
void os_range_remove(const void *p, size_t size)
{
    uint64_t lo = (uintptr_t)p, end = lo + size;
    struct os_ranges_block *b;
    os_ranges_begin();
    struct os_range *r = entry_at(lo, false, &b);
    uint64_t hi = r != NULL ? load_relaxed(&r->hi) : 0;
    if (hi > end)
        entry_add(end, hi, r->use, (int)r->thread);
    if (r != NULL && load_relaxed(&r->lo) < lo)
        store_relaxed(&r->hi, lo);
    else if (r != NULL)
        entry_drop(b, r);
    os_ranges_end();
}

void os_range_use(const void *p, uint32_t use)
{
    struct os_ranges_block *b;
    os_ranges_begin();
    struct os_range *r = entry_at((uintptr_t)p, false, &b);
    if (r != NULL)
        store_relaxed(&r->use, use);
    os_ranges_end();
}

/* Threads of ours did not come along; the C library has their stacks.  Nor did
 * whoever was at a change. */
void os_ranges_fork_child(void)
{
    struct os_ranges_block *b = block_at(&os_ranges.first);
    for (; b != NULL; b = block_at(&b->next))
        for (int i = 0; i < OS_RANGES; i++)
            if (b->range[i].lo > TAKEN && b->range[i].use == OS_USE_STACK)
                entry_drop(b, &b->range[i]);
    store_seq(&os_ranges.ended, load_seq(&os_ranges.begun));
}
