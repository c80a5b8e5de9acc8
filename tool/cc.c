/* cc.c: `sancai cc`: clang 19 with our pass as a plugin.
 *
 *   sancai cc -m -c f.c           clang-19 -fpass-plugin=sancai-cc.so ... f.c
 *   sancai cc --check *.c         the same for each file, without output
 *        |                             |
 *        '-- SANCAI_CC_OPTIONS ------->| what to do
 *        '-- a file in memory <--------' a line per finding: "!f.c:7:28: ..."
 *
 * All words that are not ours are clang's.  Its pass wants debug information,
 * names, and code made for optimisation; what the user asked for comes last
 * and so wins, but for -O0.
 *
 * Exit codes: clang's.  With --check: 0 nothing dangles, 1 something does, 2
 * that can't be told (wrong words, broken source, no clang).
 */
#include "cc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cc/pass.h"

void word_add(struct words *w, const char *word)
{
    if (w->n == w->room) {
        w->room = w->room ? 2 * w->room : 64;
        w->at = grow(w->at, w->room * sizeof *w->at);
    }
    w->at[w->n++] = word;
}

char *text(const char *fmt, ...)
{
    char *s;
    va_list list;
    va_start(list, fmt);
    if (vasprintf(&s, fmt, list) < 0)
        die("out of memory");
    va_end(list);
    return s;
}

/* ---- What is installed ------------------------------------------------- */

/* The major version of a compiler, 0 if it can't be run. */
static int version_of(const char *clang)
{
    char *command = text("'%s' -dumpversion 2>/dev/null", clang), line[40];
    FILE *p = popen(command, "r");
    int major = 0;
    if (p && fgets(line, sizeof line, p))
        major = atoi(line);
    if (p)
        pclose(p);
    free(command);
    return major;
}

bool cc_in_path(const char *name)
{
    const char *path = getenv("PATH");
    char *all = text("%s", path ? path : "/usr/bin"), *rest = all, *dir;
    bool found = false;
    while (!found && (dir = strsep(&rest, ":"))) {
        char *file = text("%s/%s", dir, name);
        found = access(file, X_OK) == 0;
        free(file);
    }
    free(all);
    return found;
}

static bool clang_find(struct cc *c)
{
    static const char debian[] = "/usr/lib/llvm-19/bin/clang";
    int major;
    c->clang = getenv("SANCAI_CLANG");
    if (c->clang && (major = version_of(c->clang)) != 19) {
        complain("cc: SANCAI_CLANG=%s is %s; clang 19 is needed", c->clang,
                 major ? text("version %d", major) : "no clang");
        return false;
    }
    if (!c->clang)
        c->clang = cc_in_path("clang-19") ? "clang-19"
                 : access(debian, X_OK) == 0 ? debian : NULL;
    c->plugin = companion(PASS_PLUGIN);
    if (!c->clang)
        complain("cc: clang 19 is missing; on Debian: apt-get install "
                 "clang-19");
    else if (!c->plugin)
        complain("cc: " PASS_PLUGIN " is missing; make builds it where "
                 "llvm-19-dev is installed (tools/deps cc)");
    return c->clang && c->plugin;
}

/* ---- Words ------------------------------------------------------------- */

/* Options of clang whose value is the next word. */
static bool takes_word(const char *word)
{
    static const char *const with[] = {
        "-o", "-I", "-D", "-U", "-L", "-l", "-x", "-include", "-imacros",
        "-isystem", "-iquote", "-idirafter", "-isysroot", "-iprefix", "-MF",
        "-MT", "-MQ", "-Xclang", "-Xlinker", "-Xassembler",
        "-Xpreprocessor", "-mllvm", "-target", "-arch", "-T", "-u", "-z",
        "-e", "--param", "-aux-info", "-B", "--sysroot", "-framework"};
    for (size_t i = 0; i < COUNT(with); i++)
        if (strcmp(with[i], word) == 0)
            return true;
    return false;
}

/* To be left out where only a report is wanted: what makes files. */
static bool makes_files(const char *word)
{
    static const char *const which[] = {"-c", "-S", "-MD", "-MMD", "-MP",
                                        "-MG", "-emit-llvm", "-save-temps"};
    for (size_t i = 0; i < COUNT(which); i++)
        if (strcmp(which[i], word) == 0)
            return true;
    return !strcmp(word, "-o") || !strcmp(word, "-MF")
        || !strcmp(word, "-MT") || !strcmp(word, "-MQ");
}

static bool is_source(const char *word)
{
    size_t n = strlen(word);
    return !strcmp(word, "-")
        || (word[0] != '-' && n > 2
            && (!strcmp(word + n - 2, ".c") || !strcmp(word + n - 2, ".i")));
}

/* Ours; false if it is clang's.  *code: not 0 if it is wrong. */
static bool word_ours(struct cc *c, const char *word, int *code)
{
    if (!strcmp(word, "--check"))
        c->check = true;
    else if (!strcmp(word, "--json"))
        c->json = true;
    else if (!strcmp(word, "-m") || !strcmp(word, "-m=1"))
        c->m = 1;
    else if (!strcmp(word, "-m=2"))
        c->m = 2;
    else if (!strncmp(word, "-m=", 3))
        *code = usage("cc", "-m takes 1 or 2, not \"%s\"", word + 3);
    else if (!strcmp(word, "-fsancai=call"))
        c->call = true;
    else if (!strcmp(word, "-fsancai=whole"))
        c->whole = true;
    else if (!strcmp(word, "-fsancai=nobarrier"))
        c->nobarrier = true;
    else if (!strncmp(word, "-fsancai", 8))
        *code = usage("cc", "no option %s", word);
    else
        return false;
    return true;
}

static bool one_of(const char *word, const char *const *which)
{
    for (; *which; which++)
        if (strcmp(word, *which) == 0)
            return true;
    return false;
}

/* What clang's own words say that matters to us. */
static void word_heed(struct cc *c, const char *word)
{
    static const char *const no_code[] = {
        "-E", "-M", "-MM", "-fsyntax-only", "--version", "-v", "-###",
        "-dumpmachine", "-dumpversion", NULL};
    static const char *const no_link[] = {"-c", "-S", "-shared", "-r",
                                          "-nostdlib", NULL};
    if (!strncmp(word, "-g", 2))
        c->debug = strcmp(word, "-g0") != 0;
    else if (!strncmp(word, "-O", 2))
        c->zero = !strcmp(word, "-O0");
    else if (!strncmp(word, "-print-", 7) || one_of(word, no_code))
        c->no_code = true;
    else if (one_of(word, no_link))
        c->no_link = true;
}

static void word_take(struct cc *c, const char *word, bool source)
{
    if (c->clangs.n % 64 == 0)
        c->is_source = grow(c->is_source, c->clangs.n + 64);
    c->is_source[c->clangs.n] = source;
    c->nsources += source;
    word_add(&c->clangs, word);
}

/* 0, or the code to leave with. */
static int words_read(struct cc *c, int argc, char **argv)
{
    int code = 0;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--check"))
            c->check = true;
    c->zero = true;
    for (int i = 1; i < argc && !code; i++) {
        bool value = takes_word(argv[i]) && i + 1 < argc;
        if (word_ours(c, argv[i], &code))
            continue;
        word_heed(c, argv[i]);
        if (c->check && makes_files(argv[i])) {
            i += value;
            continue;
        }
        word_take(c, argv[i], is_source(argv[i]));
        if (value)
            word_take(c, argv[++i], false);
    }
    return code;
}

/* ---- clang ------------------------------------------------------------- */

void cc_add_ours(const struct cc *c, struct words *w)
{
    static const char *const ours[] = {
        "-fno-elide-constructors", "-fno-discard-value-names", "-Xclang",
        "-fexperimental-assignment-tracking=disabled",
        "-Wno-unused-command-line-argument"};
    for (size_t i = 0; i < COUNT(ours); i++)
        word_add(w, ours[i]);
    if (!c->debug)
        word_add(w, "-g");
}

/* Anything but -O0 keeps the marks of lifetimes. */
void cc_add_pass(const struct cc *c, struct words *w)
{
    word_add(w, text("-fpass-plugin=%s", c->plugin));
}

/* How an object's code is to be compiled when all of it is known. */
static bool is_of_code(const char *word)
{
    static const char *const begins[] = {"-O", "-g", "-fPIE", "-fpie", "-fPIC",
                                         "-fpic", "-fno-pie", "-fno-pic",
                                         "-fno-PIE", "-fno-PIC", "-mcmodel=",
                                         "-ffunction-sections",
                                         "-fdata-sections"};
    for (size_t i = 0; i < COUNT(begins); i++)
        if (strncmp(word, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static void flags_export(const struct cc *c)
{
    char *all = text("%s", c->zero ? "-O1\n" : "");
    for (size_t i = 0; i < c->clangs.n; i++)
        if (is_of_code(c->clangs.at[i]))
            all = text("%s%s\n", all, c->clangs.at[i]);
    setenv(PASS_FLAGS_OF, all, 1);
}

void cc_options_export(const struct cc *c)
{
    if (c->later)
        flags_export(c);
    setenv(PASS_OPTIONS,
           text("m=%d%s%s%s%s%s%s%s", c->later ? 0 : c->m,
                c->check ? ",check" : "",
                c->json && !c->later ? ",json" : "",
                c->later ? ",later" : "", c->debug ? ",debug" : "",
                c->call ? ",call" : "", c->nobarrier ? ",nobarrier" : "",
                c->report ? text(",report=%d", c->report) : ""), 1);
}

static void run_here(const struct words *w, const char *to)
{
    int fd = to ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : 1;
    if (fd < 0 || (to && dup2(fd, 1) < 0))
        die("cc: %s: %m", to);
    execvp(w->at[0], (char **)w->at);
    complain("cc: %s: %m", w->at[0]);
    _exit(127);
}

int cc_run(const struct words *w, const char *to)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        run_here(w, to);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("cc: %m");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Copies the findings, without their marks. */
size_t cc_report_show(struct cc *c)
{
    FILE *from = fdopen(dup(c->report), "r");
    char *line = NULL;
    size_t room = 0, dangling = 0;
    if (!from)
        die("cc: %m");
    rewind(from);
    while (getline(&line, &room, from) > 0) {
        dangling += line[0] == '!';
        fputs(line + 1, stdout);
    }
    free(line);
    fclose(from);
    if (ftruncate(c->report, 0) != 0)
        die("cc: %m");
    return dangling;
}

/* One source, and all words that are no source. */
static int check_one(struct cc *c, size_t source)
{
    static const char *const last[] = {"-O1", "-c", "-emit-llvm", "-o",
                                       "/dev/null"};
    struct words w = {0};
    word_add(&w, c->clang);
    cc_add_ours(c, &w);
    cc_add_pass(c, &w);
    for (size_t i = 0; i < c->clangs.n; i++)
        if (!c->is_source[i] || i == source)
            word_add(&w, c->clangs.at[i]);
    for (size_t i = 0; i < COUNT(last); i++)
        word_add(&w, last[i]);
    word_add(&w, NULL);
    return cc_run(&w, NULL);
}

static int check_all(struct cc *c)
{
    size_t dangling = 0;
    bool failed = false;
    if (!c->nsources)
        return usage("cc", "--check needs a C source");
    for (size_t i = 0; i < c->clangs.n && !c->whole; i++) {
        if (!c->is_source[i])
            continue;
        failed |= check_one(c, i) != 0;
        dangling += cc_report_show(c);
    }
    if (c->whole) {
        failed = whole_check(c) != 0;
        dangling = cc_report_show(c);
    }
    return failed ? EXIT_USAGE : dangling ? EXIT_FAILURE : EXIT_SUCCESS;
}

bool cc_add_runtime(const struct cc *c, struct words *w)
{
    const char *run = companion("sancai-cc.o");
    const char *lib = companion("libsancai.a");
    bool mixed = false;
    if (!run || !lib) {
        complain("cc: %s is missing beside the command",
                 run ? "libsancai.a" : "sancai-cc.o");
        return false;
    }
    for (size_t i = 0; i < c->clangs.n; i++)
        mixed |= !c->is_source[i] && object_lacks_mark(c->clangs.at[i],
                                                      !mixed);
    if (mixed || c->nobarrier)
        word_add(w, "-Wl,--defsym=sc_cc_mixed=1");
    word_add(w, run);
    word_add(w, lib);
    word_add(w, "-pthread");
    word_add(w, "-ldl");
    return true;
}

static bool has_input(const struct cc *c)
{
    for (size_t i = 0; i < c->clangs.n; i++)
        if (c->is_source[i] || object_is(c->clangs.at[i]))
            return true;
    return false;
}

static int compile(struct cc *c)
{
    if (c->whole && !c->no_code && !c->no_link && has_input(c))
        return whole_link(c);
    c->later = c->whole;
    cc_options_export(c);

    struct words w = {0};
    int code;
    word_add(&w, c->clang);
    if (c->nsources && !c->no_code) {
        cc_add_ours(c, &w);
        cc_add_pass(c, &w);
    }
    for (size_t i = 0; i < c->clangs.n; i++)
        word_add(&w, c->clangs.at[i]);
    if (c->nsources && !c->no_code && c->zero)
        word_add(&w, "-O1");
    if (!c->no_code && !c->no_link && has_input(c) && !cc_add_runtime(c, &w))
        return EXIT_USAGE;
    word_add(&w, NULL);
    if (c->report) {
        code = cc_run(&w, NULL);
        cc_report_show(c);
        return code;
    }
    execvp(w.at[0], (char **)w.at);
    complain("cc: %s: %m", w.at[0]);
    return 127;
}

int cc_main(int argc, char **argv)
{
    struct cc c = {0};
    int code;
    if (argc < 2)
        return usage("cc", "a C source is missing");
    if (!strcmp(argv[1], "--help"))
        return help_print(stdout, "cc") ? EXIT_SUCCESS : EXIT_FAILURE;
    code = words_read(&c, argc, argv);
    if (code)
        return code;
    if (!clang_find(&c))
        return EXIT_USAGE;
    if ((c.check || c.json) && (c.report = memfd_create("report", 0)) < 0)
        die("cc: no memory file for the report: %m");
    cc_options_export(&c);
    return c.check ? check_all(&c) : compile(&c);
}
