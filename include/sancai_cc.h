/* sancai_cc.h: what code compiled by `sancai cc` calls, version 2.
 *
 *   source                          compiled
 *   struct node n; keep(&n);        struct node *n = sc_cc_local(sizeof *n)
 *   p->next = q;                    sc_store_(&p->next, q)
 *   *p = *q;                        sc_copy(p, q, sizeof *p)
 *   memset(p, 0, n);                sc_clear(p, n)
 *   atomic_exchange(&p, q)          sc_exchange_(&p, q)
 *   compare and swap                sc_cc_cas(&p, expected, q)
 *   malloc(n), free(p), ...         sc_cc_malloc(n), sc_cc_free(p), ...
 *
 * The barrier is the library's own (sc_store_ and its kin, sancai.h).  On
 * x86-64, in code that is no shared library's, a store of a word is in place:
 *
 *   start:  cmpb $0, sc_cc_marking(%rip)    elsewhere:
 *           jne  slow                         slow: slot in r11, value pushed
 *           mov  value, (slot)                      (beyond the red zone)
 *   end:                                            call sc_cc_store_slow
 *                                                   pop; jmp end
 *
 * with a record of start and length in the section sc_wb.  A thread that is
 * interrupted within goes back to its start, if marking begins meanwhile; so
 * nothing in it may change what it reads.  sc_cc_store_slow preserves all
 * registers but r11 and the flags.  A store needs no barrier if its target is
 * in the frame, or thread-local, or a slot never stored to of an object just
 * allocated.
 *
 * Each object file has a section .note.sancai with SC_CC_MARK, by which the
 * driver finds those that were compiled otherwise.  A program of marked files
 * alone promises SC_BARRIERS_EXPLICIT when it starts; else the symbol
 * sc_cc_mixed is defined, and it promises nothing.
 *
 * Programs need this header only for the two attributes.
 */
#ifndef SANCAI_CC_H
#define SANCAI_CC_H

#include <stddef.h>
#include <sys/types.h>

#define SC_CC_ABI  2
#define SC_CC_MARK "sancai cc abi 2"

/* Before the declaration of a local variable.  SC_STACK: it stays in the frame
 * although its address escapes; its user promises that it is not used later.
 * SC_NOESCAPE: the compiler is to complain if the address escapes. */
#ifdef __clang__
#define SC_STACK    __attribute__((annotate("sancai.stack")))
#define SC_NOESCAPE __attribute__((annotate("sancai.noescape")))
#else
#define SC_STACK
#define SC_NOESCAPE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A restartable store: where it starts, from this member's address on. */
struct sc_cc_record {
    int start;
    unsigned length;
};
/* Once, before there is a second thread.  -1: no memory, or not the first. */
int sc_cc_records(const struct sc_cc_record *, size_t n);
/* Not 0 while there is something to do at stores.  Then their slow part. */
extern const unsigned char sc_cc_marking;
void sc_cc_store_slow(void);

/* A variable that was moved to the heap: zeroed, aligned to 16, or to `align`,
 * a power of two; without pointers.  Ends the program if memory is out, as a
 * stack that overflows would. */
void *sc_cc_local(size_t n);
void *sc_cc_local_aligned(size_t n, size_t align);
void *sc_cc_local_noscan(size_t n);

/* Old value, which is `expected` if and only if desired was stored. */
void *sc_cc_cas(void *slot, void *expected, void *desired);
/* memset with deletion barriers. */
void sc_cc_fill(void *p, int byte, size_t n);

/* As without sc_cc_; memory is the collected heap's.  sc_cc_free is a hint.
 * What was allocated by the C library is recognised and given back to it. */
int sc_cc_owns(const void *p); /* an address of the collected heap's */
int sc_cc_drop(void *p);       /* the hint alone; 0: no address of ours */
/* Multiples of this may be inside their object: aligned_alloc's. */
#define SC_CC_ALIGN 32
void *sc_cc_malloc(size_t n);
void *sc_cc_calloc(size_t n, size_t size);
void *sc_cc_realloc(void *p, size_t n);
void *sc_cc_reallocarray(void *p, size_t n, size_t size);
void sc_cc_free(void *p);
void *sc_cc_aligned_alloc(size_t align, size_t n);
void *sc_cc_memalign(size_t align, size_t n);
int sc_cc_posix_memalign(void **p, size_t align, size_t n);
size_t sc_cc_malloc_usable_size(void *p);
char *sc_cc_strdup(const char *s);
char *sc_cc_strndup(const char *s, size_t n);

/* Functions of the C library that store pointers where barriers or the
 * collector could not see them. */
void sc_cc_qsort(void *base, size_t n, size_t size,
                 int (*compare)(const void *, const void *));
ssize_t sc_cc_getline(char **line, size_t *n, void *file);
ssize_t sc_cc_getdelim(char **line, size_t *n, int end, void *file);
int sc_cc_putenv(char *s);
int sc_cc_setvbuf(void *file, char *buffer, int mode, size_t n);

#ifdef __cplusplus
}
#endif

#endif
