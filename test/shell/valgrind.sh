#!/bin/sh
# Memcheck finds nothing in a program that uses the library, but for what
# test/valgrind.supp explains; and it still finds what the program does wrong.
command -v valgrind >/dev/null || { echo "valgrind is missing"; exit 77; }
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
case $1 in *asan*|*tsan*) echo "not under a sanitizer"; exit 77 ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

cat >"$work/program.c" <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sancai.h"

typedef struct node {
    struct node *left, *right;
    long value;
} node;
SC_LAYOUT(node, left, right)

static node *root;
static _Atomic int cleaned;

static void cleanup(void *arg)
{
    cleaned++;
}

static node *tree(int depth)
{
    node *n = sc_new(node);
    n->value = 1;
    if (depth > 0) {
        sc_store(&n->left, tree(depth - 1));
        sc_store(&n->right, tree(depth - 1));
    }
    return n;
}

static long sum(const node *n)
{
    return n ? n->value + sum(n->left) + sum(n->right) : 0;
}

/* Blocks of all kinds, most of them soon forgotten. */
static void *work(void *unused)
{
    for (int i = 0; i < 300; i++) {
        char *s = sc_alloc_noscan(1 + i * 7);
        void **p = sc_alloc(8 + i * 50);
        memset(s, 'x', 1 + i * 7);
        sc_store(p, s);
        sc_cleanup(p, cleanup, 0);
        p = sc_realloc(p, 200 + i * 60);
        if (i % 3 == 0)
            sc_free(s);
        if (sc_weak_get(sc_weak_new(p)) != p)
            abort();
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sc_config c = {.barriers = argc > 1};
    pthread_t t;
    if (sc_init(&c))
        return 2;
    for (int i = 0; i < 4; i++) {
        pthread_create(&t, 0, work, 0);
        sc_store(&root, tree(9));
        sc_collect();
        pthread_join(t, 0);
        if (sum(root) != 1023)
            return 3;
    }
    sc_collect();
    printf("%d cleanups\n", cleaned);
    return cleaned < 100;
}
END
cat >"$work/wrong.c" <<'END'
#include "sancai.h"
int main(void)
{
    volatile int unset, *p = sc_alloc(40);
    return p && unset == 4711; /* memcheck must see this */
}
END

run() # PROGRAM ARGUMENTS
{
    valgrind -q --error-exitcode=99 --suppressions=test/valgrind.supp \
        --log-file="$work/log" "$@"
}

for p in program wrong; do
    ${CC:-cc} -g -O0 -w -Iinclude -o "$work/$p" "$work/$p.c" \
        "$1/libsancai.a" -pthread -ldl || exit 1
done
for barriers in "" explicit; do
    # shellcheck disable=SC2086  # none is no argument
    run "$work/program" $barriers
    status=$?
    # Large ranges are the heap's reserved addresses.
    grep -v 'Warning: set address range perms' "$work/log"
    [ $status = 0 ] || { echo "status $status with '$barriers'"; exit 1; }
done
run "$work/wrong"
[ $? = 99 ] || { echo "memcheck is blind"; exit 1; }
