/* knobs.c: `sancai knobs`: the settings, and what the environment says.
 *
 *   SANCAI_GC, SANCAI_MEMLIMIT, SANCAI_MAXPROCS   a row each
 *   SANCAI_DEBUG=gctrace=1,verify=1               a row per name that it
 *                                                 knows, from knob.def
 *
 * The names come from the same table that the library is built from, so the
 * two can't disagree.  A name of ours in the environment that nobody knows
 * is pointed out, with the nearest that exists.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

struct knob {
    const char *name, *standard, *help;
};

static const struct knob variables[] = {
    {"SANCAI_GC", "100", "N: percent the heap grows before a cycle; off"},
    {"SANCAI_MEMLIMIT", "off", "SIZE: soft limit of all our memory; auto"},
    {"SANCAI_MAXPROCS", "CPUs", "N: processors to plan for"},
    {"SANCAI_DEBUG", "", "NAME=VALUE,...: of the names below"},
    {SC_STATS_ENV, "", "set by sancai run: file for the summary"},
};

#define KNOB_STRING_(x) #x
#define KNOB_STRING(x) KNOB_STRING_(x)
static const struct knob debug[] = {
#define K(name, def, help) {#name, KNOB_STRING(def), help},
#include "../src/base/knob.def"
#undef K
};

#define KNOB_VALUE 32

/* Copies the value of `name` from a NAME=VALUE,... list; the last one counts.
 * False if it is not there. */
static bool knob_value(const char *list, const char *name, char *to)
{
    size_t len = strlen(name);
    bool found = false;
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n > len && list[len] == '=' && !strncmp(list, name, len)) {
            snprintf(to, KNOB_VALUE, "%.*s", (int)(n - len - 1),
                     list + len + 1);
            found = true;
        }
        list += n + (list[n] == ',');
    }
    return found;
}

/* The setting that a misspelt one most likely is, or -1. */
static int knob_nearest(const struct knob *k, int n, const char *word)
{
    const char *names[64];
    if (n > (int)COUNT(names))
        n = (int)COUNT(names);
    for (int i = 0; i < n; i++)
        names[i] = k[i].name;
    return text_nearest(word, names, n);
}

static bool knob_known(const struct knob *k, int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (strcmp(k[i].name, word) == 0)
            return true;
    return false;
}

/* In one line. */
static void knob_unknown(const struct knob *k, int n, const char *word,
                         const char *where)
{
    int near = knob_nearest(k, n, word);
    if (near < 0)
        complain("%s: no setting \"%s\"", where, word);
    else
        complain("%s: no setting \"%s\"; did you mean %s?", where, word,
                 k[near].name);
}

bool knobs_check(const char *list)
{
    char word[KNOB_VALUE];
    while (list && *list) {
        size_t n = strcspn(list, ","), len = strcspn(list, ",=");
        snprintf(word, sizeof word, "%.*s", (int)len, list);
        if (len > 0 && !knob_known(debug, COUNT(debug), word)) {
            knob_unknown(debug, COUNT(debug), word, "SANCAI_DEBUG");
            return false;
        }
        list += n + (list[n] == ',');
    }
    return true;
}

extern char **environ;

/* SANCAI_ variables that nobody reads are mostly misspelt. */
static void knobs_check_environment(void)
{
    char word[KNOB_VALUE];
    for (char **e = environ; e && *e; e++) {
        if (strncmp(*e, "SANCAI_", 7) != 0)
            continue;
        snprintf(word, sizeof word, "%.*s", (int)strcspn(*e, "="), *e);
        if (!knob_known(variables, COUNT(variables), word))
            knob_unknown(variables, COUNT(variables), word, "environment");
    }
    knobs_check(getenv("SANCAI_DEBUG"));
}

/* What is set stands out. */
static void knobs_row(struct out *o, const struct knob *k, const char *value,
                      bool set)
{
    out_colour(o, set ? BOLD : PLAIN);
    fprintf(o->to, "%-15s %-7s %-7s ", k->name, value, k->standard);
    out_colour(o, PLAIN);
    text_wrap(o, 15 + 1 + 7 + 1 + 7 + 1, k->help);
}

static void knobs_table(struct out *o)
{
    const char *list = getenv("SANCAI_DEBUG");
    char value[KNOB_VALUE];
    out_colour(o, DIM);
    fprintf(o->to, "%-15s %-7s %-7s %s\n", "variable", "value", "default",
            "meaning");
    out_colour(o, PLAIN);
    for (size_t i = 0; i < COUNT(variables); i++) {
        const char *v = getenv(variables[i].name);
        knobs_row(o, &variables[i], v ? v : "-", v != NULL);
    }
    fputc('\n', o->to);
    out_colour(o, DIM);
    fputs("in SANCAI_DEBUG=NAME=VALUE,...\n", o->to);
    out_colour(o, PLAIN);
    for (size_t i = 0; i < COUNT(debug); i++) {
        bool set = knob_value(list, debug[i].name, value);
        knobs_row(o, &debug[i], set ? value : "-", set);
    }
}

/* value: null where it is not set. */
static void knobs_json_row(struct json *j, const struct knob *k,
                           const char *value)
{
    json_open(j, NULL, '{');
    json_text(j, "name", k->name);
    if (value)
        json_text(j, "value", value);
    else
        json_null(j, "value");
    json_text(j, "default", k->standard);
    json_text(j, "meaning", k->help);
    json_close(j, '}');
}

static void knobs_json(FILE *to)
{
    struct json j = {.to = to};
    const char *list = getenv("SANCAI_DEBUG");
    char value[KNOB_VALUE];
    json_open(&j, NULL, '{');
    json_open(&j, "variables", '[');
    for (size_t i = 0; i < COUNT(variables); i++)
        knobs_json_row(&j, &variables[i], getenv(variables[i].name));
    json_close(&j, ']');
    json_open(&j, "debug", '[');
    for (size_t i = 0; i < COUNT(debug); i++) {
        bool set = knob_value(list, debug[i].name, value);
        knobs_json_row(&j, &debug[i], set ? value : NULL);
    }
    json_close(&j, ']');
    json_close(&j, '}');
}

int knobs_main(int argc, char **argv)
{
    bool json = false;
    const struct option options[] = {{"--json", NULL, &json}};
    struct out o;
    int code, at = args_read("knobs", argc, argv, options, 1, &code);
    if (at < 0)
        return code;
    if (at < argc)
        return usage("knobs", "takes no word like \"%s\"", argv[at]);
    knobs_check_environment();
    out_init(&o, stdout);
    if (json)
        knobs_json(stdout);
    else
        knobs_table(&o);
    return EXIT_SUCCESS;
}
