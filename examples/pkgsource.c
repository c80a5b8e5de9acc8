/* pkgsource.c: where the example's data comes from: the index of packages
 * that this machine could install, as apt knows it.
 *
 *   apt-cache dumpavail --> a temporary file, unlinked at once
 *   nothing?  root: apt-get update, once more.  Else: say what to do.
 *
 * The file is named through this process's own descriptor, so that a child
 * process may be handed it too, and nothing is left behind.
 */
#include "pkggraph.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr,
            "pkggraph: no package index: %s\n"
            "pkggraph: run `apt-get update` as root, or name a file of that "
            "format:\n"
            "pkggraph:   pkggraph --file INDEX   (a Debian Packages file)\n",
            why);
    exit(2);
}

/* Bytes of the index that got into f. */
static size_t dump_into(FILE *f)
{
    static char block[1 << 16];     /* what a pipe holds on Linux */
    size_t n, sum = 0;
    FILE *from = popen("apt-cache dumpavail 2>/dev/null", "r");
    if (!from)
        return 0;
    while ((n = fread(block, 1, sizeof block, from)) > 0)
        sum += fwrite(block, 1, n, f);
    pclose(from);
    return fflush(f) ? 0 : sum;
}

static int update_run(int quiet)
{
    if (!quiet)
        fputs("no package index yet: apt-get update ...\n", stderr);
    return system("apt-get update >/dev/null 2>&1 </dev/null");
}

const char *index_fetch(int quiet)
{
    static char path[64];
    FILE *f = tmpfile();
    if (!f)
        give_up("cannot make a temporary file");
    if (system("command -v apt-cache >/dev/null 2>&1"))
        give_up("there is no apt-cache here");
    if (!quiet)
        fputs("asking apt-cache for the package index ...\n", stderr);
    size_t got = dump_into(f);
    if (!got && geteuid() == 0 && update_run(quiet) == 0)
        got = dump_into(f);
    if (!got)
        give_up("apt-cache dumpavail prints nothing");
    snprintf(path, sizeof path, "/proc/self/fd/%d", dup(fileno(f)));
    return path;
}
