/* target.c: where a store goes, as far as it can be seen in its function.
 *
 *   p + 8 -> p -> phi(alloca x, thread-local y)      private: no barrier
 *
 * In the frame, or thread-local: both are scanned with the thread's stack.
 */
#include "unit.h"

#define DEEP 8

LLVMValueRef target_origin(LLVMValueRef p)
{
    while (ir_is(p, LLVMGetElementPtr) || ir_is(p, LLVMBitCast)
           || ir_is(p, LLVMFreeze))
        p = LLVMGetOperand(p, 0);
    return p;
}

static bool is_private(struct table *seen, LLVMValueRef p, int depth)
{
    p = target_origin(p);
    if (LLVMIsAAllocaInst(p) || ir_calls(p, "llvm.threadlocal.address"))
        return true;
    if (LLVMIsAArgument(p))
        return ir_attribute(LLVMGetParamParent(p), ir_argument_index(p) + 1,
                            "byval");
    if (depth > DEEP || !(ir_is(p, LLVMPHI) || ir_is(p, LLVMSelect)))
        return false;
    if ((*table_at(seen, p))++)
        return true;
    for (int i = ir_is(p, LLVMSelect); i < LLVMGetNumOperands(p); i++)
        if (!is_private(seen, LLVMGetOperand(p, (unsigned)i), depth + 1))
            return false;
    return true;
}

bool target_is_private(LLVMValueRef p)
{
    struct table seen = {0};
    bool ours = is_private(&seen, p, 0);
    table_free(&seen);
    return ours;
}
