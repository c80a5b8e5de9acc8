#!/bin/sh
# sancai run: settings, exit status, signals, the summary and its sums.
# $1: directory with the command `sancai`.
set -u
here=$(cd "$(dirname "$0")" && pwd)
sancai=${1:?directory of the build}/sancai
[ -x "$sancai" ] || { echo "no $sancai"; exit 77; }
sancai=$(cd "$(dirname "$sancai")" && pwd)/sancai
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0
fail() { echo "FAILED: $*"; bad=1; }
# The environment of the test run must not leak in.
unset SANCAI_DEBUG SANCAI_GC SANCAI_MEMLIMIT SANCAI_MAXPROCS

# ---- Exit status ----
for code in 0 1 2 42 255; do
    "$sancai" run -- sh -c "exit $code" 2>/dev/null
    got=$?
    [ $got = $code ] || fail "exit $code came as $got"
done
"$sancai" run -- sh -c 'kill -SEGV $$' 2>err
got=$?
[ $got = 139 ] || fail "signal 11 came as $got"
grep -q 'ended by signal 11' err || fail "signal 11 is not told"
"$sancai" run ./there-is-none 2>err
got=$?
[ $got = 127 ] || fail "no program came as $got"
[ "$(wc -l <err)" = 1 ] || fail "no program: not one line"
"$sancai" run -- "$work" 2>/dev/null
got=$?
[ $got = 126 ] || fail "a directory came as $got"
# Standard output is the program's alone.
[ "$("$sancai" run -- echo hello 2>/dev/null)" = hello ] || fail "stdout"
[ "$(echo in | "$sancai" run -- cat 2>/dev/null)" = in ] || fail "stdin"

# ---- A program without the library ----
"$sancai" run -- true 2>err
grep -q 'does not use the Sancai library' err || fail "true uses the library?"
grep -q 'elapsed.*peak RSS' err || fail "no times of true"

# ---- Settings ----
said=$(SANCAI_DEBUG=verify=1 "$sancai" run --gc 50 --memlimit=64MiB \
    --procs 3 --debug seed=9 --trace -- sh -c \
    'echo $SANCAI_GC $SANCAI_MEMLIMIT $SANCAI_MAXPROCS $SANCAI_DEBUG' \
    2>/dev/null)
[ "$said" = '50 64MiB 3 verify=1,seed=9,gctrace=1' ] || fail "set: $said"
said=$("$sancai" run -- sh -c 'echo ${SANCAI_GC-unset} ${SANCAI_DEBUG-unset}' \
    2>/dev/null)
[ "$said" = 'unset unset' ] || fail "set without being asked: $said"

# ---- Signals ----
for name in TERM INT; do
    rm -f out
    cat >catch.sh <<END
trap 'echo caught; exit 7' $name
echo ready
i=0 # it must end by itself if the signal never comes
while [ \$i -lt 100 ]; do sleep 0.05; i=\$((i + 1)); done
END
    # A shell starts background jobs with SIGINT ignored, and a trap in them
    # can't undo that; env can.
    "$sancai" run -- env --default-signal=INT sh catch.sh >out 2>/dev/null &
    pid=$!
    i=0
    while ! grep -q ready out 2>/dev/null && [ $i -lt 100 ]; do
        sleep 0.05
        i=$((i + 1))
    done
    kill -$name $pid
    wait $pid
    got=$?
    [ $got = 7 ] || fail "SIG$name: exit $got, not the program's 7"
    grep -q caught out || fail "SIG$name did not reach the program"
done

# ---- The summary, from known numbers ----
if ! ${CC:-cc} -std=gnu17 -pthread -o fake "$here/tool_fake.c"; then
    echo "no compiler: the summary is not tested"
    [ $bad = 0 ] && exit 77
    exit $bad
fi
"$sancai" run -- ./fake exit 6 2>err
got=$?
[ $got = 6 ] || fail "fake: exit $got, not 6"
row() # NAME: the exact bytes in that row
{
    awk -v name="$1" 'index($0, "    " name " ") == 1 {
        gsub(",", ""); sub(name, ""); print $1 }' err
}
[ "$(row reclaimed)" = 7000000 ] || fail "reclaimed: $(row reclaimed)"
[ "$(row 'still held')" = 3000000 ] || fail "held: $(row 'still held')"
[ "$(row '= allocated')" = 10000000 ] || fail "allocated"
[ "$(row '= mapped')" = 4200000 ] || fail "mapped: $(row '= mapped')"
sum=$(awk '/^  memory/ { on = 1; next } /= mapped/ { on = 0 }
    on { gsub(",", ""); for (i = 1; i < NF; i++)
         if ($(i + 1) ~ /^[0-9.]+$/ && $i ~ /^[0-9]+$/) { s += $i; break } }
    END { print s }' err)
[ "$sum" = 4200000 ] || fail "the memory classes add up to $sum"
grep -q 'not accounted for' err && fail "a difference where there is none"
grep -q '3 cycles, 1 of them' err || fail "cycles"
grep -q 'one thread  *8 us  *20 us  *30 us  *31 us' err || fail "hold times"
grep -q 'without goodbye' err && fail "an orderly exit called a crash"

"$sancai" run -- ./fake crash 2>err
got=$?
[ $got = 137 ] || fail "killed: exit $got, not 137"
grep -q 'without goodbye' err || fail "a crash is not told"
[ "$(row '= allocated')" = 10000000 ] || fail "the summary died with it"

# Only one program of a pipeline writes; descendants are told apart.
"$sancai" run -- sh -c './fake exit; true' 2>err
grep -q 'numbers of its child process' err || fail "child is not told"

"$sancai" run --json -o sum.json -- ./fake exit 2>err || fail "json run"
[ -s err ] && fail "-o leaves text on standard error: $(cat err)"
grep -q '"total_alloc_bytes": 10000000' sum.json || fail "json numbers"
grep -q '"gc_percent": -1' sum.json || fail "json sign"
exit $bad
