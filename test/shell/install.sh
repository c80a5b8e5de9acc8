#!/bin/sh
# make install into a directory of its own, moved once more to show that
# nothing remembers where it was; then a program that is built and run with
# what pkg-config says, shared and static, and with what CMake says.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
case $1 in build) build=opt ;; *) build=${1##*/} ;; esac
case $build in asan|ubsan|tsan)
    echo "programs would need the sanitizer's flags"
    exit 77 ;;
esac

die() { echo "$*"; exit 1; }

make -s install BUILD="$build" DESTDIR="$work/stage" PREFIX=/opt/sancai \
    >"$work/log" 2>&1 || { cat "$work/log"; die "make install failed"; }
at="$work/a place/sancai"
mkdir -p "$work/a place" && mv "$work/stage/opt/sancai" "$at" || exit 1
for f in include/sancai.h lib/libsancai.a lib/libsancai.so bin/sancai \
    lib/pkgconfig/sancai.pc lib/cmake/Sancai/SancaiConfig.cmake \
    lib/cmake/Sancai/SancaiConfigVersion.cmake; do
    [ -f "$at/$f" ] || die "$f is not installed"
done
grep -rl "/opt/sancai\|@[A-Z_]*@" "$at/lib/pkgconfig" "$at/lib/cmake" &&
    die "a path of the installation or a blank was left in these files"

mkdir "$work/app" && cat >"$work/app/app.c" <<'END' || exit 1
#include <sancai.h>
typedef struct Node { struct Node *next; int v; } Node;
SC_LAYOUT(Node, next)
int main(void) { Node *n = sc_new(Node); if (n) n->v = 7; sc_collect();
                 return n ? n->v - 7 : 1; }
END

try() # HOW, then the command that builds "$work/app/app"
{
    how=$1; shift
    rm -f "$work/app/app"
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; die "$how: does not build"; }
    LD_LIBRARY_PATH="$at/lib" "$work/app/app" >"$work/log" 2>&1 ||
        { cat "$work/log"; die "$how: does not run"; }
    echo "$how: built and ran"
}

# The flags are quoted by pkg-config: eval takes the quotes away.
with_pkg_config() # FLAG...
{
    flags=$(PKG_CONFIG_PATH="$at/lib/pkgconfig" pkg-config "$@" sancai) &&
        eval "$cc -o '$work/app/app' '$work/app/app.c' $flags"
}

with_pkg_config_static()
{
    flags=$(PKG_CONFIG_PATH="$at/lib/pkgconfig" \
        pkg-config --static --cflags --libs sancai) &&
        eval "$cc -static -o '$work/app/app' '$work/app/app.c' $flags"
}

with_cmake() # TARGET
{
    cat >"$work/app/CMakeLists.txt" <<END &&
cmake_minimum_required(VERSION 3.10)
project(app C)
find_package(Sancai 0.1 REQUIRED)
add_executable(app app.c)
target_link_libraries(app PRIVATE $1)
END
        rm -rf "$work/build" && mkdir "$work/build" && cd "$work/build" &&
        CC="$cc" cmake -DCMAKE_PREFIX_PATH="$at" ../app &&
        cmake --build . && cp app ../app/app && cd "$home"
}

home=$PWD
done_any=
if command -v pkg-config >/dev/null; then
    try "pkg-config" with_pkg_config --cflags --libs
    try "pkg-config --static" with_pkg_config_static
    done_any=1
fi
if command -v cmake >/dev/null; then
    try "cmake, shared" with_cmake Sancai::sancai
    try "cmake, static" with_cmake Sancai::sancai-static
    done_any=1
fi
[ -n "$done_any" ] || { echo "neither pkg-config nor cmake is here"; exit 77; }
"$at/bin/sancai" help >/dev/null 2>&1 || "$at/bin/sancai" --help \
    >/dev/null 2>&1 || die "the tool does not run"
