#!/bin/sh
# sancai run --malloc: the summary adds up, the limit holds, nothing is lost.
# $1: directory with the command `sancai` and libsancai-malloc.so.
set -u
build=$(cd "${1:?directory of the build}" && pwd) || exit 1
sancai=$build/sancai
[ -x "$sancai" ] && [ -e "$build/libsancai-malloc.so" ] ||
    { echo "no $sancai, or no libsancai-malloc.so"; exit 77; }
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0
fail() { echo "FAILED: $*"; bad=1; }
unset SANCAI_DEBUG SANCAI_MEMLIMIT LD_PRELOAD

# A number of the summary's JSON.
number() { sed -n "s/^ *\"$1\": \([0-9]*\),*$/\1/p" json | head -1; }

cat >fill.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* fill BLOCKS SIZE FREED SECONDS: allocates, frees the first FREED, waits. */
int main(int argc, char **argv)
{
    int n = atoi(argv[1]), freed = atoi(argv[3]);
    size_t size = (size_t)atol(argv[2]);
    char **p = calloc((size_t)n, sizeof *p);
    for (int i = 0; i < n; i++)
        memset(p[i] = malloc(size), 1, size);
    for (int i = 0; i < freed; i++)
        free(p[i]);
    sleep((unsigned)atoi(argv[4]));
    return puts("done") < 0;
}
EOF
${CC:-cc} -O1 -fno-builtin -o fill fill.c || exit 1

# ---- The rows add up, and the blocks are in the row where they belong ----
out=$("$sancai" run --malloc --json -o json -- ./fill 10000 1000 4000 0)
[ "$out" = done ] ||
    fail "the program's output"
sum=0
for row in used_small used_large cached free_blocks tails reserved free_pages \
           released metadata; do
    v=$(number $row)
    [ -n "$v" ] || fail "no row $row"
    sum=$((sum + ${v:-0}))
done
[ "$sum" = "$(number mapped)" ] || fail "rows: $sum, mapped: $(number mapped)"
used=$(number used_small)
[ "$used" -ge $((6000 * 1024)) ] && [ "$used" -lt $((6200 * 1024)) ] ||
    fail "6000 blocks of 1000 bytes are $used"
[ "$(number resident)" -gt $((10000 * 1000)) ] || fail "resident"

# ---- Freed memory goes back while the program sleeps ----
"$sancai" run --malloc --json -o json -- ./fill 60000 1000 60000 6 >/dev/null
[ "$(number given)" -gt $((40 << 20)) ] ||
    fail "of 60 MB, $(number given) bytes went back"
[ "$(number peak_rss)" -gt $((57 << 20)) ] || fail "peak"

# ---- The limit: what is free goes at once ----
cat >limit.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sancai_malloc.h>
static char *kept[300];
static int n, asked;
static void drop(size_t over, void *arg)
{
    asked++;
    while (n)
        free(kept[--n]);
}
int main(void)
{
    sc_malloc_on_pressure(drop, NULL);
    for (int i = 0; i < 3000; i++) {
        char *p = malloc(1 << 20);
        memset(p, 1, 1 << 20);
        n < 300 ? kept[n++] = p : (free(p), p);
    }
    return printf("%d\n", asked > 0) < 0;
}
EOF
${CC:-cc} -O1 -fno-builtin -I"$here/include" -o limit limit.c \
    "$build/libsancai-malloc.so" -Wl,-rpath,"$build" || exit 1
[ "$(SANCAI_MEMLIMIT=64MiB "$sancai" run --json -o json -- ./limit)" = 1 ] ||
    fail "the program was not asked"
[ "$(number peak_rss)" -lt $((160 << 20)) ] ||
    fail "limit of 64 MiB: $(number peak_rss)"
[ "$(./limit)" = 0 ] || fail "asked without a limit"

# ---- Misuse of the command ----
mkdir alone && cp "$sancai" alone/
alone/sancai run --malloc -- true 2>err
[ $? = 1 ] && grep -q 'libsancai-malloc.so is not beside' err ||
    fail "without the library: $(cat err)"

# ---- A static program with malloc from the archive ----
if ${CC:-cc} -O1 -fno-builtin -static -o static fill.c \
    "$build/libsancai-malloc.a" -pthread -ldl 2>/dev/null; then
    [ "$(./static 10000 1000 4000 0)" = done ] || fail "static program"
else
    echo "static: not linked here"
fi
exit $bad
