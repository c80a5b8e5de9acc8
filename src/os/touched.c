/* touched.c: which memory was never touched, so that nobody need look at it.
 *
 *   /proc/self/pagemap   one word per page: bit 63 there, bit 62 swapped out
 *
 *   [a, a + n)   |piece|piece|piece|piece|      bit of a piece: some page of it
 *   pages        |x . . . x x . . . . . .|      is there or was swapped out
 *   map             1     1     0     0
 *
 * A page that was only read is there too (the page of zeroes), which is right
 * for a reader who only asks what may be left out.
 *
 * The file may be missing, refused, or speak of other addresses than ours (an
 * emulator's): what it says is taken for true only if it knows that the page of
 * this very function's stack is there.  It is opened for each question: kept
 * open it would be the parent's after fork, and programs close what they don't
 * know.
 *
 * No locks, no state.
 */
#include "os_private.h"

#define TOUCHED (3ull << 62)
enum { ENTRIES = OS_BUFFER / sizeof(uint64_t) };

/* Entries of n pages, the first of which holds a. */
static bool read_entries(int fd, uintptr_t a, uint64_t *e, size_t n)
{
    long r = OS_CALL4(SYS_pread64, fd, e, n * sizeof *e,
                      a / os_page_size() * sizeof *e);
    return r == (long)(n * sizeof *e);
}

static bool speaks_of_us(int fd)
{
    uint64_t entry = 0;
    return read_entries(fd, (uintptr_t)&entry, &entry, 1) && (entry & TOUCHED);
}

/* The pieces that bytes [lo, hi) of the range belong to. */
static void set_pieces(uint64_t *map, size_t lo, size_t hi, size_t piece)
{
    for (size_t i = lo / piece; i <= (hi - 1) / piece; i++)
        map[i / 64] |= 1ull << (i & 63);
}

static bool read_map(int fd, uintptr_t a, size_t n, size_t piece,
                     uint64_t *map)
{
    uint64_t e[ENTRIES];
    size_t page = os_page_size();
    uintptr_t at = align_down(a, page), end = a + n;
    while (at < end) {
        size_t k = min_size((end - at + page - 1) / page, ENTRIES);
        if (!read_entries(fd, at, e, k))
            return false;
        for (size_t i = 0; i < k; i++, at += page)
            if (e[i] & TOUCHED)
                set_pieces(map, at > a ? at - a : 0,
                           min_size(at + page, end) - a, piece);
    }
    return true;
}

bool os_touched(uintptr_t a, size_t n, size_t piece, uint64_t *map)
{
    int fd = os_open("/proc/self/pagemap");
    if (fd < 0)
        return false;
    for (size_t i = 0; i < (n + piece * 64 - 1) / (piece * 64); i++)
        map[i] = 0;
    bool known = speaks_of_us(fd) && read_map(fd, a, n, piece, map);
    os_close(fd);
    return known;
}
