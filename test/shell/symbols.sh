#!/bin/sh
# libsancai.so gives names to programs only under sc_, all of the header's and
# no other; what it needs from outside is the C library's.
lib=$1/libsancai.so
nm=${NM:-nm}

$nm -D --defined-only "$lib" >/dev/null || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0

$nm -D --defined-only "$lib" | awk '{ print $NF }' | sort -u >"$work/has"
grep -v '^sc_' "$work/has" |
    grep -vE '^(_init|_fini|_edata|_end|__bss_start|__start_.*|__stop_.*)$' \
    >"$work/foreign"
if [ -s "$work/foreign" ]; then
    echo "exported, but not under sc_:"
    sed 's/^/    /' "$work/foreign"
    status=1
fi

# What the header declares, a function or an object, by its own macro.
grep -v '^ *#' include/sancai.h | tr '\n' ' ' |
    grep -oE 'SC_API [^;({]*' | grep -oE 'sc_[a-z0-9_]+ *$' | tr -d ' ' |
    sort -u >"$work/declared"
if [ ! -s "$work/declared" ]; then
    echo "no declarations found in include/sancai.h"
    exit 1
fi
for name in $(comm -13 "$work/has" "$work/declared"); do
    echo "declared in sancai.h, but not exported: $name"
    status=1
done
# Of the library, compiled code knows these besides.
grep -v '^ *[#*]' include/sancai_cc.h | grep -oE 'sc_cc_[a-z0-9_]+' |
    sort -u - "$work/declared" -o "$work/declared"
for name in $(comm -23 "$work/has" "$work/declared" | grep '^sc_'); do
    echo "exported, but not declared in sancai.h: $name"
    status=1
done
exit $status
