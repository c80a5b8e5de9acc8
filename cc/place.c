/* place.c: after the last optimisation, calls of sc_store_ become code.
 *
 *   call sc_store_(slot, value)       cmpb $0, sc_cc_marking(%rip)
 *                               ->    jne  slow  (sancai_cc.h)
 *                                     movq value, slot
 *
 * Until here the store was one call with honest effects, which no optimiser
 * takes apart; from here on it is one piece of assembly, for the same reason.
 * What turned out to be in the frame, now that functions were inlined, becomes
 * a plain store.  The slow part takes the slot's address without its segment;
 * thread-local variables, which alone have one, are among those.
 *
 * In code for shared libraries, which are not linked with the runtime, and for
 * other machines than x86-64, it stays a call.
 */
#include <string.h>

#include "unit.h"

/* 136: the red zone and the value. */
#define STORE(move, value)                      \
    "1: cmpb $$0, sc_cc_marking(%rip)\n"        \
    "\tjne 3f\n"                                \
    "\t" move " " value ", $0\n"                \
    "2:\n"                                      \
    "\t.subsection 1\n"                         \
    "3: leaq $0, %r11\n"                        \
    "\tleaq -136(%rsp), %rsp\n"                 \
    "\t" move " " value ", (%rsp)\n"            \
    "\tcallq sc_cc_store_slow\n"                \
    "\tleaq 136(%rsp), %rsp\n"                  \
    "\tjmp 2b\n"                                \
    "\t.subsection 0\n"                         \
    "\t.pushsection sc_wb,\"a\",@progbits\n"    \
    "\t.p2align 2\n\t.long 1b-., 2b-1b\n"                   \
    "\t.popsection"
#define CLOBBERS ",~{r11},~{dirflag},~{fpsr},~{flags}"

static const struct form {
    const char *code, *constraints;
} null_form = {STORE("movq", "$$0"), "=*m" CLOBBERS},
  word_form = {STORE("movq", "$1"), "=*m,r" CLOBBERS},
  double_form = {STORE("movsd", "$1"), "=*m,x" CLOBBERS};

static uint64_t flag_of(struct unit *u, const char *name)
{
    LLVMMetadataRef m = LLVMGetModuleFlag(u->module, name, strlen(name));
    uint64_t n = 0;
    return m && ir_constant(LLVMMetadataAsValue(u->context, m), &n) ? n : 0;
}

static bool in_place(struct unit *u)
{
    return ir_begins(LLVMGetTarget(u->module), "x86_64-")
        && (!flag_of(u, "PIC Level") || flag_of(u, "PIE Level"));
}

/* The double that a pointer was made of, or NULL. */
static LLVMValueRef double_of(LLVMValueRef v)
{
    if (!ir_is(v, LLVMIntToPtr) || !ir_is(v = LLVMGetOperand(v, 0),
                                          LLVMBitCast))
        return NULL;
    v = LLVMGetOperand(v, 0);
    return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMDoubleTypeKind ? v : NULL;
}

static void emit(struct unit *u, LLVMBuilderRef b, const struct form *f,
                 LLVMValueRef *args, unsigned n)
{
    static const char element[] = "elementtype";
    LLVMTypeRef params[2] = {LLVMTypeOf(args[0]), LLVMTypeOf(args[1])};
    LLVMTypeRef t = LLVMFunctionType(LLVMVoidTypeInContext(u->context),
                                     params, n, 0);
    LLVMValueRef code = LLVMGetInlineAsm(t, f->code, strlen(f->code),
        f->constraints, strlen(f->constraints), 1, 0,
        LLVMInlineAsmDialectATT, 0);
    LLVMValueRef call = LLVMBuildCall2(b, t, code, args, n, "");
    LLVMAddCallSiteAttribute(call, 1, LLVMCreateTypeAttribute(u->context,
        LLVMGetEnumAttributeKindForName(element, sizeof element - 1),
        LLVMPointerTypeInContext(u->context, 0)));
}

static void place(struct unit *u, LLVMBuilderRef b, LLVMValueRef call)
{
    LLVMValueRef args[2] = {LLVMGetOperand(call, 0), LLVMGetOperand(call, 1)};
    LLVMValueRef number = double_of(args[1]);
    ir_position(b, call);
    if (target_is_private(args[0]))
        LLVMBuildStore(b, args[1], args[0]);
    else if (LLVMIsAConstantPointerNull(args[1]))
        emit(u, b, &null_form, args, 1);
    else if (number)
        emit(u, b, &double_form, (LLVMValueRef[]){args[0], number}, 2);
    else
        emit(u, b, &word_form, args, 2);
    LLVMInstructionEraseFromParent(call);
}

void place_all(struct unit *u)
{
    LLVMValueRef f = LLVMGetNamedFunction(u->module, "sc_store_");
    LLVMBuilderRef b;
    if (!f || !in_place(u))
        return;
    b = LLVMCreateBuilderInContext(u->context);
    for (LLVMUseRef use = LLVMGetFirstUse(f), next; use; use = next) {
        LLVMValueRef call = LLVMGetUser(use);
        next = LLVMGetNextUse(use);
        if (ir_callee(call) == f)
            place(u, b, call);
    }
    LLVMDisposeBuilder(b);
}
