/* main.c: the command `sancai`: which command is meant.
 *
 *   sancai COMMAND [options] ...   each command is a room of its own
 *   sancai help [COMMAND] | --help | --version
 */
#include "tool.h"

#include <sancai.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} commands[] = {{"run", run_main}, {"vm", vm_main}, {"cc", cc_main},
                {"knobs", knobs_main}};

/* "help" is a word too that can be misspelt. */
static int no_command(const char *word)
{
    const char *names[COUNT(commands) + 1] = {"help"};
    int near;
    for (size_t i = 0; i < COUNT(commands); i++)
        names[i + 1] = commands[i].name;
    near = text_nearest(word, names, COUNT(names));
    if (near < 0)
        return usage(NULL, "no command \"%s\"", word);
    return usage(NULL, "no command \"%s\"; did you mean %s?", word,
                 names[near]);
}

static int help_main(const char *command)
{
    if (help_print(stdout, command))
        return EXIT_SUCCESS;
    return no_command(command);
}

/* Commands get the words from their own name on, as main does. */
static int dispatch(int argc, char **argv)
{
    const char *word = argv[1];
    if (!strcmp(word, "help"))
        return help_main(argc > 2 ? argv[2] : NULL);
    if (!strcmp(word, "--help") || !strcmp(word, "-h"))
        return help_main(NULL);
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        puts("sancai " SC_VERSION);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, word) == 0)
            return commands[i].main(argc - 1, argv + 1);
    if (word[0] == '-')
        return usage(NULL, "no option %s before a command", word);
    return no_command(word);
}

int main(int argc, char **argv)
{
    int code;
    if (argc < 2) {
        help_print(stderr, NULL);
        return EXIT_USAGE;
    }
    code = dispatch(argc, argv);
    /* A full disk must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("standard output can't be written");
        return code ? code : EXIT_FAILURE;
    }
    return code;
}
