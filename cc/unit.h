/* unit.h: the corridor between the rooms of the pass.
 *
 *   plugin (C++) -- pass          when clang has made its first code
 *     |- debug, note, literal, type  what the variables are called and are
 *     |- solve -- build, call     each function's location graph,
 *     |    |      system          callees first
 *     |    |- graph, loop, component
 *     |    '- end
 *     |- report                   what was found
 *     '- stack, move, barrier -- entry   code is changed, calls of the runtime
 *   plugin -- pass -- place       when clang has optimised all
 *
 * A unit is one module: one source file with all it includes.
 */
#ifndef SANCAI_CC_UNIT_H
#define SANCAI_CC_UNIT_H

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>
#include <llvm-c/Target.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "graph.h"
#include "need.h"
#include "order.h"

/* ---- pass.c ------------------------------------------------------------ */

/* What the driver asks for, from SANCAI_CC_OPTIONS: "m=2,check". */
struct options {
    int m;          /* how much is told: 0, 1, 2 */
    bool json;
    bool check;     /* only report */
    bool keep_debug;
    bool call;      /* stores with barriers stay calls */
    bool nobarrier; /* none are made: to measure what they cost */
    bool later;     /* the whole program is looked at when it is linked */
    bool time;      /* tell how long it took */
    int report_fd;
};

struct place {
    const char *file;
    unsigned line, column;
};

/* What is to be done with a variable. */
struct move {
    LLVMValueRef function, variable;
    bool to_heap;   /* else: it stays for the whole frame */
};

struct finding;
struct unit {
    LLVMModuleRef module;
    LLVMContextRef context;
    LLVMTargetDataRef layout;
    struct options options;
    struct table vars;      /* alloca or argument -> struct var * */
    struct table types;     /* allocating call -> name of its type */
    struct table summaries; /* function -> struct summary * */
    struct finding *findings;
    int nfindings, rfindings;
    struct move *moves;
    int nmoves, rmoves;
    LLVMValueRef *stacks;   /* allocations that become variables */
    int nstacks, rstacks;
    struct table frees;     /* function -> may it free? (stack.c) */
    char *errors;           /* lines */
};

/* An error of the program's source. */
void unit_error(struct unit *, struct place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- ir.c: short questions to LLVM ------------------------------------- */

const char *ir_name(LLVMValueRef);
bool ir_begins(const char *s, const char *with);
bool ir_is(LLVMValueRef, LLVMOpcode);
/* The function that a call names, or NULL. */
LLVMValueRef ir_callee(LLVMValueRef call);
/* Is it a call of an intrinsic whose name begins so? */
bool ir_calls(LLVMValueRef, const char *intrinsic);
bool ir_has_pointer(LLVMTypeRef);
/* Can a value of this type carry a pointer, as a number too? */
bool ir_carries(LLVMTypeRef);
bool ir_attribute(LLVMValueRef function, int index, const char *name);
/* On the call itself or on the function it names; index from 1. */
bool ir_call_attribute(LLVMValueRef call, int index, const char *name);
int ir_argument_index(LLVMValueRef argument);
/* A function that was declared variadic. */
bool ir_variadic(LLVMValueRef function);
/* True, and its value, if v is a number that is known. */
bool ir_constant(LLVMValueRef v, uint64_t *);
bool ir_passes(struct unit *, const char *passes);
/* An alloca whose size is not known. */
bool ir_is_dynamic(LLVMValueRef);
/* Is argument i of the call known to be aligned to a word? */
bool ir_is_aligned(LLVMValueRef call, int i);
/* Builds before i, and with its place. */
void ir_position(LLVMBuilderRef, LLVMValueRef i);

#define EACH_BLOCK(b, f)                                        \
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b;    \
         b = LLVMGetNextBasicBlock(b))
#define EACH_INSTRUCTION(i, b)                                  \
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i;        \
         i = LLVMGetNextInstruction(i))
#define EACH_FUNCTION(f, u)                                     \
    for (LLVMValueRef f = LLVMGetFirstFunction((u)->module); f; \
         f = LLVMGetNextFunction(f))
#define EACH_PARAM(p, f)                                        \
    for (LLVMValueRef p = LLVMGetFirstParam(f); p;              \
         p = LLVMGetNextParam(p))
#define EACH_USER(x, v)                                         \
    for (LLVMUseRef x##_ = LLVMGetFirstUse(v); x##_;            \
         x##_ = LLVMGetNextUse(x##_))                           \
        for (LLVMValueRef x = LLVMGetUser(x##_); x; x = NULL)

/* ---- debug.c, note.c, literal.c, type.c: what the source says ---------- */

struct var {
    const char *name;
    LLVMMetadataRef type, scope;
    struct place place;
    LLVMValueRef declare;
    bool parameter;
};

/* Notes the variables of all functions; again after mem2reg, which takes
 * most of them away.  False if the debug information is not as expected. */
bool debug_collect(struct unit *);
/* Forgets all but the parameters. */
void debug_forget(struct unit *);
/* What the source notes at a variable (SC_STACK, SC_NOESCAPE), else "". */
#define NOTE_STACK    "sancai.stack"
#define NOTE_NOESCAPE "sancai.noescape"
void debug_notes(struct unit *);
const char *debug_note(LLVMValueRef alloca);
struct var *debug_var(const struct unit *, LLVMValueRef);
struct place debug_place(LLVMValueRef instruction);
/* Of an instruction, or of the first user that has one. */
struct place debug_place_near(LLVMValueRef);
bool debug_is_intrinsic(LLVMValueRef);
/* Operand i of a node, or NULL. */
LLVMMetadataRef debug_operand(LLVMMetadataRef, unsigned i);
bool debug_is_node(LLVMMetadataRef);
const char *debug_text(LLVMMetadataRef);
/* The block that an instruction stands in, or NULL. */
LLVMMetadataRef debug_scope(LLVMValueRef instruction);
/* The file that declares a function, or NULL. */
const char *debug_declared_in(LLVMValueRef function);

/* Marks where compound literals are evaluated, as if they were variables. */
void literal_mark_all(struct unit *);

/* The C type's words: "struct Node *"; NULL if not known. */
char *type_name(LLVMMetadataRef);
/* Is it, or does it hold, a pointer? */
bool type_has_pointer(LLVMMetadataRef);
/* Finds out what allocations are for. */
void type_collect(struct unit *);

/* ---- system.c: what functions of the system retain --------------------- */

/* A word per argument, see system.def; NULL: nothing is known. */
const char *system_flows(LLVMValueRef function);
/* Does the call make an object, and of what kind? */
enum allocation { NO_ALLOCATION, ALLOCATES, REALLOCATES };
enum allocation system_allocates(LLVMValueRef call);

/* ---- build.c, call.c: code to graph ------------------------------------ */

struct build {
    struct unit *unit;
    LLVMValueRef function;
    struct graph graph;
    struct summary *summary;
    struct table values;  /* -> node + 1, of the value itself */
    struct table homes;   /* -> node + 1, of the memory that it points to */
    struct table blocks;  /* -> number + 1 */
    struct table scopes;  /* of debug information -> number */
    int *scope_parent, nscopes, rscopes;
    struct loops loops;
    int rest;             /* node of the variadic arguments' memory, or -1 */
};
/* The graph of a function, solved, by its callees' summaries. */
void build_init(struct build *, struct unit *, LLVMValueRef function);
void build_free(struct build *);
/* Node of a value that may hold a pointer, or -1. */
int build_value(struct build *, LLVMValueRef);
/* What *pointer is: src, so many times dereferenced, flows there. */
void build_store(struct build *, LLVMValueRef pointer, int from, int derefs,
                 LLVMValueRef why);
void build_leak(struct build *, LLVMValueRef, int derefs, LLVMValueRef why);
void call_flows(struct build *, LLVMValueRef call);

/* ---- end.c ------------------------------------------------------------- */

/* Is the variable's address used after the mark of its end? */
bool end_passed(const struct build *, LLVMValueRef alloca);

/* ---- solve.c: all functions, callees first ----------------------------- */

struct summary *solve_summary(const struct unit *, LLVMValueRef function);
void solve_all(struct unit *, void (*found)(struct build *));

/* ---- report.c ---------------------------------------------------------- */

/* Notes what was found in a function. */
void report_function(struct build *);
void report_write(struct unit *);

/* ---- entry.c, move.c, barrier.c: code is changed ----------------------- */

/* A call of an entry point of the runtime. */
LLVMValueRef ir_call(struct unit *, LLVMBuilderRef, const char *name,
                     LLVMValueRef *args, unsigned n);
/* malloc and its kin become the runtime's. */
void entry_replace(struct unit *);
/* Does the call make a zeroed object? */
bool entry_is_fresh(LLVMValueRef call);
/* Notes which variables of a function are to be moved; moves all noted. */
void move_decide(struct build *);
void move_all(struct unit *);
/* stack.c: notes which allocations of a function can be variables, after it
 * was reported; makes them so. */
void stack_decide(struct build *);
void stack_all(struct unit *);
/* Puts barriers where they are needed. */
void barrier_all(struct unit *);
/* target.c: what an address is an offset from; is it in the frame, or
 * thread-local? */
LLVMValueRef target_origin(LLVMValueRef);
bool target_is_private(LLVMValueRef);
/* place.c, after the last optimisation: stores without a call. */
void place_all(struct unit *);

/* ---- embed.c ----------------------------------------------------------- */

/* The module as it is now, if it is to be kept; in the object at the end. */
LLVMMemoryBufferRef embed_begin(struct unit *);
void embed_end(struct unit *, LLVMMemoryBufferRef);

#endif
