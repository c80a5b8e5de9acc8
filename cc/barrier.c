/* barrier.c: the write barrier at each store that may reach the heap.
 *
 *   store ptr %q, %slot          call sc_store_(%slot, %q)
 *   memcpy, struct assignment    call sc_copy(...)
 *   memset                       call sc_clear(...), sc_cc_fill(...)
 *   exchange, compare and swap   call sc_exchange_(...), sc_cc_cas(...)
 *
 * The store is the call, from before the first optimisation to after the last
 * (place.c): nothing can come between check and store, and no optimiser can
 * turn a pointer store into something that is not recognised.
 *
 * No barrier is needed where the target is
 *   - in the frame: stacks are scanned; thread-local: likewise
 *   - a slot never stored to, of an object allocated just before, by this
 *     thread, in straight code without calls since (and not handed out).  The
 *     old value is null, and the new one was reachable when this thread's stack
 *     was scanned, or has been allocated since, or was shaded on its way here.
 *
 * A number is stored like a pointer if it was made from one, or if its type
 * says that it may be a union's member ("omnipotent char"), or nothing at all:
 * it may overwrite a pointer.
 */
#include <string.h>

#include "unit.h"

#define SLOTS 32
#define WORDS 4 /* copied one by one */
#define JMP_BUF_REGISTERS 64 /* bytes */

struct fresh {
    LLVMValueRef object;   /* NULL: none */
    int64_t slots[SLOTS];  /* stored to */
    int n;
};

struct barriers {
    struct unit *unit;
    LLVMBuilderRef build;
    struct fresh fresh;
    struct table ends;     /* block -> struct fresh * at its end */
};

/* ---- Targets ----------------------------------------------------------- */

/* Bytes from the base; false if not known. */
static bool offset_of(struct unit *u, LLVMValueRef p, int64_t *offset)
{
    *offset = 0;
    for (; ir_is(p, LLVMGetElementPtr); p = LLVMGetOperand(p, 0)) {
        LLVMTypeRef t = LLVMGetGEPSourceElementType(p);
        for (int i = 1; i < LLVMGetNumOperands(p); i++) {
            LLVMValueRef v = LLVMGetOperand(p, (unsigned)i);
            uint64_t n;
            if (!ir_constant(v, &n))
                return false;
            if (i > 1 && LLVMGetTypeKind(t) == LLVMStructTypeKind) {
                *offset += (int64_t)LLVMOffsetOfElement(u->layout, t,
                                                        (unsigned)n);
                t = LLVMStructGetTypeAtIndex(t, (unsigned)n);
                continue;
            }
            if (i > 1)
                t = LLVMGetElementType(t);
            *offset += LLVMConstIntGetSExtValue(v)
                     * (int64_t)LLVMABISizeOfType(u->layout, t);
        }
    }
    return true;
}

/* The first store to this slot of the fresh object? */
static bool is_first_store(struct barriers *b, LLVMValueRef p)
{
    struct fresh *f = &b->fresh;
    int64_t offset;
    if (!f->object || target_origin(p) != f->object)
        return false;
    if (f->n == SLOTS || !offset_of(b->unit, p, &offset)) {
        f->object = NULL;
        return false;
    }
    for (int i = 0; i < f->n; i++)
        if (f->slots[i] > offset - 8 && f->slots[i] < offset + 8)
            return false;
    f->slots[f->n++] = offset;
    return true;
}

/* ---- Values ------------------------------------------------------------ */

static bool made_of_pointer(LLVMValueRef v, int depth)
{
    if (ir_is(v, LLVMPtrToInt))
        return true;
    if (depth == 0 || !LLVMIsAInstruction(v))
        return LLVMIsAConstantExpr(v) != NULL;
    switch (LLVMGetInstructionOpcode(v)) {
    case LLVMSub:
        if (ir_is(LLVMGetOperand(v, 1), LLVMPtrToInt))
            return false;
        break;
    case LLVMAdd: case LLVMAnd: case LLVMOr: case LLVMXor: case LLVMShl:
    case LLVMLShr: case LLVMSelect: case LLVMPHI: case LLVMFreeze:
        break;
    default:
        return false;
    }
    for (int i = 0; i < LLVMGetNumOperands(v); i++)
        if (made_of_pointer(LLVMGetOperand(v, (unsigned)i), depth - 1))
            return true;
    return false;
}

static const char *tag_name(LLVMMetadataRef tag)
{
    LLVMMetadataRef access = tag ? debug_operand(tag, 1) : NULL;
    const char *name = access ? debug_text(debug_operand(access, 0)) : NULL;
    return name ? name : "omnipotent char";
}

static LLVMMetadataRef metadata(struct unit *u, LLVMValueRef i,
                                const char *kind)
{
    LLVMValueRef v = LLVMGetMetadata(i, LLVMGetMDKindIDInContext(
        u->context, kind, (unsigned)strlen(kind)));
    return v ? LLVMValueAsMetadata(v) : NULL;
}

static bool may_be_union(struct unit *u, LLVMValueRef store)
{
    return !strcmp(tag_name(metadata(u, store, "tbaa")), "omnipotent char");
}

/* Does the copied struct hold no member that could be a pointer? */
static bool copies_no_pointer(struct unit *u, LLVMValueRef copy)
{
    LLVMMetadataRef list = metadata(u, copy, "tbaa.struct"), size;
    if (!list)
        return false;
    for (unsigned i = 0; (size = debug_operand(list, i + 1)); i += 3) {
        const char *name = tag_name(debug_operand(list, i + 2));
        uint64_t n;
        if (ir_constant(LLVMMetadataAsValue(u->context, size), &n) && n < 8)
            continue;
        if (strcmp(name, "double") && strcmp(name, "float")
            && strcmp(name, "int"))
            return false;
    }
    return true;
}

/* ---- Stores ------------------------------------------------------------ */

/* The value is put into the frame, and copied from there. */
static void store_copy(struct barriers *b, LLVMValueRef p, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v), word =
        LLVMInt64TypeInContext(b->unit->context);
    LLVMValueRef f = LLVMGetBasicBlockParent(LLVMGetInsertBlock(b->build));
    LLVMBuilderRef entry = LLVMCreateBuilderInContext(b->unit->context);
    LLVMValueRef room, args[3];
    LLVMPositionBuilderBefore(entry, LLVMGetFirstInstruction(
        LLVMGetEntryBasicBlock(f)));
    room = LLVMBuildAlloca(entry, t, "");
    LLVMDisposeBuilder(entry);
    LLVMBuildStore(b->build, v, room);
    args[0] = p;
    args[1] = room;
    args[2] = LLVMConstInt(word, LLVMABISizeOfType(b->unit->layout, t), 0);
    ir_call(b->unit, b->build, "sc_copy", args, 3);
}

static LLVMValueRef as_pointer(struct barriers *b, LLVMValueRef v)
{
    LLVMContextRef c = b->unit->context;
    LLVMTypeRef p = LLVMPointerTypeInContext(c, 0);
    switch (LLVMGetTypeKind(LLVMTypeOf(v))) {
    case LLVMPointerTypeKind:
        return v;
    case LLVMDoubleTypeKind:
        v = LLVMBuildBitCast(b->build, v, LLVMInt64TypeInContext(c), "");
        /* fallthrough */
    default:
        return LLVMBuildIntToPtr(b->build, v, p, "");
    }
}

/* Numbers below 32 bits are too many, and overwrite a pointer in unions of
 * odd programs alone (docs/cc.md). */
static bool needs_barrier(struct barriers *b, LLVMValueRef i, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v);
    if (ir_has_pointer(t))
        return true;
    if (LLVMABISizeOfType(b->unit->layout, t) < 4)
        return false;
    return may_be_union(b->unit, i) || made_of_pointer(v, 6);
}

static bool is_word(struct unit *u, LLVMTypeRef t)
{
    LLVMTypeKind k = LLVMGetTypeKind(t);
    return (k == LLVMPointerTypeKind || k == LLVMIntegerTypeKind
            || k == LLVMDoubleTypeKind) && LLVMABISizeOfType(u->layout, t) == 8;
}

static void store_visit(struct barriers *b, LLVMValueRef i)
{
    LLVMValueRef v = LLVMGetOperand(i, 0), p = LLVMGetOperand(i, 1), args[2];
    bool aligned = LLVMGetAlignment(i) % 8 == 0;
    if (b->fresh.object && target_origin(v) == b->fresh.object)
        b->fresh.object = NULL;
    if (target_is_private(p) || !needs_barrier(b, i, v) || is_first_store(b, p))
        return;
    ir_position(b->build, i);
    if (!is_word(b->unit, LLVMTypeOf(v)) || !aligned)
        store_copy(b, p, v);
    else {
        args[0] = p;
        args[1] = as_pointer(b, v);
        ir_call(b->unit, b->build,
                LLVMGetOrdering(i)
                        == LLVMAtomicOrderingSequentiallyConsistent
                    ? "sc_exchange_" : "sc_store_", args, 2);
    }
    LLVMInstructionEraseFromParent(i);
}

/* ---- Atomics ----------------------------------------------------------- */

static void exchange_visit(struct barriers *b, LLVMValueRef i)
{
    LLVMValueRef args[2] = {LLVMGetOperand(i, 0), LLVMGetOperand(i, 1)}, r;
    LLVMTypeRef t = LLVMTypeOf(i);
    bool pointer = ir_has_pointer(t);
    if (target_is_private(args[0])
        || LLVMGetAtomicRMWBinOp(i) != LLVMAtomicRMWBinOpXchg
        || !(pointer || (is_word(b->unit, t) && made_of_pointer(args[1], 6))))
        return;
    ir_position(b->build, i);
    args[1] = as_pointer(b, args[1]);
    r = ir_call(b->unit, b->build, "sc_exchange_", args, 2);
    if (!pointer)
        r = LLVMBuildPtrToInt(b->build, r, t, "");
    LLVMReplaceAllUsesWith(i, r);
    LLVMInstructionEraseFromParent(i);
}

static void cas_visit(struct barriers *b, LLVMValueRef i)
{
    LLVMValueRef args[3], expected = LLVMGetOperand(i, 1), old, same, r;
    LLVMTypeRef t = LLVMTypeOf(expected);
    if (target_is_private(LLVMGetOperand(i, 0)) || !is_word(b->unit, t)
        || !(ir_has_pointer(t) || made_of_pointer(LLVMGetOperand(i, 2), 6)))
        return;
    ir_position(b->build, i);
    args[0] = LLVMGetOperand(i, 0);
    args[1] = as_pointer(b, expected);
    args[2] = as_pointer(b, LLVMGetOperand(i, 2));
    old = ir_call(b->unit, b->build, "sc_cc_cas", args, 3);
    same = LLVMBuildICmp(b->build, LLVMIntEQ, old, args[1], "");
    if (!ir_has_pointer(t))
        old = LLVMBuildPtrToInt(b->build, old, t, "");
    r = LLVMBuildInsertValue(b->build, LLVMGetUndef(LLVMTypeOf(i)), old, 0,
                             "");
    r = LLVMBuildInsertValue(b->build, r, same, 1, "");
    LLVMReplaceAllUsesWith(i, r);
    LLVMInstructionEraseFromParent(i);
}

/* ---- Bulk -------------------------------------------------------------- */

static bool is_call_of(LLVMValueRef i, const char *name)
{
    LLVMValueRef f = ir_callee(i);
    return f && !strcmp(ir_name(f), name);
}

static bool is_copy(LLVMValueRef i)
{
    return ir_calls(i, "llvm.memcpy") || ir_calls(i, "llvm.memmove")
        || is_call_of(i, "memcpy") || is_call_of(i, "memmove");
}

static bool is_fill(LLVMValueRef i)
{
    return ir_calls(i, "llvm.memset") || is_call_of(i, "memset");
}

/* A fresh object that was filled as a whole has no slot left. */
static bool fills_fresh(struct barriers *b, LLVMValueRef to, bool with_zero)
{
    if (!b->fresh.object || target_origin(to) != b->fresh.object)
        return false;
    if (with_zero)
        return b->fresh.n == 0;
    if (b->fresh.n == 0) {
        b->fresh.n = SLOTS;
        return true;
    }
    b->fresh.object = NULL;
    return false;
}

static void fill_emit(struct barriers *b, LLVMValueRef *args)
{
    LLVMTypeRef i32 = LLVMInt32TypeInContext(b->unit->context);
    uint64_t byte = 1;
    if (ir_constant(args[1], &byte) && byte == 0) {
        args[1] = args[2];
        ir_call(b->unit, b->build, "sc_clear", args, 2);
        return;
    }
    args[1] = LLVMBuildIntCast2(b->build, args[1], i32, 0, "");
    ir_call(b->unit, b->build, "sc_cc_fill", args, 3);
}

/* A few whole words, as in an assignment of small structs and unions: loaded
 * all, then stored one by one.  False if it is not that. */
static bool words_copy(struct barriers *b, LLVMValueRef i)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(b->unit->context, 0);
    LLVMTypeRef word = LLVMInt64TypeInContext(b->unit->context);
    LLVMValueRef loaded[WORDS], args[2], at;
    uint64_t n;
    if (!ir_calls(i, "llvm.mem") || !ir_constant(LLVMGetOperand(i, 2), &n)
        || n % 8 || n > 8 * WORDS || !ir_is_aligned(i, 0)
        || !ir_is_aligned(i, 1))
        return false;
    for (int pass = 0; pass < 2; pass++)
        for (uint64_t k = 0; k < n / 8; k++) {
            at = LLVMConstInt(word, k, 0);
            args[0] = LLVMBuildInBoundsGEP2(b->build, pointer,
                LLVMGetOperand(i, (unsigned)!pass), &at, 1, "");
            args[1] = loaded[k];
            if (pass == 0)
                loaded[k] = LLVMBuildLoad2(b->build, pointer, args[0], "");
            else
                ir_call(b->unit, b->build, "sc_store_", args, 2);
        }
    return true;
}

/* The functions, unlike the intrinsics, return their first argument. */
static void bulk_visit(struct barriers *b, LLVMValueRef i)
{
    LLVMValueRef args[3];
    uint64_t n, byte = 1;
    bool zero = is_fill(i) && ir_constant(LLVMGetOperand(i, 1), &byte)
             && byte == 0;
    for (unsigned k = 0; k < 3; k++)
        args[k] = LLVMGetOperand(i, k);
    if (target_is_private(args[0]) || (ir_constant(args[2], &n) && n < 4)
        || (is_copy(i) && copies_no_pointer(b->unit, i))
        || fills_fresh(b, args[0], zero))
        return;
    ir_position(b->build, i);
    args[2] = LLVMBuildIntCast2(b->build, args[2], LLVMInt64TypeInContext(
        b->unit->context), 0, "");
    if (!is_copy(i))
        fill_emit(b, args);
    else if (!words_copy(b, i))
        ir_call(b->unit, b->build, "sc_copy", args, 3);
    if (!LLVMGetIntrinsicID(ir_callee(i)))
        LLVMReplaceAllUsesWith(i, args[0]);
    LLVMInstructionEraseFromParent(i);
}

/* setjmp stores registers; they are shaded when it has returned. */
static void setjmp_visit(struct barriers *b, LLVMValueRef i)
{
    LLVMValueRef args[3] = {LLVMGetOperand(i, 0), LLVMGetOperand(i, 0)};
    if (target_is_private(args[0]))
        return;
    args[2] = LLVMConstInt(LLVMInt64TypeInContext(b->unit->context),
                           JMP_BUF_REGISTERS, 0);
    ir_position(b->build, LLVMGetNextInstruction(i));
    ir_call(b->unit, b->build, "sc_copy", args, 3);
}

static void call_visit(struct barriers *b, LLVMValueRef i)
{
    if (is_copy(i) || is_fill(i)) {
        bulk_visit(b, i);
        return;
    }
    if (ir_callee(i) && LLVMGetIntrinsicID(ir_callee(i)))
        return;
    b->fresh.object = NULL;
    if (entry_is_fresh(i)) {
        b->fresh.object = i;
        b->fresh.n = 0;
    }
    else if (is_call_of(i, "_setjmp") || is_call_of(i, "setjmp")
             || is_call_of(i, "__sigsetjmp"))
        setjmp_visit(b, i);
}

/* ---- All --------------------------------------------------------------- */

static void instruction_visit(struct barriers *b, LLVMValueRef i)
{
    if (LLVMIsAStoreInst(i))
        store_visit(b, i);
    else if (LLVMIsACallInst(i))
        call_visit(b, i);
    else if (ir_is(i, LLVMAtomicRMW))
        exchange_visit(b, i);
    else if (ir_is(i, LLVMAtomicCmpXchg))
        cas_visit(b, i);
}

/* What is fresh at the end of the one block that leads here; none if there are
 * several, or it was not visited yet. */
static struct fresh fresh_before(struct barriers *b, LLVMBasicBlockRef block)
{
    LLVMBasicBlockRef from = NULL;
    const struct fresh *f;
    EACH_USER(t, LLVMBasicBlockAsValue(block)) {
        LLVMBasicBlockRef at = LLVMIsATerminatorInst(t)
                                 ? LLVMGetInstructionParent(t) : NULL;
        if (from && at && at != from)
            return (struct fresh){0};
        from = at ? at : from;
    }
    f = from ? (const struct fresh *)table_get(&b->ends, from) : NULL;
    return f ? *f : (struct fresh){0};
}

static void function_visit(struct barriers *b, LLVMValueRef f)
{
    EACH_BLOCK(block, f) {
        struct fresh *end = need(NULL, sizeof *end);
        b->fresh = fresh_before(b, block);
        for (LLVMValueRef i = LLVMGetFirstInstruction(block), next; i;
             i = next) {
            next = LLVMGetNextInstruction(i);
            instruction_visit(b, i);
        }
        *end = b->fresh;
        *table_at(&b->ends, block) = (intptr_t)end;
    }
    for (size_t i = 0; i < b->ends.room; i++)
        if (b->ends.keys[i])
            need_free((void *)b->ends.values[i]);
    table_free(&b->ends);
    b->ends = (struct table){0};
}

void barrier_all(struct unit *u)
{
    struct barriers b = {.unit = u};
    b.build = LLVMCreateBuilderInContext(u->context);
    EACH_FUNCTION(f, u)
        if (!LLVMIsDeclaration(f))
            function_visit(&b, f);
    LLVMDisposeBuilder(b.build);
}
