/* companion.c: files that belong to this command: libraries, the pass.
 *
 *   build/sancai        build/NAME
 *   PREFIX/bin/sancai   PREFIX/lib/sancai/NAME or PREFIX/lib/NAME
 */
#include "tool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *companion(const char *name)
{
    char self[PATH_MAX], *file;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    static const char *const where[] = {"", "../lib/sancai/", "../lib/"};
    if (n < 0)
        return NULL;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < COUNT(where); i++) {
        if (asprintf(&file, "%s/%s%s", self, where[i], name) < 0)
            die("out of memory");
        if (access(file, R_OK) == 0)
            return file;
        free(file);
    }
    return NULL;
}
