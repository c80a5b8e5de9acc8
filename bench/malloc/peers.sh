# peers.sh: which allocators there are, and what to preload for each.  For the
# programs of this directory, which source it.

all_variants="glibc sancai jemalloc mimalloc tcmalloc"
CC=${CC:-cc}

# The file of one; none if there is none.  That of glibc is there anyhow, but
# a program may be linked with another malloc.
library_of() {
    case $1 in
    glibc) $CC -print-file-name=libc.so.6 ;;
    sancai) echo ${LIB:-$PWD/build/libsancai-malloc.so} ;;
    *) ldconfig -p | sort -u |
           sed -n "s|^[[:space:]]*lib$1\(_minimal\)\?\.so\.[0-9.]* .*=> ||p" |
           head -n 1 ;;
    esac
}

# Sets library[NAME]; those of $variants that are not there go to $missing.
declare -A library
missing=''
peers_find() {
    local v found=''
    for v in $variants; do
        library[$v]=$(library_of $v)
        if [ -e "${library[$v]}" ]; then
            found="$found $v"
        else
            missing="$missing $v"
        fi
    done
    variants=${found# }
    [ -z "$missing" ] || say "missing:$missing (tools/deps bench-malloc)"
}
