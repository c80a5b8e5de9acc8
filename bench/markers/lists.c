/* lists.c: how markers hand over what they found: work.c and queue.c in steps.
 *
 *   in, spare    objects, last in first out    <--> pool   last in first out
 *   fresh, due   pages, first in first out     <--> line   first in first out
 *
 * Empty buffers come from the pool as well, under its lock.
 *
 * Invariant: an entry is counted in sim.shared while its buffer is in a list,
 * else in sim.own until it is taken to be scanned.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* ---- Locks --------------------------------------------------------------- */

static void forget_past(struct sim_lock *l, uint64_t now)
{
    uint32_t n = 0;
    while (n < l->n && l->held[n].to <= now)
        n++;
    l->n -= n;
    memmove(l->held, l->held + n, l->n * sizeof *l->held);
}

/* In the first gap that is long enough. */
void lock_pass(struct sim *s, struct marker *m, struct sim_lock *l)
{
    uint64_t from = m->clock, hold = s->setup->costs.lock;
    uint32_t i = 0;
    if (l->n && l->held[0].to <= s->now)
        forget_past(l, s->now);
    for (; i < l->n && l->held[i].from < from + hold; i++)
        if (l->held[i].to > from)
            from = l->held[i].to;
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        l->held = realloc(l->held, l->room * sizeof *l->held);
        if (!l->held)
            abort();
    }
    memmove(l->held + i + 1, l->held + i, (l->n - i) * sizeof *l->held);
    l->held[i] = (struct held){from, from + hold};
    l->n++;
    m->waits += from - m->clock;
    m->clock = from + hold;
}

/* ---- Buffers ------------------------------------------------------------- */

static struct buffer *buffer_new(struct sim *s)
{
    struct buffer *b = s->spare_buffers;
    if (b)
        s->spare_buffers = b->next;
    else if (!(b = malloc(sizeof *b)))
        abort();
    b->n = b->at = 0;
    b->next = NULL;
    return b;
}

static void buffer_drop(struct sim *s, struct buffer *b)
{
    b->next = s->spare_buffers;
    s->spare_buffers = b;
}

static struct buffer *buffer_take(struct sim *s, struct marker *m)
{
    struct buffer *b = m->stash;
    if (b) {
        m->stash = b->next;
        m->stashed--;
        b->n = b->at = 0;
        return b;
    }
    lock_pass(s, m, &s->pool.lock);
    return buffer_new(s);
}

static void buffer_give(struct sim *s, struct marker *m, struct buffer *b)
{
    if (m->stashed < s->setup->sharing.stash) {
        b->next = m->stash;
        m->stash = b;
        m->stashed++;
        return;
    }
    lock_pass(s, m, &s->pool.lock);
    buffer_drop(s, b);
}

static uint32_t left(const struct buffer *b) { return b ? b->n - b->at : 0; }

static void list_add(struct list *l, struct buffer *b, bool in_front)
{
    b->next = in_front ? l->first : NULL;
    if (in_front)
        l->first = b;
    else if (l->first)
        l->last->next = b;
    else
        l->first = b;
    if (!b->next)
        l->last = b;
}

static void list_put(struct sim *s, struct marker *m, struct list *l,
                     struct buffer *b, bool in_front)
{
    lock_pass(s, m, &l->lock);
    s->own -= left(b);
    s->out->handed++;
    if (++s->puts == s->setup->lose) {
        buffer_drop(s, b);
        return;
    }
    s->shared += left(b);
    list_add(l, b, in_front);
    if (s->puts == s->setup->twice) {
        struct buffer *again = buffer_new(s);
        *again = *b;
        s->shared += left(b);
        list_add(l, again, in_front);
    }
    if (s->setup->sharing.wake && s->sleeping)
        wake(s, m, 1);
}

static struct buffer *list_take(struct sim *s, struct marker *m,
                                struct list *l)
{
    if (!l->first)
        return NULL;
    lock_pass(s, m, &l->lock);
    struct buffer *b = l->first;
    l->first = b->next;
    s->shared -= left(b);
    s->own += left(b);
    if (l->first && s->setup->sharing.wake && s->sleeping)
        wake(s, m, 1);
    return b;
}

bool lists_empty(const struct sim *s)
{
    return !s->pool.first && !s->line.first;
}

static void list_free(struct list *l)
{
    for (struct buffer *b; (b = l->first);) {
        l->first = b->next;
        free(b);
    }
    free(l->lock.held);
}

void lists_free(struct sim *s)
{
    struct list spare = {.first = s->spare_buffers};
    list_free(&s->pool);
    list_free(&s->line);
    list_free(&spare);
    for (unsigned i = 0; i < MARKERS_MAX; i++) {
        free(s->m[i].in);
        free(s->m[i].spare);
        free(s->m[i].fresh);
        free(s->m[i].due);
        struct list stash = {.first = s->m[i].stash};
        list_free(&stash);
    }
}

/* ---- Objects (work.c) ---------------------------------------------------- */

static void swap(struct marker *m)
{
    struct buffer *b = m->in;
    m->in = m->spare;
    m->spare = b;
}

static void make_room(struct sim *s, struct marker *m)
{
    if (!m->in) {
        m->in = buffer_take(s, m);
        m->spare = buffer_take(s, m);
        return;
    }
    swap(m);
    if (m->in->n < s->setup->sharing.entries)
        return;
    struct buffer *b = buffer_take(s, m);
    list_put(s, m, &s->pool, m->in, true);
    m->in = b;
}

void object_put(struct sim *s, struct marker *m, uint32_t object)
{
    if (!m->in || m->in->n == s->setup->sharing.entries)
        make_room(s, m);
    m->in->entry[m->in->n++] = object;
    s->own++;
    spend(m, s->setup->costs.entry);
}

/* Still counted as its own: it goes into the ring. */
uint32_t object_get(struct sim *s, struct marker *m)
{
    if (!m->in) {
        m->in = buffer_take(s, m);
        m->spare = buffer_take(s, m);
    }
    if (!m->in->n)
        swap(m);
    if (!m->in->n) {
        struct buffer *b = list_take(s, m, &s->pool);
        if (!b)
            return NOTHING;
        buffer_give(s, m, m->in);
        m->in = b;
    }
    spend(m, s->setup->costs.entry);
    return m->in->entry[--m->in->n];
}

static void balance_objects(struct sim *s, struct marker *m)
{
    if (!m->in || s->pool.first || 
        (!m->spare->n && m->in->n <= s->setup->sharing.least))
        return;
    struct buffer *b = buffer_take(s, m);
    if (m->spare->n) {
        list_put(s, m, &s->pool, m->spare, true);
        m->spare = b;
        return;
    }
    b->n = m->in->n / 2;
    m->in->n -= b->n;
    memcpy(b->entry, m->in->entry + m->in->n, b->n * sizeof b->entry[0]);
    list_put(s, m, &s->pool, b, true);
}

/* ---- Pages (queue.c) ----------------------------------------------------- */

void page_put(struct sim *s, struct marker *m, uint32_t page)
{
    struct buffer *b = m->fresh;
    if (!b || b->n == s->setup->sharing.entries) {
        m->fresh = buffer_take(s, m);
        if (b)
            list_put(s, m, &s->line, b, false);
    }
    m->fresh->entry[m->fresh->n++] = page;
    s->own++;
    spend(m, s->setup->costs.entry);
}

uint32_t page_get(struct sim *s, struct marker *m)
{
    if (!left(m->due)) {
        if (m->due)
            buffer_give(s, m, m->due);
        m->due = list_take(s, m, &s->line);
        if (!m->due) {
            m->due = m->fresh;
            m->fresh = NULL;
        }
        if (!left(m->due))
            return NOTHING;
    }
    s->own--;
    spend(m, s->setup->costs.entry);
    return m->due->entry[m->due->at++];
}

/* The later half of what is due, for it is fetched last. */
static void split_due(struct sim *s, struct marker *m)
{
    uint32_t n = left(m->due) / 2;
    if (left(m->due) < s->setup->sharing.few)
        return;
    struct buffer *b = buffer_take(s, m);
    m->due->n -= n;
    memcpy(b->entry, m->due->entry + m->due->n, n * sizeof b->entry[0]);
    b->n = n;
    list_put(s, m, &s->line, b, false);
}

static void balance_pages(struct sim *s, struct marker *m)
{
    if (s->line.first)
        return;
    if (m->fresh && m->fresh->n >= s->setup->sharing.few) {
        list_put(s, m, &s->line, m->fresh, false);
        m->fresh = NULL;
    } else if (s->setup->sharing.split) {
        split_due(s, m);
    }
}

/* ---- Both ---------------------------------------------------------------- */

void balance(struct sim *s, struct marker *m)
{
    if (s->setup->sharing.hungry && !s->sleeping)
        return;
    balance_pages(s, m);
    balance_objects(s, m);
}

static void flush_one(struct sim *s, struct marker *m, struct list *l,
                      struct buffer *b)
{
    if (left(b))
        list_put(s, m, l, b, l == &s->pool);
    else if (b)
        buffer_give(s, m, b);
}

void flush(struct sim *s, struct marker *m)
{
    flush_one(s, m, &s->pool, m->in);
    flush_one(s, m, &s->pool, m->spare);
    flush_one(s, m, &s->line, m->due);
    flush_one(s, m, &s->line, m->fresh);
    m->in = m->spare = m->due = m->fresh = NULL;
}

bool has_none(const struct marker *m)
{
    return !left(m->in) && !left(m->spare) && !left(m->due) && !left(m->fresh);
}
