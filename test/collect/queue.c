/* links: os base page heap src/collect/work.c src/collect/queue.c
 *
 * Queues of pages: first in, first out, whoever takes them; what is private
 * becomes everybody's by a flush; without memory the flag is taken back, so
 * that the page can be queued again.
 */
#include "../heap/model.h"

#include "../../src/collect/collect.h"

struct gc gc;
static struct work a, b;

/* Pages [from, to) in this order, or what is left of them here. */
static void take(struct work *w, uint32_t from, uint32_t to)
{
    for (uint32_t page = from; page < to; page++)
        CHECK_EQ(queue_get(w), page);
}

static void put(struct work *w, uint32_t from, uint32_t to)
{
    for (uint32_t page = from; page < to; page++)
        queue_put(w, page);
}

TEST(first_in_first_out)
{
    heap_up();
    CHECK_EQ(queue_get(&a), NO_PAGE);
    put(&a, 0, 1000); /* several buffers, the last one private */
    CHECK(!queue_line_empty());
    take(&a, 0, 300);
    put(&a, 1000, 1700);
    take(&a, 300, 1700);
    CHECK_EQ(queue_get(&a), NO_PAGE);
    CHECK(queue_is_empty(&a) && queue_line_empty());
}

TEST(what_comes_next)
{
    heap_up();
    put(&a, 5, 8);
    CHECK_EQ(queue_peek(&a, 0), NO_PAGE); /* nothing is due yet */
    CHECK_EQ(queue_get(&a), 5);
    CHECK_EQ(queue_peek(&a, 0), 6);
    CHECK_EQ(queue_peek(&a, 1), 7);
    CHECK_EQ(queue_peek(&a, 2), NO_PAGE);
    take(&a, 6, 8);
    CHECK_EQ(queue_peek(&a, 0), NO_PAGE);
}

TEST(private_until_flushed)
{
    heap_up();
    put(&a, 0, 10);
    take(&a, 0, 3);
    put(&a, 10, 12);
    CHECK(!a.flushed && queue_line_empty() && !queue_is_empty(&a));
    CHECK_EQ(queue_get(&b), NO_PAGE);
    uint64_t puts = queue_puts();
    work_flush(&a);
    CHECK(a.flushed && queue_is_empty(&a) && work_is_empty(&a));
    CHECK_EQ(queue_puts(), puts + 2);
    CHECK(!work_pool_empty());
    take(&b, 3, 12);
    CHECK(work_pool_empty());
}

TEST(half_for_others)
{
    heap_up();
    put(&a, 0, 7);
    queue_balance(&a);
    CHECK(queue_line_empty()); /* too few to be worth it */
    put(&a, 7, 20);
    queue_balance(&a);
    CHECK(a.flushed && !queue_line_empty());
    put(&a, 20, 40);
    queue_balance(&a);
    CHECK(!queue_is_empty(&a)); /* others have some */
    take(&b, 0, 20);
    take(&a, 20, 40);
}

/* Those that would come last; all come out once. */
TEST(half_of_what_is_due)
{
    heap_up();
    put(&a, 0, 30);
    take(&a, 0, 10); /* 20 are due, none is fresh */
    queue_balance(&a);
    CHECK(a.flushed && !queue_line_empty());
    queue_balance(&a); /* others have some */
    take(&b, 20, 30);
    CHECK_EQ(queue_get(&b), NO_PAGE);
    take(&a, 10, 13);
    a.flushed = false;
    queue_balance(&a); /* 7 are too few */
    CHECK(!a.flushed && queue_line_empty());
    take(&a, 13, 20);
    CHECK_EQ(queue_get(&a), NO_PAGE);
}

TEST(discarded)
{
    heap_up();
    put(&a, 0, 700);
    work_discard(&a);
    CHECK(work_is_empty(&a) && work_pool_empty());
    CHECK_EQ(queue_get(&b), NO_PAGE);
}

TEST(no_memory)
{
    static _Atomic uint8_t flags[4];
    heap_up();
    heap.queued = flags;
    store_relaxed(&flags[3], 1);
    os_fail_at(1, true);
    queue_put(&a, 3);
    os_fail_at(0, false);
    CHECK(load_relaxed(&gc.overflow) && a.flushed);
    CHECK_EQ(load_relaxed(&flags[3]), 0);
    CHECK_EQ(queue_get(&a), NO_PAGE);
    queue_put(&a, 2);
    CHECK_EQ(queue_get(&a), 2);
}
