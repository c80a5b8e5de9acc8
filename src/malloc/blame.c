/* blame.c: one line on a misuse that the hardened mode found.
 *
 *   sancai: free: 0x... was freed before; free a block once. Size class 80.
 *       Allocated (thread 12): prog+0x1189 < libc.so.6+0x271ca. Freed ...
 *       (all in one line)
 *
 * What is known of callers is known of samples only (guard.c).  Our own frames
 * are left out.  The line is written at once, without memory of its own: this
 * may be in a handler.
 */
#include "secure.h"

#define LINE 2048
#define SHOWN 6 /* frames of a caller */

struct line {
    size_t n;
    char text[LINE];
};

static void add_list(struct line *l, const char *fmt, __builtin_va_list list)
{
    size_t room = LINE - 1 - l->n; /* the newline has its place */
    int n = say_vformat(l->text + l->n, room, fmt, list);
    l->n += min_size((size_t)n, room - 1);
}

static PRINTF(2, 3) void add(struct line *l, const char *fmt, ...)
{
    __builtin_va_list list;
    __builtin_va_start(list, fmt);
    add_list(l, fmt, list);
    __builtin_va_end(list);
}

/* ---- Callers ------------------------------------------------------------ */

void callers_note(struct callers *c)
{
    c->n = os_backtrace(c->frame, FRAMES);
    c->thread = os_tid();
}

static void add_callers(struct line *l, const char *what,
                        const struct callers *c)
{
    char name[80];
    int shown = 0;
    if (!c || !c->n)
        return;
    add(l, " %s (thread %d):", what, c->thread);
    for (int i = 0; i < c->n && shown < SHOWN; i++) {
        os_code_name((uintptr_t)c->frame[i], name, sizeof(name));
        if (__builtin_strncmp(name, "libsancai", 9))
            add(l, "%s %s", shown++ ? " <" : "", name);
    }
    add(l, ".");
}

static void finish(struct line *l, const struct culprit *c)
{
    if (c->class_size)
        add(l, " Size class %zu.", c->class_size);
    add_callers(l, "Allocated", c->allocated);
    add_callers(l, "Freed", c->freed);
    l->text[l->n++] = '\n';
    os_write_error(l->text, l->n);
}

#define SAY(c, fmt)                        \
    struct line l = {.n = 0};              \
    __builtin_va_list list;                \
    add(&l, "sancai: ");                   \
    __builtin_va_start(list, fmt);         \
    add_list(&l, fmt, list);               \
    __builtin_va_end(list);                \
    finish(&l, c)

void blame(const struct culprit *c, const char *fmt, ...)
{
    SAY(c, fmt);
    if (knobs.misuseabort)
        os_abort();
}

void blame_fault(const struct culprit *c, const char *fmt, ...)
{
    SAY(c, fmt);
}

/* ---- The usual ones ----------------------------------------------------- */

void blame_freed(const struct culprit *c, const char *who, const void *p)
{
    blame(c, "%s: %p was freed before; free a block once.", who, p);
}

void blame_overflow(const struct culprit *c, const char *who, const void *p,
                    size_t n, size_t at)
{
    blame(c, "%s: %p has %zu bytes, but byte %zu was written; write only "
          "what was asked for.", who, p, n, at);
}

void blame_underflow(const struct culprit *c, const char *who, const void *p)
{
    blame(c, "%s: what lies before %p was written; write from a block's start "
          "on.", who, p);
}

void blame_late(const struct culprit *c, const char *who, const void *p,
                size_t at)
{
    blame(c, "%s: byte %zu of %p was written while it was free; free a block "
          "after its last use.", who, at, p);
}

void blame_size(const struct culprit *c, const char *who, const void *p,
                size_t has, size_t given)
{
    blame(c, "%s: %p is a block of %zu bytes, not %zu; give the size that was "
          "asked for.", who, p, has, given);
}
