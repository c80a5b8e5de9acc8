/* modules.c: the loaded objects: where their data is and what they keep per
 * thread.
 *
 *   dl_iterate_phdr --stock--> table[0]  table[1]   two, used in turn: a
 *                                 ^                 reader in a handler sees
 *                              current              a finished one
 *
 *   an object:  |text|rodata| relro | data | bss |   reported: data and bss,
 *                             fixed  ^^^^^^^^^^^^    less the skipped ranges
 *
 * One caller at a time takes stock.  A table is rewritten when stock is taken
 * the second time after it was current, so readers must be done by then.
 * os_modules_current compares the loader's public list with a hash of that
 * list taken along with the stock; it takes no lock, for a held thread may
 * have the loader's.  Objects in other namespaces (dlmopen) aren't seen: the
 * loader doesn't tell.
 */
#include "os_private.h"
#include <link.h>
#include <string.h>

struct range {
    uintptr_t lo, hi;
};
struct vector {
    char *base;
    size_t used, size; /* bytes; size is whole pages */
};
struct table {
    struct vector ranges; /* of struct range */
    struct vector tls;    /* of struct os_tls_module */
    uint64_t adds, subs;  /* the loader's own counts */
    uint64_t chain;       /* hash of its public list */
};
static struct table table[2];
static struct table *_Atomic current;
static struct r_debug *debug; /* NULL in a static program */

/* ---- Ranges that upper layers keep to themselves ----------------------- */

/* Our own tables, and those of a program that embeds us: a handful. */
#define SKIPS 32
static struct range skip[SKIPS];
static _Atomic uint32_t skips; /* slots given out; hi != 0 once filled */

/* The slot is ours alone once counted; hi makes it valid. */
void os_modules_skip(uintptr_t lo, uintptr_t hi)
{
    uint32_t i = add_relaxed(&skips, 1);
    if (i >= SKIPS)
        return;
    skip[i].lo = lo;
    store_release(&skip[i].hi, hi);
}

/* The skipped range that covers or comes next after a. */
static struct range skip_after(uintptr_t a)
{
    struct range best = {UINTPTR_MAX, UINTPTR_MAX};
    uint32_t n = load_relaxed(&skips);
    for (uint32_t i = 0; i < n && i < SKIPS; i++) {
        struct range r = {0, load_acquire(&skip[i].hi)};
        r.lo = skip[i].lo;
        if (r.hi > a && r.lo < best.lo)
            best = r;
    }
    return best;
}

struct report {
    void (*fn)(uintptr_t lo, uintptr_t hi, void *);
    void *arg;
};

/* [lo, hi) without the skipped ranges, which may overlap. */
static void report_cut(const struct report *r, uintptr_t lo, uintptr_t hi)
{
    while (lo < hi) {
        struct range s = skip_after(lo);
        if (lo < s.lo)
            r->fn(lo, s.lo < hi ? s.lo : hi, r->arg);
        lo = s.hi;
    }
}

/* ---- One object -------------------------------------------------------- */

/* Pages that become read-only once the object is relocated; the kernel
 * protects whole pages, so the last, partial one stays writable. */
static struct range object_relro(const struct dl_phdr_info *o)
{
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        if (p->p_type != PT_GNU_RELRO)
            continue;
        uintptr_t lo = o->dlpi_addr + p->p_vaddr;
        return (struct range){lo,
                              align_down(lo + p->p_memsz, os_page_size())};
    }
    return (struct range){0, 0};
}

/* Calls fn for what the program can change in an object's segments. */
static void object_each(const struct dl_phdr_info *o,
                        void (*fn)(uintptr_t, uintptr_t, void *), void *arg)
{
    struct range fixed = object_relro(o);
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_W))
            continue;
        uintptr_t lo = o->dlpi_addr + p->p_vaddr, hi = lo + p->p_memsz;
        if (lo >= fixed.hi || hi <= fixed.lo) {
            fn(lo, hi, arg);
            continue;
        }
        if (lo < fixed.lo)
            fn(lo, fixed.lo, arg);
        if (fixed.hi < hi)
            fn(fixed.hi, hi, arg);
    }
}

/* ---- Tables ------------------------------------------------------------ */

/* From the system, not malloc, whose lock the program's dlopen may hold while
 * it waits for the loader's, which our caller holds. */
static bool vector_add(struct vector *v, const void *item, size_t n)
{
    if (v->used + n > v->size) {
        size_t size = v->size ? v->size * 2 : os_page_size();
        char *base = os_map(size);
        if (base == NULL)
            return false;
        memcpy(base, v->base ? v->base : base, v->used);
        os_unmap(v->base, v->size);
        v->base = base;
        v->size = size;
    }
    memcpy(v->base + v->used, item, n);
    v->used += n;
    return true;
}

/* One taking of stock; failed leaves the current table in force. */
struct stock {
    struct table *to;
    bool begun, failed;
};

static void stock_range(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct stock *s = arg;
    struct range r = {lo, hi};
    if (!vector_add(&s->to->ranges, &r, sizeof r))
        s->failed = true;
}

/* The loader's list of objects, as debuggers see it. */
RACY static uint64_t chain_hash(void)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, by words */
    if (debug == NULL)
        return h;
    for (struct link_map *m = debug->r_map; m != NULL; m = m->l_next) {
        h = (h ^ (uintptr_t)m) * 0x100000001b3u;
        h = (h ^ m->l_addr) * 0x100000001b3u;
        h = (h ^ (uintptr_t)m->l_ld) * 0x100000001b3u;
    }
    return h;
}

/* The main program's dynamic section leads to the loader's list. */
static void find_debug(const struct dl_phdr_info *o)
{
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        if (p->p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *d =
            (const ElfW(Dyn) *)(o->dlpi_addr + p->p_vaddr);
        for (; d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_DEBUG)
                debug = (struct r_debug *)d->d_un.d_ptr;
    }
}

/* First object: stops the walk if nothing came or went. */
static bool stock_begin(struct stock *s, const struct dl_phdr_info *o)
{
    const struct table *c = load_relaxed(&current);
    if (c != NULL && c->adds == o->dlpi_adds && c->subs == o->dlpi_subs)
        return false;
    if (debug == NULL)
        find_debug(o);
    s->begun = true;
    s->to->adds = o->dlpi_adds;
    s->to->subs = o->dlpi_subs;
    s->to->chain = chain_hash();
    s->to->ranges.used = s->to->tls.used = 0;
    return true;
}

/* The loader's lock is held from the first object to the last. */
static int stock_object(struct dl_phdr_info *o, size_t size, void *arg)
{
    struct stock *s = arg;
    if (!s->begun && !stock_begin(s, o))
        return 1;
    object_each(o, stock_range, s);
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        struct os_tls_module m = {o->dlpi_tls_modid, p->p_memsz};
        if (p->p_type == PT_TLS && m.number != 0 &&
            !vector_add(&s->to->tls, &m, sizeof m))
            s->failed = true;
    }
    return s->failed;
}

/* Called before each cycle; usually stops at the first object. */
int os_modules_load(void)
{
    struct table *c = load_relaxed(&current);
    struct stock s = {.to = c == &table[0] ? &table[1] : &table[0]};
    int saved = errno;
    os_tls_find();
    dl_iterate_phdr(stock_object, &s);
    errno = saved;
    if (s.failed)
        return ENOMEM;
    if (s.begun)
        store_release(&current, s.to);
    return 0;
}

const struct os_tls_module *os_tls_modules(size_t *n)
{
    const struct table *c = load_acquire(&current);
    *n = c ? c->tls.used / sizeof(struct os_tls_module) : 0;
    return c ? (const struct os_tls_module *)c->tls.base : NULL;
}

/* ---- Reading ----------------------------------------------------------- */

static void each_range(uintptr_t lo, uintptr_t hi, void *arg)
{
    report_cut(arg, lo, hi);
}

/* What is loaded now, rather than the stock: an object of the stock may be
 * gone, and a newer one costs nothing. */
static int each_object(struct dl_phdr_info *o, size_t size, void *arg)
{
    object_each(o, each_range, arg);
    return 0;
}

void os_modules_each(bool live, void (*fn)(uintptr_t lo, uintptr_t hi, void *),
                     void *arg)
{
    struct report r = {fn, arg};
    int saved = errno;
    if (live) {
        dl_iterate_phdr(each_object, &r);
        errno = saved;
        return;
    }
    const struct table *c = load_acquire(&current);
    size_t n = c ? c->ranges.used / sizeof(struct range) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct range *at = (const struct range *)c->ranges.base + i;
        report_cut(&r, at->lo, at->hi);
    }
}

/* While the loader works on its list, its state says so (for debuggers). */
RACY bool os_modules_current(void)
{
    const struct table *c = load_acquire(&current);
    if (c == NULL)
        return false;
    if (debug == NULL)
        return true;
    return debug->r_state == RT_CONSISTENT && c->chain == chain_hash();
}

uint64_t os_modules_version(void)
{
    const struct table *c = load_acquire(&current);
    return c ? c->adds : 0;
}
