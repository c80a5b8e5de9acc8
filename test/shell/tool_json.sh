#!/bin/sh
# --json of every command is JSON, and says the same as the tables.
# $1: directory with the command `sancai`.
set -u
here=$(cd "$(dirname "$0")" && pwd)
sancai=${1:?directory of the build}/sancai
[ -x "$sancai" ] || { echo "no $sancai"; exit 77; }
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
sancai=$(cd "$(dirname "$sancai")" && pwd)/sancai
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0
fail() { echo "FAILED: $*"; bad=1; }
# check NAME FILE: runs the python on standard input with the document as d
check()
{
    { echo 'import json, sys; d = json.load(open(sys.argv[1]))'; cat; } >c.py
    python3 c.py "$2" || fail "$1"
}

SANCAI_DEBUG=seed=3 "$sancai" knobs --json >k || fail "knobs --json"
check knobs k <<'END'
assert [x["value"] for x in d["debug"] if x["name"] == "seed"] == ["3"]
assert [x["value"] for x in d["debug"] if x["name"] == "oom"] == [None]
assert "SANCAI_GC" in [x["name"] for x in d["variables"]]
END

# A name that is neither UTF-8 nor harmless.
odd=$(printf 'odd "\\\001\377\303\244')
printf '#!/bin/sh\n' >"$odd"
chmod +x "$odd"
"$sancai" run --json -o r -- "./$odd" || fail "run --json"
check "run of an odd name" r <<'END'
assert d["program"] == './odd "\\\x01\ufffd\u00e4', d["program"]
assert d["exit_status"] == 0 and d["signal"] == 0 and d["sancai"] is None
assert d["peak_rss"] > 0 and d["elapsed_ns"] > 0
END
"$sancai" run --json -o r -- sh -c 'kill -9 $$'
check "run of a killed program" r <<'END'
assert d["exit_status"] == 137 and d["signal"] == 9
END

"$sancai" vm --json --after 100 -o v -- sleep 0.4 || fail "vm --json"
check vm v <<'END'
def total(key): return sum(m[key] for m in d["mappings"] if m["summed"])
assert d["agree"] and d["readings"] >= 1
assert total("reserved") == d["sum"]["reserved"] == d["kernel"]["vm_size"]
assert total("resident") == d["sum"]["resident"]
resident = d["sum"]["resident"]
assert d["kernel"].get("rollup_rss", resident) == resident
at = [int(m["from"], 16) for m in d["mappings"]]
assert at == sorted(at)
assert {"program: text", "stack of main thread"} <= {
    m["what"] for m in d["mappings"]}
assert d["sancai"] is None
END

${CC:-cc} -std=gnu17 -pthread -o fake "$here/tool_fake.c" || exit 77
"$sancai" vm --json -o v -- ./fake exit || fail "vm --json of fake"
check "vm of fake" v <<'END'
if not d["memory_readable"]:
    sys.exit(0)
s = d["sancai"]
assert s["grown"] == s["in_use"]["bytes"] + s["free"]["bytes"] == 4 << 20
assert sum(c["bytes"] for c in s["classes"]) == s["in_use"]["bytes"]
assert sum(c["spans"] for c in s["classes"]) == s["in_use"]["spans"] == 19
assert sum(c["resident"] for c in s["classes"]) == s["in_use"]["resident"]
assert s["numbers"]["total_alloc_bytes"] == 10000000
heap = [m for m in d["mappings"] if m["what"] == "Sancai heap"]
assert sum(m["reserved"] for m in heap) == s["reserved"]
END
"$sancai" run --json -o r -- ./fake exit || fail "run --json of fake"
check "run of fake" r <<'END'
s = d["sancai"]
parts = ["heap_objects_bytes", "heap_unused_bytes", "heap_free_bytes",
         "heap_released_bytes", "gc_bytes", "span_bytes", "thread_bytes",
         "work_bytes", "other_bytes"]
assert sum(s[p] for p in parts) == s["mapped"] == 4200000
assert s["hold"]["p999"] == 30000 and s["finished"] and not s["torn"]
END
exit $bad
