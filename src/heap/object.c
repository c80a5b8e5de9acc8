/* object.c: from any address to the object it points into.
 *
 *   address -> page -> descriptor -> first page of the span, class
 *           -> offset * magic >> 32 -> slot -> allocation bit
 *
 * Never faults and takes no lock, whatever the address is: the tables up to
 * heap.limit exist for ever.  The marker has its own copy of the same steps,
 * fused with setting the mark bit (collect/mark.c).
 */
#include "heap.h"

static bool find_large(uintptr_t a, uint32_t page, uint32_t d,
                       struct object *o)
{
    uint32_t first = large_first(page, &d);
    if (first == NO_PAGE)
        return false;
    struct span *s = span_at(first);
    o->span = s;
    o->base = span_start(s);
    o->size = s->size;
    o->slot = 0;
    o->kind = s->kind;
    return a - o->base < s->npages * PAGE_SIZE;
}

bool object_find(uintptr_t a, struct object *o)
{
    uintptr_t off = a - heap.base;
    if (off >= load_relaxed(&heap.limit))
        return false;
    uint32_t page = (uint32_t)(off >> PAGE_SHIFT);
    uint32_t d = load_acquire(&heap.desc[page]);
    if (!(d & DESC_IN_USE))
        return false;
    if (d & DESC_LARGE)
        return find_large(a, page, d, o);
    const struct class *k = &classes[DESC_CLASS(d)];
    uint32_t first = page - DESC_INDEX(d);
    uintptr_t in = off - ((uintptr_t)first << PAGE_SHIFT);
    o->slot = (unsigned)(in * k->magic >> 32);
    if (o->slot >= k->nslots)
        return false;
    o->span = span_at(first);
    o->size = k->size;
    o->base = span_start(o->span) + (uintptr_t)o->slot * k->size;
    o->kind = k->kind;
    return load_acquire(&span_bits(o->span)->w[o->slot >> 6].alloc) &
           slot_bit(o->slot);
}
