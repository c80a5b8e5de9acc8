#!/bin/sh
# The tests of malloc's family on the C library's malloc, which proves them;
# then preloaded, in C++, before main, in libraries, under limits of addresses.
# $1: directory with libsancai-malloc.so.
set -u
build=$(cd "${1:?directory of the build}" && pwd) || exit 1
so=$build/libsancai-malloc.so
[ -e "$so" ] || { echo "no $so"; exit 77; }
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0
fail() { echo "FAILED: $*"; bad=1; }
unset SANCAI_DEBUG SANCAI_MEMLIMIT LD_PRELOAD
CC=${CC:-cc}

# ---- The same tests on both ----
for t in family threads; do
    $CC -std=gnu17 -O1 -fno-builtin -w -pthread -o $t "$here/malloc/$t.c" ||
        exit 1
    ./$t >log 2>&1 || { fail "$t: glibc's own malloc"; cat log; }
    tail -1 log | sed 's/^/glibc: /'
    LD_PRELOAD=$so ./$t >log 2>&1 || { fail "$t, preloaded"; cat log; }
    tail -1 log | sed 's/^/preloaded: /'
    grep SKIP log && fail "$t: skipped"
done

# ---- Before main, after it, and libraries that come and go ----
$CC -std=gnu17 -O1 -fno-builtin -o early "$here/malloc/alone/early.c" -ldl &&
    $CC -std=gnu17 -O1 -fno-builtin -shared -fPIC -o plugin.so \
        "$here/malloc/alone/plugin.c" || exit 1
./early ./plugin.so || fail "early: glibc"
LD_PRELOAD=$so ./early ./plugin.so || fail "early, preloaded"
$CC -std=gnu17 -O1 -fno-builtin -no-pie -o early_static \
    "$here/malloc/alone/early.c" "$build/libsancai-malloc.a" -pthread -ldl ||
    fail "early, from the archive: not linked"
./early_static ./plugin.so || fail "early, from the archive"

# ---- C++ ----
if command -v "${CXX:-c++}" >/dev/null; then
    "${CXX:-c++}" -std=c++17 -O1 -fno-builtin -w -pthread -o cxx \
        "$here/malloc/alone/cxx.cc" || exit 1
    ./cxx || fail "C++ on glibc"
    LD_PRELOAD=$so ./cxx || fail "C++, preloaded"
else
    echo "no C++ compiler: its operators are not tried"
fi

# ---- Few addresses: 128 MiB in all ----
cat >few.c <<'EOF'
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
    char *p = malloc(20 << 20), *q;
    if (!p)
        return puts("no 20 MiB"), 1;
    memset(p, 1, 20 << 20);
    errno = 0;
    if (malloc((size_t)200 << 20) || errno != ENOMEM)
        return puts("200 MiB of 128"), 1;
    free(p);
    for (int i = 0; i < 100000; i++)
        free(malloc((size_t)i * 30));
    return (q = malloc(20 << 20)) ? 0 : 1;
}
EOF
$CC -O1 -fno-builtin -w -o few few.c || exit 1
(ulimit -v 131072 && ./few) || fail "128 MiB: glibc"
(ulimit -v 131072 && LD_PRELOAD=$so ./few) || fail "128 MiB of addresses"

# ---- The Nth request of memory from the system fails ----
cat >nth.c <<'EOF'
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static void *p[2][3000];
static void *work(void *mine)
{
    void **p = mine;
    for (int i = 0; i < 3000; i++) {
        size_t n = 1 + (size_t)i % 7 * (size_t)i % 700 + (i % 9 ? 0 : i * 300);
        errno = 0;
        p[i] = i & 1 ? malloc(n) : calloc(1, n);
        if (!p[i] && errno != ENOMEM)
            abort();
        void *q = p[i] ? realloc(memset(p[i], i, n), 2 * n) : NULL;
        p[i] = q ? q : p[i];
    }
    for (int i = 0; i < 3000; i++)
        free(p[i]);
    return NULL;
}
int main(void)
{
    pthread_t t;
    for (int i = 0; i < 3; i++)
        work(p[0]);
    if (!pthread_create(&t, NULL, work, p[1]))
        pthread_join(t, NULL);
    return 0;
}
EOF
$CC -O1 -fno-builtin -w -pthread -o nth nth.c || exit 1
for all in 0 1; do
    for n in $(seq 60); do
        SANCAI_DEBUG=oom=$n,oomall=$all LD_PRELOAD=$so timeout 30 ./nth \
            >log 2>&1 || fail "oom=$n,oomall=$all: status $? $(cat log)"
    done
done

# ---- misuseabort=0: told, without effect, and the heap stays whole ----
cat >go_on.c <<'EOF'
#include <stdlib.h>
#include <string.h>
int main(void)
{
    static char *p[1000];
    int x;
    void *volatile v = &x;
    for (int i = 0; i < 1000; i++)
        p[i] = malloc(100);
    free(p[0]);
    v = p[0];
    free(v);
    v = p[1] + 16;
    free(v);
    v = &x;
    free(v);
    p[0] = malloc(100);
    for (int i = 0; i < 1000; i++)
        memset(p[i], i, 100);
    for (int i = 0; i < 1000; i++)
        if (p[i][0] != (char)i || p[i][99] != (char)i)
            return 1;
    return 0;
}
EOF
$CC -O0 -fno-builtin -w -o go_on go_on.c || exit 1
SANCAI_DEBUG=misuseabort=0 LD_PRELOAD=$so ./go_on 2>err ||
    fail "misuseabort=0: $(cat err)"
[ "$(wc -l <err)" = 3 ] || fail "misuseabort=0 said: $(cat err)"

# ---- What is interposed is all there is ----
for f in malloc free calloc realloc memalign aligned_alloc posix_memalign \
         valloc pvalloc malloc_usable_size reallocarray cfree free_sized \
         free_aligned_sized mallinfo mallinfo2 mallopt malloc_trim \
         malloc_stats malloc_info _Znwm _ZdlPv _ZdlPvm; do
    nm -D --defined-only "$so" | grep -q " T $f\$" || fail "$f is not there"
done
exit $bad
