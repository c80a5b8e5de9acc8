# curves.awk: the raw lines of bench/curves to a table of medians.
#
#   in:   label variant round key=value ...
#   out:  per label and variant: time, memory, holds, the collector's share

function middle(l, v, key,    n, i, j, x) {
    n = count[l, v]
    for (i = 1; i <= n; i++) {
        if (!((l, v, key, i) in value))
            return ""
        x = value[l, v, key, i]
        for (j = i; j > 1 && sorted[j - 1] > x; j--)
            sorted[j] = sorted[j - 1]
        sorted[j] = x
    }
    return n % 2 ? sorted[(n + 1) / 2] \
                 : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

function cell(l, v, key, unit, form,    x) {
    x = middle(l, v, key)
    return x == "" ? "-" : sprintf(form, x / unit)
}

{
    n = ++count[$1, $2]
    if (!(($1, $2) in known)) {
        known[$1, $2] = 1
        label[++rows] = $1
        variant[rows] = $2
    }
    for (i = 4; i <= NF; i++) {
        split($i, part, "=")
        value[$1, $2, part[1], n] = part[2] + 0
    }
    both = value[$1, $2, "alloc_bytes", n]
    if (both > 0)
        value[$1, $2, "per_kb", n] = value[$1, $2, "gc_cpu_ns", n] / both * 1024
}

END {
    form = "%-12s %-8s %7s %7s %8s %7s %8s %9s %9s %9s %9s %9s\n"
    printf form, "", "", "wall s", "CPU s", "RSS MB", "cycles", "GC CPU s", \
        "GC ns/KB", "hold p999", "hold max", "CPU hold", "op p999"
    printf form, "", "", "", "", "", "", "", "", "us", "us", "us", "us"
    for (r = 1; r <= rows; r++) {
        l = label[r]
        v = variant[r]
        printf form, l, v, cell(l, v, "wall_ns", 1e9, "%.2f"), \
            cell(l, v, "cpu_ns", 1e9, "%.2f"), \
            cell(l, v, "rss_kb", 1e6 / 1024, "%.0f"), \
            cell(l, v, "cycles", 1, "%d"), \
            cell(l, v, "gc_cpu_ns", 1e9, "%.2f"), \
            cell(l, v, "per_kb", 1, "%.0f"), \
            cell(l, v, "hold_p999_ns", 1e3, "%.0f"), \
            cell(l, v, "hold_max_ns", 1e3, "%.0f"), \
            cell(l, v, "hold_cpu_ns", 1e3, "%.0f"), \
            cell(l, v, "op_p999_ns", 1e3, "%.0f")
    }
}
