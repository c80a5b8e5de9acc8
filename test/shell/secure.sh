#!/bin/sh
# A set-uid program ignores the settings, silently: the environment belongs
# to whoever called it.  Needs root, to give a program to somebody else.
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
[ -z "${RUN:-}" ] || { echo "not behind an emulator"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

cat >"$work/show.c" <<'END'
#include "base/base.h"
int main(void)
{
    knob_init();
    return knobs.gctrace == 1;
}
END
${CC:-cc} -std=gnu17 -Isrc -o "$work/show" "$work/show.c" src/base/*.c \
    src/os/*.c -pthread -ldl || exit 1
export SANCAI_DEBUG=gctrace,nonsense

said=$("$work/show" 2>&1)
[ $? = 1 ] || { echo "settings are not read at all"; exit 1; }
[ -n "$said" ] || { echo "no warning of an unknown name"; exit 1; }

chown 65534 "$work/show" && chmod 4755 "$work/show" || exit 1
cat >"$work/id.c" <<'END'
#include <unistd.h>
int main(void) { return geteuid() == getuid(); }
END
${CC:-cc} -o "$work/id" "$work/id.c" && chown 65534 "$work/id" &&
    chmod 4755 "$work/id" || exit 1
"$work/id" || { echo "set-uid has no effect on this file system"; exit 77; }

said=$("$work/show" 2>&1)
[ $? = 0 ] || { echo "a set-uid program read the settings"; exit 1; }
[ -z "$said" ] || { echo "a set-uid program said: $said"; exit 1; }
