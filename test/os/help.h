/* help.h: what the tests of the os layer need of the machine: a sandbox that
 * refuses a call, a shared library from a line of C, and whether the machine
 * is real. */
#ifndef SC_TEST_HELP_H
#define SC_TEST_HELP_H

#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* ---- Sandbox ----------------------------------------------------------- */

/* From here on this process is refused the call with this error. */
TEST_UNUSED static void refuse(int call, int error)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, f};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
        SKIP("seccomp: %s", strerror(errno));
}

/* ---- Emulator ---------------------------------------------------------- */

/* qemu's user mode lets the true processor's description through. */
TEST_UNUSED static int emulated(void)
{
    int found = 0;
#ifndef __x86_64__
    char line[200];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        found |= strstr(line, "AuthenticAMD") || strstr(line, "GenuineIntel");
    if (f)
        fclose(f);
#endif
    return found;
}

/* ---- Shared library ---------------------------------------------------- */

/* The compiler is $TEST_CC, else the cross compiler on a foreign machine's
 * emulator, else cc.  A test without a compiler is skipped. */

#ifdef __aarch64__
#define LIBRARY_CC "aarch64-linux-gnu-gcc"
#else
#define LIBRARY_CC "cc"
#endif

/* Compiles text with flags; the library's path goes to path. */
TEST_UNUSED static void library_path(const char *text, const char *flags,
                                     char *path, size_t size)
{
    char dir[] = "/tmp/sancai-test-XXXXXX", command[500];
    const char *cc = getenv("TEST_CC");
    if (mkdtemp(dir) == NULL)
        SKIP("no temporary directory: %s", strerror(errno));
    snprintf(path, size, "%s/lib.so", dir);
    snprintf(command, sizeof command,
             "echo '%s' | %s -shared -fPIC -x c -o %s %s -", text,
             cc ? cc : LIBRARY_CC, path, flags);
    if (system(command) != 0) {
        rmdir(dir);
        SKIP("no compiler for a shared library");
    }
}

TEST_UNUSED static void library_remove(char *path)
{
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
}

/* The same, loaded; its file is gone again. */
TEST_UNUSED static void *library(const char *text, const char *flags)
{
    char path[200];
    library_path(text, flags, path, sizeof path);
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL)
        test_fail(__FILE__, __LINE__, "%s", dlerror());
    library_remove(path);
    return lib;
}

#endif
