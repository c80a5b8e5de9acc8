/* embed.c: clang's first code goes with the object, for -fsancai=whole.
 *
 *   module --bitcode--> section PASS_CODE       read when the program is
 *   options that matter --> section PASS_FLAGS  linked (tool/whole.c)
 *
 * These are sections that linkers leave out.  Not .llvmbc, which clang itself
 * could write: binutils' plugin for that tries to link it, with whatever LLVM
 * it has.
 */
#include <llvm-c/BitWriter.h>
#include <stdlib.h>
#include <string.h>

#include "pass.h"
#include "unit.h"

static LLVMValueRef section_make(struct unit *u, const char *section,
                                 const char *at, size_t n)
{
    LLVMValueRef text = LLVMConstStringInContext(u->context, at, (unsigned)n,
                                                 1);
    LLVMValueRef v = LLVMAddGlobal(u->module, LLVMTypeOf(text), section);
    LLVMMetadataRef none = LLVMMDNodeInContext2(u->context, NULL, 0);
    LLVMSetInitializer(v, text);
    LLVMSetGlobalConstant(v, 1);
    LLVMSetLinkage(v, LLVMPrivateLinkage);
    LLVMSetSection(v, section);
    LLVMSetAlignment(v, 1);
    LLVMGlobalSetMetadata(v, LLVMGetMDKindIDInContext(u->context, "exclude",
                                                      7), none);
    return v;
}

/* The optimiser keeps what this list has, together with what it had. */
static void keep(struct unit *u, LLVMValueRef *v, unsigned n)
{
    static const char name[] = "llvm.compiler.used";
    LLVMTypeRef pointer = LLVMPointerTypeInContext(u->context, 0);
    LLVMValueRef had = LLVMGetNamedGlobal(u->module, name);
    LLVMValueRef old = had ? LLVMGetInitializer(had) : NULL;
    unsigned m = old ? (unsigned)LLVMGetNumOperands(old) : 0;
    LLVMValueRef *all = need(NULL, sizeof *all * (m + n));
    for (unsigned i = 0; i < m; i++)
        all[i] = LLVMGetOperand(old, i);
    memcpy(all + m, v, n * sizeof *v);
    LLVMValueRef list = LLVMConstArray2(pointer, all, m + n);
    need_free(all);
    if (had)
        LLVMDeleteGlobal(had);
    had = LLVMAddGlobal(u->module, LLVMTypeOf(list), name);
    LLVMSetInitializer(had, list);
    LLVMSetLinkage(had, LLVMAppendingLinkage);
    LLVMSetSection(had, "llvm.metadata");
}

void embed_end(struct unit *u, LLVMMemoryBufferRef code)
{
    const char *flags = getenv(PASS_FLAGS_OF);
    if (!code)
        return;
    flags = flags ? flags : "";
    LLVMValueRef made[] = {
        section_make(u, PASS_CODE, LLVMGetBufferStart(code),
                     LLVMGetBufferSize(code)),
        section_make(u, PASS_FLAGS, flags, strlen(flags))};
    keep(u, made, 2);
    LLVMDisposeMemoryBuffer(code);
}

LLVMMemoryBufferRef embed_begin(struct unit *u)
{
    return u->options.later ? LLVMWriteBitcodeToMemoryBuffer(u->module) : NULL;
}
