# one.sh: one measured run, for bench/run and bench/curves, which source this.
#
#   measure --> cost, stdout, stderr --> lines in $out/raw:
#               label variant round key value
#
# measure.c leaves the run's cost and status, the program its BENCH and CHECK
# lines.  report.awk makes the table, checks statuses and checksums.

out=${BENCH_OUT:-$PWD/out/bench}    # absolute: go builds elsewhere
raw=$out/raw
patience=600    # seconds; the longest run takes a tenth

say() { echo "bench: $*" >&2; }

# run_one LABEL VARIANT ROUND PROGRAM ARG...
run_one() {
    local as="$1 $2 $3" program=$4.$2 word
    shift 4
    $out/measure $patience $out/$program "$@" \
        3>$out/cost >$out/stdout 2>$out/stderr ||
        say "$program failed: $(head -n 1 $out/stderr | cut -c 1-160)"
    for word in $(cat $out/cost) $(grep '^BENCH ' $out/stderr | tail -n 1) \
        check=$(sed -n 's/^CHECK //p' $out/stdout); do
        case $word in
        *=*) echo "$as ${word%%=*} ${word#*=}" >>$raw ;;
        esac
    done
}

# tell PROGRAMS VARIANTS [AWK-OPTION...]: the table of $raw
tell() {
    local p=$1 v=$2
    shift 2
    awk -v programs="$p" -v variants="$v" "$@" -f bench/report.awk $raw
}
