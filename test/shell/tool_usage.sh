#!/bin/sh
# The words on the command line: help, exit codes, suggestions.
# $1: directory with the command `sancai`.
set -u
sancai=${1:?directory of the build}/sancai
[ -x "$sancai" ] || { echo "no $sancai"; exit 77; }
bad=0
fail() { echo "FAILED: $*"; bad=1; }

# expect CODE TEXT ARGS...: exit code, and a line of output that matches.
expect()
{
    code=$1 text=$2
    shift 2
    said=$("$sancai" "$@" 2>&1 </dev/null)
    got=$?
    [ $got = "$code" ] || fail "sancai $*: exit $got, not $code"
    echo "$said" | grep -q -e "$text" ||
        fail "sancai $*: no \"$text\" in: $said"
}

expect 0 'sancai run -- ' --help
expect 0 'sancai run -- ' help
expect 0 '--memlimit' help run
expect 0 '--memlimit' run --help
expect 0 '--after' help vm
expect 0 'environment' help knobs
expect 0 "dangling\|outlive" help cc
expect 0 '^sancai [0-9]*\.[0-9]*\.[0-9]*$' --version
expect 0 '^gctrace ' knobs
expect 0 '^SANCAI_MEMLIMIT ' knobs

expect 2 'sancai run' # nothing said: the overview
expect 2 'did you mean run?' rnu
expect 2 'did you mean knobs?' help knob
expect 2 'no command "xylophone"' xylophone
expect 2 'did you mean --memlimit?' run --memlimt 1g -- true
expect 2 'needs a value' run --gc
expect 2 'takes no value' run --trace=1 -- true
expect 2 '--gc takes' run --gc lots -- true
expect 2 '--gc takes' run --gc -5 -- true
expect 2 '--memlimit takes' run --memlimit 5parsec -- true
expect 2 '--procs takes' run --procs 0 -- true
expect 2 'did you mean gctrace?' run --debug gctarce=1 -- true
expect 2 'a program is missing' run --
expect 2 'a program is missing' run
expect 2 'sancai vm -- ls' vm ls
expect 2 'milliseconds' vm --after soon -- true
expect 2 'goes with a program' vm --after 5 1
expect 2 'one process' vm 1 2
expect 1 'no process 4194304' vm 4194304 # one more than the kernel's most
expect 2 'takes no word' knobs gctrace

# An unknown command is answered in one line; nothing on standard output.
[ "$("$sancai" rnu 2>&1 | wc -l)" = 1 ] || fail "more than one line"
[ -z "$("$sancai" rnu 2>/dev/null)" ] || fail "errors on standard output"
# No line wraps at 80 columns, no colour off a terminal.
for page in "" run vm cc knobs; do
    "$sancai" help $page | awk -v p="$page" 'length > 80 {
        print "help " p ": " length " columns"; bad = 1 } END { exit bad }' ||
        bad=1
done
"$sancai" knobs | awk 'length > 80 { bad = 1 } END { exit bad }' ||
    fail "sancai knobs: more than 80 columns"
if "$sancai" knobs | grep -q "$(printf '\033')"; then
    fail "colour in a pipe"
fi

# What is set is shown; what is misspelt is pointed out.
said=$(SANCAI_GC=42 SANCAI_DEBUG=verify=1,seed=7 SANCAI_MEMLIMT=1 \
    "$sancai" knobs 2>&1)
echo "$said" | grep -q '^SANCAI_GC *42 ' || fail "SANCAI_GC is not shown"
echo "$said" | grep -q '^verify *1 ' || fail "verify is not shown"
echo "$said" | grep -q '^seed *7 ' || fail "seed is not shown"
echo "$said" | grep -q 'did you mean SANCAI_MEMLIMIT?' ||
    fail "SANCAI_MEMLIMT is not pointed out"

# Output that can't be written is a failure.
if [ -w /dev/full ]; then
    "$sancai" knobs >/dev/full 2>/dev/null && fail "a full disk is success"
fi
exit $bad
