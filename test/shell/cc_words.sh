#!/bin/sh
# `sancai cc`: wrong words, broken source, a clang that is missing or another
# version: one clear line or the compiler's own, and the exit status.
sancai=$(realpath "${1:?directory of the build}/sancai")
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0
fail() { echo "FAILED: $*"; bad=1; }

# expect CODE TEXT ARGS...: exit code, and a line of output that matches.
expect()
{
    code=$1 text=$2
    shift 2
    said=$("$sancai" "$@" 2>&1 </dev/null)
    got=$?
    [ $got = "$code" ] || fail "sancai $*: exit $got, not $code: $said"
    echo "$said" | grep -q -e "$text" ||
        fail "sancai $*: no \"$text\" in: $said"
    lines=$(echo "$said" | wc -l)
}
one_line() { [ "$lines" = 1 ] || fail "more than one line: $said"; }

echo 'int *f(void) { int x = 1; return &x; }' >bad.c
echo 'int f(int x) { return x; }' >good.c
echo 'int f(int x) { return }' >broken.c

# Words that are wrong, clang or not.
expect 2 'a C source is missing' cc
expect 2 '-m takes 1 or 2' cc -m=3 good.c
expect 2 'no option -fsancai=magic' cc -fsancai=magic good.c
expect 0 'sancai cc --check' cc --help

# No clang, and another one.
PATH_=$PATH
mkdir none
if [ ! -x /usr/lib/llvm-19/bin/clang ]; then
    PATH=$work/none expect 2 'clang 19 is missing' cc --check good.c
    one_line
fi
SANCAI_CLANG=$work/none/clang expect 2 'is no clang' cc --check good.c
one_line
printf '#!/bin/sh\necho 14.0.6\n' >old && chmod +x old
SANCAI_CLANG=$work/old expect 2 'is version 14; clang 19 is needed' \
    cc --check good.c
one_line
PATH=$PATH_
unset SANCAI_CLANG

# A tool without the plugin beside it.
cp "$sancai" none/sancai
said=$(none/sancai cc --check good.c 2>&1)
[ $? = 2 ] || fail "no plugin: $said"
case $said in
*'clang 19 is missing'*) echo "no clang 19"; [ $bad = 0 ] && exit 77; exit 1 ;;
*'sancai-cc.so is missing'*) ;;
*) fail "no plugin: $said" ;;
esac
if [ ! -f "$(dirname "$sancai")/sancai-cc.so" ]; then
    echo "the plugin was not built"
    [ $bad = 0 ] && exit 77
    exit 1
fi

expect 1 '^bad.c:1:20: moved to heap: x$' cc --check -w bad.c
one_line
expect 0 '^$' cc --check good.c
expect 1 'moved to heap: x' cc --check -w good.c bad.c
expect 2 'a C source' cc --check -w
expect 2 'expected expression' cc --check broken.c
expect 2 'no such file' cc --check nothing.c
expect 2 'moved to heap: x' cc --check -w broken.c bad.c
expect 2 'unknown argument' cc --check -fno-such-option good.c
expect 1 'unknown argument' cc -fno-such-option -c good.c
expect 1 'expected expression' cc -c broken.c
expect 1 'no such file' cc -c nothing.c

# A check makes no file, whatever the words say; a compilation those asked for.
expect 0 '^$' cc --check -c good.c -o good.o -MD -MF good.d
[ ! -e good.o ] && [ ! -e good.d ] || fail "--check made files"
expect 0 '^$' cc -c good.c -o good.o -MD -MF good.d
[ -s good.o ] && [ -s good.d ] || fail "a compilation did not"
expect 0 'moved to heap: x' cc -w -m -c bad.c
expect 0 '"kind": "moved"' cc -w --json -c bad.c
"$sancai" cc -w --json -m=2 -c bad.c 2>/dev/null | head -n 1 |
    grep -q '^{"file": "bad.c", "line": 1, ' || fail "JSON is not on stdout"
"$sancai" cc -E good.c | grep -q 'int f' || fail "-E"
[ -z "$("$sancai" cc -g0 -c good.c 2>&1)" ] || fail "-g0"

# Objects without barriers are noticed, alone and in an archive; the program
# runs.
cat >main.c <<'END'
int *f(void);
int main(void) { int *p = f(); return *p != 1; }
END
${CC:-cc} -w -c main.c -o main.o && ar rcs main.a main.o || exit 1
expect 0 '^$' cc -w bad.c main.c -o program
for other in main.o main.a; do
    expect 0 "$other was compiled without barriers" cc -w bad.c $other -o mixed
    one_line
    ./mixed || fail "a program with $other"
done
./program || fail "a program"

# What was to stay on the stack and does not is an error of the source.
cat >note.c <<'END'
#define SC_NOESCAPE __attribute__((annotate("sancai.noescape")))
int *kept;
void f(void) { SC_NOESCAPE int x = 1; kept = &x; }
void g(void) { SC_NOESCAPE int x = 1, *p = &x; (void)p; }
END
expect 1 'note.c:3:32: x escapes, but is declared SC_NOESCAPE' cc -c note.c
[ "$(echo "$said" | grep -c 'declared SC_NOESCAPE')" = 1 ] ||
    fail "SC_NOESCAPE: $said"
exit $bad
