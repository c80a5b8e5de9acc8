#!/bin/sh
# The harness itself: each way to fail is a failure, and test/run adds up.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/test/unit" && cp test/check.h test/run "$work/test/" || exit 1
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
here=$PWD
cd "$work" || exit 1

cat >test/unit/all.c <<'END'
#include "../check.h"
TEST(good) { CHECK_EQ(1 + 1, 2); CHECK_STR("a", "a"); CHECK(1); }
TEST(seeded) { CHECK(test_seed() == 5); }
TEST(untrue) { CHECK(errno == 12345); }
TEST(unequal) { CHECK_EQ(1 + 1, 3); }
TEST(other_text) { CHECK_STR("a", "b"); }
TEST(no_text) { CHECK_STR("a", NULL); }
TEST(leaves) { exit(0); }
TEST(leaves_at_once) { _exit(0); }
TEST(aborts) { abort(); }
TEST(says_no) { exit(3); }
TEST_T(hangs, 1) { for (;;) pause(); }
TEST(skips) { SKIP("no %s", "reason"); }
TEST(leaves_a_child) { if (!fork()) for (;;) pause(); }
END
cat >test/unit/fine.c <<'END'
#include "../check.h"
TEST(good) { CHECK(1); }
END
echo 'int main(void) { return 0; }' >test/unit/mute.c
cat >test/unit/liar.c <<'END'
#include <stdio.h>
int main(void)
{
    puts("unit/liar: 1 passed, 0 failed, 0 skipped");
    return 1;
}
END
printf '#!/bin/sh\necho "at $1"; exit 0\n' >test/yes.sh
printf '#!/bin/sh\necho noise; exit 1\n' >test/no.sh
printf '#!/bin/sh\necho because; exit 77\n' >test/not_now.sh
chmod +x test/*.sh
for p in all fine mute liar; do
    ${CC:-cc} -Wall -Wextra -Werror -o test/unit/$p test/unit/$p.c || exit 1
done

expect() # FILE TEXT: a line of it
{
    grep -qxF -- "$2" "$1" || { echo "no line \"$2\" in:"; cat "$1"; exit 1; }
}

SEED=5 "$work/test/unit/all" >out && { echo "failures pass"; exit 1; }
expect out "unit/all: 3 passed, 9 failed, 1 skipped"
expect out "FAIL unit/all: hangs: not done in time; SEED=5"
expect out "FAIL unit/all: leaves: left before its end; SEED=5"
expect out "FAIL unit/all: leaves_at_once: left before its end; SEED=5"
expect out "FAIL unit/all: aborts: killed by signal 6 (Aborted); SEED=5"
expect out "FAIL unit/all: says_no: exit status 3; SEED=5"
expect out "SKIP unit/all: skips: no reason"
expect out \
    "  test/unit/all.c:5: not so: 1 + 1 == 3: 2 (0x2), 3 (0x3)"
test/unit/all nosuch >out && { echo "no test at all passes"; exit 1; }

p=$work/test/unit
SEED=5 test/run --lib here test/yes.sh test/not_now.sh "$p/fine" >out ||
    { echo "a clean run fails"; cat out; exit 1; }
[ "$(tail -n 1 out)" = "2 passed, 0 failed, 1 skipped" ] ||
    { cat out; exit 1; }
expect out "SKIP not_now.sh: because"
expect out "here unit/fine: 1 passed, 0 failed, 0 skipped"

SEED=5 BAD_BUILD=1 test/run test/yes.sh test/no.sh "$p/all" "$p/fine" \
    "$p/mute" "$p/liar" "$p/none" >out && { echo "bad run passes"; exit 1; }
[ "$(tail -n 1 out)" = "6 passed, 14 failed, 1 skipped" ] ||
    { cat out; exit 1; }
expect out "FAIL unit/none: not built"
expect out "    noise"
cd "$here"
