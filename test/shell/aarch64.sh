#!/bin/sh
# The layers below the api on the other machine: cross-compiled, then run by
# qemu's user mode.  A whole cycle needs an answer of each thread of the
# process, and the emulator has one of its own that never answers; so the
# directories are those whose programs need no whole cycle.  Of malloc's, the
# threads stay away: forks of a process with threads hang in the emulator, and
# what it says of resident memory is its own.
dirs="base os page heap malloc collect"
cross=${CROSS:-aarch64-linux-gnu-}
root=${CROSS_ROOT:-/usr/aarch64-linux-gnu}
emulator=qemu-aarch64
out=out/aarch64

[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
[ "$(uname -m)" != aarch64 ] || { echo "this is such a machine"; exit 77; }
for tool in "${cross}gcc" $emulator; do
    command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 77; }
done
echo 'int main(void) { return 0; }' |
    "${cross}gcc" -x c -o /dev/null - 2>/dev/null ||
    { echo "${cross}gcc has no C library to link"; exit 77; }
$emulator --version >/dev/null 2>&1 && [ -e "$root/lib/libc.so.6" ] ||
    { echo "$emulator or its C library does not work"; exit 77; }

# A make around us hands down its own settings.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
make -s -j2 test-programs BUILD=opt T= TEST_DIRS="$dirs" \
    CC="${cross}gcc" LD="${cross}ld" AR="${cross}ar" \
    OBJCOPY="${cross}objcopy" OUT=$out LIB=$out || exit 1

set --
for dir in $dirs; do
    for file in test/"$dir"/*.c; do
        [ "$file" != test/malloc/threads.c ] || continue
        set -- "$@" "$out/${file%.c}"
    done
done
# It takes a minute to reserve 1 TiB: with less to be had we ask for less.
ulimit -v 8388608 || exit 1
RUN="$emulator -L $root" BAD_BUILD=0 test/run --lib $out "$@"
