/* end.c: is the address of a variable used after its lifetime has ended?
 *
 *   %x = alloca         start(x) ... %p = gep %x ... end(x) ... load %p
 *                                                    '------------^ yes
 *
 * The blocks of debug information say that too, and follow addresses through
 * memory; yet a statement expression has no block there.  Here the marks of
 * lifetimes are taken, and addresses followed through arithmetic alone.
 */
#include "unit.h"

struct search {
    const struct build *b;
    LLVMValueRef variable;
    struct table holds;   /* values that may be its address */
    bool *seen;           /* blocks, from their beginning */
    LLVMBasicBlockRef *todo;
    int n, room;
};

static bool passes_on(LLVMValueRef i)
{
    return ir_is(i, LLVMPHI) || ir_is(i, LLVMGetElementPtr)
        || ir_is(i, LLVMSelect) || ir_is(i, LLVMBitCast);
}

static void holders_find(struct search *s, LLVMValueRef v)
{
    if ((*table_at(&s->holds, v))++)
        return;
    EACH_USER(i, v)
        if (passes_on(i))
            holders_find(s, i);
}

static bool is_use(const struct search *s, LLVMValueRef i)
{
    if (passes_on(i) || debug_is_intrinsic(i)
        || ir_calls(i, "llvm.lifetime."))
        return false;
    for (int k = 0; k < LLVMGetNumOperands(i); k++)
        if (table_get(&s->holds, LLVMGetOperand(i, (unsigned)k)))
            return true;
    return false;
}

/* From i to the end of its block, and on to those that follow. */
static bool used_from(struct search *s, LLVMValueRef i)
{
    for (; i; i = LLVMGetNextInstruction(i)) {
        if (ir_calls(i, "llvm.lifetime.start")
            && LLVMGetOperand(i, 1) == s->variable)
            return false;
        if (is_use(s, i))
            return true;
        if (!LLVMIsATerminatorInst(i))
            continue;
        for (unsigned k = 0; k < LLVMGetNumSuccessors(i); k++) {
            LLVMBasicBlockRef to = LLVMGetSuccessor(i, k);
            bool *seen = &s->seen[table_get(&s->b->blocks, to) - 1];
            if (*seen)
                continue;
            *seen = true;
            ROOM(s->todo, s->n, s->room);
            s->todo[s->n++] = to;
        }
    }
    return false;
}

bool end_passed(const struct build *b, LLVMValueRef alloca)
{
    struct search s = {.b = b, .variable = alloca};
    bool used = false;
    holders_find(&s, alloca);
    s.seen = need(NULL, b->blocks.n + 1);
    EACH_USER(i, alloca)
        if (!used && ir_calls(i, "llvm.lifetime.end"))
            used = used_from(&s, LLVMGetNextInstruction(i));
    while (s.n > 0 && !used)
        used = used_from(&s, LLVMGetFirstInstruction(s.todo[--s.n]));
    table_free(&s.holds);
    need_free(s.seen);
    need_free(s.todo);
    return used;
}
