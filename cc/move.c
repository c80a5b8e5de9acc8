/* move.c: a variable that escapes becomes an object of the heap.
 *
 *   %x = alloca %T                  %x.heap = alloca ptr
 *   call start(%x)                  %p = call sc_cc_local(sizeof T)
 *                                   store %p, %x.heap
 *   ... use of %x ...               %q = load %x.heap; ... use of %q ...
 *   call end(%x)
 *
 * It is made where its lifetime starts, so each iteration has one of its own;
 * in the frame's beginning if it was jumped past; a compound literal where it
 * is first used.  A second mem2reg then makes the slots values.
 *
 * A variable that only outlasts its block loses its marks of lifetime, so that
 * no other is put in its place.
 */
#include <string.h>

#include "unit.h"

void move_decide(struct build *b)
{
    struct unit *u = b->unit;
    for (int i = 0; i < b->graph.nnodes; i++) {
        const struct node *n = &b->graph.nodes[i];
        LLVMValueRef v = (LLVMValueRef)n->is;
        if (n->kind != NODE_LOCAL || !v
            || !strcmp(debug_note(v), NOTE_STACK))
            continue;
        ROOM(u->moves, u->nmoves, u->rmoves);
        if (n->escapes || (n->outstays && ir_is_dynamic(v)))
            u->moves[u->nmoves++] = (struct move){b->function, v, true};
        else if (n->outstays || n->stored)
            u->moves[u->nmoves++] = (struct move){b->function, v, false};
    }
}

/* ---- Users ------------------------------------------------------------- */

struct values {
    LLVMValueRef *at;
    int n, room;
};

static void values_add(struct values *v, LLVMValueRef x)
{
    for (int i = 0; i < v->n; i++)
        if (v->at[i] == x)
            return;
    ROOM(v->at, v->n, v->room);
    v->at[v->n++] = x;
}

struct moving {
    struct unit *unit;
    LLVMBuilderRef build;
    LLVMValueRef function, variable, slot;
    struct values starts, ends, users;
};

static void users_find(struct moving *m)
{
    EACH_USER(i, m->variable) {
        if (ir_calls(i, "llvm.lifetime.start"))
            values_add(&m->starts, i);
        else if (ir_calls(i, "llvm.lifetime.end"))
            values_add(&m->ends, i);
        else
            values_add(&m->users, i);
    }
}

static LLVMValueRef loaded(struct moving *m, LLVMValueRef before)
{
    ir_position(m->build, before);
    return LLVMBuildLoad2(m->build, LLVMTypeOf(m->slot), m->slot, "");
}

/* A block may come to a phi by several edges, with one value. */
static void phi_replace(struct moving *m, LLVMValueRef phi)
{
    struct table from = {0};
    for (unsigned i = 0; i < LLVMCountIncoming(phi); i++) {
        LLVMBasicBlockRef b = LLVMGetIncomingBlock(phi, i);
        intptr_t *at;
        if (LLVMGetIncomingValue(phi, i) != m->variable)
            continue;
        at = table_at(&from, b);
        if (!*at)
            *at = (intptr_t)loaded(m, LLVMGetBasicBlockTerminator(b));
        LLVMSetOperand(phi, i, (LLVMValueRef)*at);
    }
    table_free(&from);
}

static void user_replace(struct moving *m, LLVMValueRef i)
{
    LLVMValueRef p;
    if (LLVMIsAPHINode(i)) {
        phi_replace(m, i);
        return;
    }
    p = loaded(m, i);
    for (int k = 0; k < LLVMGetNumOperands(i); k++)
        if (LLVMGetOperand(i, (unsigned)k) == m->variable)
            LLVMSetOperand(i, (unsigned)k, p);
}

/* ---- The object -------------------------------------------------------- */

static LLVMTypeRef type_of(struct moving *m)
{
    LLVMAttributeRef a;
    if (LLVMIsAAllocaInst(m->variable))
        return LLVMGetAllocatedType(m->variable);
    a = LLVMGetEnumAttributeAtIndex(
        m->function, (LLVMAttributeIndex)ir_argument_index(m->variable) + 1,
        LLVMGetEnumAttributeKindForName("byval", 5));
    return LLVMGetTypeAttributeValue(a);
}

static LLVMValueRef size_of(struct moving *m)
{
    LLVMTypeRef word = LLVMInt64TypeInContext(m->unit->context);
    LLVMValueRef one = LLVMConstInt(
        word, LLVMABISizeOfType(m->unit->layout, type_of(m)), 0);
    LLVMValueRef n;
    if (!LLVMIsAAllocaInst(m->variable))
        return one;
    n = LLVMBuildIntCast2(m->build, LLVMGetOperand(m->variable, 0), word, 0,
                          "");
    return LLVMBuildMul(m->build, n, one, "");
}

static LLVMValueRef object_make(struct moving *m)
{
    LLVMTypeRef word = LLVMInt64TypeInContext(m->unit->context);
    LLVMValueRef args[2] = {size_of(m)};
    uint64_t n;
    if (LLVMIsAAllocaInst(m->variable)
        && LLVMGetAlignment(m->variable) > 16) {
        args[1] = LLVMConstInt(word, LLVMGetAlignment(m->variable), 0);
        return ir_call(m->unit, m->build, "sc_cc_local_aligned", args, 2);
    }
    return ir_call(m->unit, m->build, ir_constant(args[0], &n) && n < 8
                   ? "sc_cc_local_noscan" : "sc_cc_local", args, 1);
}

static void make_before(struct moving *m, LLVMValueRef i)
{
    ir_position(m->build, i);
    LLVMBuildStore(m->build, object_make(m), m->slot);
}

/* The first instruction that is no alloca. */
static LLVMValueRef beginning(LLVMValueRef function)
{
    LLVMValueRef i =
        LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(function));
    while (LLVMIsAAllocaInst(i))
        i = LLVMGetNextInstruction(i);
    return i;
}

static LLVMValueRef first_user(const struct moving *m)
{
    EACH_BLOCK(b, m->function)
        EACH_INSTRUCTION(i, b)
            for (int k = 0; k < m->users.n; k++)
                if (m->users.at[k] == i && !LLVMIsAPHINode(i))
                    return i;
    return NULL;
}

/* A struct passed by value in memory: copied from where it was passed. */
static void param_make(struct moving *m)
{
    LLVMValueRef p, first = beginning(m->function);
    ir_position(m->build, first);
    p = object_make(m);
    LLVMBuildStore(m->build, p, m->slot);
    LLVMBuildMemCpy(m->build, p, 8, m->variable, 8, size_of(m));
}

static void object_place(struct moving *m)
{
    LLVMValueRef first;
    if (!LLVMIsAAllocaInst(m->variable))
        param_make(m);
    else if (m->starts.n > 0)
        for (int i = 0; i < m->starts.n; i++)
            make_before(m, m->starts.at[i]);
    else if (ir_is_dynamic(m->variable))
        make_before(m, m->variable);
    else if (debug_var(m->unit, m->variable) || !(first = first_user(m)))
        make_before(m, beginning(m->function));
    else
        make_before(m, first);
}

/* A debugger finds the variable through the slot. */
static void debug_replace(struct moving *m)
{
    struct var *v = debug_var(m->unit, m->variable);
    uint64_t dereference = 0x06; /* DW_OP_deref */
    LLVMDIBuilderRef d;
    LLVMMetadataRef e;
    if (!v || !m->unit->options.keep_debug || !LLVMIsAAllocaInst(m->variable))
        return;
    d = LLVMCreateDIBuilderDisallowUnresolved(m->unit->module);
    e = LLVMDIBuilderCreateExpression(d, &dereference, 1);
    LLVMSetOperand(v->declare, 0, LLVMMetadataAsValue(m->unit->context,
        LLVMValueAsMetadata(m->slot)));
    LLVMSetOperand(v->declare, 2, LLVMMetadataAsValue(m->unit->context, e));
    LLVMDisposeDIBuilder(d);
}

static void marks_drop(struct moving *m)
{
    for (int i = 0; i < m->starts.n; i++)
        LLVMInstructionEraseFromParent(m->starts.at[i]);
    for (int i = 0; i < m->ends.n; i++)
        LLVMInstructionEraseFromParent(m->ends.at[i]);
}

static void to_heap(struct moving *m)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(m->unit->context, 0);
    ir_position(m->build, LLVMGetFirstInstruction(
        LLVMGetEntryBasicBlock(m->function)));
    m->slot = LLVMBuildAlloca(m->build, pointer, "heap");
    object_place(m);
    for (int i = 0; i < m->users.n; i++)
        user_replace(m, m->users.at[i]);
    debug_replace(m);
    marks_drop(m);
    if (LLVMIsAAllocaInst(m->variable))
        LLVMInstructionEraseFromParent(m->variable);
}

static void move(struct unit *u, LLVMBuilderRef build, const struct move *d)
{
    struct moving m = {.unit = u, .build = build, .function = d->function,
                       .variable = d->variable};
    users_find(&m);
    if (d->to_heap)
        to_heap(&m);
    else
        marks_drop(&m);
    need_free(m.starts.at);
    need_free(m.ends.at);
    need_free(m.users.at);
}

void move_all(struct unit *u)
{
    LLVMBuilderRef build = LLVMCreateBuilderInContext(u->context);
    for (int i = 0; i < u->nmoves; i++)
        move(u, build, &u->moves[i]);
    LLVMDisposeBuilder(build);
}
