/* call.c: what a call does in its caller's graph.
 *
 * In this order: intrinsics; functions of this module, by their summaries
 * (but for those that the system's headers define inline: they have rows);
 * functions of the system, by their rows; all others may do anything with what
 * they get.  A result for which nothing is known comes from outside: no local
 * of this function can be in it that did not leak before.
 */
#include <string.h>

#include "unit.h"

static LLVMValueRef argument(LLVMValueRef call, int i)
{
    return LLVMGetOperand(call, (unsigned)i);
}

static int arguments(LLVMValueRef call)
{
    return (int)LLVMGetNumArgOperands(call);
}

static void to_result(struct build *b, LLVMValueRef call, int i, int derefs)
{
    graph_edge(&b->graph, build_value(b, call),
               build_value(b, argument(call, i)), derefs, call);
}

/* ---- Intrinsics -------------------------------------------------------- */

static void copy_flows(struct build *b, LLVMValueRef call)
{
    uint64_t bytes;
    if (ir_constant(argument(call, 2), &bytes) && bytes < 8)
        return;
    build_store(b, argument(call, 0), build_value(b, argument(call, 1)), 1,
                call);
}

static void intrinsic_flows(struct build *b, LLVMValueRef call)
{
    if (ir_calls(call, "llvm.memcpy") || ir_calls(call, "llvm.memmove"))
        copy_flows(b, call);
    else if (ir_calls(call, "llvm.va_start"))
        build_store(b, argument(call, 0), b->rest, 0, call);
    else if (ir_calls(call, "llvm.va_copy"))
        build_store(b, argument(call, 0), build_value(b, argument(call, 1)),
                    1, call);
    else if (!ir_calls(call, "llvm.objectsize"))
        for (int i = 0; i < arguments(call); i++)
            to_result(b, call, i, 0);
}

/* ---- By a summary ------------------------------------------------------ */

static void argument_by_summary(struct build *b, LLVMValueRef call, int i,
                                const struct summary *s, int p)
{
    LLVMValueRef a = argument(call, i);
    const signed char *memory = s->memory + p * s->params;
    if (s->heap[p] != FLOW_NEVER)
        build_leak(b, a, s->heap[p], call);
    if (s->result[p] != FLOW_NEVER)
        to_result(b, call, i, s->result[p]);
    for (int j = 0; j < s->params && j < arguments(call); j++)
        if (memory[j] != FLOW_NEVER)
            build_store(b, argument(call, j), build_value(b, a), memory[j],
                        call);
}

/* A call with more arguments than a function without "..." takes, or fewer, is
 * a mistake of the program; what is too much leaks. */
static void summary_flows(struct build *b, LLVMValueRef call,
                          const struct summary *s, LLVMValueRef f)
{
    int named = (int)LLVMCountParams(f);
    for (int i = 0; i < arguments(call); i++) {
        if (i >= named && !ir_variadic(f))
            build_leak(b, argument(call, i), 0, call);
        else
            argument_by_summary(b, call, i, s, i < named ? i : named);
    }
}

/* ---- By a row of system.def -------------------------------------------- */

/* At how many dereferences do the functions among the arguments leak what
 * they are called with? */
static int callback_leaks(struct build *b, LLVMValueRef call)
{
    int least = FLOW_NEVER;
    bool any = false;
    for (int i = 0; i < arguments(call); i++) {
        LLVMValueRef f = argument(call, i);
        const struct summary *s;
        if (!LLVMIsAFunction(f))
            continue;
        any = true;
        if (!(s = solve_summary(b->unit, f)))
            return 0;
        for (int p = 0; p < s->params; p++)
            if (s->heap[p] < least)
                least = s->heap[p];
        for (int p = 0; p < s->params * s->params; p++)
            if (s->memory[p] < least)
                least = s->memory[p];
    }
    return any ? least : 0;
}

static void argument_by_letter(struct build *b, LLVMValueRef call, int i,
                               const char *letter)
{
    LLVMValueRef a = argument(call, i);
    int leaks;
    switch (*letter) {
    case 'r':
        to_result(b, call, i, 0);
        break;
    case 'd':
        to_result(b, call, i, 1);
        break;
    case 'h':
        build_leak(b, a, 0, call);
        break;
    case 'c':
        build_leak(b, a, 1, call);
        break;
    case 'f':
        leaks = callback_leaks(b, call);
        if (leaks != FLOW_NEVER)
            build_leak(b, a, leaks, call);
        break;
    case '0' ... '9':
        if (*letter - '0' < arguments(call) && letter[-1] != 'm')
            build_store(b, argument(call, *letter - '0'), build_value(b, a),
                        0, call);
        break;
    case 'm':
        if (letter[1] - '0' < arguments(call))
            build_store(b, argument(call, letter[1] - '0'),
                        build_value(b, a), 1, call);
        break;
    }
}

static void system_row_flows(struct build *b, LLVMValueRef call,
                             const char *words)
{
    for (int i = 0; i < arguments(call); i++) {
        const char *end = words + strcspn(words, " ");
        for (const char *l = words; l < end; l++)
            argument_by_letter(b, call, i, l);
        if (*end)
            words = end + 1;
    }
}

/* ---- Unknown ----------------------------------------------------------- */

/* The struct that a result is to be written to stays the caller's own, and a
 * struct by value is a copy.  Assembly gets some operands as memory. */
static int unknown_derefs(LLVMValueRef call, int i)
{
    if (ir_call_attribute(call, i + 1, "byval")
        || ir_call_attribute(call, i + 1, "nocapture")
        || ir_call_attribute(call, i + 1, "elementtype"))
        return 1;
    return 0;
}

static void unknown_flows(struct build *b, LLVMValueRef call)
{
    for (int i = 0; i < arguments(call); i++)
        if (!ir_call_attribute(call, i + 1, "sret"))
            build_leak(b, argument(call, i), unknown_derefs(call, i), call);
}

/* A definition that the linker may replace by another says nothing. */
static bool is_final(LLVMValueRef f)
{
    LLVMLinkage l = LLVMGetLinkage(f);
    return l != LLVMWeakAnyLinkage && l != LLVMLinkOnceAnyLinkage
        && l != LLVMExternalWeakLinkage && l != LLVMCommonLinkage;
}

void call_flows(struct build *b, LLVMValueRef call)
{
    LLVMValueRef f = ir_callee(call);
    const struct summary *s = f ? solve_summary(b->unit, f) : NULL;
    const char *words = f ? system_flows(f) : NULL;
    int home = (int)table_get(&b->homes, call) - 1;
    if (f && LLVMGetIntrinsicID(f))
        intrinsic_flows(b, call);
    else if (s && is_final(f) && !words)
        summary_flows(b, call, s, f);
    else if (home >= 0 && system_allocates(call) == REALLOCATES)
        graph_edge(&b->graph, home, build_value(b, argument(call, 0)), 1,
                   call);
    else if (words)
        system_row_flows(b, call, words);
    else
        unknown_flows(b, call);
}
