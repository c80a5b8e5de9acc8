/* ir.c: short questions to LLVM's intermediate code, by its C interface. */
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <string.h>

#include "unit.h"

const char *ir_name(LLVMValueRef v)
{
    size_t n;
    return LLVMGetValueName2(v, &n);
}

bool ir_begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

bool ir_is(LLVMValueRef v, LLVMOpcode op)
{
    return LLVMIsAInstruction(v) && LLVMGetInstructionOpcode(v) == op;
}

LLVMValueRef ir_callee(LLVMValueRef call)
{
    LLVMValueRef f = LLVMIsACallInst(call) ? LLVMGetCalledValue(call) : NULL;
    return f && LLVMIsAFunction(f) ? f : NULL;
}

bool ir_calls(LLVMValueRef v, const char *intrinsic)
{
    LLVMValueRef f = LLVMIsACallInst(v) ? ir_callee(v) : NULL;
    return f && LLVMGetIntrinsicID(f) && ir_begins(ir_name(f), intrinsic);
}

static bool any_element(LLVMTypeRef t, bool (*is)(LLVMTypeRef))
{
    for (unsigned i = 0; i < LLVMCountStructElementTypes(t); i++)
        if (is(LLVMStructGetTypeAtIndex(t, i)))
            return true;
    return false;
}

bool ir_has_pointer(LLVMTypeRef t)
{
    switch (LLVMGetTypeKind(t)) {
    case LLVMPointerTypeKind:
        return true;
    case LLVMVectorTypeKind:
    case LLVMArrayTypeKind:
        return ir_has_pointer(LLVMGetElementType(t));
    case LLVMStructTypeKind:
        return any_element(t, ir_has_pointer);
    default:
        return false;
    }
}

bool ir_carries(LLVMTypeRef t)
{
    switch (LLVMGetTypeKind(t)) {
    case LLVMPointerTypeKind:
        return true;
    case LLVMIntegerTypeKind:
        return LLVMGetIntTypeWidth(t) >= 64;
    case LLVMVectorTypeKind:
    case LLVMArrayTypeKind:
        return ir_carries(LLVMGetElementType(t));
    case LLVMStructTypeKind:
        return any_element(t, ir_carries);
    default:
        return false;
    }
}

static unsigned attribute_kind(const char *name)
{
    return LLVMGetEnumAttributeKindForName(name, strlen(name));
}

bool ir_attribute(LLVMValueRef f, int index, const char *name)
{
    return LLVMGetEnumAttributeAtIndex(f, (LLVMAttributeIndex)index,
                                       attribute_kind(name));
}

bool ir_call_attribute(LLVMValueRef call, int index, const char *name)
{
    LLVMValueRef f = ir_callee(call);
    return LLVMGetCallSiteEnumAttribute(call, (LLVMAttributeIndex)index,
                                        attribute_kind(name))
        || (f && index <= (int)LLVMCountParams(f)
            && ir_attribute(f, index, name));
}

int ir_argument_index(LLVMValueRef argument)
{
    int i = 0;
    EACH_PARAM(p, LLVMGetParamParent(argument)) {
        if (p == argument)
            return i;
        i++;
    }
    return -1;
}

bool ir_variadic(LLVMValueRef f)
{
    return LLVMIsFunctionVarArg(LLVMGlobalGetValueType(f));
}

bool ir_constant(LLVMValueRef v, uint64_t *n)
{
    if (!LLVMIsAConstantInt(v) || LLVMGetIntTypeWidth(LLVMTypeOf(v)) > 64)
        return false;
    *n = LLVMConstIntGetZExtValue(v);
    return true;
}

/* The passes may bring debug information to its new form, which this
 * interface can't read. */
bool ir_passes(struct unit *u, const char *passes)
{
    LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
    LLVMErrorRef e = LLVMRunPasses(u->module, passes, NULL, o);
    LLVMDisposePassBuilderOptions(o);
    LLVMSetIsNewDbgInfoFormat(u->module, 0);
    if (!e)
        return true;
    char *text = LLVMGetErrorMessage(e);
    fprintf(stderr, "sancai cc: %s: %s\n", passes, text);
    LLVMDisposeErrorMessage(text);
    return false;
}

bool ir_is_dynamic(LLVMValueRef v)
{
    uint64_t n;
    return LLVMIsAAllocaInst(v) && !ir_constant(LLVMGetOperand(v, 0), &n);
}

void ir_position(LLVMBuilderRef b, LLVMValueRef i)
{
    LLVMMetadataRef at = LLVMInstructionGetDebugLoc(i);
    LLVMPositionBuilderBefore(b, i);
    LLVMSetCurrentDebugLocation2(b, at);
}

bool ir_is_aligned(LLVMValueRef call, int i)
{
    LLVMAttributeRef a = LLVMGetCallSiteEnumAttribute(call,
        (LLVMAttributeIndex)i + 1, attribute_kind("align"));
    return a && LLVMGetEnumAttributeValue(a) % 8 == 0;
}
