/* report.c: what was found, in Go's words.
 *
 *   f.c:7:28: moved to heap: m
 *   f.c:9:24: leaking param: n
 *   f.c:13:18: leaking param: a to result ~r level=0
 *   f.c:15:29: &x does not escape
 *   f.c:22:43: malloc(struct Node) escapes to heap
 *   f.c:30:13: x outlives its block
 *
 * and with -m=2, before each of these, the way that the value takes.  With
 * --json a line of JSON for each finding.
 *
 * Findings are sorted by place and told once; those in headers of the system
 * are left out.  To the driver each line begins with "!" if C would be left
 * with a dangling pointer there, else with a blank.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

struct finding {
    struct place place;
    const char *kind;   /* "moved", "param", ... */
    char *text, *flow;  /* flow: lines, or JSON */
    bool dangles;
};

/* ---- Words ------------------------------------------------------------- */

static bool is_literal(LLVMValueRef v)
{
    return ir_begins(ir_name(v), ".compoundliteral");
}

/* Of a declaration that is never reached there is no debug information, but
 * the alloca has its name; clang's own names are these, or have a dot. */
static bool has_c_name(LLVMValueRef v)
{
    const char *name = ir_name(v);
    return *name && !strpbrk(name, ".-") && !ir_begins(name, "tmp")
        && !ir_begins(name, "coerce") && strcmp(name, "retval")
        && !ir_begins(name, "saved_stack");
}

static char *literal_words(LLVMValueRef v)
{
    LLVMTypeRef t = LLVMGetAllocatedType(v);
    const char *name = LLVMGetTypeKind(t) == LLVMStructTypeKind
                         ? LLVMGetStructName(t) : NULL;
    const char *dot = name ? strchr(name, '.') : NULL;
    if (!dot || ir_begins(dot + 1, "anon"))
        return need_text("compound literal");
    return need_text("(%.*s %.*s){...}", (int)(dot - name), name,
                     (int)strcspn(dot + 1, "."), dot + 1);
}

static char *object_words(const struct unit *u, LLVMValueRef call)
{
    const char *type = (const char *)table_get(&u->types, call);
    return need_text("%s(%s)", ir_name(ir_callee(call)),
                     type ? type : "...");
}

/* A variable by its name, all else by what it is. */
static char *words(const struct unit *u, LLVMValueRef v)
{
    struct var *var = debug_var(u, v);
    if (var)
        return need_text("%s", var->name);
    if (LLVMIsACallInst(v))
        return object_words(u, v);
    if (LLVMIsAAllocaInst(v) && is_literal(v))
        return literal_words(v);
    if (ir_is_dynamic(v))
        return need_text("alloca(...)");
    return need_text("%s", has_c_name(v) ? ir_name(v) : "temporary");
}

static struct place place_of(const struct unit *u, LLVMValueRef v)
{
    struct var *var = debug_var(u, v);
    return var ? var->place : debug_place_near(v);
}

static char *root_words(struct build *b, const struct node *root)
{
    switch (root->kind) {
    case NODE_HEAP:
        return need_text("{heap}");
    case NODE_RESULT:
        return need_text("~r");
    case NODE_CARRIED:
        return need_text("{next iteration}");
    case NODE_VALUE:
        return need_text("{after the block}");
    case NODE_MEMORY: {
        LLVMValueRef p = (LLVMValueRef)root->is;
        struct var *v = debug_var(b->unit, p);
        if (ir_attribute(b->function, ir_argument_index(p) + 1, "sret"))
            return need_text("~r");
        return need_text("*%s", v ? v->name : "?");
    }
    default:
        return root->is ? words(b->unit, (LLVMValueRef)root->is)
                        : need_text("...");
    }
}

/* ---- Flows ------------------------------------------------------------- */

static const char *step_words(LLVMValueRef i)
{
    static char text[200];
    LLVMValueRef f;
    if (!i || !LLVMIsAInstruction(i) || LLVMIsAAllocaInst(i))
        return NULL;
    switch (LLVMGetInstructionOpcode(i)) {
    case LLVMStore:
        return "assignment";
    case LLVMLoad:
        return "dereference";
    case LLVMRet:
        return "return";
    case LLVMPHI:
    case LLVMSelect:
        return "either of two values";
    case LLVMGetElementPtr:
        return NULL;
    case LLVMCall:
        f = ir_callee(i);
        if (!f)
            return LLVMIsAInlineAsm(LLVMGetCalledValue(i))
                     ? "assembly" : "indirect call";
        if (LLVMGetIntrinsicID(f))
            return "copy";
        snprintf(text, sizeof text, "call of %s", ir_name(f));
        return text;
    default:
        return "expression";
    }
}

static char *joined(char *a, char *b)
{
    char *s = need_text("%s%s", a, b);
    need_free(a);
    need_free(b);
    return s;
}

static char *quoted(const char *s)
{
    char *to = need(NULL, 6 * strlen(s) + 3), *p = to;
    *p++ = '"';
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            *p++ = '\\';
        if ((unsigned char)*s < ' ')
            p += sprintf(p, "\\u%04x", (unsigned char)*s);
        else
            *p++ = *s;
    }
    *p++ = '"';
    return to;
}

static char *step_text(const struct unit *u, struct place at,
                       struct place step, const char *what, bool first)
{
    char *file, *how, *s;
    if (!u->options.json)
        return need_text("%s:%u:%u:     from %s at %s:%u:%u\n", at.file,
                         at.line, at.column, what, step.file, step.line,
                         step.column);
    file = quoted(step.file), how = quoted(what);
    s = need_text("%s{\"how\": %s, \"file\": %s, \"line\": %u, "
                  "\"column\": %u}", first ? "" : ", ", how, file, step.line,
                  step.column);
    need_free(file);
    need_free(how);
    return s;
}

/* One step per place and word: an expression may be many instructions. */
static char *flow_steps(struct build *b, const struct flow *f,
                        struct place at, char *text)
{
    struct place last = {NULL, 0, 0};
    bool first = true;
    for (int i = 0; i < f->count; i++) {
        const struct edge *e = &b->graph.edges[b->graph.hops[f->first + i]];
        LLVMValueRef by = (LLVMValueRef)e->why;
        const char *what = step_words(by);
        struct place p = what ? debug_place(by) : last;
        if (!what || !p.line || (p.line == last.line
                                 && p.column == last.column))
            continue;
        last = p;
        text = joined(text, step_text(b->unit, at, p, what, first));
        first = false;
    }
    return text;
}

static char *flow_text(struct build *b, int index, struct place at,
                       const char *what, const char *name)
{
    const struct flow *f;
    char *root, *s;
    if (index < 0)
        return need_text("%s", "");
    f = &b->graph.flows[index];
    if (b->unit->options.json)
        return flow_steps(b, f, at, need_text("%s", ""));
    root = root_words(b, &b->graph.nodes[f->root]);
    s = need_text("%s:%u:%u: %s\n%s:%u:%u:   flow: %s = %s%s\n", at.file,
                  at.line, at.column, what, at.file, at.line, at.column,
                  root, f->param < 0 ? "&" : &"****"[4 - f->level], name);
    need_free(root);
    return flow_steps(b, f, at, s);
}

/* ---- Findings ---------------------------------------------------------- */

/* Takes the texts over. */
static void add(struct build *b, struct place p, const char *kind, char *text,
                char *flow, bool dangles)
{
    struct unit *u = b->unit;
    if (!p.line || ir_begins(p.file, "/usr/"))
        return;
    ROOM(u->findings, u->nfindings, u->rfindings);
    u->findings[u->nfindings++] =
        (struct finding){p, kind, text, flow, dangles};
}

/* Is its address a value anywhere, or only used to reach it? */
static bool is_address_taken(LLVMValueRef v)
{
    EACH_USER(i, v) {
        if (ir_is(i, LLVMGetElementPtr) ? is_address_taken(i)
            : LLVMIsACallInst(i)
                ? !ir_callee(i) || !LLVMGetIntrinsicID(ir_callee(i))
                      || ir_calls(i, "llvm.va_start")
            : LLVMIsAStoreInst(i) ? LLVMGetOperand(i, 0) == v
                                  : !LLVMIsALoadInst(i))
            return true;
    }
    return false;
}

static void local_report(struct build *b, const struct node *n)
{
    LLVMValueRef v = (LLVMValueRef)n->is;
    struct place p = place_of(b->unit, v);
    struct var *var = debug_var(b->unit, v);
    char *name = words(b->unit, v), *why;
    const char *note = debug_note(v);
    bool moved = n->escapes || (n->outstays && ir_is_dynamic(v));
    if (moved && !strcmp(note, NOTE_STACK)) {
        add(b, p, "promised", need_text("%s escapes, but stays on the stack "
            "by promise", name), need_text("%s", ""), false);
    } else if (moved) {
        why = need_text("%s escapes to heap:", name);
        add(b, p, "moved", var ? need_text("moved to heap: %s", name)
                               : need_text("%s escapes to heap", name),
            flow_text(b, n->flow, p, why, name), true);
        need_free(why);
        if (!strcmp(note, NOTE_NOESCAPE) && !b->unit->options.later)
            unit_error(b->unit, p, "%s escapes, but is declared SC_NOESCAPE",
                       name);
    } else if (n->outstays) {
        why = need_text("%s is used after its block:", name);
        add(b, p, "block", need_text("%s outlives its block", name),
            flow_text(b, n->flow, p, why, name), true);
        need_free(why);
    } else if (is_address_taken(v) && (var || is_literal(v)))
        add(b, p, "stays", need_text("%s%s does not escape", var ? "&" : "",
            name), need_text("%s", ""), false);
    need_free(name);
}

static void object_report(struct build *b, const struct node *n)
{
    LLVMValueRef call = (LLVMValueRef)n->is;
    struct place p = debug_place(call);
    char *name = words(b->unit, call);
    char *why = need_text("%s escapes to heap:", name);
    add(b, p, n->escapes ? "heap" : "stays",
        need_text("%s %s", name, n->escapes ? "escapes to heap"
                                            : "does not escape"),
        flow_text(b, n->escapes ? n->flow : -1, p, why, name), false);
    need_free(name);
    need_free(why);
}

/* ---- Parameters -------------------------------------------------------- */

/* The flow that was noted for a parameter to such a root. */
static int param_flow(const struct build *b, int param, int level, int root)
{
    for (int i = 0; i < b->graph.nflows; i++) {
        const struct flow *f = &b->graph.flows[i];
        if (f->param == param && f->level == level
            && (f->root == root || (root == b->graph.heap
                && b->graph.nodes[f->root].escapes)))
            return i;
    }
    return -1;
}

static void param_leak(struct build *b, const struct var *v, int param,
                       int level, int root)
{
    const struct node *r = &b->graph.nodes[root];
    char *to = root_words(b, r), *why, *text;
    if (r->kind == NODE_HEAP)
        text = need_text("leaking param%s: %s", level ? " content" : "",
                         v->name);
    else
        text = need_text("leaking param: %s to %s%s level=%d", v->name,
                         *to == '~' ? "result " : "", to, level);
    why = need_text("parameter %s leaks to %s with derefs=%d:", v->name, to,
                    level);
    add(b, v->place, "leaks", text,
        flow_text(b, param_flow(b, param, level, root), v->place, why,
                  v->name), false);
    need_free(to);
    need_free(why);
}

/* True if nothing of it leaks. */
static bool param_stays(struct build *b, const struct var *v, int i)
{
    const struct summary *s = b->summary;
    const signed char *memory = s->memory + i * s->params;
    bool stays = true;
    if (s->heap[i] != FLOW_NEVER) {
        param_leak(b, v, i, s->heap[i], b->graph.heap);
        stays = false;
        if (s->heap[i] == 0)
            return false;
    }
    if (s->result[i] != FLOW_NEVER) {
        param_leak(b, v, i, s->result[i], b->graph.result);
        stays = false;
    }
    for (int j = 0; j < s->params; j++)
        if (memory[j] != FLOW_NEVER) {
            param_leak(b, v, i, memory[j], b->graph.memory[j]);
            stays = false;
        }
    return stays;
}

/* A struct that comes in pieces is one parameter: it stays if all do. */
static void params_report(struct build *b)
{
    const struct var *last = NULL;
    bool stays = false;
    int i = 0;
    EACH_PARAM(p, b->function) {
        struct var *v = debug_var(b->unit, p);
        if (v != last && last && stays)
            add(b, last->place, "stays", need_text("%s does not escape",
                last->name), need_text("%s", ""), false);
        if (v != last)
            stays = v && type_has_pointer(v->type);
        if (v && type_has_pointer(v->type))
            stays &= param_stays(b, v, i);
        last = v;
        i++;
    }
    if (last && stays)
        add(b, last->place, "stays", need_text("%s does not escape",
            last->name), need_text("%s", ""), false);
}

void report_function(struct build *b)
{
    params_report(b);
    for (int i = 0; i < b->graph.nnodes; i++) {
        const struct node *n = &b->graph.nodes[i];
        if (!n->is)
            continue;
        if (n->kind == NODE_LOCAL)
            local_report(b, n);
        else if (n->kind == NODE_OBJECT)
            object_report(b, n);
    }
}

/* ---- Writing ----------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    int by = strcmp(x->place.file, y->place.file);
    if (by)
        return by;
    if (x->place.line != y->place.line)
        return x->place.line < y->place.line ? -1 : 1;
    if (x->place.column != y->place.column)
        return x->place.column < y->place.column ? -1 : 1;
    return strcmp(x->text, y->text);
}

static void write_json(FILE *to, const char *mark, const struct finding *f)
{
    char *file = quoted(f->place.file), *text = quoted(f->text);
    fprintf(to, "%s{\"file\": %s, \"line\": %u, \"column\": %u, \"kind\": "
            "\"%s\", \"dangles\": %s, \"message\": %s, \"flow\": [%s]}\n",
            mark, file, f->place.line, f->place.column, f->kind,
            f->dangles ? "true" : "false", text, f->flow);
    need_free(file);
    need_free(text);
}

/* The flow is many lines, each of which gets the mark of a blank. */
static void write_text(FILE *to, const char *mark, const struct finding *f)
{
    for (char *line = f->flow, *end; (end = strchr(line, '\n'));
         line = end + 1)
        fprintf(to, "%s%.*s\n", *mark ? " " : "", (int)(end - line), line);
    fprintf(to, "%s%s:%u:%u: %s\n", mark, f->place.file, f->place.line,
            f->place.column, f->text);
}

void report_write(struct unit *u)
{
    bool marks = u->options.report_fd > 0;
    FILE *to = fdopen(dup(marks ? u->options.report_fd : STDERR_FILENO), "a");
    if (!to)
        return;
    qsort(u->findings, (size_t)u->nfindings, sizeof *u->findings, compare);
    for (int i = 0; i < u->nfindings; i++) {
        const struct finding *f = &u->findings[i];
        const char *mark = !marks ? "" : f->dangles ? "!" : " ";
        if (i > 0 && compare(f - 1, f) == 0)
            continue;
        if (!u->options.m && !f->dangles)
            continue;
        if (u->options.json)
            write_json(to, mark, f);
        else
            write_text(to, mark, f);
    }
    fclose(to);
}
