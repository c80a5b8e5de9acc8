/* knob.c: the settings from the environment, one table.
 *
 *   SANCAI_GC=100         knobs.gc_percent       read once, at start
 *   SANCAI_MEMLIMIT=2GiB  knobs.memory_limit          |
 *   SANCAI_MAXPROCS=4     knobs.max_procs             v
 *   SANCAI_DEBUG=a=1,b    knobs.a, knobs.b     rows of knob.def
 *
 * A setting that can't be read never stops the program: it costs one line
 * that names it, says what would be right, and leaves the default.  A typing
 * error must not be silent either, so an unknown name is answered with the
 * nearest one that exists.  Programs that run with another user's rights
 * ignore the environment, which is not theirs, without a word.
 *
 * Where it comes from and goes to:
 *
 *   knob.def --K()--> struct knobs (base.h): the values, read as fields
 *       |                  ^ value
 *       +------K()--> rows[]: name, help, default, how to read, what to say
 *                          |
 *                          +--> knob_row, for those who print the table
 *
 * Invariant: a value in `knobs` is its default or was accepted by its row's
 * reader; nothing is stored from text that was only half understood.
 *
 * Locks: none.  Written by knob_init before there are other threads of ours,
 * only read afterwards.  No allocation.
 */
#include "base.h"

/* From the C library; declared here since only src/os sees its headers. */
extern char **environ;

/* What is still taken for a name; the longest real one has 14 letters. */
#define NAME_MAX_BYTES 40

/* In force before anybody reads the environment. */
struct knobs knobs = {
    .gc_percent = INT64_MIN,
#define K(name, def, help) .name = (def),
#include "knob.def"
#undef K
};

/* ---- The table --------------------------------------------------------- */

/* A piece of text that does not end with a zero. */
struct piece {
    const char *at;
    size_t n;
};

/* One setting.  `read` stores a value if the whole text is one, else gives
 * false and the line ends with `expects`. */
struct row {
    const char *name, *env, *help;
    int64_t def, *value;
    bool (*read)(struct piece, int64_t *);
    const char *expects; /* "... is not <this>" */
};

static bool read_percent(struct piece, int64_t *);
static bool read_limit(struct piece, int64_t *);
static bool read_procs(struct piece, int64_t *);
static bool read_number(struct piece, int64_t *);

#define PREFIX "SANCAI_"
#define PREFIX_BYTES (sizeof(PREFIX) - 1)
#define DEBUG_ENV PREFIX "DEBUG"
#define VARIABLES 3 /* rows before those of SANCAI_DEBUG */

/* The variables stand first: rows from VARIABLES on belong to SANCAI_DEBUG. */
static const struct row rows[] = {
    {"SANCAI_GC", "SANCAI_GC",
     "N: the heap grows by N percent between cycles; off: no cycles",
     INT64_MIN, &knobs.gc_percent, read_percent,
     "a percentage; use a number such as 100, or off"},
    {"SANCAI_MEMLIMIT", "SANCAI_MEMLIMIT",
     "N: soft limit in bytes, or with KiB, MiB, GiB, TiB; off: none; "
     "auto: nine tenths of the machine's or the control group's", 0,
     &knobs.memory_limit, read_limit,
     "a size; use bytes, a number such as 512MiB, or off"},
    {"SANCAI_MAXPROCS", "SANCAI_MAXPROCS",
     "N: processors to plan for", 0, &knobs.max_procs, read_procs,
     "a number of processors; use a number from 1 on"},
#define K(name, def, help)                                        \
    {#name, DEBUG_ENV, help, (def), &knobs.name, read_number,     \
     "a number; use 1, or leave the value out"},
#include "knob.def"
#undef K
};

bool knob_row(int i, struct knob_row *to)
{
    const struct row *r;

    if (i < 0 || (size_t)i >= COUNT(rows))
        return false;
    r = &rows[i];
    *to = (struct knob_row){r->name, r->env, r->help, r->def, *r->value};
    return true;
}

/* ---- Text -------------------------------------------------------------- */

/* All of a text that does end with a zero. */
static struct piece piece_of(const char *s)
{
    return (struct piece){s, __builtin_strlen(s)};
}

static bool piece_is(struct piece p, const char *s)
{
    return p.n == __builtin_strlen(s) && !__builtin_memcmp(p.at, s, p.n);
}

/* For messages: as the precision of "%.*s". */
static int piece_shown(struct piece p)
{
    return (int)min_size(p.n, NAME_MAX_BYTES);
}

/* How far p is from s: letters to add, to drop or to change.  One row of the
 * usual table, from one letter of p to the next. */
static unsigned piece_distance(struct piece p, const char *s)
{
    unsigned row[NAME_MAX_BYTES + 1];
    size_t i, j, n = min_size(__builtin_strlen(s), NAME_MAX_BYTES);

    for (j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (i = 0; i < min_size(p.n, NAME_MAX_BYTES); i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (j = 1; j <= n; j++) {
            unsigned change = diagonal + (p.at[i] != s[j - 1]);
            unsigned other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[n];
}

/* The row among [from, to) whose name is nearest to p; the first of equals. */
static const struct row *row_nearest(size_t from, size_t to, struct piece p)
{
    const struct row *best = &rows[from];
    size_t i;

    for (i = from + 1; i < to; i++)
        if (piece_distance(p, rows[i].name) < piece_distance(p, best->name))
            best = &rows[i];
    return best;
}

/* ---- Values ------------------------------------------------------------ */

/* Digits at the start of *p, which moves past them; false if there are none
 * or the number is too large. */
static bool take_digits(struct piece *p, unsigned base, int64_t *to)
{
    int64_t v = 0;
    size_t i;

    for (i = 0; i < p->n; i++) {
        unsigned c = (unsigned char)p->at[i];
        unsigned digit = c - '0' < 10 ? c - '0' : (c | 32) - 'a' + 10;

        if (digit >= base || (c - '0' >= 10 && (c | 32) < 'a'))
            break;
        if (__builtin_mul_overflow(v, (int64_t)base, &v) ||
            __builtin_add_overflow(v, (int64_t)digit, &v))
            return false;
    }
    *p = (struct piece){p->at + i, p->n - i};
    *to = v;
    return i > 0;
}

/* Of SANCAI_DEBUG: decimal, or 0x for addresses and seeds as we print them.
 * None of these settings has a meaning below 0. */
static bool read_number(struct piece p, int64_t *to)
{
    unsigned base = 10;

    if (p.n > 2 && p.at[0] == '0' && (p.at[1] | 32) == 'x') {
        p = (struct piece){p.at + 2, p.n - 2};
        base = 16;
    }
    return take_digits(&p, base, to) && p.n == 0;
}

/* A negative percentage is off, as for sc_set_gc_percent. */
static bool read_percent(struct piece p, int64_t *to)
{
    bool negative = p.n && p.at[0] == '-';

    if (negative)
        p = (struct piece){p.at + 1, p.n - 1};
    else if (piece_is(p, "off")) {
        *to = -1;
        return true;
    }
    if (!take_digits(&p, 10, to) || p.n || *to > INT32_MAX)
        return false;
    if (negative)
        *to = -1;
    return true;
}

/* No upper bound but the type's: more than there are CPUs is allowed. */
static bool read_procs(struct piece p, int64_t *to)
{
    return take_digits(&p, 10, to) && !p.n && *to >= 1 && *to <= INT32_MAX;
}

/* The shift of "", "B", "k", "KiB", ..., "t", "TiB" in any case; or -1.
 * "MB" is refused: half the world means 10^6 by it. */
static int unit_shift(struct piece p)
{
    static const char units[] = "kmgt";
    int i;

    if (p.n == 0 || (p.n == 1 && (p.at[0] | 32) == 'b'))
        return 0;
    if (p.n != 1 && !(p.n == 3 && (p.at[1] | 32) == 'i' &&
                      (p.at[2] | 32) == 'b'))
        return -1;
    for (i = 0; units[i]; i++)
        if ((p.at[0] | 32) == units[i])
            return 10 * (i + 1);
    return -1;
}

/* "off" is no limit: the largest number, which nothing ever reaches. */
static int64_t parse_bytes(struct piece p)
{
    int64_t v;
    int shift;

    if (piece_is(p, "off"))
        return INT64_MAX;
    if (!take_digits(&p, 10, &v))
        return -1;
    shift = unit_shift(p);
    if (shift < 0 || v > INT64_MAX >> shift)
        return -1;
    return v << shift;
}

int64_t knob_parse_bytes(const char *s)
{
    return parse_bytes(piece_of(s));
}

/* 0 stands for "not set", so a limit of nothing is one of 1 byte: both mean
 * to collect all the time. */
static bool read_limit(struct piece p, int64_t *to)
{
    int64_t v = parse_bytes(p);

    if (piece_is(p, "auto")) /* a tenth is left for what is not ours */
        v = (int64_t)(os_memory_limit() / 10 * 9);
    *to = v ? v : 1;
    return v >= 0;
}

/* ---- Putting in force -------------------------------------------------- */

/* Takes the value or says what is wrong with it.  In a list, the variable's
 * name alone would not tell which item is meant. */
static void row_set(const struct row *r, struct piece value)
{
    int64_t v;

    if (r->read(value, &v))
        *r->value = v;
    else if (r->read == read_number)
        say("%s: %s: \"%.*s\" is not %s. It is ignored.", r->env, r->name,
            piece_shown(value), value.at, r->expects);
    else
        say("%s: \"%.*s\" is not %s. It is ignored.", r->env,
            piece_shown(value), value.at, r->expects);
}

/* One "name" or "name=value".  The nearest row is also the row itself, at
 * distance 0: one search answers both questions. */
static void debug_item(struct piece item)
{
    struct piece name = item, value = piece_of("1");
    const char *eq = __builtin_memchr(item.at, '=', item.n);
    const struct row *near;

    if (eq) {
        name.n = (size_t)(eq - item.at);
        value = (struct piece){eq + 1, item.n - name.n - 1};
    }
    near = row_nearest(VARIABLES, COUNT(rows), name);
    if (piece_is(name, near->name))
        row_set(near, value);
    else
        say("%s: unknown setting \"%.*s\"; did you mean \"%s\"? "
            "It is ignored.", DEBUG_ENV, piece_shown(name), name.at,
            near->name);
}

/* Later items overrule earlier ones; empty ones, as in "a,,b," are nothing. */
void knob_debug_list(const char *s)
{
    while (*s) {
        struct piece item = {s, 0};

        while (s[item.n] && s[item.n] != ',')
            item.n++;
        if (item.n)
            debug_item(item);
        s += item.n + (s[item.n] == ',');
    }
}

/* Of a variable that is almost one of ours.  Others may have SANCAI_ names
 * that we know nothing of: only one wrong letter in three is a misspelling. */
static void variable_unknown(struct piece name)
{
    const struct row *near = row_nearest(0, VARIABLES, name);
    const char *s = near->name;

    if (piece_distance(name, DEBUG_ENV) < piece_distance(name, s))
        s = DEBUG_ENV;
    if (3 * piece_distance(name, s) <= name.n - PREFIX_BYTES)
        say("unknown variable \"%.*s\"; did you mean \"%s\"? It is ignored.",
            piece_shown(name), name.at, s);
}

/* An empty variable is one that is not set: scripts clear them that way. */
static void variable_set(struct piece name, const char *value)
{
    size_t i;

    if (piece_is(name, DEBUG_ENV)) {
        knob_debug_list(value);
        return;
    }
    for (i = 0; i < VARIABLES; i++)
        if (piece_is(name, rows[i].name)) {
            if (*value)
                row_set(&rows[i], piece_of(value));
            return;
        }
    variable_unknown(name);
}

/* The environment itself rather than getenv, which knows only names that it
 * is asked for: a misspelt variable should be heard of. */
void knob_init(void)
{
    static bool done;
    char **e;

    if (done || !environ || os_secure_mode())
        return;
    done = true;
    for (e = environ; *e; e++) {
        const char *eq = __builtin_strchr(*e, '=');

        if (!eq || __builtin_strncmp(*e, PREFIX, PREFIX_BYTES))
            continue;
        variable_set((struct piece){*e, (size_t)(eq - *e)}, eq + 1);
    }
}
