#!/bin/sh
# `sancai cc`: objects that do not outlive their function are variables, and
# those that others may free are not.
sancai=$(realpath "${1:?directory of the build}/sancai")
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
"$sancai" cc --check -x c - </dev/null >/dev/null 2>&1 ||
    { echo "no clang 19, or no plugin"; exit 77; }
source=$(dirname "$0")/../cc/program/shortlived.c
code=$("$sancai" cc -w -O1 -S -o - "$source") || exit 1
bad=0

# calls FUNCTION N: it calls the runtime's malloc, calloc, free N times.
calls()
{
    n=$(echo "$code" | awk "/^$1:/, /\\.size/" |
        grep -c 'call.*sc_cc_[mcf].*l*oc\|call.*sc_cc_free')
    [ "$n" = "$2" ] || { echo "FAILED: $1 has $n such calls, not $2"; bad=1; }
}
calls stays 0
calls elsewhere 8
calls loops 2
calls grown 1
calls jumps 1
exit $bad
