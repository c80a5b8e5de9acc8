/* record.c: writes down the heap of a program that runs, as the collector finds
 * it.
 *
 *   root_scan_thread, root_scan_globals, special_scan: which job it is
 *   mark_range, mark_word, mark_fields: its words that lead into the heap
 *   drain_until_idle: marking has ended, all threads are held
 *        -> a walk of our own from those words -> HEAP_FILE
 *
 * Linked with the library's objects and `ld --wrap` for each of these
 * functions (bench/markers/run), so the library itself knows nothing of it,
 * and any program can be recorded.  SANCAI_DEBUG=gcstoptheworld=1 holds the
 * threads.  Of all cycles the one with the most bytes marked is kept.
 *
 * The walk knows neither queues nor mark bits.  That it is right is checked:
 * all it finds is marked, and no more is marked than what threads were about
 * to allocate; else nothing is written, but a line that says so.
 *
 * An ephemeron's value counts as a pointer of its key.
 *
 * Memory is mapped, and nothing printed by stdio: threads are held, perhaps
 * inside malloc.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/collect/collect.h"
#include "heapfile.h"

#define MAX_JOBS (1u << 20)
#define MAX_NOTES (1ull << 27)
#define MAX_OBJECTS (1ull << 28)
#define MAX_LINKS (1ull << 30)
#define NO_JOB UINT32_MAX
/* Each thread may have one slot of each class marked that nobody has yet. */
#define SLACK MIB(1)

static struct note {
    uint32_t job;
    uintptr_t word;
} *notes;
static struct heap_job *jobs;
static _Atomic uint64_t nnotes;
static _Atomic uint32_t njobs;
static _Thread_local uint32_t job = NO_JOB;
static bool roots_done;         /* what is marked from here on is no root */
static const char *file;
static uint64_t best;

/* The walk. */
static uint32_t *number;        /* of the object that begins here, from 1 on */
static uintptr_t *stack;
static uint64_t depth;
static struct heap_object *objects;
static uint32_t *links, *roots;
static struct heap_head head;
static _Thread_local void (*sink)(uintptr_t word);

static void *map(size_t n)
{
    void *p = mmap(0, n, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? 0 : p;
}

static void tell(const char *what)
{
    if (write(2, what, strlen(what)) < 0)
        return;
}

__attribute__((constructor)) static void record_init(void)
{
    const char *name = getenv("HEAP_FILE");
    notes = map(MAX_NOTES * sizeof *notes);
    jobs = map(MAX_JOBS * sizeof *jobs);
    stack = map(MAX_OBJECTS * sizeof *stack);
    objects = map(MAX_OBJECTS * sizeof *objects);
    links = map(MAX_LINKS * sizeof *links);
    roots = map(MAX_NOTES * sizeof *roots);
    if (name && notes && jobs && stack && objects && links && roots)
        file = strdup(name);
    else
        tell("record: HEAP_FILE is not set, or memory is short\n");
}

/* ---- Roots, as they are found -------------------------------------------- */

static uint32_t job_begin(uint32_t kind)
{
    uint32_t outer = job;
    if (!file || roots_done)
        return outer;
    job = add_relaxed(&njobs, 1);
    insist(job < MAX_JOBS);
    jobs[job] = (struct heap_job){kind, 0, 0};
    return outer;
}

static void note(uintptr_t word)
{
    if (word - heap.base >= load_relaxed(&heap.limit))
        return;
    uint64_t i = add_relaxed(&nnotes, 1);
    insist(i < MAX_NOTES);
    notes[i] = (struct note){job, word};
}

static void found(uintptr_t word)
{
    if (sink)
        sink(word);
    else if (job != NO_JOB) {
        jobs[job].words++;
        note(word);
    }
}

void __real_root_scan_thread(struct hand *);
void __wrap_root_scan_thread(struct hand *);
void __wrap_root_scan_thread(struct hand *h)
{
    uint32_t outer = job_begin(HEAP_THREAD);
    __real_root_scan_thread(h);
    job = outer;
}

void __real_root_scan_globals(struct work *, bool);
void __wrap_root_scan_globals(struct work *, bool);
void __wrap_root_scan_globals(struct work *w, bool live)
{
    uint32_t outer = job_begin(HEAP_GLOBALS);
    __real_root_scan_globals(w, live);
    job = outer;
}

void __real_special_scan(struct work *);
void __wrap_special_scan(struct work *);
void __wrap_special_scan(struct work *w)
{
    uint32_t outer = job_begin(HEAP_SPECIALS);
    __real_special_scan(w);
    job = outer;
}

void __real_mark_range(struct work *, uintptr_t, uintptr_t);
void __wrap_mark_range(struct work *, uintptr_t, uintptr_t);
void __wrap_mark_range(struct work *w, uintptr_t lo, uintptr_t hi)
{
    if (job != NO_JOB)
        for (uintptr_t a = align_up(lo, 8); a + 8 <= hi; a += 8)
            found(load_relaxed((uintptr_t *)a));
    __real_mark_range(w, lo, hi);
}

void __real_mark_word(struct work *, uintptr_t);
void __wrap_mark_word(struct work *, uintptr_t);
void __wrap_mark_word(struct work *w, uintptr_t word)
{
    found(word);
    if (!sink)
        __real_mark_word(w, word);
}

void __real_sc_mark(struct sc_marker *, const void *);
void __wrap_sc_mark(struct sc_marker *, const void *);
void __wrap_sc_mark(struct sc_marker *m, const void *p)
{
    if (sink)
        sink((uintptr_t)p);
    else
        __real_sc_mark(m, p);
}

/* ---- The words of an object ---------------------------------------------- */

static const struct sc_shape *shape_of_object(const struct object *o)
{
    const struct span *s = o->span;
    return s->state == SPAN_LARGE ? s->shape : classes[s->class].shape;
}

static bool is_pointer(const struct sc_shape *p, size_t i)
{
    i %= p->period;
    return p->map[i / 64] >> i % 64 & 1;
}

/* Those of [lo, hi) of a plain object go to the sink; how many there are. */
static uint32_t plain_words(const struct object *o, size_t lo, size_t hi)
{
    const struct sc_shape *p = o->kind == KIND_PRECISE ? shape_of_object(o) : 0;
    uint32_t n = 0;
    for (size_t i = lo / 8; i < hi / 8; i++)
        if (!p || is_pointer(p, i)) {
            sink(load_relaxed((uintptr_t *)o->base + i));
            n++;
        }
    return n;
}

static uint32_t traced_words(const struct object *o)
{
    struct sc_marker m = {0};
    sc_trace_fn trace = shape_of_object(o)->trace;
    size_t cursor = 0;
    if (trace == (sc_trace_fn)ephemeron_trace)
        return 2;
    do
        cursor = trace((void *)o->base, o->size, cursor, &m);
    while (cursor);
    return (uint32_t)(o->size / 8);
}

static bool has_keys(const struct object *o)
{
    return heap.desc[span_page(o->span)] & DESC_KEYS;
}

static uint32_t words(const struct object *o, size_t lo, size_t hi)
{
    uint32_t n = 0;
    if (has_keys(o) && !lo)
        special_key_marked(0, o->base);
    if (o->kind == KIND_TRACED)
        n = traced_words(o);
    else if (o->kind != KIND_NOSCAN)
        n = plain_words(o, lo, hi);
    return n;
}

void __real_mark_fields(struct work *, uintptr_t);
void __wrap_mark_fields(struct work *, uintptr_t);
void __wrap_mark_fields(struct work *w, uintptr_t base)
{
    struct object o;
    if (job != NO_JOB && object_find(base, &o)) {
        sink = note;
        jobs[job].words += words(&o, 0, align_down(o.size, 8));
        sink = 0;
    }
    __real_mark_fields(w, base);
}

/* ---- The walk ------------------------------------------------------------ */

static uint32_t *number_of(uintptr_t base)
{
    return &number[(base - heap.base) / 16];
}

static void reach(uintptr_t word)
{
    struct object o;
    if (!object_find(word, &o) || *number_of(o.base))
        return;
    *number_of(o.base) = 1;
    insist(depth < MAX_OBJECTS);
    stack[depth++] = o.base;
}

static void walk(void)
{
    struct object o;
    sink = reach;
    for (uint64_t i = 0; i < load_relaxed(&nnotes); i++)
        reach(notes[i].word);
    while (depth)
        if (object_find(stack[--depth], &o))
            words(&o, 0, align_down(o.size, 8));
    sink = 0;
}

/* Calls fn for all that was reached, in the order of addresses. */
static void each_reached(void (*fn)(const struct object *))
{
    struct object o;
    uint32_t top = (uint32_t)(load_relaxed(&heap.limit) >> PAGE_SHIFT);
    for (uint32_t page = 0; page < top; page++) {
        uint32_t d = load_acquire(&heap.desc[page]);
        if (!desc_begins(d))
            continue;
        struct span *s = span_at(page);
        for (unsigned i = 0; i < (d & DESC_LARGE ? 1u : s->nslots); i++) {
            uintptr_t base = span_start(s) + i * s->size;
            if (*number_of(base) && object_find(base, &o))
                fn(&o);
        }
    }
}

static bool is_large(const struct object *o)
{
    return o->span->state == SPAN_LARGE;
}

static uint32_t parts(const struct object *o)
{
    bool one = !is_large(o) || o->kind == KIND_NOSCAN || o->kind == KIND_TRACED;
    size_t n = align_down(o->size, 8);
    return one || n <= OBLET ? 1 : (uint32_t)((n + OBLET - 1) / OBLET);
}

static bool all_marked;

static void count(const struct object *o)
{
    *number_of(o->base) = 1 + head.nobjects;
    head.nobjects += parts(o);
    head.bytes += is_large(o) ? o->span->npages * PAGE_SIZE : o->size;
    all_marked = all_marked && object_marked(o);
}

static void put_link(uintptr_t word)
{
    struct object o;
    if (object_find(word, &o)) {
        insist(head.nlinks < MAX_LINKS);
        links[head.nlinks++] = *number_of(o.base) - 1;
    }
}

static void describe(const struct object *o)
{
    uint32_t first = *number_of(o->base) - 1, n = parts(o);
    size_t end = align_down(o->size, 8);
    for (uint32_t i = 0; i < n; i++) {
        struct heap_object *h = &objects[first + i];
        size_t lo = i * OBLET, hi = n > 1 ? min_size(lo + OBLET, end) : end;
        uint64_t before = head.nlinks;
        *h = (struct heap_object){span_page(o->span), (uint16_t)o->slot, 0, 0,
                                  (uint32_t)min_size(hi - lo, UINT32_MAX), 0};
        if (o->kind == KIND_NOSCAN && !has_keys(o))
            h->flags |= HEAP_NOSCAN;
        if (heap.desc[h->page] & DESC_PAGED)
            h->flags |= HEAP_PAGED;
        if (i)
            h->flags |= HEAP_PART;
        h->words = words(o, lo, hi);
        h->nlinks = (uint32_t)(head.nlinks - before);
    }
}

/* Sorted by job, each job's in the order found. */
static void put_roots(void)
{
    uint64_t n = load_relaxed(&nnotes);
    struct object o;
    for (uint32_t j = 0; j < head.njobs; j++)
        jobs[j].nroots = 0;
    for (uint64_t i = 0; i < n; i++)
        jobs[notes[i].job].nroots += object_find(notes[i].word, &o);
    uint64_t *at = map(head.njobs * sizeof *at + 1);
    insist(at);
    for (uint32_t j = 0; j < head.njobs; j++) {
        at[j] = head.nroots;
        head.nroots += jobs[j].nroots;
    }
    for (uint64_t i = 0; i < n; i++)
        if (object_find(notes[i].word, &o))
            roots[at[notes[i].job]++] = *number_of(o.base) - 1;
    munmap(at, head.njobs * sizeof *at + 1);
}

static bool put(int fd, const void *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k <= 0)
            return false;
        p = (const char *)p + k;
        n -= (size_t)k;
    }
    return true;
}

static void save(void)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || !put(fd, &head, sizeof head) ||
        !put(fd, objects, head.nobjects * sizeof *objects) ||
        !put(fd, jobs, head.njobs * sizeof *jobs) ||
        !put(fd, links, head.nlinks * sizeof *links) ||
        !put(fd, roots, head.nroots * sizeof *roots)) {
        tell("record: the file cannot be written\n");
        _exit(1);
    }
    close(fd);
}

static void record(void)
{
    size_t room = load_relaxed(&heap.limit) / 16 * sizeof *number;
    head = (struct heap_head){.njobs = load_relaxed(&njobs),
                              .marked = load_relaxed(&gc.bytes_marked)};
    memcpy(head.magic, HEAP_MAGIC, sizeof HEAP_MAGIC - 1);
    number = map(room);
    insist(number);
    walk();
    all_marked = true;
    each_reached(count);
    if (all_marked && head.marked - head.bytes < SLACK) {
        sink = put_link;
        each_reached(describe);
        sink = 0;
        put_roots();
        save();
        best = head.marked;
    } else {
        tell("record: a cycle marked something else than what was walked\n");
    }
    munmap(number, room);
}

/* ---- When ---------------------------------------------------------------- */

int __real_drain_start_workers(int);
int __wrap_drain_start_workers(int);
int __wrap_drain_start_workers(int n)
{
    store_relaxed(&nnotes, 0);
    store_relaxed(&njobs, 0);
    roots_done = false;
    return __real_drain_start_workers(n);
}

void __real_drain_until_idle(struct work *, bool);
void __wrap_drain_until_idle(struct work *, bool);
void __wrap_drain_until_idle(struct work *w, bool urgent)
{
    __real_drain_until_idle(w, urgent);
    if (roots_done || !file)
        return;
    roots_done = true;
    if (load_relaxed(&gc.bytes_marked) > best)
        record();
}
