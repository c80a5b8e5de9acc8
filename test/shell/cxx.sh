#!/bin/sh
# The header in C++, for g++ and clang++: no warning under the strict flags of
# two standards, and its meaning kept, that of layouts above all.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
case $1 in *asan*|*ubsan*|*tsan*)
    echo "programs would need the sanitizer's flags"
    exit 77 ;;
esac

cat >"$work/program.cc" <<'END'
#include "sancai.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#define CHECK(x)                                                \
    do {                                                        \
        if (!(x)) {                                             \
            std::printf("line %d: not so: %s\n", __LINE__, #x); \
            std::exit(1);                                       \
        }                                                       \
    } while (0)

namespace {

struct Node {
    Node *left, *right;
    struct { Node *up; long weight; } at;
    uintptr_t word; // no pointer, says the layout
};
SC_LAYOUT(Node, left, right, at.up)

class Traced {
  public:
    static size_t trace(const void *obj, size_t, size_t, struct sc_marker *m)
    {
        sc_mark(m, static_cast<const Traced *>(obj)->hidden());
        return 0;
    }
    void hide(void *p) { mask = ~reinterpret_cast<uintptr_t>(p); }
    void *hidden() const { return reinterpret_cast<void *>(~mask); }

  private:
    uintptr_t mask;
};
SC_TRACED(Traced, Traced::trace)

struct Plain { void *p; double d; }; // no layout: any word may be a pointer

std::atomic<int> cleaned;
Node *root;
Traced *traced;
sc_weak *weak_up, *weak_word;

void count(void *) { cleaned++; }

// In a thread of its own: its stack is gone when the others' are scanned.
void build()
{
    sc_store(&root, sc_new(Node));
    sc_store(&root->at.up, sc_new(Node));
    sc_store(&weak_up, sc_weak_new(root->at.up));
    Node *n = sc_new(Node);
    root->word = reinterpret_cast<uintptr_t>(n);
    sc_store(&weak_word, sc_weak_new(n));
    CHECK(sc_cleanup(n, count, nullptr));

    Plain *p = sc_new(Plain);
    p->d = 1.5;
    Plain *q = sc_new(Plain);
    q->d = 2.5;
    sc_store(&p->p, q);
    sc_store(&traced, sc_new(Traced));
    traced->hide(p);
}

// The macros take and give the types of their slots.
void types()
{
    Node *was = sc_exchange(&root->left, root);
    CHECK(!was && sc_cas(&root->left, root, nullptr) && !root->left);
    int *few = sc_new_array(int, 100);
    CHECK(few && sc_size(few) >= 400 && sc_base(few + 3) == few);
}

void check()
{
    CHECK(sc_weak_get(weak_up) == root->at.up);
    CHECK(!sc_weak_get(weak_word));
    Plain *p = static_cast<Plain *>(traced->hidden());
    CHECK(p->d == 1.5 && static_cast<Plain *>(p->p)->d == 2.5);
    for (int i = 0; i < 20000 && !cleaned; i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(cleaned == 1);
}

} // namespace

int main()
{
    sc_config c = sc_config();
    c.barriers = SC_BARRIERS_EXPLICIT;
    CHECK(sc_init(&c) == 0);
    std::thread(build).join();
    types();
    for (int i = 0; i < 2; i++)
        std::thread(sc_collect).join();
    check();
    return 0;
}
END

lib=$1
die() { echo "$*"; exit 1; }

try() # COMPILER STANDARD LIBRARY
{
    how="$1 -std=$2 with ${3##*/}"
    rm -f "$work/program"
    "$1" -std="$2" -O1 -Wall -Wextra -pedantic -Iinclude -o "$work/program" \
        "$work/program.cc" "$3" -pthread -ldl >"$work/log" 2>&1 ||
        { cat "$work/log"; die "$how: does not build"; }
    [ -s "$work/log" ] && { cat "$work/log"; die "$how: warnings"; }
    SANCAI_DEBUG=clobberfree=1,verify=1 LD_LIBRARY_PATH=$lib "$work/program" \
        >"$work/log" 2>&1 || { cat "$work/log"; die "$how: does not run"; }
    echo "$how: built and ran"
}

tried=0
for cxx in g++ clang++; do
    command -v $cxx >/dev/null || { echo "$cxx is missing"; continue; }
    for standard in c++11 c++17; do
        try $cxx $standard "$lib/libsancai.a"
    done
    try $cxx c++17 "$lib/libsancai.so"
    tried=1
done
[ $tried = 1 ] || { echo "neither g++ nor clang++ is there"; exit 77; }
