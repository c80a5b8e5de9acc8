/* links: os base page
 *
 * The Nth request of memory from the system fails, for every N: the caller
 * hears of it, nothing is damaged and nothing is lost.
 */
#include "pages.h"

/* Some life that needs every kind of memory here: growth by one and by many
 * chunks, tables, caches.  False if anything was refused. */
static bool live(uint32_t *pages_held)
{
    struct page_cache c = {0};
    bool zero, ok = true;
    uint32_t a[12], n[12];
    *pages_held = 0;
    if (arena_init())
        return false;
    for (uint32_t i = 0; i < COUNT(a); i++) {
        n[i] = i % 3 == 2 ? 1 + 300 * i : i + 1;
        a[i] = i % 3 == 1 ? page_cache_take(&c, n[i], &zero)
                          : page_take(n[i], &zero);
        ok = ok && a[i] != NO_PAGE;
        if (a[i] != NO_PAGE) {
            *pages_held += n[i];
            *(char *)arena_address(a[i] + n[i] - 1) = 1; /* it is there */
        }
        page_verify();
    }
    /* 40 GiB of pages reach new pieces of all tables. */
    uint32_t many = (uint32_t)(GIB(40) / PAGE_SIZE);
    if (many > arenas.pages / 2)
        many = arenas.pages / 2;
    uint32_t p = page_take(many, &zero);
    ok = ok && p != NO_PAGE;
    *pages_held += p != NO_PAGE ? many : 0;
    page_cache_flush(&c);
    return ok;
}

/* Lives with the k-th request refused.  True if there was no k-th. */
static bool check_life(uint64_t k, bool all_later)
{
    struct page_stats s;
    uint32_t held;
    bool zero;
    uint64_t calls = os_memory_calls();
    os_fail_at(k, all_later);
    bool complete = live(&held);
    calls = os_memory_calls() - calls;
    os_fail_at(0, false);
    CHECK(complete || calls >= k);
    if (all_later)
        CHECK_EQ(complete, calls < k);
    page_verify();
    page_stats(&s);
    CHECK_EQ(s.in_use, held * PAGE_SIZE); /* no page is lost */
    CHECK_EQ(s.in_use + s.free + s.released, s.grown);
    CHECK_EQ(arena_init(), 0); /* it goes on */
    CHECK(page_take(3, &zero) != NO_PAGE);
    CHECK(page_take(2000, &zero) != NO_PAGE);
    page_verify();
    return calls < k;
}

static void every_failure(bool all_later)
{
    int status = 0;
    for (uint64_t k = 1; status != 3 << 8; k++) {
        CHECK(k < 500);
        pid_t pid = fork();
        if (pid == 0)
            _exit(check_life(k, all_later) ? 3 : 2);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(status == 3 << 8 || status == 2 << 8);
        CHECK(status == 2 << 8 || k > 10); /* so many are certain */
    }
}

TEST(each_single_failure) { every_failure(false); }
TEST(each_failure_and_all_later) { every_failure(true); }

/* A refused growth changes nothing at all. */
TEST(refused_growth_changes_nothing)
{
    struct page_stats a, b;
    bool zero;
    CHECK_EQ(arena_init(), 0);
    CHECK(page_take(100, &zero) != NO_PAGE);
    page_stats(&a);
    uint64_t mapped = page_mapped();
    for (int i = 0; i < 5; i++) {
        os_fail_at(1, true);
        CHECK_EQ(page_take(CHUNK_PAGES, &zero), NO_PAGE);
        os_fail_at(0, false);
        page_stats(&b);
        CHECK_EQ(a.top, b.top);
        CHECK_EQ(a.in_use, b.in_use);
        CHECK_EQ(a.free, b.free);
        CHECK_EQ(a.released, b.released);
        CHECK_EQ(page_mapped(), mapped);
    }
    CHECK_EQ(page_take(CHUNK_PAGES, &zero), 100);
    page_verify();
}
