/* args.c: options of a command.
 *
 *   sancai run --gc 50 --memlimit=1g --json -- ./program --its --own
 *              '-------- options -------'  '' '------ the rest ------'
 *
 * Options stand before the first word that is none; "--" ends them too.  An
 * unknown one is answered with the one that was probably meant, in one line.
 */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 16

int usage(const char *command, const char *fmt, ...)
{
    va_list list;
    fflush(stdout);
    fprintf(stderr, "sancai%s%s: ", command ? " " : "",
            command ? command : "");
    va_start(list, fmt);
    vfprintf(stderr, fmt, list);
    va_end(list);
    fprintf(stderr, " (see: sancai help%s%s)\n", command ? " " : "",
            command ? command : "");
    return EXIT_USAGE;
}

/* strtoll alone takes blanks, signs it should not, and trailing words. */
bool args_number(const char *s, int64_t lo, int64_t hi, int64_t *v)
{
    char *end;
    errno = 0;
    *v = strtoll(s, &end, 10);
    return *s != ' ' && *s != 0 && *end == 0 && errno == 0 && *v >= lo
        && *v <= hi;
}

/* The option that `word` names, up to "=" if there is one. */
static const struct option *args_find(const char *word,
                                      const struct option *o, int n)
{
    size_t len = strcspn(word, "=");
    for (int i = 0; i < n; i++)
        if (strncmp(o[i].name, word, len) == 0 && o[i].name[len] == 0)
            return &o[i];
    return NULL;
}

/* In one line: what is wrong, and what was probably meant. */
static int args_unknown(const char *command, const char *word,
                        const struct option *o, int n)
{
    const char *names[OPTIONS_MAX];
    int near;
    for (int i = 0; i < n && i < OPTIONS_MAX; i++)
        names[i] = o[i].name;
    near = text_nearest(word, names, n < OPTIONS_MAX ? n : OPTIONS_MAX);
    if (near < 0)
        return usage(command, "no option %s", word);
    return usage(command, "no option %s; did you mean %s?", word,
                 names[near]);
}

/* Takes one option at argv[*i]; 0, or the code to leave with. */
static int args_take(const char *command, int argc, char **argv, int *i,
                     const struct option *o)
{
    char *equals = strchr(argv[*i], '=');
    if (o->flag) {
        if (equals)
            return usage(command, "%s takes no value", o->name);
        *o->flag = true;
        return 0;
    }
    if (equals) {
        *o->value = equals + 1;
        return 0;
    }
    if (*i + 1 >= argc)
        return usage(command, "%s needs a value", o->name);
    *o->value = argv[++*i];
    return 0;
}

int args_read(const char *command, int argc, char **argv,
              const struct option *o, int n, int *code)
{
    *code = 0;
    for (int i = 1; i < argc; i++) {
        const struct option *found;
        if (strcmp(argv[i], "--") == 0)
            return i + 1;
        if (argv[i][0] != '-' || argv[i][1] == 0)
            return i; /* a lone dash is a word */
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            help_print(stdout, command);
            return -1;
        }
        found = args_find(argv[i], o, n);
        *code = found ? args_take(command, argc, argv, &i, found)
                      : args_unknown(command, argv[i], o, n);
        if (*code)
            return -1;
    }
    return argc;
}
