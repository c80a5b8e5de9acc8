/* links: os
 * The four states of address space, refusals on order, memory that is gone. */
#include "../check.h"
#include "../../src/os/os.h"
#include "help.h"

#define MANY MIB(16)

/* Resident pages of [p, p+size). */
static size_t resident(void *p, size_t size)
{
    size_t pages = size / os_page_size(), n = 0;
    unsigned char *in = calloc(pages, 1);
    CHECK_EQ(mincore(p, size, in), 0);
    for (size_t i = 0; i < pages; i++)
        n += in[i] & 1;
    free(in);
    return n;
}

/* True if touching p ends a process by SIGSEGV. */
static bool faults(volatile char *p)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        *p = 1;
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
#ifdef __SANITIZE_ADDRESS__
    return WIFEXITED(status) ? WEXITSTATUS(status) != 0 : 1;
#else
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
#endif
}

TEST(states)
{
    char *p = os_reserve(MANY, os_page_size(), 0);
    CHECK(p != NULL);
    CHECK(faults(p));
    CHECK_EQ(os_commit(p, MANY / 2), 0);
    CHECK(faults(p + MANY / 2));
    CHECK_EQ(p[0] | p[MANY / 2 - 1], 0);
    memset(p, 0xa5, MANY / 2);
    CHECK_EQ(resident(p, MANY / 2), MANY / 2 / os_page_size());
    CHECK_EQ(os_discard(p, MANY / 4), 0);
    CHECK_EQ(resident(p, MANY / 4), 0);
    CHECK_EQ(p[0] | p[MANY / 4 - 1], 0);
    CHECK_EQ((unsigned char)p[MANY / 4], 0xa5);
    CHECK_EQ(os_decommit(p, MANY / 2), 0);
    CHECK(faults(p + MANY / 4));
    CHECK_EQ(os_commit(p, MANY), 0);
    CHECK_EQ(p[MANY / 4], 0);
    os_unreserve(p, MANY);
    CHECK(faults(p));
}

TEST(discard_returns_pages)
{
    char *p = os_map(MANY);
    CHECK(p != NULL);
    CHECK_EQ((uintptr_t)p % os_page_size(), 0);
    CHECK_EQ(p[0] | p[MANY - 1], 0);
    memset(p, 1, MANY);
    CHECK_EQ(os_discard(p + os_page_size(), MANY - os_page_size()), 0);
    CHECK_EQ(resident(p, MANY), 1);
    CHECK_EQ(p[0], 1);
    os_unmap(p, MANY);
    CHECK(faults(p));
}

/* Three pieces and a bit, from the middle of a page on where that is asked. */
static bool tell(const char *p, uint64_t *map)
{
    return os_touched((uintptr_t)p, 3 * MIB(1) + 1, MIB(1), map);
}

TEST(touched_is_told)
{
    char *p = os_map(MANY);
    uint64_t map[1];
    CHECK(p != NULL);
    if (!tell(p, map))
        SKIP("the kernel does not tell which pages were touched");
    CHECK_EQ(map[0], 0);
    p[MIB(1)] = 1;
    CHECK(tell(p, map));
    CHECK_EQ(map[0], 2);
    CHECK(tell(p + 8, map)); /* that page ends the first piece now */
    CHECK_EQ(map[0], 3);
    p[MIB(3) + os_page_size()] = 1; /* behind the end */
    CHECK(tell(p, map));
    CHECK_EQ(map[0], 2);
    p[MIB(3)] = 1;
    CHECK(tell(p, map));
    CHECK_EQ(map[0], 10);
    CHECK_EQ(os_discard(p, MIB(2)), 0);
    CHECK(tell(p, map));
    CHECK_EQ(map[0], 8);
    os_unmap(p, MANY);
}

TEST(alignment_and_hint)
{
    for (size_t align = os_page_size(); align <= GIB(1); align *= 4) {
        void *p = os_reserve(MIB(1), align, 0);
        CHECK(p != NULL);
        CHECK_EQ((uintptr_t)p % align, 0);
        os_unreserve(p, MIB(1));
    }
    uintptr_t at = 0x1200000000;
    void *p = os_reserve(MIB(64), MIB(64), at + 5);
    if ((uintptr_t)p != at)
        SKIP("0x%lx isn't free here", (unsigned long)at);
    void *q = os_reserve(MIB(64), MIB(64), at); /* taken: somewhere else */
    CHECK(q != NULL && q != p);
    CHECK_EQ((uintptr_t)q % MIB(64), 0);
}

/* Limits address space to size; skips where that isn't possible. */
static size_t limit_space(size_t size)
{
    struct rlimit limit = {size, size};
    if (emulated())
        SKIP("the emulator has no limit of address space");
    if (setrlimit(RLIMIT_AS, &limit) != 0 ||
        getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != size)
        SKIP("no limit of address space");
    size_t left = os_address_space_left();
    CHECK(left < size);
    if (left < size / 4)
        SKIP("a sanitizer holds the address space");
    return left;
}

TEST(trimming_leaves_nothing)
{
    size_t left = limit_space(GIB(64));
    for (int i = 0; i < 4; i++) { /* each takes the place the next tries */
        void *p = os_reserve(MIB(1), GIB(1), 0);
        CHECK(p != NULL);
        CHECK_EQ((uintptr_t)p % GIB(1), 0);
    }
    CHECK(left - os_address_space_left() < MIB(5));
}

/* The exact size fits, the larger one for alignment would not. */
TEST(reserve_under_tight_limit)
{
    size_t left = limit_space(GIB(8));
    uintptr_t at = (uintptr_t)os_reserve(left / 2 + MIB(64), MIB(64), 0);
    CHECK(at != 0);
    os_unreserve((void *)at, left / 2 + MIB(64));
    size_t most = align_down(left - MIB(16), MIB(64));
    CHECK(os_reserve(most, MIB(64), at) != NULL);
    CHECK(os_address_space_left() < MIB(96));
}

TEST(reserve_refuses)
{
    errno = 77;
    CHECK(os_reserve((size_t)1 << 60, MIB(64), 0) == NULL);
    CHECK(os_reserve(SIZE_MAX - MIB(1) + 1, MIB(64), 0) == NULL);
    CHECK(os_reserve(0, MIB(64), 0) == NULL);
    CHECK(os_map((size_t)1 << 60) == NULL);
    CHECK(os_map(0) == NULL);
    CHECK(os_commit((void *)os_page_size(), os_page_size()) != 0);
    CHECK_EQ(errno, 77);
    if (emulated())
        SKIP("the emulator forgets madvise's error");
    CHECK(os_discard((void *)os_page_size(), os_page_size()) != 0);
    CHECK_EQ(errno, 77);
}

TEST(fault_injection_once)
{
    uint64_t before = os_memory_calls();
    os_fail_at(3, false);
    void *p = os_reserve(MIB(1), os_page_size(), 0);
    CHECK(p != NULL);
    CHECK_EQ(os_commit(p, MIB(1)), 0);
    CHECK(os_map(MIB(1)) == NULL);
    CHECK(os_map(MIB(1)) != NULL);
    CHECK_EQ(os_memory_calls() - before, 4);
    os_fail_at(1, false);
    CHECK_EQ(os_commit(p, MIB(1)), ENOMEM);
    os_fail_at(1, false);
    CHECK(os_reserve(MIB(1), os_page_size(), 0) == NULL);
}

TEST(fault_injection_every)
{
    os_fail_at(2, true);
    CHECK(os_map(MIB(1)) != NULL);
    for (int i = 0; i < 10; i++)
        CHECK(os_map(MIB(1)) == NULL);
    CHECK(os_reserve(MIB(1), os_page_size(), 0) == NULL);
    os_fail_at(0, false);
    CHECK(os_map(MIB(1)) != NULL);
}

TEST(address_space_left)
{
    struct rlimit given;
    CHECK_EQ(getrlimit(RLIMIT_AS, &given), 0);
    CHECK_EQ(os_address_space_left() == SIZE_MAX,
             given.rlim_cur == RLIM_INFINITY);
    size_t left = limit_space(GIB(8));
    CHECK(os_reserve(GIB(1), os_page_size(), 0) != NULL);
    size_t now = os_address_space_left();
    CHECK(left - now >= GIB(1) && left - now < GIB(1) + MIB(16));
    CHECK(os_reserve(now + MIB(1), os_page_size(), 0) == NULL);
}

TEST(physical_memory)
{
    uint64_t told = (uint64_t)sysconf(_SC_PHYS_PAGES) * os_page_size();
    CHECK_EQ(os_physical_memory() / MIB(1), told / MIB(1));
    CHECK_EQ(os_page_size(), (size_t)sysconf(_SC_PAGESIZE));
}

static void read_edges(void)
{
    size_t page = os_page_size();
    char *p = os_map(3 * page), to[64], *big = malloc(2 * page);
    memset(p, 7, 3 * page);
    os_unmap(p + 2 * page, page);
    CHECK_EQ(os_read_memory(to, p, sizeof to), sizeof to);
    CHECK_EQ(to[0] + to[63], 14);
    CHECK_EQ(os_read_memory(to, p + page - 32, 64), 64);
    CHECK_EQ(to[0] + to[63], 14);
    CHECK_EQ(os_read_memory(to, p + 2 * page, 1), 0);
    CHECK_EQ(os_read_memory(big, p + 2 * page - 100, 2 * page), 100);
    CHECK_EQ(big[99], 7);
    CHECK_EQ(os_read_memory(to, NULL, 8), 0);
    char *q = os_reserve(page, page, 0); /* there, but not readable */
    CHECK_EQ(os_read_memory(to, q, 8), 0);
    free(big);
}

TEST(read_memory)
{
    errno = 77;
    read_edges();
    CHECK_EQ(errno, 77);
}

TEST(read_memory_in_sandbox)
{
    refuse(SYS_process_vm_readv, EPERM);
    read_edges();
}

TEST(names_show)
{
    char line[300];
    bool seen = false;
    char *p = os_map(MIB(1));
    if (prctl(0x53564d41, 0, p, MIB(1), "by hand") != 0) /* PR_SET_VMA */
        SKIP("this kernel doesn't name mappings");
    os_name(p, MIB(1), "sancai test", OS_USE_OTHER);
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f))
        seen |= strstr(line, "[anon:sancai test]") != NULL;
    fclose(f);
    CHECK(seen);
}
