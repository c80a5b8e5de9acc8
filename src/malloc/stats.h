/* stats.h: what the library tells `sancai run --malloc`: a contract of layouts.
 *
 * The tool gives the program a memory file of one page, whose descriptor's
 * number is in SC_MALLOC_ENV.  It tells of one process: the first below
 * `sancai run` that loads the library.  It is written by an orderly exit, and
 * each second while pages are being given back.
 *
 * Bytes; all rows but the last three add up to `mapped`.
 */
#ifndef SC_MALLOC_STATS_H
#define SC_MALLOC_STATS_H

#include <stdint.h>

#define SC_MALLOC_MAGIC "SANCAI-MALLOCPG1" /* 16 bytes, no final zero */
#define SC_MALLOC_BYTES 4096
#define SC_MALLOC_ENV "SANCAI_MALLOC_FD"
#define SC_MALLOC_CLASSES 72

#define SC_MALLOC_ROWS(R)                                               \
    R(used_small, "blocks in use, to 32 KiB")                           \
    R(used_large, "blocks in use, larger")                              \
    R(cached, "free, in threads' caches")                               \
    R(free_blocks, "free, in spans")                                    \
    R(tails, "ends of spans, too short for a block")                    \
    R(reserved, "free runs of pages, for the next span")                \
    R(free_pages, "free pages")                                         \
    R(released, "free pages, given back")                               \
    R(metadata, "our own tables")                                       \
    R(mapped, "mapped")                                                 \
    R(resident, "resident, whole process")                              \
    R(given, "given back so far")

struct sc_malloc_class {
    uint32_t size, spans;
    uint32_t slots, cached, free; /* blocks */
};
struct sc_malloc_page {
    char magic[16];
    uint64_t pid;      /* whose page it is; 0: nobody's yet */
    uint64_t finished; /* 1: by an orderly exit */
#define SC_R_(name, text) uint64_t name;
    SC_MALLOC_ROWS(SC_R_)
#undef SC_R_
    struct sc_malloc_class classes[SC_MALLOC_CLASSES];
};

_Static_assert(sizeof(struct sc_malloc_page) <= SC_MALLOC_BYTES, "one page");

#endif
