/* links: lib
 *
 * Large arrays of which most was never touched: what little is there is found,
 * and the collector leaves the rest untouched.
 */
#include "told.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct Leaf {
    uint64_t number;
} Leaf;

typedef struct Place {
    Leaf *leaf;
} Place;
SC_LAYOUT(Place, leaf)

enum { PLACES = 12 << 20, STEP = 100003 }; /* 96 MiB; 800 KB apart */

static Place *places; /* a root */

static void put(size_t i)
{
    Leaf *l = sc_alloc_noscan(sizeof *l);
    CHECK(l);
    l->number = i;
    sc_store(&places[i].leaf, l);
}

static void check_each(size_t from, size_t step)
{
    for (size_t i = from; i < PLACES; i += step)
        CHECK_EQ(places[i].leaf->number, i);
}

/* So that what was freed by mistake is something else. */
static void churn(void)
{
    for (int i = 0; i < 100000; i++) {
        Leaf *l = sc_alloc_noscan(sizeof *l);
        CHECK(l);
        l->number = ~0ull;
    }
}

/* Pages of the array that the kernel has something for; -1: it does not say, or
 * speaks of other addresses (as under an emulator). */
static long touched(void)
{
    uint64_t entry = 0;
    long n = 0, page = sysconf(_SC_PAGESIZE);
    int fd = open("/proc/self/pagemap", O_RDONLY);
    if (fd < 0)
        return -1;
    if (pread(fd, &entry, 8, (uintptr_t)&entry / page * 8) != 8 ||
        !(entry >> 62))
        n = -1;
    for (size_t i = 0; n >= 0 && i < PLACES * sizeof *places / page; i++) {
        uintptr_t at = (uintptr_t)places / page + i;
        CHECK_EQ(pread(fd, &entry, 8, at * 8), 8);
        n += entry >> 62 != 0;
    }
    close(fd);
    return n;
}

TEST(what_is_there_is_found)
{
    places = sc_new_array(Place, PLACES);
    CHECK(places);
    for (size_t step = STEP; step > 500; step /= 7) {
        for (size_t i = 0; i < PLACES; i += step)
            put(i);
        sc_collect();
        churn();
        check_each(0, step);
    }
    for (size_t i = 1; i < PLACES; i += 500) /* everywhere by now */
        put(i);
    for (int i = 0; i < 3; i++) {
        sc_collect();
        churn();
        check_each(1, 500);
    }
}

static void *write_late(void *arg)
{
    for (size_t i = 7; i < PLACES; i += STEP)
        put(i);
    return arg;
}

/* Stores into pages that the collector has passed by are told to it. */
TEST(written_while_marking)
{
    for (int i = 0; i < 5; i++) {
        pthread_t t;
        places = sc_new_array(Place, PLACES);
        CHECK(places);
        CHECK_EQ(pthread_create(&t, NULL, write_late, NULL), 0);
        for (int j = 0; j < 4; j++)
            sc_collect();
        pthread_join(t, NULL);
        sc_collect();
        churn();
        check_each(7, STEP);
    }
}

TEST(the_rest_is_left_alone)
{
    places = sc_new_array(Place, PLACES);
    CHECK(places);
    if (touched() < 0)
        SKIP("the kernel does not tell which pages were touched");
    for (size_t i = 0; i < PLACES; i += PLACES / 8)
        put(i);
    for (int i = 0; i < 3; i++)
        sc_collect();
    check_each(0, PLACES / 8);
    /* At most 128 KiB about each of eight places. */
    CHECK(touched() * sysconf(_SC_PAGESIZE) <= 8 * (128 << 10));
}
