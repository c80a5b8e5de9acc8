/* pass.c: the pass, from clang's first code to what the optimiser gets.
 *
 *   debug records -> calls (which LLVM-C 19 can read)
 *   names of parameters, notes, types of allocations
 *   mem2reg: variables without an address become values
 *   names of what is left
 *   solve, callees first; report
 *   objects to the stack, variables to the heap; mem2reg; barriers
 *
 * Not more than mem2reg is run before: each variable that has an address must
 * still be one alloca.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sancai_cc.h>

#include "pass.h"
#include "unit.h"

static void option_read(struct options *o, const char *word)
{
    if (ir_begins(word, "m="))
        o->m = atoi(word + 2);
    else if (ir_begins(word, "report="))
        o->report_fd = atoi(word + 7);
    else if (!strcmp(word, "json"))
        o->json = true;
    else if (!strcmp(word, "check"))
        o->check = true;
    else if (!strcmp(word, "later"))
        o->later = true;
    else if (!strcmp(word, "debug"))
        o->keep_debug = true;
    else if (!strcmp(word, "call"))
        o->call = true;
    else if (!strcmp(word, "nobarrier"))
        o->nobarrier = true;
    else if (!strcmp(word, "time"))
        o->time = true;
}

static void options_read(struct options *o)
{
    const char *given = getenv(PASS_OPTIONS);
    char *words = need_text("%s", given ? given : ""), *rest = words, *word;
    while ((word = strsep(&rest, ",")))
        option_read(o, word);
    need_free(words);
}

void unit_error(struct unit *u, struct place p, const char *fmt, ...)
{
    char text[500];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    u->errors = need_text("%s%s%s:%u:%u: %s", u->errors ? u->errors : "",
                          u->errors ? "\n" : "", p.file ? p.file : "?",
                          p.line, p.column, text);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What the optimiser does with a module that was only asked about is in
 * vain. */
static void stop_optimiser(struct unit *u)
{
    const char *const names[] = {"optnone", "noinline"};
    EACH_FUNCTION(f, u)
        for (int i = 0; i < 2 && !LLVMIsDeclaration(f); i++)
            LLVMAddAttributeAtIndex(
                f, LLVMAttributeFunctionIndex,
                LLVMCreateEnumAttribute(u->context,
                    LLVMGetEnumAttributeKindForName(names[i],
                                                    strlen(names[i])), 0));
}

static void found(struct build *b)
{
    report_function(b);
    if (!b->unit->options.check) {
        move_decide(b);
        stack_decide(b);
    }
}

/* The driver looks for this mark in files that are linked. */
static void mark(struct unit *u)
{
    static const char section[] =
        ".section .note.sancai,\"\",@progbits\n"
        ".asciz \"" SC_CC_MARK "\"\n"
        ".previous\n";
    LLVMAppendModuleInlineAsm(u->module, section, sizeof section - 1);
}

static void change(struct unit *u)
{
    stack_all(u);
    entry_replace(u);
    move_all(u);
    if (!ir_passes(u, "function(mem2reg)"))
        return;
    if (!u->options.nobarrier)
        barrier_all(u);
    mark(u);
}

static void work(struct unit *u)
{
    if (!debug_collect(u)) {
        unit_error(u, (struct place){0}, "this LLVM's debug information is "
                   "not as sancai cc knows it");
        return;
    }
    debug_notes(u);
    literal_mark_all(u);
    type_collect(u);
    if (!ir_passes(u, "function(mem2reg)"))
        return;
    debug_forget(u);
    debug_collect(u);
    solve_all(u, found);
    if (u->options.m || u->options.json || u->options.check)
        report_write(u);
    if (!u->options.check && !u->errors)
        change(u);
}

const char *pass_early(LLVMModuleRef m)
{
    double start = seconds();
    struct unit u = {.module = m, .context = LLVMGetModuleContext(m),
                     .layout = LLVMGetModuleDataLayout(m)};
    options_read(&u.options);
    LLVMContextSetDiscardValueNames(u.context, 0);
    LLVMMemoryBufferRef first = embed_begin(&u);
    LLVMSetIsNewDbgInfoFormat(m, 0);
    work(&u);
    if (u.options.check)
        stop_optimiser(&u);
    LLVMSetIsNewDbgInfoFormat(m, 1);
    embed_end(&u, first);
    if (!u.options.keep_debug)
        LLVMStripModuleDebugInfo(m);
    if (u.options.time)
        fprintf(stderr, "sancai cc: pass %.3f s\n", seconds() - start);
    return u.errors;
}

void pass_late(LLVMModuleRef m)
{
    struct unit u = {.module = m, .context = LLVMGetModuleContext(m),
                     .layout = LLVMGetModuleDataLayout(m)};
    options_read(&u.options);
    if (!u.options.check && !u.options.call)
        place_all(&u);
}
