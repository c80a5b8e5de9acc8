/* class.c: span classes: what a slot is, and where its pointers are.
 *
 *   class      0 ..  71   noscan, by size
 *             72 .. 143   conservative, by size
 *            144 .. 1023  (layout, size), in the order programs ask
 *
 * A layout's map repeats over the slot; what lies behind the last element is
 * zero, so one map serves single objects and arrays.  When the numbers run
 * out, further layouts are scanned conservatively: right, only less exact.
 *
 * Invariants: a class record never changes once its number was handed out; a
 * shape lives for ever; class_of[] only goes from 0 to its value.
 * Lock: `shapes.lock` for making either.
 */
#include "heap.h"

struct class classes[CLASSES];
uint32_t class_magic[CLASSES];
_Atomic uint32_t class_count;

static struct {
    struct lock lock;
    struct sc_shape *all;
} shapes = {LOCK_INIT(RANK_LAYOUT), 0};

/* Repeats a period's map over a slot of at most 64 words. */
static uint64_t repeat_map(uint64_t map, uint32_t period, uint32_t words)
{
    uint64_t all = 0;
    for (uint32_t at = 0; at < words; at += period)
        all |= map << at;
    return words < 64 ? all & ((1ull << words) - 1) : all;
}

static void fill(struct class *k, unsigned sc, enum kind kind,
                 const struct sc_shape *shape)
{
    k->size = (uint32_t)size_of_class(sc);
    k->magic = (uint32_t)(((1ull << 32) + k->size - 1) / k->size);
    class_magic[k - classes] = k->magic;
    k->npages = (uint8_t)size_class_pages(sc);
    k->nslots = (uint16_t)(k->npages * PAGE_SIZE / k->size);
    k->size_class = (uint8_t)sc;
    k->kind = (uint8_t)kind;
    k->shape = shape;
    k->paged = kind != KIND_NOSCAN && k->size <= PAGED_MAX;
    if (kind != KIND_PRECISE)
        return;
    uint32_t words = k->size / 8;
    k->period = shape->period;
    k->whole = words <= 64;
    if (k->whole && shape->period <= 64)
        k->map = repeat_map(shape->map[0], shape->period, words);
    else
        k->map = shape->map[0];
}

void class_init(void)
{
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        fill(&classes[CLASS_NOSCAN + c], c, KIND_NOSCAN, 0);
        fill(&classes[CLASS_CONSERVATIVE + c], c, KIND_CONSERVATIVE, 0);
    }
    store_release(&class_count, CLASS_SHAPES);
}

/* ---- fork -------------------------------------------------------------- */

void class_lock(void) { lock_take(&shapes.lock); }
void class_unlock(void) { lock_drop(&shapes.lock); }
void class_reset_lock(void) { lock_reset(&shapes.lock); }

/* ---- Shapes ------------------------------------------------------------ */

static uint32_t words_of(const struct sc_layout *l)
{
    return (uint32_t)((l->size + 7) / 8);
}

/* Sets the bits of each declared field; a field may be an array. */
static void draw_map(const struct sc_layout *l, uint64_t *map)
{
    for (uint32_t i = 0; i < l->nfields; i++) {
        uint32_t at = l->fields[i].offset;
        uint32_t end = at + l->fields[i].size;
        for (at = (uint32_t)align_up(at, 8); at + 8 <= end; at += 8)
            map[at / 512] |= 1ull << (at / 8 & 63);
    }
}

static bool same_map(const struct sc_shape *a, const struct sc_shape *b)
{
    if (a->period != b->period || a->trace != b->trace)
        return false;
    for (uint32_t i = 0; i < (a->period + 63) / 64; i++)
        if (a->map[i] != b->map[i])
            return false;
    return true;
}

static enum kind kind_of(const struct sc_layout *l)
{
    if (l->trace)
        return KIND_TRACED;
    /* Elements that do not tile whole words can't have one map for all. */
    if (l->nfields && l->size % 8)
        return KIND_CONSERVATIVE;
    return l->nfields ? KIND_PRECISE : KIND_NOSCAN;
}

static struct sc_shape *draw_shape(const struct sc_layout *l)
{
    uint32_t words = words_of(l) ? words_of(l) : 1;
    struct sc_shape *s = meta_alloc(
        sizeof *s + (words + 63) / 64 * sizeof(uint64_t), META_OTHER);
    if (!s)
        return 0;
    s->name = l->name;
    s->trace = l->trace;
    s->period = words;
    s->large = kind_of(l);
    draw_map(l, s->map);
    return s;
}

const struct sc_shape *shape_of(struct sc_layout *l)
{
    const struct sc_shape *have = load_acquire(&l->shape);
    if (have)
        return have;
    lock_take(&shapes.lock);
    struct sc_shape *mine = draw_shape(l), *s = mine;
    if (mine) {
        for (s = shapes.all; s && !same_map(s, mine); s = s->next)
            continue;
        if (!s) {
            s = mine;
            s->next = shapes.all;
            shapes.all = s;
        } /* else `mine` is lost: a few bytes per repeated layout */
        store_release(&l->shape, s);
    }
    lock_drop(&shapes.lock);
    return s;
}

/* A new class number, or the conservative class when none is left (CLASSES for
 * traced objects: each gets a span of its own, like a large one). */
static unsigned new_class(const struct sc_shape *s, unsigned sc)
{
    uint32_t c = load_relaxed(&class_count);
    if (s->large == KIND_NOSCAN)
        return CLASS_NOSCAN + sc;
    if (s->large == KIND_CONSERVATIVE)
        return CLASS_CONSERVATIVE + sc;
    if (c == CLASSES)
        return s->trace ? CLASSES : CLASS_CONSERVATIVE + sc;
    fill(&classes[c], sc, (enum kind)s->large, s);
    store_release(&class_count, c + 1);
    return c;
}

unsigned class_of_shape(const struct sc_shape *shape, size_t n)
{
    struct sc_shape *s = (struct sc_shape *)shape;
    unsigned sc = size_class(n);
    unsigned c = load_acquire(&s->class_of[sc]);
    if (c || (s->large == KIND_NOSCAN && sc == 0))
        return c;
    lock_take(&shapes.lock);
    c = load_relaxed(&s->class_of[sc]);
    if (!c) {
        c = new_class(s, sc);
        store_release(&s->class_of[sc], (uint16_t)c);
    }
    lock_drop(&shapes.lock);
    return c;
}
