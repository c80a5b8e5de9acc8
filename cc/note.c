/* note.c: what the source notes at a variable by an attribute.
 *
 *   SC_STACK int x;      call @llvm.var.annotation(ptr %x, ptr @.str, ...)
 *                        %x = alloca i32, !sancai.note !{!"sancai.stack"}
 *
 * The call would make the variable look as if its address were used, so it
 * becomes metadata of the alloca.
 */
#include <string.h>

#include "unit.h"

static const char kind[] = "sancai.note";

static unsigned kind_of(LLVMContextRef c)
{
    return LLVMGetMDKindIDInContext(c, kind, sizeof kind - 1);
}

/* The text of an annotation, if it is one of ours. */
static const char *text_of(LLVMValueRef call)
{
    LLVMValueRef g = LLVMGetOperand(call, 1);
    LLVMValueRef s = LLVMIsAGlobalVariable(g) ? LLVMGetInitializer(g) : NULL;
    const char *text;
    size_t n;
    if (!s || !LLVMIsConstantString(s))
        return NULL;
    text = LLVMGetAsString(s, &n);
    return ir_begins(text, "sancai.") ? text : NULL;
}

static void note(struct unit *u, LLVMValueRef call)
{
    const char *text = text_of(call);
    LLVMValueRef to = LLVMGetOperand(call, 0), string;
    if (!text)
        return;
    if (LLVMIsAAllocaInst(to)) {
        string = LLVMMDStringInContext(u->context, text,
                                       (unsigned)strlen(text));
        LLVMSetMetadata(to, kind_of(u->context),
                        LLVMMDNodeInContext(u->context, &string, 1));
    }
    LLVMInstructionEraseFromParent(call);
}

void debug_notes(struct unit *u)
{
    EACH_FUNCTION(f, u)
        EACH_BLOCK(b, f)
            for (LLVMValueRef i = LLVMGetFirstInstruction(b), next; i;
                 i = next) {
                next = LLVMGetNextInstruction(i);
                if (ir_calls(i, "llvm.var.annotation"))
                    note(u, i);
            }
}

const char *debug_note(LLVMValueRef v)
{
    LLVMValueRef node = NULL, string;
    unsigned n;
    if (LLVMIsAInstruction(v))
        node = LLVMGetMetadata(v, kind_of(LLVMGetTypeContext(LLVMTypeOf(v))));
    if (!node || LLVMGetMDNodeNumOperands(node) != 1)
        return "";
    LLVMGetMDNodeOperands(node, &string);
    return LLVMGetMDString(string, &n);
}
