/* literal.c: compound literals get a mark of their birth.
 *
 *   &(struct node){.v = v}       %.compoundliteral = alloca
 *                                call start(%.compoundliteral)  <- ours
 *                                store ...
 *
 * clang marks where a variable's lifetime starts, but not where a literal is
 * evaluated.  That is where clang first mentions it; later, when variables that
 * pointed to it have become values, it may be mentioned anywhere.
 */
#include <string.h>

#include "unit.h"

static LLVMValueRef first_user(LLVMValueRef function, LLVMValueRef v)
{
    EACH_BLOCK(b, function)
        EACH_INSTRUCTION(i, b)
            for (int k = 0; k < LLVMGetNumOperands(i); k++)
                if (LLVMGetOperand(i, (unsigned)k) == v)
                    return i;
    return NULL;
}

static void mark(struct unit *u, LLVMBuilderRef build, LLVMValueRef f,
                 LLVMValueRef literal)
{
    static const char name[] = "llvm.lifetime.start";
    LLVMTypeRef pointer = LLVMTypeOf(literal);
    LLVMValueRef args[2], start, first = first_user(f, literal);
    if (!first)
        return;
    ir_position(build, first);
    start = LLVMGetIntrinsicDeclaration(u->module,
        LLVMLookupIntrinsicID(name, strlen(name)), &pointer, 1);
    args[0] = LLVMConstInt(LLVMInt64TypeInContext(u->context),
        LLVMABISizeOfType(u->layout, LLVMGetAllocatedType(literal)), 0);
    args[1] = literal;
    LLVMBuildCall2(build, LLVMGlobalGetValueType(start), start, args, 2, "");
}

void literal_mark_all(struct unit *u)
{
    LLVMBuilderRef build = LLVMCreateBuilderInContext(u->context);
    EACH_FUNCTION(f, u)
        EACH_BLOCK(b, f)
            EACH_INSTRUCTION(i, b)
                if (LLVMIsAAllocaInst(i)
                    && ir_begins(ir_name(i), ".compoundliteral"))
                    mark(u, build, f, i);
    LLVMDisposeBuilder(build);
}
