#!/bin/sh
# sancai vm names all that the library has mapped: of what is anonymous after
# its start only that is left which was there before, and the sum of ours is
# that of its own statistics.
# $1: directory of the libraries.
set -u
here=$(cd "$(dirname "$0")" && pwd)
lib=$(cd "${1:?directory of the build}" && pwd)
work=$(mktemp -d) || exit 1
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$work"' EXIT
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
case $lib in *asan*|*ubsan*|*tsan*)
    echo "the program would need the sanitizer's flags"
    exit 77 ;;
esac
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
[ -r /proc/self/smaps ] || { echo "no /proc/PID/smaps"; exit 77; }
${CC:-cc} -O1 -I"$here/../../include" -o "$work/own" "$here/tool_own.c" \
    "$lib/libsancai.a" -pthread || exit 1

begin() # MODE
{
    "$work/own" "$1" >"$work/out" &
    pid=$!
    i=0
    while ! grep -q ready "$work/out" && [ $i -lt 600 ]; do
        sleep 0.1
        i=$((i + 1))
    done
    grep -q ready "$work/out" || { echo "$1: it does not start"; exit 1; }
}

end()
{
    kill "$pid"
    wait "$pid" 2>/dev/null
    pid=
}

cat >"$work/check.py" <<'END'
import json, sys
mode, out, doc = sys.argv[1], open(sys.argv[2]), json.load(open(sys.argv[3]))
if not doc["memory_readable"]:
    sys.exit(77)
own, maps = doc["sancai"], doc["mappings"]
if not doc["agree"] or not own["ranges_whole"]:
    sys.exit(3)
before = []
for line in out:
    if line.startswith("before"):
        lo, hi = line.split()[1].split("-")
        before.append((int(lo, 16), int(hi, 16)))
def known(lo, hi):
    return any(a <= lo and hi <= b for a, b in before)
for m in maps:
    lo, hi = int(m["from"], 16), int(m["to"], 16)
    if m["what"] in ("mmap, anonymous", "mmap, no access", "unknown") and \
       m["rights"] in ("rw-p", "---p") and not known(lo, hi):
        sys.exit("%s: nobody's: %s %s-%s" % (mode, m["what"], m["from"],
                                             m["to"]))
    if m.get("guess"):
        sys.exit("%s: a guess: %s" % (mode, m["from"]))
ours = {}
for m in maps:
    if m["what"].startswith("Sancai"):
        kind = m.get("kind", m["what"])
        ours[kind] = ours.get(kind, 0) + m["committed"]
stacks = ours.pop("stacks")
if stacks < 3 * 64 * 1024:
    sys.exit("%s: stacks of the library's threads: %d" % (mode, stacks))
numbers = own["numbers"]
for kind, number in ("mark bits", "gc_bytes"), ("mark queues", "work_bytes"):
    if mode == "still" and ours[kind] != numbers[number]:
        sys.exit("%s: %d, sc_stats: %d" % (kind, ours[kind], numbers[number]))
# Not counted: the directory, this list, the list of libraries.
more = sum(ours.values()) - numbers["mapped"]
if mode == "still" and not 0 <= more <= 64 * 1024:
    sys.exit("ours %s = %d, sc_stats: %d" % (ours, sum(ours.values()),
                                             numbers["mapped"]))
if own["ranges"] < 60:
    sys.exit("%s: %d ranges" % (mode, own["ranges"]))
END

# A range that comes between the two readings is missed; then, again.
check() # MODE
{
    for _ in 1 2 3 4 5; do
        "$lib/sancai" vm --stop --json -o "$work/map" "$pid" || return 1
        python3 "$work/check.py" "$1" "$work/out" "$work/map"
        got=$?
        [ $got = 3 ] || return $got
    done
    echo "$1: it never stood still"
    return 1
}

for mode in still busy; do
    begin $mode
    for _ in 1 2 3 4 5 6 7 8; do
        check $mode || exit
        sleep 0.05
    done
    end
done
exit 0
