/* solve.c: all functions of a module, callees first.
 *
 *   functions --calls, callbacks--> components of the call graph
 *   a component: build and solve each of its graphs until no summary changes
 *
 * Summaries begin with "nothing flows" and only get worse, so a component
 * settles; one without recursion does at once.  The graphs of the last round
 * were built with the final summaries, so what they say is final too.
 */
#include "unit.h"

struct functions {
    LLVMValueRef *at;
    int n, room;
    struct table numbers; /* + 1 */
};

struct summary *solve_summary(const struct unit *u, LLVMValueRef f)
{
    return (struct summary *)table_get(&u->summaries, f);
}

static void functions_list(struct unit *u, struct functions *fs)
{
    EACH_FUNCTION(f, u) {
        struct summary *s;
        if (LLVMIsDeclaration(f))
            continue;
        ROOM(fs->at, fs->n, fs->room);
        fs->at[fs->n++] = f;
        *table_at(&fs->numbers, f) = fs->n;
        s = need(NULL, sizeof *s);
        summary_init(s, (int)LLVMCountParams(f) + ir_variadic(f));
        *table_at(&u->summaries, f) = (intptr_t)s;
    }
}

/* A function that is handed to a call counts as called by it. */
static void calls_list(const struct functions *fs, struct digraph *g, int at)
{
    EACH_BLOCK(b, fs->at[at])
        EACH_INSTRUCTION(i, b) {
            if (!LLVMIsACallInst(i) || debug_is_intrinsic(i))
                continue;
            for (int k = 0; k < LLVMGetNumOperands(i); k++) {
                LLVMValueRef f = LLVMGetOperand(i, (unsigned)k);
                int to = LLVMIsAFunction(f)
                           ? (int)table_get(&fs->numbers, f) - 1
                           : -1;
                if (to >= 0)
                    digraph_edge(g, at, to);
            }
        }
}

/* Builds the graphs of these functions; did a summary change? */
static bool round_of(struct unit *u, const struct functions *fs,
                     const int *member, int n, struct build *builds)
{
    bool changed = false;
    for (int i = 0; i < n; i++) {
        struct summary *s = solve_summary(u, fs->at[member[i]]);
        s->changed = false;
        build_init(&builds[i], u, fs->at[member[i]]);
        changed |= s->changed;
    }
    return changed;
}

static bool is_recursive(const struct digraph *g, const int *member, int n)
{
    for (int i = 0; n == 1 && i < g->nnext[member[0]]; i++)
        if (g->next[member[0]][i] == member[0])
            return true;
    return n > 1;
}

static void component_solve(struct unit *u, const struct functions *fs,
                            const struct digraph *g, const int *member, int n,
                            void (*found)(struct build *))
{
    struct build *builds = need(NULL, (size_t)n * sizeof *builds);
    bool again = is_recursive(g, member, n);
    while (round_of(u, fs, member, n, builds) && again)
        for (int i = 0; i < n; i++)
            build_free(&builds[i]);
    for (int i = 0; i < n; i++) {
        found(&builds[i]);
        build_free(&builds[i]);
    }
    need_free(builds);
}

void solve_all(struct unit *u, void (*found)(struct build *))
{
    struct functions fs = {0};
    struct components c;
    struct digraph g;
    int *all;
    functions_list(u, &fs);
    digraph_init(&g, fs.n);
    all = need(NULL, (size_t)fs.n * sizeof *all);
    for (int i = 0; i < fs.n; i++) {
        all[i] = i;
        calls_list(&fs, &g, i);
    }
    components_find(&c, &g, all, fs.n, NULL);
    for (int k = 0, start = 0; k < c.n; start = c.end[k++])
        component_solve(u, &fs, &g, c.member + start, c.end[k] - start,
                        found);
    components_free(&c);
    digraph_free(&g);
    need_free(all);
    need_free(fs.at);
    table_free(&fs.numbers);
}
