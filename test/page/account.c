/* links: os base page
 *
 * Our sums against the kernel's own list of what is mapped.
 */
#include "pages.h"
#include <fcntl.h>

/* Address ranges that we know. */
struct ranges {
    uintptr_t lo[8], hi[8];
    int n;
};

static void add(struct ranges *r, void *p, size_t n)
{
    CHECK(r->n < 8);
    r->lo[r->n] = (uintptr_t)p;
    r->hi[r->n++] = (uintptr_t)p + n;
}

/* Readable and writable bytes: of the whole process, of mappings that bear
 * one of our names, of the ranges. */
struct writable {
    uint64_t all, named, in_ranges;
};

static void count_line(struct writable *w, const char *line,
                       const struct ranges *r)
{
    char *end;
    uint64_t lo = strtoul(line, &end, 16);
    uint64_t hi = strtoul(end + 1, &end, 16);
    if (strncmp(end, " rw", 3))
        return;
    w->all += hi - lo;
    w->named += strstr(end, "[anon:sancai: ") ? hi - lo : 0;
    for (int i = 0; i < r->n; i++) {
        uint64_t a = lo > r->lo[i] ? lo : r->lo[i];
        uint64_t z = hi < r->hi[i] ? hi : r->hi[i];
        w->in_ranges += a < z ? z - a : 0;
    }
}

/* Without stdio, which allocates. */
static struct writable kernel_writable(const struct ranges *r)
{
    static char text[1 << 20];
    struct writable w = {0, 0, 0};
    size_t n = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY);
    while ((got = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    CHECK(fd >= 0 && got == 0 && n < sizeof text - 1);
    close(fd);
    text[n] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        count_line(&w, line, r);
    return w;
}

static uint64_t table_ready_bytes(const struct meta_table *t)
{
    uint64_t n = 0;
    for (size_t i = 0; i < t->reserved / KIB(64); i++)
        n += t->ready[i / 8] >> i % 8 & 1;
    return n * KIB(64);
}

static void some_life(int ops)
{
    static struct {
        uint32_t page, n;
    } live[500];
    static struct page_cache cache;
    static uint32_t n;
    bool zero;
    for (int i = 0; i < ops; i++) {
        if (n < COUNT(live) && rnd(10) < 6) {
            uint32_t k = 1 + rnd(rnd(10) ? 16 : 700);
            live[n].page = page_cache_take(&cache, k, &zero);
            live[n].n = k;
            CHECK(live[n++].page != NO_PAGE);
        } else if (n) {
            uint32_t j = rnd(n);
            page_give(live[j].page, live[j].n);
            live[j] = live[--n];
        }
        if (rnd(50) == 0)
            scavenge_now(rnd(300) * PAGE_SIZE, true);
    }
}

static void check_sums(void)
{
    struct page_stats s;
    uint64_t meta = 0;
    page_stats(&s);
    for (int k = 0; k < META_KINDS; k++)
        meta += meta_bytes(k);
    CHECK_EQ(s.in_use + s.free + s.released, s.grown);
    CHECK_EQ(page_mapped(), s.grown + meta);
    CHECK_EQ(page_mapped_ready(), s.grown + meta - s.released);
    page_verify();
}

/* Nothing else allocates meanwhile, so what becomes writable in the process
 * is what we say became ready. */
TEST(sums_are_the_kernels)
{
    static struct meta_table table;
    struct ranges r = {.n = 0};
    struct page_stats s;
    CHECK_EQ(arena_init(), 0);
    CHECK_EQ(meta_table_init(&table, MIB(64), META_SPAN, "sancai: test"), 0);
    add(&r, (void *)arenas.base, arenas.size);
    add(&r, table.base, table.reserved);
    uint64_t base = kernel_writable(&r).all - page_mapped();
    for (int i = 0; i < 30; i++) {
        some_life(300);
        size_t at = rnd(MIB(63));
        CHECK_EQ(meta_table_ready(&table, at, at + rnd(MIB(1))), 0);
        void *p = meta_alloc(1 + rnd(5000), META_THREAD);
        void *m = meta_map(1 + rnd(100000), META_WORK);
        CHECK(p && m);
        check_sums();
        struct writable w = kernel_writable(&r);
        if (!SANITIZED) /* they map memory of their own meanwhile */
            CHECK_EQ(w.all, base + page_mapped());
        if (w.named)
            CHECK_EQ(w.named, page_mapped());
        page_stats(&s);
        CHECK_EQ(w.in_ranges, s.grown + table_ready_bytes(&table));
    }
}

/* What we call released is not resident, what is resident we count. */
TEST(resident_is_at_most_ready)
{
    static unsigned char in[1 << 18];
    CHECK_EQ(arena_init(), 0);
    for (int i = 0; i < 10; i++) {
        some_life(500);
        for (uint32_t p = 0; p < pages.top; p++)
            if (page_state(p) == USED)
                *(char *)arena_address(p) = 1;
        size_t per = PAGE_SIZE / os_page_size();
        if (!per)
            SKIP("pages of the system are larger than ours");
        CHECK(pages.top * per <= sizeof in);
        CHECK_EQ(mincore((void *)arenas.base, pages.top * PAGE_SIZE, in), 0);
        for (uint32_t p = 0; p < pages.top; p++)
            for (size_t k = 0; k < per; k++)
                CHECK(!(in[p * per + k] & 1) || page_state(p) != RELEASED);
    }
}
