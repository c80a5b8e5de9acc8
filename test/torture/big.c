/* big.c: shapes that break collectors: a list of ten million, a gigabyte in one
 * object, arrays of pointers, trees in several threads.  links: lib
 */
#include "torture.h"
#include <sys/sysinfo.h>

static int memory_for(uint64_t bytes)
{
    struct sysinfo s;

    return sysinfo(&s) == 0 && (uint64_t)s.freeram * s.mem_unit > bytes;
}

TEST_BOTH(ten_million_deep, 110)
{
    enum { N = 10000000 };
    if (!memory_for(3ull << 30))
        SKIP("needs 3 GB of free memory");
    Canary *head = NULL;
    for (uint64_t i = 0; i < N; i++) {
        Canary *c = canary_new(i);
        STORE(&c->next, head);
        head = c;
    }
    sc_collect();
    uint64_t n = N;
    for (Canary *c = head; c; c = c->next)
        canary_is(c, --n);
    CHECK_EQ(n, 0);
}

typedef Canary *Slot;

TEST_BOTH(a_gigabyte, 110)
{
    size_t n = (1u << 30) / sizeof(Slot);
    if (!memory_for(4ull << 30))
        SKIP("needs 4 GB of free memory");
    char *blob = sc_alloc_noscan(1u << 30);
    Slot *all = sc_new_array(Slot, n);
    CHECK(blob && all);
    for (size_t i = 0; i < n; i += 100003) {
        blob[i] = 1;
        STORE(&all[i], canary_new(i));
    }
    sc_collect();
    litter(100000);
    sc_collect();
    for (size_t i = 0; i < n; i += 100003) {
        canary_is(all[i], i);
        CHECK_EQ(blob[i], 1);
    }
    sc_free(blob);
    all = NULL;
    blob = NULL;
    sc_release_memory();
}

static Canary *tree(int depth)
{
    Canary *c = canary_new((uint64_t)depth);

    if (depth) {
        Canary *l = tree(depth - 1), *r = tree(depth - 1);
        STORE(&c->next, l);
        STORE(&c->other, r);
    }
    return c;
}

static uint64_t count(const Canary *c)
{
    canary_check(c);
    return c->next ? 1 + count(c->next) + count(c->other) : 1;
}

static void *forester(void *unused)
{
    for (long i = 0; i < scaled(6); i++) {
        Canary *t = tree(11);
        CHECK_EQ(count(t), 4095);
    }
    return NULL;
}

TEST_BOTH(trees_under_stress, 110)
{
    pthread_t t[4];

    debug_add("gcstress=500");
    for (int i = 0; i < 4; i++)
        t[i] = spawn(forester, NULL);
    driver_start();
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    driver_end();
}
