#!/bin/sh
# Heaps of running programs are recorded as they are: so many objects, so long a
# chain; and the table of the simulated markers has both rows.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
case $1 in build) objects=out/opt ;; *) objects=$1 ;; esac
[ -d "$objects/src" ] || { echo "no objects in $objects"; exit 77; }

MARKED=5000 MARKERS_OUT=$work OBJECTS=$objects \
    bench/markers/run --heaps "order random" >"$work/table" 2>&1 || {
    cat "$work/table"
    exit 1
}
# A binary tree of 5000 in levels; the ring and its short cuts.
for row in 'order | at times | 5000 | 13 |' 'order | on demand | 5000 | 13 |' \
    'random | at times | 5000 |'; do
    grep -qF "| $row" "$work/table" || {
        echo "there is no row: $row"
        cat "$work/table"
        exit 1
    }
done

# What is not a whole recording is refused.
head -c 100000 "$work/order.heap" >"$work/short.heap"
! "$work/markers" "$work/short.heap" >"$work/table" 2>&1 &&
    grep -q 'cut off' "$work/table"
