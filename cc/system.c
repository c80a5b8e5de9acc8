/* system.c: what functions of the system retain, and which of them allocate.
 *
 * A function that is compiled with us has a summary.  One that is not may do
 * anything with its arguments, unless system.def has a row for its name, or it
 * is declared in a header of the C library that system.def names.  That is a
 * promise of that table, not something that is proved.
 */
#include <string.h>

#include "unit.h"

struct row {
    const char *name, *flows;
    enum allocation allocation;
};

static const struct row rows[] = {
#define F(name, flows)     {#name, flows, NO_ALLOCATION},
#define A(name, kind)      {#name, "-", kind},
#define H(header)
#include "system.def"
#undef F
#undef A
#undef H
};

static const char *const headers[] = {
#define F(name, flows)
#define A(name, kind)
#define H(header) #header,
#include "system.def"
#undef F
#undef A
#undef H
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Two hundred rows, asked for each function of a module once or twice: the
 * answer is kept by function. */
static const struct row *row_of(LLVMValueRef f)
{
    static struct table known;
    intptr_t *at = table_at(&known, f);
    const char *name = ir_name(f);
    for (size_t i = 0; !*at && i < COUNT(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            *at = (intptr_t)&rows[i];
    if (!*at)
        *at = -1;
    return *at == -1 ? NULL : (const struct row *)*at;
}

/* "/usr/include/x86_64-linux-gnu/sys/stat.h" is one of the C library's:
 * everything below sys/ and bits/ is, else the list says it. */
static bool is_c_library(const char *path)
{
    static const char root[] = "/usr/include/";
    if (!path || !ir_begins(path, root))
        return false;
    path += strlen(root);
    if (strstr(path, "-linux-gnu") && strchr(path, '/'))
        path = strchr(path, '/') + 1;
    if (ir_begins(path, "sys/") || ir_begins(path, "bits/"))
        return true;
    for (size_t i = 0; i < COUNT(headers); i++)
        if (strcmp(headers[i], path) == 0)
            return true;
    return false;
}

const char *system_flows(LLVMValueRef f)
{
    const struct row *row;
    if (!LLVMIsDeclaration(f)
        && LLVMGetLinkage(f) != LLVMAvailableExternallyLinkage)
        return NULL;
    row = row_of(f);
    if (row)
        return row->flows;
    if (!LLVMIsDeclaration(f) || !is_c_library(debug_declared_in(f)))
        return NULL;
    return ir_has_pointer(LLVMGetReturnType(LLVMGlobalGetValueType(f)))
             ? "r" : "-";
}

enum allocation system_allocates(LLVMValueRef call)
{
    LLVMValueRef f = ir_callee(call);
    const struct row *row =
        f && LLVMIsDeclaration(f) && !LLVMGetIntrinsicID(f) ? row_of(f) : NULL;
    return row ? row->allocation : NO_ALLOCATION;
}
