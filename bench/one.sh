# one.sh: one measured run, for bench/run, bench/curves
# and bench/malloc/run, which source this.
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

# What the programs must agree on.
check_of() { sed -n 's/^CHECK //p' $out/stdout; }

# run_command "LABEL VARIANT ROUND" COMMAND ARG...
run_command() {
    local as=$1 word
    shift
    $out/measure $patience "$@" 3>$out/cost >$out/stdout 2>$out/stderr ||
        say "$as failed: $(head -n 1 $out/stderr | cut -c 1-160)"
    for word in $(cat $out/cost) $(grep '^BENCH ' $out/stderr | tail -n 1) \
        check=$(check_of); do
        case $word in
        *=*) echo "$as ${word%%=*} ${word#*=}" >>$raw ;;
        esac
    done
}

# run_one LABEL VARIANT ROUND PROGRAM ARG...
run_one() {
    local as="$1 $2 $3" program=$4.$2
    shift 4
    run_command "$as" $out/$program "$@"
}

# tell PROGRAMS VARIANTS [AWK-OPTION...]: the table of $raw
tell() {
    local p=$1 v=$2
    shift 2
    awk -v programs="$p" -v variants="$v" "$@" -f bench/report.awk $raw
}
