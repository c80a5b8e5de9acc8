/* help.c: the pages of help.
 *
 * Who asks for help has a task, so every page starts with examples that can
 * be copied, and lists the options after them.
 */
#include "tool.h"

#include <string.h>

static const char overview[] =
    "sancai: look at programs that run on the Sancai heap\n"
    "\n"
    "  sancai run -- ./server --port 8080   run it, then sum up its memory\n"
    "  sancai run --trace -- ./server       and a line per cycle meanwhile\n"
    "  sancai run --malloc -- ./server      any program, with our malloc\n"
    "  sancai vm 1234                       draw the memory of process 1234\n"
    "  sancai vm --after 500 -- ./server    start it, draw it after 500 ms\n"
    "  sancai cc --check *.c                which locals outlive their frame\n"
    "  sancai knobs                         the settings, and what is set\n"
    "\n"
    "Every command knows --json.  More: sancai help run|vm|cc|knobs.\n"
    "Exit codes: 0 done, 1 something failed, 2 the command line is wrong;\n"
    "run passes on the exit status of the program, cc that of the compiler.\n";

static const char page_run[] =
    "sancai run: run a program and sum up what its heap did\n"
    "\n"
    "  sancai run -- ./server\n"
    "  sancai run --gc 50 --memlimit 512MiB -- ./server --port 8080\n"
    "  sancai run --json -o summary.json -- ./server\n"
    "  sancai run --debug gcstoptheworld=1,verify=1 -- ./server\n"
    "\n"
    "  --gc N|off       heap growth in percent before the next cycle\n"
    "                   (SANCAI_GC)\n"
    "  --memlimit SIZE  soft limit of all our memory: 4096, 64KiB, 512MiB,\n"
    "                   2g, off (SANCAI_MEMLIMIT)\n"
    "  --procs N        processors to plan for (SANCAI_MAXPROCS)\n"
    "  --malloc         the program's malloc is ours (LD_PRELOAD of\n"
    "                   libsancai-malloc.so); the summary tells what it held\n"
    "  --trace          one line per cycle on standard error\n"
    "                   (gctrace=1 in SANCAI_DEBUG)\n"
    "  --debug LIST     NAME=VALUE,... added to SANCAI_DEBUG; the names are\n"
    "                   listed by: sancai knobs\n"
    "  --json           the summary as JSON: bytes and nanoseconds\n"
    "  -o FILE          write the summary to FILE, not to standard error\n"
    "\n"
    "The summary survives a crash of the program: it then tells of its last\n"
    "cycle.  It tells of one process: the program, or the first of its\n"
    "children that uses the library.\n"
    "\n"
    "Exit status: the program's; 128 + N if signal N ended it; 127 if it was\n"
    "not found, 126 if it could not be executed.  Signals that ask to stop\n"
    "are passed on to the program.\n";

static const char page_vm[] =
    "sancai vm: draw the virtual memory of a process\n"
    "\n"
    "  sancai vm 1234\n"
    "  sancai vm --all 1234\n"
    "  sancai vm -- ./server --port 8080\n"
    "  sancai vm --after 5000 --json -o vm.json -- ./server\n"
    "\n"
    "  --after MS  let the program run for MS milliseconds first (1000); one\n"
    "              that ends sooner is drawn just before it ends\n"
    "  --all       a row for each mapping (else neighbours of a kind share\n"
    "              one) and for each class of spans\n"
    "  --stop      hold the process (SIGSTOP) while reading, so that nothing\n"
    "              moves\n"
    "  --json      the same as JSON: bytes\n"
    "  -o FILE     draw to FILE, not to standard output\n"
    "\n"
    "Columns, in KiB: reserved is address space, committed is what of it the\n"
    "process may fill with data of its own, resident is what is in memory\n"
    "now.  Below the map stand the sums, and the kernel's own figures for the\n"
    "same process, with the difference.\n"
    "\n"
    "Any process can be drawn; one that uses the library also shows what\n"
    "lies in its heap.  That needs the right to read its memory: as its\n"
    "parent (sancai vm -- PROGRAM), its debugger, or root.\n"
    "\n"
    "Exit status: 0 drawn, 1 not.\n";

static const char page_knobs[] =
    "sancai knobs: the settings of the library\n"
    "\n"
    "  sancai knobs\n"
    "  SANCAI_DEBUG=gctrace=1 sancai knobs\n"
    "  sancai knobs --json\n"
    "\n"
    "  --json      the same as JSON\n"
    "\n"
    "The library reads the variables once, when the program starts.  Shown\n"
    "is what it would read from the environment of this command.\n";

static const char page_cc[] =
    "sancai cc: compile for the collected heap; which variables escape\n"
    "\n"
    "  sancai cc --check list.c tree.c\n"
    "  sancai cc --check -m=2 -Iinclude -DX=1 list.c\n"
    "  sancai cc -m -O2 -c list.c\n"
    "  make CC=\"sancai cc\"\n"
    "\n"
    "  --check  only report, in C a defect each: \"moved to heap: x\" for a\n"
    "           local whose address outlives it, \"x outlives its block\"\n"
    "  -m       all that was found out, in the words of go build -gcflags=-m:\n"
    "           \"leaking param: p\", \"&x does not escape\", ...\n"
    "  -m=2     and the flow that explains each\n"
    "  --json   a line of JSON for each finding, on standard output\n"
    "\n"
    "  -fsancai=whole      look at the program as a whole: for compiling each\n"
    "                      file and for linking, or with --check\n"
    "  -fsancai=call       barriers are calls, not in place\n"
    "  -fsancai=nobarrier  none: all threads are held while marking\n"
    "\n"
    "As a compiler it moves what escapes to the heap, where malloc allocates\n"
    "too, and puts a write barrier at each pointer store.\n"
    "\n"
    "All other words are clang's.  Needs clang 19; SANCAI_CLANG says where\n"
    "it is, if not in PATH.  docs/cc.md says what is found out and how.\n"
    "\n"
    "Exit status: clang's.  With --check: 0 nothing outlives its frame or\n"
    "block, 1 something does, 2 that can't be told: the source is broken, or\n"
    "clang is missing.\n";

static const struct {
    const char *command, *text;
} pages[] = {{"run", page_run}, {"vm", page_vm}, {"cc", page_cc},
             {"knobs", page_knobs}};

bool help_print(FILE *to, const char *command)
{
    if (!command) {
        fputs(overview, to);
        return true;
    }
    for (size_t i = 0; i < COUNT(pages); i++) {
        if (strcmp(pages[i].command, command) == 0) {
            fputs(pages[i].text, to);
            return true;
        }
    }
    return false;
}
