/* debug.c: names and places of variables, from debug information.
 *
 *   call @llvm.dbg.declare(metadata ptr %x, metadata !29, ...), !dbg !31
 *                                       |            |             |
 *                                  the alloca   DILocalVariable   its place
 *                                               { scope, name, file, type }
 *
 * LLVM-C 19 has no functions for the members of a variable, so they are read
 * as operands of a metadata node by their number, as LLVM 14 to 19 have them;
 * debug_collect looks whether a name is where one is expected.  A parameter is
 * found by the alloca that it is stored in.
 */
#include <string.h>

#include "unit.h"

static LLVMContextRef context; /* of the one module of this process */

enum { VARIABLE_SCOPE, VARIABLE_NAME, VARIABLE_FILE, VARIABLE_TYPE };

LLVMMetadataRef debug_operand(LLVMMetadataRef m, unsigned i)
{
    /* Operands are copied out all at once; nodes we ask have few, but an
     * enumeration's list may be long. */
    static LLVMValueRef *all;
    static unsigned room;
    LLVMValueRef v = LLVMMetadataAsValue(context, m);
    unsigned n = (unsigned)LLVMGetMDNodeNumOperands(v);
    if (i >= n)
        return NULL;
    if (n > room) {
        room = n;
        all = need(all, room * sizeof(LLVMValueRef));
    }
    LLVMGetMDNodeOperands(v, all);
    return all[i] ? LLVMValueAsMetadata(all[i]) : NULL;
}

bool debug_is_node(LLVMMetadataRef m)
{
    LLVMMetadataKind k;
    if (!m)
        return false;
    k = LLVMGetMetadataKind(m);
    return k != LLVMMDStringMetadataKind
        && k != LLVMConstantAsMetadataMetadataKind
        && k != LLVMLocalAsMetadataMetadataKind;
}

const char *debug_text(LLVMMetadataRef m)
{
    unsigned n;
    if (!m || LLVMGetMetadataKind(m) != LLVMMDStringMetadataKind)
        return NULL;
    return LLVMGetMDString(LLVMMetadataAsValue(context, m), &n);
}

bool debug_is_intrinsic(LLVMValueRef i) { return ir_calls(i, "llvm.dbg."); }

static struct place place_of(LLVMMetadataRef location)
{
    struct place p = {NULL, 0, 0};
    LLVMMetadataRef at, file;
    unsigned n;
    if (!location)
        return p;
    while ((at = LLVMDILocationGetInlinedAt(location)))
        location = at;
    p.line = LLVMDILocationGetLine(location);
    p.column = LLVMDILocationGetColumn(location);
    file = LLVMDIScopeGetFile(LLVMDILocationGetScope(location));
    p.file = file ? LLVMDIFileGetFilename(file, &n) : NULL;
    return p;
}

struct place debug_place(LLVMValueRef i)
{
    return place_of(LLVMIsAInstruction(i) ? LLVMInstructionGetDebugLoc(i)
                                          : NULL);
}

struct place debug_place_near(LLVMValueRef v)
{
    struct place p = debug_place(v);
    if (p.line)
        return p;
    EACH_USER(i, v) {
        p = ir_is(i, LLVMGetElementPtr) ? debug_place_near(i)
                                        : debug_place(i);
        if (p.line)
            return p;
    }
    return p;
}

LLVMMetadataRef debug_scope(LLVMValueRef i)
{
    LLVMMetadataRef l =
        LLVMIsAInstruction(i) ? LLVMInstructionGetDebugLoc(i) : NULL;
    return l && !LLVMDILocationGetInlinedAt(l) ? LLVMDILocationGetScope(l)
                                               : NULL;
}

const char *debug_declared_in(LLVMValueRef f)
{
    LLVMMetadataRef s = LLVMGetSubprogram(f);
    LLVMMetadataRef file = s ? LLVMDIScopeGetFile(s) : NULL;
    unsigned n;
    return file ? LLVMDIFileGetFilename(file, &n) : NULL;
}

struct var *debug_var(const struct unit *u, LLVMValueRef v)
{
    return (struct var *)table_get(&u->vars, v);
}

/* The variable of a dbg.declare; false if it is not as expected. */
static bool declare_read(struct unit *u, LLVMValueRef i)
{
    LLVMValueRef where = NULL;
    LLVMMetadataRef m = LLVMValueAsMetadata(LLVMGetOperand(i, 1));
    struct var *v;
    LLVMGetMDNodeOperands(LLVMGetOperand(i, 0), &where);
    if (!where || LLVMIsAConstant(where))
        return true;
    v = need(NULL, sizeof *v);
    v->name = debug_text(debug_operand(m, VARIABLE_NAME));
    v->scope = debug_operand(m, VARIABLE_SCOPE);
    v->type = debug_operand(m, VARIABLE_TYPE);
    v->place = place_of(LLVMInstructionGetDebugLoc(i));
    v->declare = i;
    v->parameter = LLVMIsAArgument(where) != NULL;
    *table_at(&u->vars, where) = (intptr_t)v;
    return v->name && debug_is_node(v->scope);
}

/* A struct that is passed in pieces is stored piece by piece. */
static void parameter_read(struct unit *u, LLVMValueRef param)
{
    EACH_USER(i, param) {
        LLVMValueRef to = LLVMIsAStoreInst(i) ? LLVMGetOperand(i, 1) : NULL;
        struct var *v;
        if (!to || LLVMGetOperand(i, 0) != param)
            continue;
        if (ir_is(to, LLVMGetElementPtr))
            to = LLVMGetOperand(to, 0);
        if (!(v = debug_var(u, to)) || table_get(&u->vars, param))
            continue;
        v->parameter = true;
        *table_at(&u->vars, param) = (intptr_t)v;
    }
}

bool debug_collect(struct unit *u)
{
    bool good = true;
    context = u->context;
    EACH_FUNCTION(f, u) {
        EACH_BLOCK(b, f)
            EACH_INSTRUCTION(i, b)
                if (ir_calls(i, "llvm.dbg.declare"))
                    good &= declare_read(u, i);
        if (!LLVMIsDeclaration(f))
            EACH_PARAM(p, f)
                parameter_read(u, p);
    }
    return good;
}

/* After mem2reg most allocas are gone, and their addresses may be those of
 * other values: only parameters are kept. */
void debug_forget(struct unit *u)
{
    struct table old = u->vars;
    u->vars = (struct table){0};
    EACH_FUNCTION(f, u)
        EACH_PARAM(p, f)
            if (table_get(&old, p))
                *table_at(&u->vars, p) = table_get(&old, p);
    table_free(&old);
}
