# report.awk: from the raw figures of bench/run to a table.
#
#   in:   program variant round key value        round 0 is the warm-up
#   out:  per program and measure: the median of each variant, and how many
#         times that is of the first variant (Sancai, explicit barriers)
#
# -v group=NAME is written over the means.
# -v measures="KEY ..." shows only those, -v shows_means=no no table of means.
# A variant with a failed run has no figures: half of a comparison is none.
# Exit status 1 if a run failed or the programs disagree on a checksum.

BEGIN {
    np = split(programs, program, " ")
    nv = split(variants, variant, " ")
    measure_add("wall_ns", "wall s", 1e9)
    measure_add("cpu_ns", "CPU s", 1e9)
    measure_add("rss_kb", "peak RSS MB", 1e6 / 1024)
    measure_add("cycles", "cycles", 1)
    measure_add("gc_cpu_ns", "GC CPU s", 1e9)
    if (measures != "")
        measure_add("gc_per_kb", "GC ns per KB", 1)
    if (measures != "") {
        measure_add("per_item_ns", "ns per item", 1)
        measure_add("kept_per_mille", "kept per mille", 1, 1)
    }
    measure_add("hold_p999_ns", "hold p99.9 ms", 1e6)
    measure_add("hold_max_ns", "hold max ms", 1e6)
    if (measures != "")
        measure_add("hold_cpu_ns", "hold CPU ms", 1e6)
    measure_add("op_p999_ns", "op p99.9 us", 1e3)
    measure_add("op_max_ns", "op max ms", 1e6)
    measure_add("mmu1", "MMU 1 ms %", 10, 1)
    measure_add("mmu10", "MMU 10 ms %", 10, 1)
    measure_add("mmu100", "MMU 100 ms %", 10, 1)
}

# bare: no ratios, for more is better and nought is common
function measure_add(key, name, unit, bare) {
    if (measures != "" && index(" " measures " ", " " key " ") == 0)
        return
    nm++
    mkey[nm] = key
    mname[nm] = name
    munit[nm] = unit
    mbare[nm] = bare
}

$4 == "status" && $5 != 0 { failed[$1, $2] = $5 }
$4 == "check" && $5 != "" { check($1, $2, $5) }
$3 > 0 && $4 != "check" && $4 != "status" {
    figure($1, $2, $4, $5)
    if ($4 == "gc_cpu_ns")      # stands before alloc_bytes
        gc_cpu = $5
    if ($4 == "alloc_bytes" && $5 > 0)
        figure($1, $2, "gc_per_kb", gc_cpu / $5 * 1024)
}

function figure(p, v, key, x,    n) {
    n = ++count[p, v, key]
    value[p, v, key, n] = x
}

function check(p, v, sum) {
    if (!(p in first)) {
        first[p] = sum
        first_by[p] = v
    } else if (sum != first[p])
        wrong[p] = wrong[p] " " v
}

# Sorts the values of one program, variant and key; sets lo, mid and hi.
function middle(p, v, key,    n, i, j, x) {
    n = count[p, v, key]
    if (!n || (p, v) in failed)
        return 0
    for (i = 1; i <= n; i++) {
        x = value[p, v, key, i] + 0
        for (j = i; j > 1 && sorted[j - 1] > x; j--)
            sorted[j] = sorted[j - 1]
        sorted[j] = x
    }
    lo = sorted[1]
    hi = sorted[n]
    mid = n % 2 ? sorted[(n + 1) / 2] \
                : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
    return n
}

function number(x) {
    if (x == int(x))
        return sprintf("%.0f", x)
    return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : \
                   x >= 0.1 ? "%.2f" : "%.4f", x)
}

function times(x) {
    return sprintf(x >= 100 ? "%.0fx" : x >= 10 ? "%.1fx" : \
                   x >= 0.1 ? "%.2fx" : "%.3fx", x)
}

function head(title,    i) {
    line = sprintf("\n%s\n%-14s", title, "")
    for (i = 1; i <= nv; i++)
        cell(i, variant[i], "")
    line_end()
}

# One row; fills the ratios for the geometric means.
function row(p, m,    i, v, n, base, r) {
    line = sprintf("%-14s", mname[m])
    for (i = 1; i <= nv; i++) {
        v = variant[i]
        n = middle(p, v, mkey[m])
        if (i == 1)
            base = n ? mid : -1
        r = n && base > 0 && !mbare[m] ? mid / base : -1
        cell(i, n ? number(mid / munit[m]) : "-", r > 0 ? times(r) : "")
        if (n)
            tsv_row(p, v, m, n, r)
        if (r > 0) {
            logs[m, i] += log(r)
            nlogs[m, i]++
        }
    }
    line_end()
}

# The first column needs no ratio: it is the measure of the others.
function cell(i, text, ratio) {
    line = line sprintf(i == 1 ? " %8s" : " %8s %6s", text, ratio)
}

function line_end() {
    sub(/ +$/, "", line)
    print line
}

function tsv_row(p, v, m, n, r) {
    if (tsv != "")
        printf "%s\t%s\t%s\t%.9g\t%.9g\t%.9g\t%d\t%s\n", p, v, mkey[m], mid, \
               lo, hi, n, (r > 0 ? sprintf("%.4f", r) : "") > tsv
}

function means(    m, i) {
    head("geometric mean of the ratios" (group != "" ? ": " group : ""))
    for (m = 1; m <= nm; m++) {
        if (mbare[m])
            continue
        line = sprintf("%-14s", mname[m])
        for (i = 1; i <= nv; i++)
            mean(m, i)
        line_end()
    }
}

# Says over how many programs, if not over all.
function mean(m, i,    n) {
    n = nlogs[m, i]
    cell(i, n ? times(exp(logs[m, i] / n)) : "-", \
         n && n < np ? "(" n "/" np ")" : "")
}

function verdict(p,    i, v) {
    for (i = 1; i <= nv; i++) {
        v = variant[i]
        if ((p, v) in failed) {
            print "FAILED: " v ", status " failed[p, v]
            bad = 1
        }
    }
    if (p in wrong) {
        print "WRONG: not the checksum of " first_by[p] ":" wrong[p]
        bad = 1
    } else if (p in first)
        print "checksum " first[p] " from all"
}

END {
    if (tsv != "")
        print "program\tvariant\tmeasure\tmedian\tmin\tmax\trounds\tratio" \
              > tsv
    for (i = 1; i <= np; i++) {
        head(program[i])
        for (m = 1; m <= nm; m++)
            row(program[i], m)
        verdict(program[i])
    }
    if (shows_means != "no")
        means()
    exit bad
}
