/* links: os base
 *
 * What each variable may say, and that what can't be read costs one line and
 * nothing else.
 */
#include "../check.h"
#include <fcntl.h>

#include "../../src/base/base.h"

static char heard[4000];

/* Runs knob_init with one variable set; what it said is in `heard`. */
static void with(const char *name, const char *value)
{
    int p[2];
    ssize_t n;

    CHECK(pipe2(p, O_NONBLOCK) == 0);
    clearenv();
    CHECK(setenv(name, value, 1) == 0);
    fflush(stderr);
    CHECK(dup2(p[1], 2) == 2);
    knob_init();
    CHECK(dup2(1, 2) == 2);
    n = read(p[0], heard, sizeof(heard) - 1);
    heard[n < 0 ? 0 : n] = 0;
}

/* knob_init reads once per process: one test, one variable. */
#define SAYS(id, variable, value, expected)   \
    TEST(id)                                  \
    {                                         \
        with(variable, value);                \
        CHECK_STR(heard, expected);           \
        unchanged();                          \
    }
#define SETS(id, variable, value, field, expected)     \
    TEST(id)                                           \
    {                                                  \
        with(variable, value);                         \
        CHECK_STR(heard, "");                          \
        CHECK_EQ(knobs.field, (int64_t)(expected));    \
    }

static void unchanged(void)
{
    struct knob_row r;
    int i;

    for (i = 0; knob_row(i, &r); i++)
        if (r.value != r.def)
            test_fail(__FILE__, __LINE__, "%s unchanged", r.name);
}

SETS(gc_number, "SANCAI_GC", "50", gc_percent, 50)
SETS(gc_zero, "SANCAI_GC", "0", gc_percent, 0)
SETS(gc_off, "SANCAI_GC", "off", gc_percent, -1)
SETS(gc_negative, "SANCAI_GC", "-5", gc_percent, -1)
SETS(gc_empty, "SANCAI_GC", "", gc_percent, INT64_MIN)
SETS(limit_plain, "SANCAI_MEMLIMIT", "4096", memory_limit, 4096)
SETS(limit_unit, "SANCAI_MEMLIMIT", "512MiB", memory_limit, 512l << 20)
SETS(limit_off, "SANCAI_MEMLIMIT", "off", memory_limit, INT64_MAX)
SETS(limit_zero, "SANCAI_MEMLIMIT", "0", memory_limit, 1)
SETS(procs, "SANCAI_MAXPROCS", "3", max_procs, 3)
SETS(debug_bare, "SANCAI_DEBUG", "gctrace", gctrace, 1)
SETS(debug_value, "SANCAI_DEBUG", "gctrace=1,gcstress=100", gcstress, 100)
SETS(debug_hex, "SANCAI_DEBUG", "seed=0xff", seed, 255)
SETS(debug_commas, "SANCAI_DEBUG", ",,verify,,", verify, 1)
SETS(debug_last_wins, "SANCAI_DEBUG", "oom=1,oom=2", oom, 2)
SETS(not_ours, "SANCAI_HISTORY_FILE", "x", gctrace, 0)
SETS(not_ours_short, "SANCAI_VM", "x", gctrace, 0)

SAYS(gc_text, "SANCAI_GC", "abc",
     "sancai: SANCAI_GC: \"abc\" is not a percentage; use a number such as "
     "100, or off. It is ignored.\n")
SAYS(gc_huge, "SANCAI_GC", "3000000000",
     "sancai: SANCAI_GC: \"3000000000\" is not a percentage; use a number "
     "such as 100, or off. It is ignored.\n")
SAYS(gc_sign_alone, "SANCAI_GC", "-",
     "sancai: SANCAI_GC: \"-\" is not a percentage; use a number such as "
     "100, or off. It is ignored.\n")
SAYS(limit_text, "SANCAI_MEMLIMIT", "512MB",
     "sancai: SANCAI_MEMLIMIT: \"512MB\" is not a size; use bytes, a number "
     "such as 512MiB, or off. It is ignored.\n")
SAYS(procs_zero, "SANCAI_MAXPROCS", "0",
     "sancai: SANCAI_MAXPROCS: \"0\" is not a number of processors; use a "
     "number from 1 on. It is ignored.\n")
SAYS(debug_unknown, "SANCAI_DEBUG", "gctrase",
     "sancai: SANCAI_DEBUG: unknown setting \"gctrase\"; did you mean "
     "\"gctrace\"? It is ignored.\n")
SAYS(debug_unknown_value, "SANCAI_DEBUG", "clobber=1",
     "sancai: SANCAI_DEBUG: unknown setting \"clobber\"; did you mean "
     "\"clobberfree\"? It is ignored.\n")
SAYS(debug_text, "SANCAI_DEBUG", "gctrace=yes",
     "sancai: SANCAI_DEBUG: gctrace: \"yes\" is not a number; use 1, or "
     "leave the value out. It is ignored.\n")
SAYS(debug_overflow, "SANCAI_DEBUG", "seed=9223372036854775808",
     "sancai: SANCAI_DEBUG: seed: \"9223372036854775808\" is not a number; "
     "use 1, or leave the value out. It is ignored.\n")
SAYS(variable_misspelt, "SANCAI_MEMLIMT", "1g",
     "sancai: unknown variable \"SANCAI_MEMLIMT\"; did you mean "
     "\"SANCAI_MEMLIMIT\"? It is ignored.\n")
SAYS(variable_debug_misspelt, "SANCAI_DEBG", "gctrace",
     "sancai: unknown variable \"SANCAI_DEBG\"; did you mean "
     "\"SANCAI_DEBUG\"? It is ignored.\n")

/* Of an endless name only the start is shown, and nothing else is lost. */
TEST(debug_long_name)
{
    char name[200];

    memset(name, 'e', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    memcpy(name, "gctrac", 6);
    with("SANCAI_DEBUG", name);
    CHECK(strstr(heard, "unknown setting \"gctrace"));
    CHECK(strstr(heard, "eee\"; did you mean \"gctrace\"? It is ignored.\n"));
    CHECK(strlen(heard) < 150);
    unchanged();
}

TEST(bad_item_leaves_others)
{
    with("SANCAI_DEBUG", "nonsense,gctrace=2,verify=x,efence");
    CHECK_EQ(knobs.gctrace, 2);
    CHECK_EQ(knobs.verify, 0);
    CHECK_EQ(knobs.efence, 1);
    CHECK(strstr(heard, "\"nonsense\"") && strstr(heard, "verify: \"x\""));
}

TEST(bytes)
{
    static const struct { const char *text; int64_t bytes; } good[] = {
        {"0", 0}, {"1", 1}, {"7B", 7}, {"1k", 1024}, {"1K", 1024},
        {"1KiB", 1024}, {"3m", 3l << 20}, {"3MiB", 3l << 20},
        {"1g", 1l << 30}, {"2GIB", 2l << 30}, {"1t", 1l << 40},
        {"1TiB", 1l << 40}, {"off", INT64_MAX},
        {"9223372036854775807", INT64_MAX}, {"8388607t", 8388607l << 40}};
    static const char *const bad[] = {
        "", "x", "-1", "1.5g", "1 g", "1gb", "1kb", "1KiBx", "1ki", "k",
        "OFF!", "offf", "9223372036854775808", "8388608t", "99999999999g",
        "0x10", "1e9", " 1", "1p"};
    size_t i;

    for (i = 0; i < COUNT(good); i++)
        if (knob_parse_bytes(good[i].text) != good[i].bytes)
            test_fail(__FILE__, __LINE__, "\"%s\" is %ld, not %ld",
                      good[i].text, good[i].bytes,
                      knob_parse_bytes(good[i].text));
    for (i = 0; i < COUNT(bad); i++)
        if (knob_parse_bytes(bad[i]) != -1)
            test_fail(__FILE__, __LINE__, "\"%s\" is refused", bad[i]);
}

/* Whatever the bytes are: no crash, and nothing but warnings and knobs. */
TEST(random_lists)
{
    static const char letters[] = "gctraefn,,==019xX-\xff\x01 ";
    uint64_t seed = test_seed();
    char s[120];
    int i;
    size_t n;

    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    for (i = 0; i < 20000; i++) {
        size_t end = rng_next(&seed) % (sizeof(s) - 1);

        for (n = 0; n < end; n++)
            s[n] = letters[rng_next(&seed) % (sizeof(letters) - 1)];
        s[end] = 0;
        knob_debug_list(s);
        CHECK(knob_parse_bytes(s) >= -1);
    }
    CHECK_EQ(knobs.gc_percent, INT64_MIN);
    CHECK_EQ(knobs.memory_limit, 0);
}

TEST(rows)
{
    struct knob_row r;
    int i, seen = 0;

    knob_debug_list("gctrace=7");
    for (i = 0; knob_row(i, &r); i++) {
        CHECK(r.name && r.env && r.help && strlen(r.help) > 8);
        if (!strcmp(r.name, "gctrace")) {
            CHECK_STR(r.env, "SANCAI_DEBUG");
            CHECK(r.value == 7 && r.def == 0);
            seen++;
        }
        if (!strcmp(r.name, "SANCAI_GC")) {
            CHECK_EQ(r.value, INT64_MIN);
            seen++;
        }
    }
    CHECK_EQ(seen, 2);
    CHECK(!knob_row(-1, &r) && !knob_row(i, &r) && i >= 15);
}

TEST(read_once)
{
    with("SANCAI_DEBUG", "gctrace=1");
    with("SANCAI_DEBUG", "gctrace=2");
    CHECK_EQ(knobs.gctrace, 1);
}

TEST(no_environment)
{
    clearenv();
    knob_init();
    unchanged();
}
