/* links: os base page
 *
 * Memory for the library's own data: zero, apart from each other, counted.
 */
#include "pages.h"
#include <fcntl.h>
#include <pthread.h>

static uint64_t all_kinds(void)
{
    uint64_t n = 0;
    for (int k = 0; k < META_KINDS; k++)
        n += meta_bytes(k);
    return n;
}

static void check_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(p[i], 0);
}

TEST(meta_alloc_zero_aligned_apart)
{
    enum { N = 3000 };
    static struct {
        char *p;
        size_t n;
    } a[N];
    size_t sum = 0;
    for (int i = 0; i < N; i++) {
        a[i].n = 1 + rnd(rnd(50) ? 300 : 40000);
        a[i].p = meta_alloc(a[i].n, (enum meta_kind)rnd(META_KINDS));
        CHECK(a[i].p);
        CHECK_EQ((uintptr_t)a[i].p % 16, 0);
        check_zero(a[i].p, a[i].n);
        memset(a[i].p, i % 255 + 1, a[i].n);
        sum += a[i].n;
        CHECK_EQ(all_kinds(), meta_mapped());
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < a[i].n; k++)
            CHECK_EQ((unsigned char)a[i].p[k], i % 255 + 1);
    CHECK(meta_mapped() >= sum);
    CHECK(meta_mapped() < sum + sum / 2); /* blocks are filled well */
    meta_verify();
}

TEST(meta_slack_is_other)
{
    uint64_t other = meta_bytes(META_OTHER);
    CHECK(meta_alloc(100, META_THREAD));
    CHECK_EQ(meta_bytes(META_THREAD), 112);
    CHECK_EQ(meta_bytes(META_OTHER) - other, KIB(64) - 112);
    CHECK(meta_alloc(KIB(20), META_WORK)); /* whole OS pages */
    CHECK_EQ(meta_bytes(META_WORK), KIB(20));
    meta_verify();
}

TEST(meta_map_comes_and_goes)
{
    uint64_t before = meta_mapped();
    char *p = meta_map(10000, META_WORK);
    size_t n = align_up(10000, os_page_size());
    check_zero(p, n);
    CHECK_EQ((uintptr_t)p % os_page_size(), 0);
    CHECK_EQ(meta_bytes(META_WORK), n);
    CHECK_EQ(meta_mapped(), before + n);
    meta_unmap(p, 10000, META_WORK);
    CHECK_EQ(meta_bytes(META_WORK), 0);
    CHECK_EQ(meta_mapped(), before);
}

/* Is a readable and writable?  Asks the kernel, which does not fault. */
static bool accessible(char *a)
{
    int p[2];
    CHECK_EQ(pipe(p), 0);
    bool ok = write(p[1], a, 1) == 1 && read(p[0], a, 1) == 1;
    close(p[0]);
    close(p[1]);
    return ok;
}

TEST(table_ready_piece_by_piece)
{
    static struct meta_table t;
    bool ready[64] = {0};
    CHECK_EQ(meta_table_init(&t, 64 * KIB(64) - 100, META_BITS, "x"), 0);
    CHECK_EQ(t.reserved, 64 * KIB(64));
    CHECK_EQ(meta_bytes(META_BITS), 0);
    for (int i = 0; i < 60; i++) {
        size_t lo = rnd((uint32_t)t.reserved), n = rnd(4 * KIB(64)) + 1;
        size_t hi = lo + n < t.reserved ? lo + n : t.reserved, count = 0;
        CHECK_EQ(meta_table_ready(&t, lo, hi), 0);
        uint64_t calls = os_memory_calls();
        CHECK_EQ(meta_table_ready(&t, lo, hi), 0); /* no request for it */
        CHECK_EQ(os_memory_calls(), calls);
        for (size_t k = lo / KIB(64); k <= (hi - 1) / KIB(64); k++)
            ready[k] = true;
        for (size_t k = 0; k < 64; k++) {
            CHECK_EQ(accessible(t.base + k * KIB(64) + rnd(KIB(64))),
                     ready[k]);
            count += ready[k];
        }
        CHECK_EQ(meta_bytes(META_BITS), count * KIB(64));
        meta_verify();
    }
    CHECK_EQ(meta_table_ready(&t, 5, 5), 0); /* nothing */
}

TEST(table_failure_keeps_what_is_ready)
{
    static struct meta_table t;
    CHECK_EQ(meta_table_init(&t, MIB(1), META_BITS, "x"), 0);
    CHECK_EQ(meta_table_ready(&t, KIB(64), KIB(128)), 0);
    os_fail_at(2, false); /* the piece after the one that is ready */
    CHECK_EQ(meta_table_ready(&t, 0, KIB(192)), ENOMEM);
    CHECK_EQ(meta_bytes(META_BITS), KIB(128));
    CHECK_EQ(meta_table_ready(&t, 0, KIB(192)), 0);
    CHECK_EQ(meta_bytes(META_BITS), KIB(192));
    check_zero(t.base, KIB(192));
    meta_verify();
}

/* Address space of the process, in OS pages. */
static unsigned long address_space(void)
{
    static char text[100];
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 10);
}

/* False under an emulator, which shows its own. */
static bool address_space_follows(unsigned long space)
{
    void *p = mmap(NULL, GIB(1), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0);
    unsigned long more = address_space() - space;
    munmap(p, GIB(1));
    return more == GIB(1) / os_page_size() && address_space() == space;
}

TEST(table_init_fails_cleanly)
{
    static struct meta_table t;
    CHECK(os_map(1)); /* and the first page of the list of ranges */
    for (int k = 1; k <= 2; k++) {
        uint64_t before = meta_mapped();
        unsigned long space = address_space();
        bool counts_right = !SANITIZED && address_space_follows(space);
        os_fail_at((uint64_t)k, false);
        CHECK_EQ(meta_table_init(&t, GIB(64), META_BITS, "x"), ENOMEM);
        CHECK_EQ(meta_mapped(), before);
        CHECK_EQ(t.base, NULL);
        CHECK(!counts_right || address_space() == space);
    }
}

/* ---- Pools ------------------------------------------------------------- */

TEST(pool_records_are_reused_and_kept)
{
    static struct meta_pool pool = META_POOL(40, META_THREAD);
    unsigned char *r[200];
    for (int i = 0; i < 200; i++) {
        r[i] = meta_pool_get(&pool);
        check_zero((char *)r[i], 40);
        CHECK_EQ((uintptr_t)r[i] % 16, 0);
        memset(r[i], i + 1, 40);
    }
    CHECK_EQ(pool.in_use, 200);
    uint64_t mapped = meta_mapped(), bytes = meta_bytes(META_THREAD);
    for (int i = 0; i < 200; i++)
        meta_pool_put(&pool, r[i]);
    CHECK_EQ(pool.in_use, 0);
    for (int i = 0; i < 200; i++) /* also while they are on the list */
        for (int k = 0; k < 40; k++)
            CHECK_EQ(r[i][k], (unsigned char)(i + 1));
    for (int i = 0; i < 200; i++) {
        unsigned char *p = meta_pool_get(&pool);
        for (int k = 1; k < 40; k++)
            CHECK_EQ(p[k], p[0]);
        p[0] = 0; /* none is handed out twice */
        CHECK(p[1] != 0);
        memset(p, 0, 40);
    }
    CHECK_EQ(meta_mapped(), mapped);
    CHECK_EQ(meta_bytes(META_THREAD), bytes);
}

TEST(pool_without_memory)
{
    static struct meta_pool pool = META_POOL(5000, META_WORK);
    void *p = meta_pool_get(&pool);
    os_fail_at(1, true);
    while (meta_pool_get(&pool)) /* what is left of the block */
        ;
    uint64_t n = pool.in_use;
    CHECK_EQ(meta_pool_get(&pool), NULL);
    CHECK_EQ(pool.in_use, n);
    meta_pool_put(&pool, p);
    CHECK_EQ(meta_pool_get(&pool), p);
    os_fail_at(0, false);
    CHECK(meta_pool_get(&pool));
    CHECK_EQ(pool.in_use, n + 1);
    meta_verify();
}

static struct meta_pool shared = META_POOL(24, META_OTHER);
static struct meta_table shared_table;

static void *worker(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg * 77777 + test_seed();
    uint64_t *have[50];
    int n = 0;
    for (int i = 0; i < 5000; i++) {
        uint64_t r = rng_next(&seed) >> 16;
        if (n < 50 && r % 2) {
            have[n] = meta_pool_get(&shared);
            *have[n++] = (uintptr_t)arg;
        } else if (n) {
            CHECK_EQ(*have[--n], (uintptr_t)arg); /* nobody else has it */
            meta_pool_put(&shared, have[n]);
        }
        size_t at = r / 2 % (shared_table.reserved - 8) & ~(size_t)7;
        if (i % 20 == 0) {
            CHECK_EQ(meta_table_ready(&shared_table, at, at + 8), 0);
            add_relaxed((uint64_t *)(shared_table.base + at), 1);
        }
    }
    while (n)
        meta_pool_put(&shared, have[--n]);
    return NULL;
}

TEST(threads_share_pools_and_tables)
{
    pthread_t t[4];
    CHECK_EQ(meta_table_init(&shared_table, MIB(8), META_BITS, "x"), 0);
    for (uintptr_t i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, worker, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(shared.in_use, 0);
    uint64_t sum = 0;
    for (size_t i = 0; i < shared_table.reserved; i += KIB(64)) {
        if (!accessible(shared_table.base + i))
            continue;
        for (size_t k = 0; k < KIB(64); k += 8)
            sum += *(uint64_t *)(shared_table.base + i + k);
    }
    CHECK_EQ(sum, 4 * 5000 / 20);
    meta_verify();
}

TEST(fork_with_all_locks)
{
    static struct meta_pool pool = META_POOL(16, META_OTHER);
    int status;
    CHECK(meta_pool_get(&pool));
    meta_lock_all();
    CHECK(lock_held(&pool.lock));
    pid_t pid = fork();
    if (pid == 0) {
        meta_reset_locks();
        CHECK(meta_pool_get(&pool));
        CHECK(meta_alloc(100, META_OTHER));
        meta_verify();
        _exit(0);
    }
    meta_unlock_all();
    CHECK(meta_pool_get(&pool));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}
