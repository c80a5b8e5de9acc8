/* maps.c: what the kernel says of a process's memory.
 *
 *   /proc/PID/smaps          mapping by mapping: size, resident, rights
 *   /proc/PID/smaps_rollup   the kernel's own sum of what is resident
 *   /proc/PID/status         the kernel's own sum of all sizes (VmSize),
 *                            and its running count of what is resident
 *
 * Three readings of a moving target.  They are repeated until the sums over
 * smaps are VmSize and the rollup, to the byte; `tries` says how many it
 * took.  VmRSS comes from counters that some kernels only update now and
 * then: it is shown, but not waited for.
 *
 * Not in VmSize: the vsyscall page, which is the kernel's.
 *
 * Committed is memory of the process's own that it may fill: private and
 * writable (also where the kernel was asked not to account for it, as in
 * large reservations), or accounted ("ac": was writable, holds data).
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One more would hardly help a process that maps all the time; --stop does. */
#define TRIES 5

/* A whole file of /proc/PID, zero-ended; NULL with errno. */
static char *proc_text(int pid, const char *name)
{
    char path[64], *text = NULL;
    size_t room = 1 << 16, n = 0;
    ssize_t got;
    int fd;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    do {
        if (n + 4096 >= room || !text)
            text = grow(text, room *= 2);
        got = read(fd, text + n, room - n - 1);
        n += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    text[n] = 0;
    close(fd);
    if (got == 0)
        return text;
    free(text);
    return NULL;
}

/* "Key:   123 kB" at the start of a line: bytes, else 0. */
static uint64_t field_kib(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *p = text; p && *p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, key, len) == 0 && p[len] == ':')
            return strtoull(p + len + 1, NULL, 10) * 1024;
    }
    return 0;
}

bool map_anonymous(const struct mapping *m)
{
    return m->path[0] == 0 || strncmp(m->path, "[anon:", 6) == 0;
}

bool map_writable(const struct mapping *m)
{
    return m->rights[1] == 'w';
}

/* "lo-hi rights offset device inode path": true if it is such a line. */
static bool head_parse(struct mapping *m, const char *line)
{
    unsigned long long lo, hi;
    int at = 0;
    char path[4096] = "";
    if (sscanf(line, "%llx-%llx %4s %*x %*s %*u%n", &lo, &hi, m->rights,
               &at) != 3 || at == 0)
        return false;
    sscanf(line + at, " %4095[^\n]", path);
    m->lo = lo;
    m->hi = hi;
    m->path = path[0] ? strdup(path) : "";
    if (!m->path)
        die("out of memory");
    m->outside = strcmp(path, "[vsyscall]") == 0;
    m->committed = map_writable(m) && m->rights[3] == 'p' ? hi - lo : 0;
    return true;
}

/* VmFlags is a list of two-letter words. */
static bool flag_set(const char *flags, const char *two)
{
    for (const char *p = flags; *p && *p != '\n'; p++)
        if (p[0] == ' ' && p[1] == two[0] && p[2] == two[1])
            return true;
    return false;
}

/* The lines below a mapping that we need; there are some twenty. */
static void detail_parse(struct mapping *m, const char *line)
{
    unsigned long long v;
    if (sscanf(line, "Rss: %llu", &v) == 1)
        m->resident = v * 1024;
    else if (sscanf(line, "Swap: %llu", &v) == 1)
        m->swapped = v * 1024;
    else if (strncmp(line, "VmFlags:", 8) == 0)
        m->committed = flag_set(line + 8, "ac") ? m->hi - m->lo
                                                : m->committed;
}

/* One more, at the end; pointers into the list are void afterwards. */
static struct mapping *map_append(struct process *p)
{
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 64;
        p->map = grow(p->map, p->room * sizeof *p->map);
    }
    p->map[p->n] = (struct mapping){.path = ""};
    return &p->map[p->n++];
}

static void smaps_parse(struct process *p, char *text)
{
    struct mapping next = {.path = ""}, *m = NULL;
    char *save = NULL;
    for (size_t i = 0; i < p->n; i++) /* of an earlier try */
        if (p->map[i].path[0])
            free((char *)p->map[i].path);
    p->n = 0;
    for (char *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        /* Details start with a capital letter, addresses do not. */
        if (line[0] >= 'A' && line[0] <= 'Z') {
            if (m)
                detail_parse(m, line);
        } else if (head_parse(&next, line)) {
            m = map_append(p);
            *m = next;
        }
    }
}

static void sums_make(struct process *p)
{
    p->size = p->resident = p->committed = p->swapped = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct mapping *m = &p->map[i];
        if (m->outside)
            continue;
        p->size += m->hi - m->lo;
        p->resident += m->resident;
        p->committed += m->committed;
        p->swapped += m->swapped;
    }
}

/* A thread name may hold anything but a newline. */
static void status_parse(struct process *p, const char *text)
{
    const char *t = strstr(text, "\nThreads:");
    sscanf(text, "Name: %63[^\n]", p->name);
    p->threads = t ? atoi(t + 9) : 0;
    p->vm_size = field_kib(text, "VmSize");
    p->vm_rss = field_kib(text, "VmRSS");
}

/* One reading of all three; false with errno. */
static bool read_once(struct process *p)
{
    char *maps = proc_text(p->pid, "smaps");
    int error = errno;
    char *rollup = proc_text(p->pid, "smaps_rollup");
    char *status = proc_text(p->pid, "status");
    if (maps && status) {
        status_parse(p, status);
        smaps_parse(p, maps);
        sums_make(p);
        p->has_rollup = rollup != NULL;
        p->rollup = rollup ? field_kib(rollup, "Rss") : p->vm_rss;
    }
    free(rollup);
    free(status);
    free(maps);
    errno = error;
    return maps && status;
}

/* The program's file: its mappings are told from libraries by this name. */
static void exe_read(struct process *p)
{
    char path[64];
    ssize_t n;
    snprintf(path, sizeof path, "/proc/%d/exe", p->pid);
    n = readlink(path, p->exe, sizeof p->exe - 1);
    p->exe[n > 0 ? n : 0] = 0;
}

/* False, for the caller to pass on; errno says what failed. */
static bool complain_of(const struct process *p)
{
    char path[64];
    int error = errno;
    bool there;
    snprintf(path, sizeof path, "/proc/%d", p->pid);
    there = access(path, F_OK) == 0;
    errno = error;
    if (!there)
        complain("no process %d", p->pid);
    else if (errno == EACCES || errno == EPERM)
        complain("process %d is not ours to look at: %m", p->pid);
    else
        complain("process %d can't be read: %m", p->pid);
    return false;
}

bool maps_read(struct process *p, int pid)
{
    *p = (struct process){.pid = pid};
    for (int i = 1; i <= TRIES && p->tries == 0; i++) {
        if (!read_once(p))
            return complain_of(p);
        if (p->size == p->vm_size && p->resident == p->rollup)
            p->tries = i;
    }
    exe_read(p);
    if (p->n > 0)
        return true;
    complain("process %d (%s) has no memory of its own: a kernel thread, or "
             "ended", pid, p->name);
    return false;
}

struct mapping *map_at(struct process *p, uint64_t a)
{
    size_t lo = 0, hi = p->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->map[mid].hi <= a)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < p->n && p->map[lo].lo <= a ? &p->map[lo] : NULL;
}

/* The lower part's share of `whole`; what the page map says of the lower
 * part can be younger than the sums, which must stay. */
static uint64_t lower_share(uint64_t whole, uint64_t found, uint64_t room)
{
    if (found > whole)
        found = whole;
    if (whole - found > room)
        found = whole - room;
    return found;
}

void map_split(struct process *p, uint64_t a)
{
    struct mapping *m = map_at(p, a), *upper;
    size_t at;
    if (!m || m->lo == a)
        return;
    at = (size_t)(m - p->map);
    map_append(p);
    m = &p->map[at];
    upper = m + 1;
    memmove(upper, m, (p->n - 1 - at) * sizeof *m);
    m->hi = upper->lo = a;
    if (m->committed) {
        m->committed = m->hi - m->lo;
        upper->committed = upper->hi - upper->lo;
    }
    m->resident = lower_share(m->resident,
                              remote_resident_bytes(p->pid, m->lo, a),
                              upper->hi - a);
    upper->resident -= m->resident;
    upper->swapped = 0; /* only its sum is shown */
}
