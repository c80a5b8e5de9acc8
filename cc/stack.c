/* stack.c: an allocation that does not outlive its function is a variable.
 *
 *   p = malloc(24)      %p = alloca [24 x i8]
 *   ... p->next ...     ...
 *   free(p)
 *
 * After Go (cmd/compile/internal/escape: new(T) does not escape), with what C
 * needs beyond it: the memory must not get to anyone who may give it to free
 * or realloc.  So its address is only followed where that can be seen:
 * loads, stores to it, comparisons, free itself, functions of the C library,
 * and functions that free nothing, do not keep it in memory and whose result
 * it can't be.
 *
 * Bounded: the size is known, one object is at most OBJECT_MOST bytes, those of
 * a function FRAME_MOST; never in a loop, and not where a longjmp may come
 * back to.
 */
#include <string.h>

#include "unit.h"

/* Threads of C programs have stacks of some 64 KiB, when they are small. */
#define OBJECT_MOST 1024
#define FRAME_MOST 4096

static bool named(LLVMValueRef f, const char *name)
{
    return strcmp(ir_name(f), name) == 0;
}

static bool is_free(LLVMValueRef f)
{
    return LLVMIsDeclaration(f) && (named(f, "free") || named(f, "cfree"));
}

/* ---- Who may free ------------------------------------------------------ */

static bool may_free(struct unit *, LLVMValueRef function);

static bool call_may_free(struct unit *u, LLVMValueRef call)
{
    LLVMValueRef f = ir_callee(call);
    if (!f)
        return !LLVMIsAInlineAsm(LLVMGetCalledValue(call));
    if (LLVMGetIntrinsicID(f))
        return false;
    if (!LLVMIsDeclaration(f))
        return may_free(u, f);
    return is_free(f) || system_allocates(call) == REALLOCATES
        || !system_flows(f);
}

/* A function that is being asked about calls itself: that adds nothing. */
static bool may_free(struct unit *u, LLVMValueRef function)
{
    enum { ASKED = 1, NO, YES };
    intptr_t *known = table_at(&u->frees, function);
    bool yes = false;
    if (*known)
        return *known == YES;
    *known = ASKED;
    EACH_BLOCK(b, function)
        EACH_INSTRUCTION(i, b)
            yes = yes || (LLVMIsACallInst(i) && call_may_free(u, i));
    *table_at(&u->frees, function) = yes ? YES : NO;
    return yes;
}

/* ---- Where the address goes -------------------------------------------- */

/* Functions of the C library return no address as a number. */
static bool library_returns_it(LLVMValueRef call)
{
    return LLVMGetFirstUse(call) && ir_has_pointer(LLVMTypeOf(call));
}

/* Does parameter p of a function of ours go, as it is, to where free could find
 * it: what another points to, or a result that is used? */
static bool is_kept(struct unit *u, LLVMValueRef call, LLVMValueRef f, int p)
{
    const struct summary *s = solve_summary(u, f);
    if (!s || p >= s->params || ir_variadic(f))
        return true;
    for (int j = 0; j < s->params; j++)
        if (s->memory[p * s->params + j] <= 0)
            return true;
    return s->heap[p] <= 0 || (s->result[p] <= 0 && LLVMGetFirstUse(call));
}

static bool is_argument_safe(struct unit *u, LLVMValueRef call, int arg,
                             bool start)
{
    LLVMValueRef f = ir_callee(call);
    if (!f || LLVMGetCalledValue(call) != f)
        return false;
    if (LLVMGetIntrinsicID(f))
        return true;
    if (is_free(f))
        return start;
    if (call_may_free(u, call))
        return false;
    return LLVMIsDeclaration(f) ? !library_returns_it(call)
                                : !is_kept(u, call, f, arg);
}

static bool is_call_safe(struct unit *u, LLVMValueRef call, LLVMValueRef v,
                         bool start)
{
    unsigned n = LLVMGetNumArgOperands(call);
    for (unsigned k = 0; k < n; k++)
        if (LLVMGetOperand(call, k) == v
            && !is_argument_safe(u, call, (int)k, start))
            return false;
    return LLVMGetCalledValue(call) != v;
}

/* start: v is the object's start, as free wants it. */
static bool is_followed(struct unit *u, LLVMValueRef v, bool start)
{
    EACH_USER(i, v) {
        if (LLVMIsALoadInst(i) || LLVMIsAICmpInst(i))
            continue;
        if (LLVMIsAStoreInst(i) && LLVMGetOperand(i, 0) != v)
            continue;
        if (LLVMIsAGetElementPtrInst(i) && LLVMGetOperand(i, 0) == v
            && is_followed(u, i, false))
            continue;
        if (LLVMIsACallInst(i) && is_call_safe(u, i, v, start))
            continue;
        return false;
    }
    return true;
}

/* ---- Which ------------------------------------------------------------- */

/* What malloc or calloc is asked for, if it is known and small; else 0. */
static uint64_t size_asked(LLVMValueRef call)
{
    LLVMValueRef f = ir_callee(call);
    uint64_t n, size = 1;
    bool zeroed = f && named(f, "calloc");
    if (!f || !(zeroed || named(f, "malloc")) || !LLVMIsDeclaration(f)
        || !ir_constant(LLVMGetOperand(call, 0), &n)
        || (zeroed && !ir_constant(LLVMGetOperand(call, 1), &size)))
        return 0;
    return n <= OBJECT_MOST && size <= OBJECT_MOST && n * size <= OBJECT_MOST
             ? n * size : 0;
}

static bool comes_back(LLVMValueRef function)
{
    EACH_BLOCK(b, function)
        EACH_INSTRUCTION(i, b)
            if (LLVMIsACallInst(i) && ir_callee(i)
                && strstr(ir_name(ir_callee(i)), "setjmp"))
                return true;
    return false;
}

void stack_decide(struct build *b)
{
    struct unit *u = b->unit;
    uint64_t all = 0, n;
    for (int i = 0; i < b->graph.nnodes; i++) {
        struct node *o = &b->graph.nodes[i];
        LLVMValueRef call = (LLVMValueRef)o->is;
        if (o->kind != NODE_OBJECT || o->escapes || o->loop >= 0
            || !LLVMIsACallInst(call) || !(n = size_asked(call))
            || all + n > FRAME_MOST || !is_followed(u, call, true)
            || comes_back(b->function))
            continue;
        all += n;
        ROOM(u->stacks, u->nstacks, u->rstacks);
        u->stacks[u->nstacks++] = call;
    }
}

/* ---- Change ------------------------------------------------------------ */

static LLVMValueRef room_make(struct unit *u, LLVMBuilderRef build,
                              LLVMValueRef call)
{
    LLVMValueRef function = LLVMGetBasicBlockParent(
        LLVMGetInstructionParent(call));
    LLVMTypeRef bytes = LLVMArrayType2(LLVMInt8TypeInContext(u->context),
                                       size_asked(call));
    ir_position(build, LLVMGetFirstInstruction(
        LLVMGetEntryBasicBlock(function)));
    LLVMValueRef room = LLVMBuildAlloca(build, bytes, "object");
    LLVMSetAlignment(room, 16);
    return room;
}

static void frees_drop(LLVMValueRef call)
{
    LLVMUseRef next;
    for (LLVMUseRef use = LLVMGetFirstUse(call); use; use = next) {
        LLVMValueRef i = LLVMGetUser(use);
        next = LLVMGetNextUse(use);
        if (LLVMIsACallInst(i) && ir_callee(i) && is_free(ir_callee(i)))
            LLVMInstructionEraseFromParent(i);
    }
}

static void to_stack(struct unit *u, LLVMBuilderRef build, LLVMValueRef call)
{
    LLVMTypeRef byte = LLVMInt8TypeInContext(u->context);
    LLVMTypeRef word = LLVMInt64TypeInContext(u->context);
    LLVMValueRef room = room_make(u, build, call);
    if (named(ir_callee(call), "calloc")) {
        ir_position(build, call);
        LLVMBuildMemSet(build, room, LLVMConstInt(byte, 0, 0),
                        LLVMConstInt(word, size_asked(call), 0), 16);
    }
    frees_drop(call);
    LLVMReplaceAllUsesWith(call, room);
    LLVMInstructionEraseFromParent(call);
}

void stack_all(struct unit *u)
{
    LLVMBuilderRef build = LLVMCreateBuilderInContext(u->context);
    for (int i = 0; i < u->nstacks; i++)
        to_stack(u, build, u->stacks[i]);
    LLVMDisposeBuilder(build);
}
