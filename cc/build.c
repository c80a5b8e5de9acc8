/* build.c: a function's code becomes its location graph.
 *
 *   %x = alloca i32          node x (local) <- its address is value %x
 *   %v = load ptr, %p        %v <- %p, 1 dereference
 *   store ptr %v, %p         whatever %p points to <- %v
 *   phi, gep, cast           <- its operands; a phi at a loop's header is
 *                               "carried" if it hands values around the loop
 *   call                     by the callee's summary (call.c)
 *
 * Where a store goes to is followed through arithmetic, phi and select back to
 * variables, objects and parameters; a pointer that comes from anywhere else
 * stores to the heap, as in Go.  Values of 64 bits or more count as pointers
 * would: a pointer in a uintptr_t is still followed.
 *
 * The graph's blocks are those of the debug information: a value that is used
 * in another block than it is made in is a root, which finds addresses that
 * are used after their block.
 */
#include "unit.h"

#define TARGETS 16 /* more: the heap */
#define DEPTH   12

struct targets {
    int at[TARGETS], n;
    bool unknown;
};

/* ---- Blocks and loops -------------------------------------------------- */

static int scope_number(struct build *b, LLVMMetadataRef m)
{
    LLVMMetadataKind k;
    intptr_t *known;
    int parent, n;
    if (!m)
        return 0;
    k = LLVMGetMetadataKind(m);
    if (k == LLVMDILexicalBlockFileMetadataKind)
        return scope_number(b, debug_operand(m, 1));
    if (k != LLVMDILexicalBlockMetadataKind)
        return 0;
    if (*(known = table_at(&b->scopes, m)))
        return (int)*known;
    parent = scope_number(b, debug_operand(m, 1));
    ROOM(b->scope_parent, b->nscopes, b->rscopes);
    n = b->nscopes++;
    b->scope_parent[n] = parent;
    *table_at(&b->scopes, m) = n;
    return n;
}

static int scope_common(const struct build *b, int x, int y)
{
    while (!graph_within(b->scope_parent, y, x))
        x = b->scope_parent[x];
    return x;
}

static int block_number(const struct build *b, LLVMBasicBlockRef block)
{
    return (int)table_get(&b->blocks, block) - 1;
}

static int loop_of(const struct build *b, LLVMValueRef i)
{
    return b->loops.of[block_number(b, LLVMGetInstructionParent(i))];
}

static void blocks_read(struct build *b)
{
    struct digraph g;
    int n = 0;
    EACH_BLOCK(block, b->function)
        *table_at(&b->blocks, block) = ++n;
    digraph_init(&g, n);
    n = 0;
    EACH_BLOCK(block, b->function) {
        LLVMValueRef t = LLVMGetBasicBlockTerminator(block);
        for (unsigned i = 0; i < LLVMGetNumSuccessors(t); i++)
            digraph_edge(&g, n, block_number(b, LLVMGetSuccessor(t, i)));
        n++;
    }
    loops_find(&b->loops, &g);
    digraph_free(&g);
}

/* ---- Nodes ------------------------------------------------------------- */

int build_value(struct build *b, LLVMValueRef v)
{
    intptr_t *at;
    if (!(LLVMIsAInstruction(v) || LLVMIsAArgument(v))
        || !ir_carries(LLVMTypeOf(v)))
        return -1;
    at = table_at(&b->values, v);
    if (!*at)
        *at = graph_node(&b->graph, NODE_VALUE, v) + 1;
    return (int)*at - 1;
}

/* The memory that v is the address of. */
static int home_new(struct build *b, LLVMValueRef v, enum node_kind kind)
{
    int n = graph_node(&b->graph, kind, v);
    *table_at(&b->homes, v) = n + 1;
    graph_edge(&b->graph, build_value(b, v), n, -1, v);
    return n;
}

/* The loop and block that a variable belongs to.  Where the compiler marked
 * its lifetime, it is made there; else (a compound literal, a temporary, an
 * array of variable length) where it is first used.  A variable without marks
 * that has a name was jumped past, and lives in the whole frame. */
static int birth_loop(struct build *b, LLVMValueRef alloca, struct var *v)
{
    uint64_t one;
    EACH_USER(i, alloca)
        if (ir_calls(i, "llvm.lifetime.start"))
            return loop_of(b, i);
    if (!ir_constant(LLVMGetOperand(alloca, 0), &one))
        return loop_of(b, alloca);
    if (v)
        return -1;
    EACH_BLOCK(block, b->function)
        EACH_INSTRUCTION(i, block)
            for (int k = 0; k < LLVMGetNumOperands(i); k++)
                if (LLVMGetOperand(i, (unsigned)k) == alloca)
                    return loop_of(b, i);
    return -1;
}

static void local_new(struct build *b, LLVMValueRef alloca)
{
    struct var *v = debug_var(b->unit, alloca);
    int n = home_new(b, alloca, NODE_LOCAL);
    b->graph.nodes[n].loop = birth_loop(b, alloca, v);
    if (v && !v->parameter)
        b->graph.nodes[n].scope = scope_number(b, v->scope);
}

static void object_new(struct build *b, LLVMValueRef call)
{
    int n = home_new(b, call, NODE_OBJECT);
    b->graph.nodes[n].loop = loop_of(b, call);
}

/* A struct passed by value is a local whose content is the parameter's. */
static void param_new(struct build *b, LLVMValueRef p, int index)
{
    struct graph *g = &b->graph;
    int v = build_value(b, p), home;
    if (v < 0)
        return;
    if (ir_attribute(b->function, index + 1, "byval")) {
        int given = graph_node(g, NODE_VALUE, p);
        g->nodes[given].param = index;
        home = home_new(b, p, NODE_LOCAL);
        graph_edge(g, home, given, 1, p);
        return;
    }
    g->nodes[v].param = index;
    if (LLVMGetTypeKind(LLVMTypeOf(p)) == LLVMPointerTypeKind)
        g->memory[index] = home_new(b, p, NODE_MEMORY);
}

/* All variadic arguments are one parameter, which lies in memory of its own;
 * va_start hands out its address. */
static void rest_new(struct build *b, int index)
{
    struct graph *g = &b->graph;
    int value = graph_node(g, NODE_VALUE, NULL);
    int home = graph_node(g, NODE_LOCAL, NULL);
    g->nodes[value].param = index;
    graph_edge(g, home, value, 0, NULL);
    b->rest = graph_node(g, NODE_VALUE, NULL);
    graph_edge(g, b->rest, home, -1, NULL);
}

/* ---- Stores ------------------------------------------------------------ */

static void target_add(struct targets *t, int n)
{
    for (int i = 0; i < t->n; i++)
        if (t->at[i] == n)
            return;
    if (t->n == TARGETS)
        t->unknown = true;
    else
        t->at[t->n++] = n;
}

static LLVMValueRef target_base(LLVMValueRef p)
{
    while (ir_is(p, LLVMGetElementPtr) || ir_is(p, LLVMBitCast)
           || ir_is(p, LLVMFreeze))
        p = LLVMGetOperand(p, 0);
    return p;
}

static void targets_find(struct build *b, LLVMValueRef p, struct targets *t,
                         struct table *seen, int depth)
{
    int home;
    p = target_base(p);
    if (LLVMIsNull(p) || LLVMIsUndef(p) || t->unknown)
        return;
    home = (int)table_get(&b->homes, p) - 1;
    if (home >= 0) {
        target_add(t, home);
        return;
    }
    if (depth == DEPTH || !(ir_is(p, LLVMPHI) || ir_is(p, LLVMSelect))) {
        t->unknown = true;
        return;
    }
    if ((*table_at(seen, p))++)
        return;
    for (int i = ir_is(p, LLVMSelect); i < LLVMGetNumOperands(p); i++)
        targets_find(b, LLVMGetOperand(p, (unsigned)i), t, seen, depth + 1);
}

void build_store(struct build *b, LLVMValueRef pointer, int from, int derefs,
                 LLVMValueRef why)
{
    struct targets t = {.n = 0};
    struct table seen = {0};
    if (from < 0)
        return;
    targets_find(b, pointer, &t, &seen, 0);
    table_free(&seen);
    if (t.unknown)
        graph_edge(&b->graph, b->graph.heap, from, derefs, why);
    for (int i = 0; i < t.n && !t.unknown; i++)
        graph_edge(&b->graph, t.at[i], from, derefs, why);
}

void build_leak(struct build *b, LLVMValueRef v, int derefs, LLVMValueRef why)
{
    graph_edge(&b->graph, b->graph.heap, build_value(b, v), derefs, why);
}

/* ---- Instructions ------------------------------------------------------ */

static void flow(struct build *b, LLVMValueRef to, LLVMValueRef from,
                 int derefs)
{
    graph_edge(&b->graph, build_value(b, to), build_value(b, from), derefs,
               to);
}

static void flow_all(struct build *b, LLVMValueRef i, int first)
{
    for (int k = first; k < LLVMGetNumOperands(i); k++)
        flow(b, i, LLVMGetOperand(i, (unsigned)k), 0);
}

/* A difference of two pointers is none, and a few low bits of one neither. */
static bool keeps_no_pointer(LLVMValueRef i)
{
    uint64_t most;
    if (ir_is(i, LLVMSub))
        return ir_is(LLVMGetOperand(i, 0), LLVMPtrToInt)
            && ir_is(LLVMGetOperand(i, 1), LLVMPtrToInt);
    return (ir_is(i, LLVMAnd) || ir_is(i, LLVMURem))
        && ir_constant(LLVMGetOperand(i, 1), &most) && most < 4096;
}

static void phi_flows(struct build *b, LLVMValueRef i)
{
    int n = build_value(b, i);
    int at = block_number(b, LLVMGetInstructionParent(i));
    if (n < 0)
        return;
    if (b->loops.heads[at] >= 0) {
        b->graph.nodes[n].kind = NODE_CARRIED;
        b->graph.nodes[n].loop = b->loops.heads[at];
    }
    flow_all(b, i, 0);
}

/* An array or constant base that is null: numbers become pointers. */
static void gep_flows(struct build *b, LLVMValueRef i)
{
    LLVMValueRef base = LLVMGetOperand(i, 0);
    flow(b, i, base, 0);
    if (LLVMIsAConstant(base) && !LLVMIsAGlobalValue(base))
        flow_all(b, i, 1);
}

/* Swaps and compare-and-swap: new into memory, old out of it. */
static void swap_flows(struct build *b, LLVMValueRef i, unsigned value)
{
    build_store(b, LLVMGetOperand(i, 0),
                build_value(b, LLVMGetOperand(i, value)), 0, i);
    flow(b, i, LLVMGetOperand(i, 0), 1);
}

static void instruction_flows(struct build *b, LLVMValueRef i)
{
    switch (LLVMGetInstructionOpcode(i)) {
    case LLVMLoad:
        flow(b, i, LLVMGetOperand(i, 0), 1);
        break;
    case LLVMStore:
        build_store(b, LLVMGetOperand(i, 1),
                    build_value(b, LLVMGetOperand(i, 0)), 0, i);
        break;
    case LLVMAtomicCmpXchg:
        swap_flows(b, i, 2);
        break;
    case LLVMAtomicRMW:
        swap_flows(b, i, 1);
        break;
    case LLVMPHI:
        phi_flows(b, i);
        break;
    case LLVMGetElementPtr:
        gep_flows(b, i);
        break;
    case LLVMRet:
        if (LLVMGetNumOperands(i))
            graph_edge(&b->graph, b->graph.result,
                       build_value(b, LLVMGetOperand(i, 0)), 0, i);
        break;
    case LLVMCall:
        call_flows(b, i);
        break;
    case LLVMCallBr:
        for (int k = 0; k < LLVMGetNumOperands(i); k++)
            build_leak(b, LLVMGetOperand(i, (unsigned)k), 0, i);
        break;
    case LLVMICmp:
    case LLVMBr:
    case LLVMSwitch:
    case LLVMAlloca:
        break;
    default: /* casts, arithmetic, select, pieces of structs and vectors */
        if (!keeps_no_pointer(i))
            flow_all(b, i, 0);
    }
}

/* A value's block is the innermost one that holds all its uses.  Merging and
 * arithmetic are no uses: their results have uses of their own. */
static bool passes_on(LLVMValueRef i)
{
    return ir_is(i, LLVMPHI) || ir_is(i, LLVMGetElementPtr)
        || ir_is(i, LLVMSelect) || ir_is(i, LLVMBitCast)
        || debug_is_intrinsic(i) || ir_calls(i, "llvm.lifetime.");
}

static void value_scope(struct build *b, LLVMValueRef v)
{
    struct node *n = &b->graph.nodes[build_value(b, v)];
    LLVMMetadataRef m = debug_scope(v);
    /* A phi has a place, but it means nothing. */
    int made = m && !ir_is(v, LLVMPHI) ? scope_number(b, m) : -1;
    int used = made;
    EACH_USER(i, v) {
        LLVMMetadataRef at = passes_on(i) ? NULL : debug_scope(i);
        int s = at ? scope_number(b, at) : used;
        used = used < 0 ? s : scope_common(b, used, s);
    }
    n->scope = used; /* -1: never used by itself */
    n->leaves = used != made;
}

static void nodes_make(struct build *b)
{
    int index = 0;
    EACH_PARAM(p, b->function)
        param_new(b, p, index++);
    b->rest = -1;
    if (ir_variadic(b->function))
        rest_new(b, index);
    EACH_BLOCK(block, b->function)
        EACH_INSTRUCTION(i, block) {
            if (LLVMIsAAllocaInst(i))
                local_new(b, i);
            else if (system_allocates(i))
                object_new(b, i);
        }
}

void build_init(struct build *b, struct unit *u, LLVMValueRef function)
{
    *b = (struct build){.unit = u, .function = function};
    b->summary = solve_summary(u, function);
    graph_init(&b->graph, b->summary->params);
    b->graph.explain = u->options.m > 1 || u->options.json;
    ROOM(b->scope_parent, b->nscopes, b->rscopes);
    b->scope_parent[b->nscopes++] = -1;
    blocks_read(b);
    nodes_make(b);
    EACH_BLOCK(block, function)
        EACH_INSTRUCTION(i, block)
            instruction_flows(b, i);
    EACH_BLOCK(block, function)
        EACH_INSTRUCTION(i, block)
            if (build_value(b, i) >= 0)
                value_scope(b, i);
    b->graph.loop_parent = b->loops.parent;
    b->graph.scope_parent = b->scope_parent;
    graph_solve(&b->graph, b->summary);
    for (int i = 0; i < b->graph.nnodes; i++) {
        struct node *n = &b->graph.nodes[i];
        if (n->kind == NODE_LOCAL && n->is && !n->escapes && !n->outstays)
            n->outstays = end_passed(b, (LLVMValueRef)n->is);
    }
}

void build_free(struct build *b)
{
    graph_free(&b->graph);
    table_free(&b->values);
    table_free(&b->homes);
    table_free(&b->blocks);
    table_free(&b->scopes);
    need_free(b->scope_parent);
    loops_free(&b->loops);
}
