/* type.c: C types, from debug information; what allocations are for.
 *
 * malloc does not say what it allocates.  Where its result goes says it: into
 * a variable, or out of the function, whose type is a pointer to something.
 * This is read before variables become values.
 */
#include <string.h>

#include "unit.h"

enum { /* DWARF's numbers */
    TAG_ARRAY = 0x01, TAG_POINTER = 0x0f, TAG_STRUCT = 0x13,
    TAG_TYPEDEF = 0x16, TAG_UNION = 0x17, TAG_CONST = 0x26,
    TAG_VOLATILE = 0x35, TAG_RESTRICT = 0x37, TAG_ATOMIC = 0x47
};
enum { VARIABLE_TYPE = 3, TYPE_BASE = 3, TYPE_ELEMENTS = 4,
       FUNCTION_TYPE = 4 };

static bool is_kind(LLVMMetadataRef t, LLVMMetadataKind k)
{
    return debug_is_node(t) && LLVMGetMetadataKind(t) == k;
}

static unsigned tag_of(LLVMMetadataRef t)
{
    return is_kind(t, LLVMDIDerivedTypeMetadataKind)
                || is_kind(t, LLVMDICompositeTypeMetadataKind)
             ? LLVMGetDINodeTag(t)
             : 0;
}

/* Without qualifiers; *name is the last typedef's. */
static LLVMMetadataRef strip(LLVMMetadataRef t, const char **name)
{
    size_t n;
    for (;; t = debug_operand(t, TYPE_BASE)) {
        switch (tag_of(t)) {
        case TAG_TYPEDEF:
            *name = LLVMDITypeGetName(t, &n);
            break;
        case TAG_CONST:
        case TAG_VOLATILE:
        case TAG_RESTRICT:
        case TAG_ATOMIC:
            break;
        default:
            return t;
        }
    }
}

static LLVMMetadataRef plain(LLVMMetadataRef t)
{
    const char *unused;
    return strip(t, &unused);
}

static char *suffixed(LLVMMetadataRef t, const char *suffix)
{
    char *of = type_name(t);
    char *s = of ? need_text("%s%s", of, suffix) : NULL;
    need_free(of);
    return s;
}

char *type_name(LLVMMetadataRef t)
{
    const char *word = NULL, *name;
    unsigned tag;
    size_t n = 0;
    t = strip(t, &word);
    tag = tag_of(t);
    if (!t)
        return need_text("%s", word ? word : "void");
    if (tag == TAG_POINTER)
        return word ? need_text("%s", word)
                    : suffixed(debug_operand(t, TYPE_BASE), " *");
    if (tag == TAG_ARRAY)
        return suffixed(debug_operand(t, TYPE_BASE), "[]");
    if (!debug_is_node(t) || is_kind(t, LLVMDISubroutineTypeMetadataKind))
        return need_text("%s", word ? word : "function");
    name = LLVMDITypeGetName(t, &n);
    if (!name || !n)
        return word ? need_text("%s", word) : NULL;
    return need_text("%s%s", tag == TAG_STRUCT  ? "struct "
                             : tag == TAG_UNION ? "union "
                                                : "", name);
}

bool type_has_pointer(LLVMMetadataRef t)
{
    LLVMMetadataRef list;
    t = plain(t);
    switch (tag_of(t)) {
    case TAG_POINTER:
        return true;
    case TAG_ARRAY:
        return type_has_pointer(debug_operand(t, TYPE_BASE));
    case TAG_STRUCT:
    case TAG_UNION:
        list = debug_operand(t, TYPE_ELEMENTS);
        for (unsigned i = 0; list; i++) {
            LLVMMetadataRef m = debug_operand(list, i);
            if (!m)
                break;
            if (type_has_pointer(debug_operand(m, TYPE_BASE)))
                return true;
        }
        return false;
    default:
        return false;
    }
}

/* ---- What an allocation is for ----------------------------------------- */

/* The type that a pointer of type t points to, if that has a size. */
static char *pointee(LLVMMetadataRef t)
{
    t = plain(t);
    if (tag_of(t) != TAG_POINTER)
        return NULL;
    t = debug_operand(t, TYPE_BASE);
    return plain(t) ? type_name(t) : NULL;
}

static LLVMMetadataRef result_type(LLVMValueRef function)
{
    LLVMMetadataRef s = LLVMGetSubprogram(function);
    LLVMMetadataRef t = s ? debug_operand(s, FUNCTION_TYPE) : NULL;
    LLVMMetadataRef list = t ? debug_operand(t, TYPE_BASE) : NULL;
    return list ? debug_operand(list, 0) : NULL;
}

static LLVMMetadataRef global_type(LLVMValueRef g)
{
    size_t n;
    LLVMValueMetadataEntry *all;
    LLVMMetadataRef t = NULL;
    if (!LLVMIsAGlobalVariable(g))
        return NULL;
    all = LLVMGlobalCopyAllMetadata(g, &n);
    for (unsigned i = 0; i < n; i++) {
        LLVMMetadataRef m = LLVMValueMetadataEntriesGetMetadata(all, i);
        if (is_kind(m, LLVMDIGlobalVariableExpressionMetadataKind))
            t = debug_operand(LLVMDIGlobalVariableExpressionGetVariable(m),
                              VARIABLE_TYPE);
    }
    LLVMDisposeValueMetadataEntries(all);
    return t;
}

/* What a store of the result to `to` says of its type. */
static char *stored_to(struct unit *u, LLVMValueRef to)
{
    struct var *v = debug_var(u, to);
    return pointee(v ? v->type : global_type(to));
}

static char *destination(struct unit *u, LLVMValueRef call)
{
    EACH_USER(i, call) {
        /* "retval" is the result's own variable, with several returns. */
        if (LLVMIsAReturnInst(i)
            || (LLVMIsAStoreInst(i)
                && !strcmp(ir_name(LLVMGetOperand(i, 1)), "retval")))
            return pointee(result_type(LLVMGetBasicBlockParent(
                LLVMGetInstructionParent(i))));
        if (LLVMIsAStoreInst(i) && LLVMGetOperand(i, 0) == call)
            return stored_to(u, LLVMGetOperand(i, 1));
    }
    return NULL;
}

void type_collect(struct unit *u)
{
    EACH_FUNCTION(f, u)
        EACH_BLOCK(b, f)
            EACH_INSTRUCTION(i, b)
                if (system_allocates(i))
                    *table_at(&u->types, i) = (intptr_t)destination(u, i);
}
