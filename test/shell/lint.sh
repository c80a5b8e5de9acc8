#!/bin/sh
# lint finds what it is for: a small tree with one offence of each kind, each
# of which must be named at its line, and the same tree without them.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}

mkdir -p "$work/src/os" "$work/src/base" "$work/src/page" "$work/include" \
    "$work/docs" "$work/tools" "$work/test" "$work/tool" "$work/bench" &&
    cp tools/lint tools/layers.txt "$work/tools/" &&
    cp src/base/knob.def "$work/src/base/" &&
    cp docs/knobs.md "$work/docs/" && cd "$work" || exit 1

# What knobs.md names of the rest of the tree.
mkdir -p test && echo >test/check.h
echo >docs/malloc.md
echo 'int sc_init, sc_free, sc_set_gc_percent, sc_set_memory_limit;' \
    >include/sancai.h

# A line for each file that there is now.
draw_map()
{
    find src include tool test bench -type f |
        sed 's/.*/| `&` | |/' >docs/map.md
}

compile()
{
    for c in src/*/*.c; do
        mkdir -p "objects/$(dirname "$c")" &&
            $cc -std=gnu17 -c -o "objects/${c%.c}.o" "$c" || exit 1
    done
}

expect() # "FILE:LINE: WHAT"
{
    grep -qxF -- "$1" found || {
        echo "not found: $1"
        echo "but:"
        cat found
        exit 1
    }
    expected=$((expected + 1))
}

# ---- A clean tree ----
echo 'int def;' >src/def.h
{ echo '#pragma once'; echo '#include "../def.h"'
  echo '#include <sys/types.h>'; echo 'int os_one(void);'; } >src/os/os.h
printf '#include "os.h"\nint os_one(void)\n{\n    return 1;\n}\n' >src/os/os.c
{ echo '#pragma once'; echo '#include "../os/os.h"'
  echo 'int base_one(void);'; } >src/base/base.h
printf '#include "base.h"\nint base_one(void)\n{\n    return os_one();\n}\n' \
    >src/base/base.c
# shellcheck disable=SC2016
printf 'See `src/os/os.c`, `os_one()`.\n\n```\n`gone()`\n```\n' >docs/a.md
compile
draw_map
tools/lint objects >found || { echo "a clean tree is not:"; cat found; exit 1; }

# ---- Offences ----
expected=0
printf '#include "../base/base.h"\n#include "../page/page.h"\n' >>src/os/os.h
printf '#include <stdlib.h>\nint page_two(void);\n' >src/page/page.h
cat >src/page/page.c <<'END'
#include "page.h"
int page_two(void)
{
    return !malloc(2);
}
END
cat >>src/os/os.c <<'END'
int os_two(void);
int os_two(void)
{
    return page_two();
}
END
{ printf '/* TO''DO */\n'; printf '%081d\n' 0 | sed 's/^/\/\//; s/..$//'
  printf '//%79s\n' x; printf '//%077d\303\251\n' 0
} >include/more.h
{ echo 'int long_one(void)'; echo '{'; yes ';' | head -n 81; echo '}'
  echo 'int short_one(void)'; echo '{'; yes ';' | head -n 80; echo '}'
} >tool/long.c
yes '' | head -n 501 >src/base/long.h
printf '#include "../src/os/os.h"\n' >bench/bench.c
mkdir bench/markers
printf '#include "../../src/%s.h"\n' collect/collect api/api \
    >bench/markers/record.c
echo 'int late;' >test/late.c
# shellcheck disable=SC2016
printf 'one\n`gone()` and `src/os/gone.c`\n`sc_gone`, `gone.c`\n' >>docs/a.md
sed -i 's/^| `seed` .*/| `sead` | | |/' docs/knobs.md
draw_map
sed -i 's/`src.os.os.c`/`src\/os\/so.c`/; /long.c/d; /late.c/d' docs/map.md
line=$(grep -n 'so.c' docs/map.md | cut -d: -f1)
compile
tools/lint objects >found && { echo "offences pass:"; cat found; exit 1; }

expect "src/os/os.h:5: layer os may not include src/base/base.h"
expect "src/os/os.h:6: layer os may not include src/page/page.h"
expect "src/page/page.h:1: <stdlib.h> is for src/os only"
expect "src/page/page.c:4: the library may not call malloc"
expect "src/os/os.c:9: layer os uses page_two of src/page/page.c"
expect "include/more.h:1: a note to ourselves was left here"
expect "include/more.h:2: 81 columns"
expect "include/more.h:3: 81 columns"
expect "tool/long.c:2: long_one has 81 lines"
expect "src/base/long.h:501: more than 500 lines"
expect "bench/bench.c:1: includes src/os/os.h, but sees only the public header"
expect "bench/markers/record.c:2: may see collect and what is below, not \
src/api/api.h"
# shellcheck disable=SC2016
for t in '7: `gone()`' '7: `src/os/gone.c`' '8: `sc_gone`' '8: `gone.c`'; do
    expect "docs/a.md:$t is not in the tree"
done
expect "src/os/os.c:1: is not in docs/map.md"
expect "tool/long.c:1: is not in docs/map.md"
expect "test/late.c:1: is not in docs/map.md"
# shellcheck disable=SC2016
expect "docs/map.md:$line: "'`src/os/so.c` is not in the tree'
line=$(grep -n '^K(seed,' src/base/knob.def | cut -d: -f1)
expect "src/base/knob.def:$line: seed is not in docs/knobs.md"
line=$(grep -n 'sead' docs/knobs.md | cut -d: -f1)
expect "docs/knobs.md:$line: there is no knob sead"
expect "lint: $expected findings"

rm -rf objects
tools/lint objects | grep -q 'objects/src:0: no objects' ||
    { echo "nothing said of missing objects"; exit 1; }
