#!/bin/sh
# `sancai cc -fsancai=whole`: what is found out across files, through archives
# and with parts that were compiled otherwise; what is left behind.
sancai=$(realpath "${1:?directory of the build}/sancai")
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
"$sancai" cc --check -x c - </dev/null >/dev/null 2>&1 ||
    { echo "no clang 19, or no plugin"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp" && cd "$work" && export TMPDIR="$work/tmp" || exit 1
bad=0
fail() { echo "FAILED: $*"; bad=1; }
whole="cc -w -fsancai=whole"

# expect CODE TEXT ARGS...: exit code; output that matches; "": nothing.
expect()
{
    code=$1 text=$2
    shift 2
    # shellcheck disable=SC2086  # words
    said=$("$sancai" "$@" 2>&1 </dev/null)
    got=$?
    [ $got = "$code" ] || fail "sancai $*: exit $got, not $code: $said"
    case "$text" in
    '') [ -z "$said" ] || fail "sancai $*: $said" ;;
    *) echo "$said" | grep -q -e "$text" ||
        fail "sancai $*: no \"$text\" in: $said" ;;
    esac
    [ -z "$(ls "$TMPDIR")" ] || fail "sancai $*: left $(ls "$TMPDIR")"
}
runs() # PROGRAM
{
    [ "$(./"$1" 2>&1)" = "5 3 4" ] || fail "$1: $(./"$1" 2>&1)"
}

cat >main.c <<'END'
#include <stdio.h>
#define SC_NOESCAPE __attribute__((annotate("sancai.noescape")))
int get(int *), *make(int), more(int *);
int main(void)
{
    SC_NOESCAPE int x;
    int *p;
    get(&x);
    p = make(3);
    make(9);
    printf("%d %d %d\n", x, *p, more(&x) - 2);
    return 0;
}
END
cat >get_and_a_name_that_is_long.c <<'END'
int get(int *p) { *p = 5; return 1; }
int *make(int v) { int y = v; return &y; }
END
echo 'int more(int *p) { return *p + 1; }' >more.c
echo 'int nowhere(void); int unneeded(void) { return nowhere(); }' >no.c
get=get_and_a_name_that_is_long

# Alone, main.c can't know.
expect 1 'x escapes, but is declared SC_NOESCAPE' cc -w -c main.c
# All at once, file by file, with archives.
expect 0 '' $whole -O2 main.c $get.c more.c -o at_once
runs at_once
for f in main $get more no; do
    expect 0 '' $whole -O2 -c $f.c
done
expect 0 "$get.c:2:24: moved to heap: y" $whole -m main.o $get.o more.o -o files
echo "$said" | grep -q 'main.c:6:21: &x does not escape' || fail "-m: $said"
runs files
ar rcs libpart.a more.o no.o $get.o || exit 1
expect 0 '' $whole main.o -L. -lpart -o archive
runs archive
expect 0 '' $whole -O2 main.o libpart.a -o archive
runs archive
expect 0 '' $whole -O2 -x c main.c -x none libpart.a -o mixed_words
runs mixed_words
# The same objects do without it.
expect 0 '' cc main.o libpart.a -o per_file
runs per_file
for program in at_once files archive per_file; do
    SANCAI_DEBUG=gcstress=1,clobberfree=1 runs $program
    objdump -h $program | grep -q sancai.code &&
        fail "$program has our sections"
done

# With debug information where it was asked for, and not else.
"$sancai" $whole -g -O1 main.c $get.c more.c -o debug
objdump -h debug | grep -q debug_info || fail "-g"
grep -q 'main.c' at_once && fail "debug information without -g"

# Parts that were compiled otherwise.
${CC:-cc} -w -O1 -c more.c -o plain.o || exit 1
expect 1 'x escapes, but is declared SC_NOESCAPE' $whole main.c $get.c plain.o \
    -o with_plain
sed 's/SC_NOESCAPE int x/int x/' main.c >main2.c
expect 0 'plain.o was compiled without barriers' $whole main2.c $get.c plain.o \
    -o with_plain
runs with_plain
"$sancai" cc -w -c main2.c && "$sancai" cc -w -c $get.c &&
    "$sancai" cc -w -c more.c || fail "file by file"
expect 0 'nothing of this program was compiled with -fsancai=whole' \
    $whole main2.o $get.o more.o -o nothing
runs nothing

# Only to check.
expect 1 "$get.c:2:24: moved to heap: y" cc -w --check -fsancai=whole main.c \
    $get.c more.c
expect 1 'main2.c:6:9: moved to heap: x' cc -w --check -fsancai=whole main2.c \
    more.c
expect 0 '' cc -w --check -fsancai=whole more.c
echo 'int f(int x) { return }' >broken.c
expect 2 'expected expression' cc --check -fsancai=whole broken.c more.c

# Errors are the compiler's or the linker's.
expect 1 'expected expression' $whole broken.c more.c -o none
expect 1 'undefined reference to .get' $whole main.c -o none
expect 1 'no such file' $whole main.c missing.c -o none
echo 'int get(int *p) { return 0; }' >twice.c
expect 1 'multiple definition' $whole main.c $get.c more.c twice.c -o none
exit $bad
