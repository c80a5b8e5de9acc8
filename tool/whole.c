/* whole.c: -fsancai=whole: the program is analysed and compiled as one.
 *
 *   f.c --clang--> f.o      code; as PASS_CODE, clang's first code of f.c
 *
 *   linking   1. as always, for the list of what the program is made of
 *                (ld -t -t: objects, and members of archives that are needed)
 *             2. first code of each  --llvm-link-->  whole.bc
 *             3. whole.bc  --clang with our pass-->  whole.o
 *             4. whole.o in the place of these objects; archives stay, and
 *                nobody needs the members that whole.o has
 *
 * An object without first code is linked as it is; what it does with its
 * arguments is not known.  How to compile is what the first object's driver was
 * told.
 */
#include "cc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cc/pass.h"

static char *dir;           /* of all that is made on the way */
static struct words made;   /* names in it */

static const char *made_name(const char *name)
{
    word_add(&made, text("%s/%s", dir, name));
    return made.at[made.n - 1];
}

static void dir_make(void)
{
    const char *in = getenv("TMPDIR");
    dir = text("%s/sancai-cc-XXXXXX", in && *in ? in : "/tmp");
    if (!mkdtemp(dir))
        die("cc: no directory %s: %m; set TMPDIR", dir);
}

static int dir_remove(int code)
{
    for (size_t i = 0; i < made.n; i++)
        unlink(made.at[i]);
    rmdir(dir);
    return code;
}

/* ---- Sources ----------------------------------------------------------- */

/* "-x c" is said of sources, and by now there are none. */
static bool is_language(const struct cc *c, size_t i)
{
    return !strcmp(c->clangs.at[i], "-x")
        || (i && !strcmp(c->clangs.at[i - 1], "-x"));
}

/* One source to a file of that name; options: what kind of. */
static int source_compile(struct cc *c, size_t source, const char *to,
                          const char *const *options)
{
    struct words w = {0};
    word_add(&w, c->clang);
    cc_add_ours(c, &w);
    for (size_t i = 0; i < c->clangs.n; i++)
        if ((!c->is_source[i] || i == source)
            && !object_is(c->clangs.at[i]))
            word_add(&w, c->clangs.at[i]);
    if (c->zero)
        word_add(&w, "-O1");
    for (; *options; options++)
        word_add(&w, *options);
    word_add(&w, "-c");
    word_add(&w, "-o");
    word_add(&w, to);
    word_add(&w, NULL);
    return cc_run(&w, NULL);
}

/* Objects take the sources' place among the words. */
static int sources_compile(struct cc *c)
{
    const char *pass[] = {text("-fpass-plugin=%s", c->plugin), NULL};
    struct cc now = *c;
    int code = 0;
    now.later = true;
    cc_options_export(&now);
    for (size_t i = 0; i < c->clangs.n && !code; i++) {
        if (!c->is_source[i])
            continue;
        const char *to = made_name(text("%zu.o", i));
        code = source_compile(c, i, to, pass);
        now.clangs.at[i] = to;
    }
    cc_options_export(c);
    return code;
}

/* ---- What the program is made of --------------------------------------- */

struct parts {
    struct words inputs; /* as the linker names them */
    struct words codes;  /* files with their first code */
    struct words flags;  /* how to compile */
};

static bool bytes_write(const struct bytes *b, const char *file)
{
    FILE *f = fopen(file, "we");
    bool ok = f && fwrite(b->at, 1, b->n, f) == b->n;
    return f && !fclose(f) && ok;
}

static void flags_take(const struct bytes *lines, struct words *flags)
{
    char *rest = text("%.*s", (int)lines->n, lines->at), *line;
    while ((line = strsep(&rest, "\n")))
        if (*line)
            word_add(flags, line);
}

/* One input of the linker, if it has first code. */
static void part_take(struct parts *p, const char *input)
{
    struct bytes all, code, flags;
    if (!object_read(input, &all))
        return;
    if (object_section(&all, PASS_CODE, &code) && code.n) {
        const char *file = made_name(text("%zu.bc", p->codes.n));
        if (!bytes_write(&code, file))
            die("cc: %s: %m", file);
        if (!p->codes.n && object_section(&all, PASS_FLAGS, &flags))
            flags_take(&flags, &p->flags);
        word_add(&p->inputs, text("%s", input));
        word_add(&p->codes, file);
    }
    free(all.at);
}

static void parts_read(struct parts *p, const char *trace)
{
    FILE *f = fopen(trace, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    if (!f)
        die("cc: %s: %m", trace);
    while ((n = getline(&line, &room, f)) > 0) {
        line[n - (line[n - 1] == '\n')] = 0;
        part_take(p, line);
    }
    free(line);
    fclose(f);
}

static bool parts_have(const struct parts *p, const char *word)
{
    for (size_t i = 0; i < p->inputs.n; i++)
        if (strcmp(p->inputs.at[i], word) == 0)
            return true;
    return false;
}

/* ---- One program ------------------------------------------------------- */

/* llvm-link lies beside clang, or has the version in its name. */
static const char *linker_find(const struct cc *c)
{
    static const char debian[] = "/usr/lib/llvm-19/bin/llvm-link";
    const char *slash = strrchr(c->clang, '/');
    char *near = slash ? text("%.*s/llvm-link", (int)(slash - c->clang),
                              c->clang) : NULL;
    if (near && access(near, X_OK) == 0)
        return near;
    free(near);
    if (cc_in_path("llvm-link-19"))
        return "llvm-link-19";
    if (access(debian, X_OK) == 0)
        return debian;
    complain("cc: llvm-link of LLVM 19 is missing; on Debian: apt-get install "
             "llvm-19; or leave -fsancai=whole out");
    return NULL;
}

static int codes_join(const struct cc *c, const struct words *codes,
                      const char *to)
{
    struct words w = {0};
    const char *linker = linker_find(c);
    if (!linker)
        return EXIT_USAGE;
    word_add(&w, linker);
    word_add(&w, "-o");
    word_add(&w, to);
    for (size_t i = 0; i < codes->n; i++)
        word_add(&w, codes->at[i]);
    word_add(&w, NULL);
    return cc_run(&w, NULL);
}

static int whole_compile(struct cc *c, const struct words *flags,
                         const char *from, const char *to)
{
    struct words w = {0};
    for (size_t i = 0; i < flags->n; i++)
        if (!strncmp(flags->at[i], "-g", 2))
            c->debug = strcmp(flags->at[i], "-g0") != 0;
    cc_options_export(c);
    word_add(&w, c->clang);
    cc_add_ours(c, &w);
    cc_add_pass(c, &w);
    for (size_t i = 0; i < flags->n; i++)
        word_add(&w, flags->at[i]);
    word_add(&w, "-c");
    word_add(&w, "-x");
    word_add(&w, "ir");
    word_add(&w, from);
    word_add(&w, "-o");
    word_add(&w, to);
    word_add(&w, NULL);
    return cc_run(&w, NULL);
}

/* ---- Linking ----------------------------------------------------------- */

static int link_for_list(struct cc *c, const char *trace)
{
    struct words w = {0};
    word_add(&w, c->clang);
    for (size_t i = 0; i < c->clangs.n; i++)
        if (!is_language(c, i))
            word_add(&w, c->clangs.at[i]);
    if (!cc_add_runtime(c, &w))
        return EXIT_USAGE;
    word_add(&w, "-Wl,-t,-t");
    word_add(&w, "-o");
    word_add(&w, made_name("first"));
    word_add(&w, NULL);
    return cc_run(&w, trace);
}

static int link_again(struct cc *c, const struct parts *p, const char *whole)
{
    struct words w = {0};
    word_add(&w, c->clang);
    for (size_t i = 0; i < c->clangs.n; i++) {
        if (is_language(c, i))
            continue;
        if (!parts_have(p, c->clangs.at[i])) {
            word_add(&w, c->clangs.at[i]);
        } else if (whole) {
            word_add(&w, whole);
            whole = NULL;
        }
    }
    if (whole) /* all of it came out of archives */
        word_add(&w, whole);
    if (!cc_add_runtime(c, &w))
        return EXIT_USAGE;
    word_add(&w, NULL);
    return cc_run(&w, NULL);
}

static int link_whole(struct cc *c)
{
    struct parts p = {0};
    const char *trace = made_name("trace"), *code = made_name("whole.bc");
    const char *whole = made_name("whole.o");
    int e = sources_compile(c);
    if (!e)
        e = link_for_list(c, trace);
    if (e)
        return e;
    parts_read(&p, trace);
    if (!p.codes.n) {
        complain("cc: nothing of this program was compiled with "
                 "-fsancai=whole; each file is taken by itself");
        return link_again(c, &p, NULL);
    }
    e = codes_join(c, &p.codes, code);
    if (!e)
        e = whole_compile(c, &p.flags, code, whole);
    if (c->report)
        cc_report_show(c);
    return e ? e : link_again(c, &p, whole);
}

int whole_link(struct cc *c)
{
    dir_make();
    return dir_remove(link_whole(c));
}

/* ---- Only a report ----------------------------------------------------- */

static int check_whole(struct cc *c)
{
    static const char *const first[] = {"-Xclang", "-disable-llvm-passes",
                                        "-O1", "-emit-llvm", NULL};
    static const char *const flags[] = {"-O1"};
    struct words codes = {0};
    const char *code = made_name("whole.bc");
    int e = 0;
    for (size_t i = 0; i < c->clangs.n && !e; i++) {
        if (!c->is_source[i])
            continue;
        word_add(&codes, made_name(text("%zu.bc", i)));
        e = source_compile(c, i, codes.at[codes.n - 1], first);
    }
    if (!e)
        e = codes_join(c, &codes, code);
    if (e)
        return e;
    return whole_compile(c, &(struct words){(const char **)flags, 1, 1}, code,
                         made_name("whole.o"));
}

int whole_check(struct cc *c)
{
    dir_make();
    return dir_remove(check_whole(c));
}
