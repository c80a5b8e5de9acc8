/* secure.h: the hardened mode, SANCAI_DEBUG=secure=1: what its rooms share.
 *
 *   secure.c      the door: which kind of block is it?
 *     |
 *     +-- slot.c         small blocks: what was asked for, canaries
 *     |     quarantine.c     freed ones wait, and come back in random order
 *     +-- runs.c         large blocks: a page without access behind each
 *     +-- guard.c        samples with pages of their own
 *     +-- zero.c         blocks of 0 bytes
 *     |
 *   blame.c       the line that says what is wrong, and whose block it was
 *
 * How it costs nothing while it is off: in the hardened mode no thread has a
 * cache, so every malloc and free finds its bin empty and full, and only there
 * is asked whether the mode is on.
 *
 * Three things are true of each hardened block: what was asked for is known,
 * outside of it; at least CANARY bytes behind that hold a secret pattern; and
 * while it is free, all of it holds POISON or cannot be accessed.
 */
#ifndef SC_SECURE_H
#define SC_SECURE_H

#include "malloc.h"

extern bool secure_on HIDDEN; /* set once, before there are threads */
extern uint64_t secure_key HIDDEN;

/* ---- secure.c ----------------------------------------------------------- */

#define ANY_SIZE SIZE_MAX /* the caller does not say what it frees */

/* If the settings ask for it: with the first call, and in our constructor. */
void secure_begin(void);
void secure_hook(void);
/* align: a power of two.  NULL: no memory. */
void *secure_malloc(size_t n, size_t align, bool *zero);
void secure_free(const char *who, void *p, size_t n);
void *secure_realloc(void *p, size_t n);
/* Bytes asked for: false after saying what is wrong. */
bool secure_size(const char *who, void *p, size_t *n);
uint64_t secure_random(uint64_t *state); /* 0 seeds it */
void secure_lock(void); /* around fork */
void secure_unlock(void);
void secure_fork_child(void);

/* ---- Patterns ----------------------------------------------------------- */

#define CANARY 8        /* bytes at least */
#define CANARY_MAX 1024 /* what lies further behind is not looked at */
#define POISON 0xd7     /* in every byte of a free block: no address */

/* Bytes behind what was asked for, by their addresses; none is 0, so that the
 * end of a string is noticed. */
void canary_write(void *p, size_t n, size_t size);
/* The first byte from n on that was written; size if there is none. */
size_t canary_broken(const void *p, size_t n, size_t size);
void poison(void *p, size_t size);
size_t poison_broken(const void *p, size_t size); /* the same, from 0 on */

/* ---- slot.c: small blocks ------------------------------------------------ */

/* NULL also if no size class has that alignment. */
void *slot_new(size_t n, size_t align);
void slot_free(const char *who, const struct mblock *, size_t n);
bool slot_size(const char *who, const struct mblock *, size_t *n);
bool slot_resize(const char *who, const struct mblock *, size_t n);
/* All blocks that are in use as the mode begins. */
bool slot_adopt(void);
/* The records of a span that is about to hand out blocks; false: no memory. */
bool slot_ready(struct mspan *);
/* A free block comes from its span, or goes back. */
void slot_fresh(void *p);
void slot_forget(void *p);
/* Blocks in quarantine were not written to: at the end of the process. */
void slot_check_held(void);
/* The record of a large block, beside them. */
void *record_get(uint32_t page);
bool record_set(uint32_t page, void *record);

/* ---- quarantine.c: free blocks of a class -------------------------------- */

/* A random one of those that are ready; NULL: no memory. */
void *shelf_take(unsigned class);
/* p waits from now on; who is ready instead, or NULL. */
void *shelf_hold(unsigned class, void *p);
void shelf_put(unsigned class, void *p);
/* The first that waits and of which this is true. */
void *shelf_find_held(unsigned class, bool (*is)(void *p));
uint64_t shelf_count(unsigned class); /* blocks in it */
void shelf_lock_all(void);            /* around fork */
void shelf_unlock_all(void);
void shelf_reset_locks(void);

/* ---- runs.c: large blocks ------------------------------------------------ */

void *run_new(size_t n, size_t align, bool *zero);
void run_free(const char *who, const struct mblock *, size_t n);
bool run_size(const char *who, const struct mblock *, size_t *n);
bool run_resize(const char *who, const struct mblock *, size_t n);
bool run_adopt(struct mspan *);
bool run_fault(const char *what, uintptr_t a, const struct mblock *);
void run_flush(void); /* those that wait go back */
void run_lock(void);
void run_unlock(void);
void run_reset_lock(void);

/* ---- guard.c: samples ---------------------------------------------------- */

void guard_begin(void);
bool guard_has(const void *p);
/* NULL: this one is not to have a guard, or there is no room. */
void *guard_new(size_t n, size_t align);
void guard_free(const char *who, void *p, size_t n);
bool guard_size(const char *who, void *p, size_t *n);
void guard_fault(const char *what, uintptr_t a);
void guard_lock(void);
void guard_unlock(void);
void guard_reset_lock(void);

/* ---- zero.c: blocks of 0 bytes ------------------------------------------- */

void zero_begin(void);
bool zero_has(const void *p);
void *zero_new(void); /* NULL: there are too many */
void zero_free(const char *who, void *p, size_t n);
bool zero_size(const char *who, void *p, size_t *n);
void zero_fault(const char *what, uintptr_t a);

/* ---- blame.c: what is said ----------------------------------------------- */

#define FRAMES 16
struct callers {
    void *frame[FRAMES];
    int n, thread;
};
void callers_note(struct callers *);
struct culprit {
    size_t class_size;                     /* 0: a large block */
    const struct callers *allocated, *freed; /* NULL: not known */
};
/* One line on what is wrong, and of the block what is known; then abort, as
 * with wrong_free.  fault: the process ends without us. */
void blame(const struct culprit *, const char *fmt, ...) PRINTF(2, 3) COLD;
void blame_fault(const struct culprit *, const char *fmt, ...)
    PRINTF(2, 3) COLD;
/* The usual ones: p of n bytes. */
void blame_freed(const struct culprit *, const char *who, const void *p) COLD;
void blame_overflow(const struct culprit *, const char *who, const void *p,
                    size_t n, size_t at) COLD;
void blame_underflow(const struct culprit *, const char *who, const void *p)
    COLD;
void blame_late(const struct culprit *, const char *who, const void *p,
                size_t at) COLD;
void blame_size(const struct culprit *, const char *who, const void *p,
                size_t has, size_t given) COLD;
/* Told by our handler of SIGSEGV. */
void secure_fault(uintptr_t a, enum os_access);

#endif
