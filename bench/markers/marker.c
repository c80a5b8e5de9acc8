/* marker.c: what a marker does between two looks at the others: drain.c, mark.h
 * and markpage.c in steps.
 *
 *   slice:  objects, by way of a ring of 16, as long as there are any
 *           -> else the next page: its grey slots, word by word of its bits,
 *              until a round finds none; on it, what is found stays private
 *           -> pointers to other pages wait in a queue of 32
 *   budget used, or nothing left -> all goes to the lists
 *
 * It marks real bits of the recorded pages, one object a step, so that what
 * markers do to each other's pages happens in the order of their clocks.
 *
 * Invariants: an object is scanned once (sim.scanned): else the run is wrong.
 *             A page is in one queue, or being scanned, or neither.
 */
#include "sim.h"

#include <string.h>

static const struct costs *costs(const struct sim *s)
{
    return &s->setup->costs;
}

static uint64_t exist(const struct sim *s, uint32_t word)
{
    return s->g->word[word].exist;
}

/* ---- From a pointer to a mark -------------------------------------------- */

static void scanned(struct sim *s, uint32_t object)
{
    if (s->scanned[object])
        wrong(s, "an object was scanned twice");
    s->scanned[object] = 1;
    if (!(s->g->object[object].flags & HEAP_PART))
        s->out->scanned++;
}

static void grey_page(struct sim *s, struct marker *m, uint32_t page)
{
    if (s->queued[page])
        return;
    s->queued[page] = 1;
    page_put(s, m, page);
}

static void mark_slots(struct sim *s, struct marker *m, uint32_t word,
                       uint64_t slots)
{
    slots &= exist(s, word) & ~s->mark[word];
    if (!slots)
        return;
    s->mark[word] |= slots;
    spend(m, costs(s)->mark);
    grey_page(s, m, word / 8);
}

/* An object that is queued by itself. */
static void mark_other(struct sim *s, struct marker *m, uint32_t object)
{
    uint32_t at = s->g->at[object];
    uint64_t bit = 1ull << at % 64;
    spend(m, costs(s)->far);
    if (s->mark[at / 64] & bit)
        return;
    s->mark[at / 64] |= bit;
    spend(m, costs(s)->mark);
    if (s->g->object[object].flags & HEAP_NOSCAN)
        scanned(s, object);
    else
        object_put(s, m, object);
}

static void far_mark_oldest(struct sim *s, struct marker *m)
{
    const struct far_word *f = &m->far[m->far_head++ % FAR];
    mark_slots(s, m, f->word, f->slots);
}

static void far_settle(struct sim *s, struct marker *m)
{
    while (m->far_head != m->far_tail)
        far_mark_oldest(s, m);
}

static void far_put(struct sim *s, struct marker *m, uint32_t at)
{
    struct far_word *last = &m->far[(m->far_tail - 1) % FAR];
    uint64_t bit = 1ull << at % 64;
    if (m->far_head != m->far_tail && last->word == at / 64) {
        last->slots |= bit;
        return;
    }
    if (m->far_tail - m->far_head == FAR)
        far_mark_oldest(s, m);
    spend(m, costs(s)->far);
    m->far[m->far_tail++ % FAR] = (struct far_word){at / 64, bit};
}

static bool is_paged(const struct sim *s, uint32_t object)
{
    return s->g->object[object].flags & HEAP_PAGED;
}

void scan_root(struct sim *s, struct marker *m, uint32_t object)
{
    uint32_t at = s->g->at[object];
    if (!is_paged(s, object)) {
        mark_other(s, m, object);
        return;
    }
    spend(m, costs(s)->far);
    mark_slots(s, m, at / 64, 1ull << at % 64);
}

/* page: the one being scanned. */
static void look(struct sim *s, struct marker *m, uint32_t object,
                 uint32_t page)
{
    uint32_t at = s->g->at[object];
    if (!is_paged(s, object))
        mark_other(s, m, object);
    else if (at / 512 == page)
        m->turn.local[at / 64 % 8] |= 1ull << at % 64;
    else
        far_put(s, m, at);
}

static void scan_words(struct sim *s, struct marker *m, uint32_t object,
                       uint32_t page)
{
    const struct graph *g = s->g;
    scanned(s, object);
    spend(m, costs(s)->object +
                 (uint64_t)costs(s)->word * g->object[object].words);
    for (uint32_t i = g->first[object]; i < g->first[object + 1]; i++)
        look(s, m, g->link[i], page);
}

/* ---- Objects that are queued by themselves ------------------------------- */

static void queue_parts(struct sim *s, struct marker *m, uint32_t object)
{
    const struct heap_object *o = s->g->object;
    if (o[object].flags & HEAP_PART)
        return;
    for (uint32_t i = object + 1;
         i < s->g->nobjects && o[i].flags & HEAP_PART; i++)
        object_put(s, m, i);
}

static void fill_ring(struct sim *s, struct marker *m)
{
    unsigned room = s->setup->sharing.ring && m->large ? 1 : RING;
    while (m->tail - m->head < room) {
        uint32_t object = object_get(s, m);
        if (object == NOTHING)
            return;
        m->ring[m->tail++ % RING] = object;
    }
}

static void scan_oldest(struct sim *s, struct marker *m)
{
    uint32_t object = m->ring[m->head++ % RING];
    s->own--;
    queue_parts(s, m, object);
    scan_words(s, m, object, NOTHING);
    m->done += s->g->object[object].bytes + 16;
    m->large = s->g->object[object].bytes >= LARGE;
}

/* ---- A page -------------------------------------------------------------- */

/* Which of this word's slots are to be scanned next. */
static void word_again(struct turn *t, uint64_t grey)
{
    t->grey = t->todo = grey;
    t->dense = __builtin_popcountll(grey) > DENSE;
}

static void word_begin(struct sim *s, struct turn *t)
{
    uint32_t word = t->page * 8 + t->word;
    t->may = exist(s, word) & ~s->black[word];
    t->done = 0;
    word_again(t, (s->mark[word] | t->local[t->word]) & t->may);
}

/* One object.  Of few those that they turn grey behind them come next, too. */
static void word_scan(struct sim *s, struct marker *m)
{
    struct turn *t = &m->turn;
    uint64_t bit = t->todo & -t->todo;
    uint32_t object = graph_number(s->g, t->page * 8 + t->word,
                                   (unsigned)__builtin_ctzll(bit));
    scan_words(s, m, object, t->page);
    t->bytes += s->g->object[object].bytes;
    t->more++;
    t->todo ^= bit;
    t->done |= bit;
    if (!t->dense)
        t->todo |= t->local[t->word] & t->may & ~t->done & -bit;
    if (!t->todo)
        word_again(t, t->local[t->word] & t->may & ~t->done);
}

static void word_end(struct sim *s, struct turn *t)
{
    uint32_t word = t->page * 8 + t->word;
    s->mark[word] |= t->done;
    s->black[word] |= t->done;
}

static bool has_grey(const struct sim *s, uint32_t page)
{
    for (uint32_t w = page * 8; w < page * 8 + 8; w++)
        if (s->mark[w] & exist(s, w) & ~s->black[w])
            return true;
    return false;
}

static void page_begin(struct sim *s, struct marker *m, uint32_t page)
{
    struct turn *t = &m->turn;
    memset(t, 0, sizeof *t);
    t->page = page;
    if (!s->queued[page])
        wrong(s, "a page was taken that is not queued");
    spend(m, costs(s)->turn);
    s->out->turns++;
    word_begin(s, t);
}

static void page_leave(struct sim *s, struct marker *m)
{
    s->queued[m->turn.page] = 0;
    m->done += m->turn.bytes + 64;
    if (has_grey(s, m->turn.page))
        wrong(s, "a page was left with grey objects");
}

/* False: the page is done.  Steps are whole, so nothing turns grey between the
 * last round and the end of the turn. */
static bool page_step(struct sim *s, struct marker *m)
{
    struct turn *t = &m->turn;
    if (t->todo) {
        word_scan(s, m);
        if (t->todo)
            return true;
        word_end(s, t);
    }
    do {
        if (++t->word == 8) {
            if (!t->more)
                return false;
            t->word = t->more = 0;
        }
        word_begin(s, t);
    } while (!t->todo);
    return true;
}

/* ---- A slice ------------------------------------------------------------- */

void slice_begin(struct sim *s, struct marker *m)
{
    m->head = m->tail = m->iterations = 0;
    m->far_head = m->far_tail = 0;
    m->done = 0;
    m->large = true;
    m->state = DRAINING;
    s->out->slices++;
}

void slice_end(struct sim *s, struct marker *m)
{
    while (m->head != m->tail) {
        s->own--;
        object_put(s, m, m->ring[m->head++ % RING]);
    }
    far_settle(s, m);
    flush(s, m);
    spend(m, costs(s)->slice);
}

static void one_more(struct sim *s, struct marker *m)
{
    if (++m->iterations % s->setup->sharing.balance == 0)
        balance(s, m);
}

static bool next_page(struct sim *s, struct marker *m)
{
    uint32_t page = page_get(s, m);
    if (page == NOTHING && m->far_head != m->far_tail) {
        far_settle(s, m);
        page = page_get(s, m);
    }
    if (page == NOTHING)
        return false;
    page_begin(s, m, page);
    return true;
}

bool marker_step(struct sim *s, struct marker *m)
{
    if (m->state == TURNING) {
        if (page_step(s, m))
            return true;
        page_leave(s, m);
        m->state = DRAINING;
        one_more(s, m);
        return true;
    }
    if (m->done >= s->setup->sharing.slice)
        return false;
    fill_ring(s, m);
    if (m->head != m->tail) {
        scan_oldest(s, m);
        one_more(s, m);
        return true;
    }
    if (!next_page(s, m))
        return false;
    m->state = TURNING;
    return true;
}
