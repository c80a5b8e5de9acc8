/* limit.c: how much memory this process may use: the machine's, or what its
 * control groups allow.
 *
 *   /proc/self/cgroup    0::/a/b           (version 2)
 *                        4:memory:/a/b     (version 1)
 *   /sys/fs/cgroup/a/b/memory.max                      "max" or bytes
 *   /sys/fs/cgroup/memory/a/b/memory.limit_in_bytes    bytes
 *
 * A group is bounded by those above it too, so all of them are asked.  In a
 * container the path may lead nowhere; then what is mounted at the top is the
 * container's own.
 *
 * No locks, no state; buffers on the stack.
 */
#include "os_private.h"

#include <string.h>

#define PATH_BYTES 600

/* At most n - 1 bytes of a file as text; false if it can't be read. */
static bool file_text(const char *path, char *to, size_t n)
{
    size_t at = 0;
    int fd = os_open(path);
    if (fd < 0)
        return false;
    for (long got = 1; got > 0 && at + 1 < n; at += got > 0 ? (size_t)got : 0)
        got = os_read(fd, to + at, n - 1 - at);
    os_close(fd);
    to[at] = 0;
    return true;
}

/* The number at the start of a file; UINT64_MAX if there is none ("max"). */
static uint64_t file_number(const char *path)
{
    char text[32];
    uint64_t v = 0;
    if (!file_text(path, text, sizeof text) || *text < '0' || *text > '9')
        return UINT64_MAX;
    for (const char *s = text; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return UINT64_MAX;
    return v;
}

/* The least limit of a group and those above it.  `group` is cut down. */
static uint64_t least_of(const char *mount, char *group, const char *file)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        char path[PATH_BYTES];
        size_t n = strlen(group);
        if (n && group[n - 1] == '/')
            group[--n] = 0;
        if (strlen(mount) + n + strlen(file) < sizeof path) {
            strcpy(path, mount);
            strcat(path, group);
            uint64_t v = file_number(strcat(path, file));
            least = v < least ? v : least;
        }
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

/* One line of /proc/self/cgroup: number, controllers, path. */
static uint64_t limit_of_line(char *line)
{
    char *which = strchr(line, ':');
    char *path = which ? strchr(which + 1, ':') : NULL;
    if (!path)
        return UINT64_MAX;
    *path++ = 0;
    if (!which[1])
        return least_of("/sys/fs/cgroup", path, "/memory.max");
    if (!strcmp(which + 1, "memory"))
        return least_of("/sys/fs/cgroup/memory", path,
                        "/memory.limit_in_bytes");
    return UINT64_MAX;
}

uint64_t os_memory_limit(void)
{
    char text[2 * PATH_BYTES];
    uint64_t least = os_physical_memory();
    if (!file_text("/proc/self/cgroup", text, sizeof text))
        return least;
    for (char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n');
        if (!end) /* cut off */
            break;
        *end++ = 0;
        uint64_t v = limit_of_line(line);
        least = v < least ? v : least;
    }
    return least;
}
