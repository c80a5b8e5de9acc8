#!/bin/sh
# sancai vm: the sums are the kernel's, and our heap is seen as it is.
# $1: directory with the command `sancai`.
set -u
here=$(cd "$(dirname "$0")" && pwd)
sancai=${1:?directory of the build}/sancai
[ -x "$sancai" ] || { echo "no $sancai"; exit 77; }
[ -r /proc/self/smaps ] || { echo "no /proc/PID/smaps"; exit 77; }
sancai=$(cd "$(dirname "$sancai")" && pwd)/sancai
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0
fail() { echo "FAILED: $*"; bad=1; }

# numbers FILE ROW: the numbers of that row, without separators
numbers()
{
    awk -v name="$2" 'index($0, name) { sub(name, ""); gsub(",", ""); print }' \
        "$1" | awk '{ $1 = $1; print }' | head -1
}

# The rows add up to the sum, and the sum is the kernel's.
check_sums() # FILE
{
    sum=$(numbers "$1" '             sum ')
    added=$(awk '/ not summed / || / free$/ { next }
        /^[0-9a-f]+ .*[0-9]$/ && !done { gsub(",", "")
            s += $(NF - 2); c += $(NF - 1); r += $NF }
        / sum / { done = 1 }
        END { print s, c, r }' "$1")
    [ "$sum" = "$added" ] || fail "$1: rows give $added, sum says $sum"
    [ "$(numbers "$1" difference)" = '0 0' ] ||
        fail "$1: difference $(numbers "$1" difference)"
}

# ---- A process that sleeps ----
sleep 30 &
pid=$!
sleep 0.2
"$sancai" vm $pid >map || fail "vm of sleep"
"$sancai" vm --all $pid >all || fail "vm --all of sleep"
"$sancai" vm --stop $pid >held || fail "vm --stop of sleep"
size=$(awk '/^VmSize/ { print $2 }' /proc/$pid/status)
rss=$(awk '/^Rss/ { print $2 }' /proc/$pid/smaps_rollup 2>/dev/null)
state=$(awk '/^State/ { print $2 }' /proc/$pid/status)
kill $pid
for f in map all held; do
    check_sums $f
    set -- $(numbers $f '             sum ')
    [ "$1" = "$size" ] || fail "$f: reserved $1, the kernel says $size"
    [ -z "$rss" ] || [ "$3" = "$rss" ] || fail "$f: resident $3, not $rss"
    grep -q 'program: text' $f || fail "$f: no text"
    grep -q 'stack of main thread' $f || fail "$f: no stack"
    grep -q 'vdso' $f || fail "$f: no vdso"
done
[ "$state" = S ] || fail "--stop left the process in state $state"
grep -q 'no Sancai inside' map || fail "Sancai in sleep?"

# ---- Programs that end soon, or go on ----
"$sancai" vm -- sh -c 'exit 3' >map || fail "vm of a short program"
grep -q 'as it ends' map || fail "a short program is not drawn as it ends"
grep -q 'program: text' map || fail "a short program has no text"
check_sums map
said=$("$sancai" vm --after 100 -o map -- sh -c 'sleep 0.5; echo end') ||
    fail "vm --after"
[ "$said" = end ] || fail "the program did not go on: $said"
check_sums map
"$sancai" vm --after 100 --stop -o map -- sleep 0.5 || fail "vm --stop --"
check_sums map
"$sancai" vm -- ./there-is-none 2>/dev/null
got=$?
[ $got = 127 ] || fail "no program came as $got"

# ---- Our heap ----
if ! ${CC:-cc} -std=gnu17 -pthread -o fake "$here/tool_fake.c"; then
    echo "no compiler: the heap is not tested"
    [ $bad = 0 ] && exit 77
    exit $bad
fi
./fake sleep >ready &
pid=$!
i=0
while ! grep -q ready ready 2>/dev/null && [ $i -lt 100 ]; do
    sleep 0.05
    i=$((i + 1))
done
"$sancai" vm $pid >map || fail "vm of fake"
kill $pid
check_sums map
if grep -q "can't be read" map; then
    echo "may not read the memory of another process: the heap is not tested"
    [ $bad = 0 ] && exit 77
    exit $bad
fi
grep -q 'Sancai inside' map || fail "Sancai is not seen"
heap=$(awk '/^[0-9a-f]+ Sancai heap / { gsub(",", ""); print $4, $5, $6 }' \
    map)
[ "$heap" = '67108864 4096 312' ] || fail "heap: $heap"
grep -q 'Sancai pages, spans  *1,024 ' map || fail "page tables"
grep -q 'Sancai mark queues  *64  *64  *12$' map || fail "mark queues"
grep -q 'Sancai directory' map || fail "directory"
threads=$(awk '/stacks? of.*thread|thread stack/ && !/main/ {
    for (i = 1; i < NF; i++) if ($i == "of" && $(i + 1) ~ /^[0-9]+$/ &&
        $(i + 2) == "threads") { n += $(i + 1); next }
    n++ } END { print n }' map)
[ "$threads" = 3 ] || fail "$threads stacks of threads, not 3"
grep -q '^scanned  *large  *1  *800  *24$' map || fail "large object"
grep -q '^noscan  *1024  *2  *128  *128$' map || fail "noscan spans"
grep -q '^precise  *Node  *32  *16  *128  *128$' map || fail "precise spans"
grep -q '^in use  *19  *1,056  *280$' map || fail "in use"
grep -q '^free pages  *3,040  *32$' map || fail "free pages"
grep -q '^sum = grown  *4,096  *312$' map || fail "grown"
picture=$(awk '/^Sancai heap:/ { on = 1; next } /A character/ { on = 0 }
    on && NF == 2 { printf "%s", $2 }' map)
want=$(awk 'BEGIN { for (i = 0; i < 512; i++) {
    c = "-"
    if (i < 132) c = "L"
    if (i < 32) c = "N"
    if (i < 16) c = "P"
    if (i >= 300 && i < 304) c = "."
    printf "%s", c } }')
[ "$picture" = "$want" ] || fail "picture: $picture"
awk 'length > 80 { print "map: " $0; bad = 1 } END { exit bad }' map || bad=1

# It is still there when another thread ends the process.
"$sancai" vm -o map -- ./fake quit-from-thread >out || fail "vm at exit"
grep -q 'as it ends' map || fail "not drawn as it ends"
check_sums map
exit $bad
