#!/bin/sh
# The first program of README.md compiles, without a warning, by the command
# that stands below it, and runs in little memory.
# $1: directory of the libraries.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
case $1 in build) build=opt ;; *) build=${1##*/} ;; esac
case $build in asan|ubsan|tsan)
    echo "the program would need the sanitizer's flags"
    exit 77 ;;
esac

awk '/^```c$/ { c = 1; next } /^```/ && c { exit } c' README.md \
    >"$work/hello.c"
command=$(sed -n 's/^    cc \(.*hello\.c .*\) build\/libsancai.a/\1 LIB/p' \
    README.md | sed "s|hello|$work/hello|g; s|LIB|$1/libsancai.a|")
[ -s "$work/hello.c" ] && [ -n "$command" ] ||
    { echo "README.md has no program or no command"; exit 1; }

# shellcheck disable=SC2086  # words of a command
${CC:-cc} -Wall -Wextra $command 2>"$work/warnings" || {
    cat "$work/warnings"
    exit 1
}
[ ! -s "$work/warnings" ] || { cat "$work/warnings"; exit 1; }
"$1/sancai" run --json -o "$work/report" -- "$work/hello" || exit 1

number() # NAME: the first one in the report
{
    sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$work/report" | head -n 1
}
bytes=$(number total_alloc_bytes)
peak=$(number peak_rss)
[ "${bytes:-0}" -ge 1600000000 ] ||
    { echo "allocated ${bytes:-nothing}"; exit 1; }
# Far more than it needs: the machine may be busy.
[ "${peak:-0}" -gt 0 ] && [ "$peak" -lt $((bytes / 4)) ] ||
    { echo "peak ${peak:-unknown} of $bytes bytes allocated"; exit 1; }
