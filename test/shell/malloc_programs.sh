#!/bin/sh
# Unmodified programs of the distribution do the same with our malloc as with
# the C library's, also with a memory limit and in the hardened mode; those
# that are not installed are named.
# $1: directory with libsancai-malloc.so.
set -u
build=$(cd "${1:?directory of the build}" && pwd) || exit 1
so=$build/libsancai-malloc.so
[ -e "$so" ] || { echo "no $so"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0 missing=
unset SANCAI_DEBUG SANCAI_MEMLIMIT LD_PRELOAD
export PYTHONMALLOC=malloc HOME="$work" LC_ALL=C

seq 1 60000 |
    awk '{ print $1 "," $1 % 97 ",name" $1 * 7919 % 10007 }' >table.csv

# same NAME COMMAND...: the output, status included, on both.
same()
{
    name=$1
    shift
    command -v "$1" >/dev/null || { missing="$missing $1"; return; }
    { "$@"; echo "status $?"; } >want 2>&1 </dev/null
    for with in SANCAI_MEMLIMIT= SANCAI_MEMLIMIT=32MiB \
        SANCAI_DEBUG=secure=1 SANCAI_DEBUG=secure=1,securesample=20; do
        { env LD_PRELOAD="$so" "$with" "$@"
          echo "status $?"; } >got 2>&1 </dev/null
        cmp -s want got || {
            echo "FAILED: $name with $with"
            diff want got | head -5
            bad=1
        }
    done
}

same awk awk -F, '{ n[$3] += $1; k[$2] = k[$2] $3 } END {
    for (i in n) s += n[i] * length(i)
    for (i in k) t += length(k[i])
    print s, t }' table.csv
cat >p.py <<'EOF'
import csv, json, re, collections, threading
rows = list(csv.reader(open('table.csv')))
d = collections.defaultdict(list)
for a, b, c in rows:
    d[c].append((int(a), b))
text = json.dumps(d, sort_keys=True)
def work():
    s = ''
    for i in range(20000):
        s += str(i)
    return len(s)
t = [threading.Thread(target=work) for _ in range(4)]
[x.start() for x in t]; [x.join() for x in t]
print(len(text), len(re.findall('[0-9]+', text)), hash(len(json.loads(text))))
EOF
same python /usr/bin/python3 p.py
same perl perl -e 'open F, "table.csv"; while (<F>) { chomp; my @f = split /,/;
    push @{$h{$f[2]}}, $f[0]; $s .= $f[2] } print scalar(keys %h), " ",
    length $s, " ", join(",", (sort keys %h)[0..9]), "\n";
    $x = join "", map { chr(65 + $_ % 26) } 1 .. 200000;
    $x =~ s/([AEIOU])/<$1>/g; print length $x, "\n"'
same sort sort -t, -k3,3 -k1,1nr table.csv
same sed sed -e 's/name\([0-9]*\)/[\1]/' -e '/5$/d' table.csv
cat >s.sql <<'EOF'
.mode csv
.import table.csv t0
create table t(a integer primary key, b int, c text);
insert into t select * from t0;
create index i on t(c);
select c, count(*), sum(a) from t group by c order by 2 desc, c limit 20;
update t set c = c || 'x' where b < 20;
delete from t where b > 70;
select count(*), sum(length(c)) from t;
pragma integrity_check;
EOF
sed -i '1i a,b,c' table.csv
same sqlite3 sqlite3 :memory: '.read s.sql'
sed -i 1d table.csv
same lua lua5.4 -e 'local t = {} for l in io.lines("table.csv") do
    local a, b, c = l:match("(.-),(.-),(.*)") t[c] = (t[c] or "") .. a end
    local n = 0 for k, v in pairs(t) do n = n + #k * #v end print(n)'
command -v jq >/dev/null || missing="$missing jq"
awk -F, 'BEGIN { printf "[" } { printf "%s{\"a\":%d,\"b\":\"%s\"}",
    (NR > 1 ? "," : ""), $1, $3 } END { print "]" }' table.csv >t.json
! command -v jq >/dev/null ||
    same jq jq -c 'group_by(.b) | map({k: .[0].b, n: length}) | .[0:20]' t.json
awk 'BEGIN { print "#include <stdio.h>"; for (i = 0; i < 400; i++)
    printf "static int f%d(int x) { int s = 0; for (int i = 0; i < x; i++) " \
        "s += i * %d ^ x; return s + %s; }\n", i, i,
        i ? "f" i - 1 "(x / 2)" : "1"
    print "int main(void) { return printf(\"%d\\n\", f399(100)) < 0; }" }' >g.c
same cc "${CC:-cc}" -O2 -S -o - g.c
cat >g.sh <<'EOF'
rm -rf r && git init -q r && cd r && cp ../table.csv ../g.c . || exit 1
GIT_AUTHOR_DATE='2020-01-01T00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00Z'
export GIT_AUTHOR_DATE GIT_COMMITTER_DATE
git config user.name a && git config user.email a@b
git add . && git commit -qm one && sed -i 's/1/2/' table.csv &&
git commit -qam two && git gc -q &&
git log --stat --format=%H%s && git diff HEAD~1 | tail -5 && git fsck
EOF
command -v git >/dev/null && same git sh g.sh || missing="$missing git"
[ -z "$missing" ] || echo "not installed:$missing"
exit $bad
