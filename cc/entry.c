/* entry.c: calls of the runtime's entry points (include/sancai_cc.h).
 *
 * The optimiser is told what they touch: a store by sc_store_ reads and writes
 * its slot, and what only the runtime sees; so all other memory may stay in
 * registers across it.
 */
#include <string.h>

#include "unit.h"

/* The values of LLVM's memory(...) attribute, two bits each. */
#define READ_WRITE      3u
#define ARGUMENTS       (READ_WRITE << 0)
#define HIDDEN          (READ_WRITE << 2)
#define EVERYTHING      0u

/* words: the result and the parameters; v nothing, p pointer, w 64 bits, i 32
 * bits, P a pointer that is not kept. */
static const struct entry {
    const char *name, *words;
    unsigned memory;
    bool fresh; /* the result is a new object */
} entries[] = {
    {"sc_cc_local", "pw", HIDDEN, true},
    {"sc_cc_local_aligned", "pww", HIDDEN, true},
    {"sc_cc_local_noscan", "pw", HIDDEN, true},
    {"sc_store_", "vPp", ARGUMENTS | HIDDEN, false},
    {"sc_copy", "vPPw", ARGUMENTS | HIDDEN, false},
    {"sc_clear", "vPw", ARGUMENTS | HIDDEN, false},
    {"sc_cc_fill", "vPiw", ARGUMENTS | HIDDEN, false},
    {"sc_exchange_", "pPp", EVERYTHING, false},
    {"sc_cc_cas", "pPpp", EVERYTHING, false}};

/* Functions of the C library and what takes their place. */
static const struct {
    const char *from, *to;
    bool fresh;
} replaced[] = {{"malloc", "sc_cc_malloc", true},
                {"calloc", "sc_cc_calloc", true},
                {"realloc", "sc_cc_realloc", false},
                {"reallocarray", "sc_cc_reallocarray", false},
                {"free", "sc_cc_free", false},
                {"aligned_alloc", "sc_cc_aligned_alloc", true},
                {"memalign", "sc_cc_memalign", true},
                {"posix_memalign", "sc_cc_posix_memalign", false},
                {"malloc_usable_size", "sc_cc_malloc_usable_size", false},
                {"strdup", "sc_cc_strdup", true},
                {"strndup", "sc_cc_strndup", true},
                {"qsort", "sc_cc_qsort", false},
                {"getline", "sc_cc_getline", false},
                {"getdelim", "sc_cc_getdelim", false},
                {"__getdelim", "sc_cc_getdelim", false},
                {"putenv", "sc_cc_putenv", false},
                {"setvbuf", "sc_cc_setvbuf", false}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void attribute(struct unit *u, LLVMValueRef f, int at,
                      const char *name, uint64_t value)
{
    LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)at,
        LLVMCreateEnumAttribute(u->context,
            LLVMGetEnumAttributeKindForName(name, strlen(name)), value));
}

static LLVMTypeRef word_type(struct unit *u, char word)
{
    switch (word) {
    case 'v':
        return LLVMVoidTypeInContext(u->context);
    case 'w':
        return LLVMInt64TypeInContext(u->context);
    case 'i':
        return LLVMInt32TypeInContext(u->context);
    default:
        return LLVMPointerTypeInContext(u->context, 0);
    }
}

static LLVMValueRef entry_declare(struct unit *u, const struct entry *e)
{
    LLVMTypeRef params[8];
    unsigned n = (unsigned)strlen(e->words) - 1;
    LLVMValueRef f = LLVMGetNamedFunction(u->module, e->name);
    if (f)
        return f;
    for (unsigned i = 0; i < n; i++)
        params[i] = word_type(u, e->words[i + 1]);
    f = LLVMAddFunction(u->module, e->name, LLVMFunctionType(
            word_type(u, e->words[0]), params, n, 0));
    attribute(u, f, (int)LLVMAttributeFunctionIndex, "nounwind", 0);
    attribute(u, f, (int)LLVMAttributeFunctionIndex, "willreturn", 0);
    if (e->memory != EVERYTHING)
        attribute(u, f, (int)LLVMAttributeFunctionIndex, "memory", e->memory);
    if (e->fresh)
        attribute(u, f, LLVMAttributeReturnIndex, "noalias", 0);
    for (unsigned i = 0; i < n; i++)
        if (e->words[i + 1] == 'P')
            attribute(u, f, (int)i + 1, "nocapture", 0);
    return f;
}

LLVMValueRef ir_call(struct unit *u, LLVMBuilderRef b, const char *name,
                     LLVMValueRef *args, unsigned n)
{
    LLVMValueRef f = NULL;
    for (size_t i = 0; i < COUNT(entries); i++)
        if (strcmp(entries[i].name, name) == 0)
            f = entry_declare(u, &entries[i]);
    return LLVMBuildCall2(b, LLVMGlobalGetValueType(f), f, args, n, "");
}

/* A program that defines its own malloc keeps it. */
void entry_replace(struct unit *u)
{
    for (size_t i = 0; i < COUNT(replaced); i++) {
        LLVMValueRef f = LLVMGetNamedFunction(u->module, replaced[i].from);
        LLVMValueRef g;
        if (!f || !LLVMIsDeclaration(f))
            continue;
        g = LLVMGetNamedFunction(u->module, replaced[i].to);
        if (!g)
            g = LLVMAddFunction(u->module, replaced[i].to,
                                LLVMGlobalGetValueType(f));
        attribute(u, g, (int)LLVMAttributeFunctionIndex, "nounwind", 0);
        if (replaced[i].fresh)
            attribute(u, g, LLVMAttributeReturnIndex, "noalias", 0);
        LLVMReplaceAllUsesWith(f, g);
    }
}

bool entry_is_fresh(LLVMValueRef call)
{
    LLVMValueRef f = ir_callee(call);
    const char *name = f ? ir_name(f) : "";
    for (size_t i = 0; i < COUNT(entries); i++)
        if (entries[i].fresh && strcmp(entries[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < COUNT(replaced); i++)
        if (replaced[i].fresh && strcmp(replaced[i].to, name) == 0)
            return true;
    return false;
}
