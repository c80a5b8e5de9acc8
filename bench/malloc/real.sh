# real.sh: unmodified programs of the distribution, and what they work on.
# For bench/malloc/run, which sources this.
#
# real_NAME_make writes the input into $in; real_NAME_run AS runs the program.
# Input is made by rule, the same each time; $scale is 1 (short) or 5 (full).

all_real="sqlite3 gawk jq perl lua python git cc1 redis"
in=$out/input

export LC_ALL=C PERL_HASH_SEED=0 PYTHONHASHSEED=0 PYTHONMALLOC=malloc
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_PAGER=cat

# ---- sqlite3: rows, an index, groups, joins ---------------------------------

real_sqlite3_make() {
    cat >$in/queries.sql <<SQL
create table t(id integer primary key, word text, n int);
with recursive s(i) as (select 1 union all select i + 1 from s
                        where i < $((40000 * scale)))
insert into t select i, printf('%x-%d', i * 7919 % 100003, i), i * 31 % 997
  from s;
create index by_word on t(word);
create index by_n on t(n, word);
select n, count(*), sum(length(word)), min(word) from t group by n;
select count(*) from t a join t b on a.n = b.id where a.word < b.word;
update t set word = word || n where id % 3 = 0;
delete from t where id % 5 = 1;
select n, length(group_concat(word, '')) from t group by n;
SQL
}
real_sqlite3_run() { run_command "$1" sqlite3 :memory: ".read $in/queries.sql"; }

# ---- gawk: words counted in a table ------------------------------------------

real_gawk_make() {
    gawk -v n=$((20000 * scale)) 'BEGIN {
        for (x = 1; n-- > 0; print "")
            for (i = 0; i < 12; i++) {
                x = (x * 16807) % 2147483647
                printf "w%x ", x % (1 + x % 60000)
            }
    }' >$in/words
}
real_gawk_run() {
    run_command "$1" gawk '{
        for (i = 1; i <= NF; i++) { count[$i]++; last[$i] = $0 }
        line[NR % 5000] = toupper($3) "-" $0
    }
    END {
        for (w in count) { n += count[w]; m += length(last[w] line[n % 5000]) }
        print n, m, length(count)
    }' $in/words
}

# ---- jq: a document grouped and rebuilt ---------------------------------------

real_jq_make() {
    gawk -v n=$((6000 * scale)) 'BEGIN {
        print "["
        for (i = 1; i <= n; i++)
            printf "{\"id\":%d,\"k\":\"g%d\",\"v\":%d,\"tags\":[\"a%d\"," \
                   "\"b%d\"],\"o\":{\"x\":\"%d\"}}%s\n", i, i * 7 % 501, \
                   i * 13 % 997, i % 17, i % 23, i, i < n ? "," : "]"
    }' >$in/document.json
}
real_jq_run() {
    run_command "$1" jq -c 'group_by(.k) | map({k: .[0].k, n: length,
        s: (map(.v) | add), t: (map(.tags[]) | unique | join(",")),
        o: (map(.o.x + "-" + .k) | join("")) | length})' $in/document.json
}

# ---- perl, lua, python: their own tables, strings and objects ------------------

real_perl_make() {
    cat >$in/work.pl <<'PERL'
my ($n, $x, %h, @a, $sum) = (shift, 1);
for my $i (1 .. $n) {
    $x = ($x * 16807) % 2147483647;
    my $k = "k" . $x % 20011;
    push @{$h{$k}}, {id => $i, name => "n$x", list => [1 .. $x % 7]};
    shift @{$h{$k}} if @{$h{$k}} > 5;
    $a[$i % 3000] = join ",", map { $_->{name} } @{$h{$k}};
}
$sum += length for @a;
$sum += @$_ for values %h;
my @s = sort keys %h;
print scalar(@s), " $s[0] $sum\n";
PERL
}
real_perl_run() { run_command "$1" perl $in/work.pl $((60000 * scale)); }

real_lua_make() {
    cat >$in/work.lua <<'LUA'
local n, x, sum = tonumber(arg[1]), 1, 0
local keep = {}
local function tree(d)
  if d == 0 then return {} end
  return {tree(d - 1), tree(d - 1), name = "d" .. d}
end
for i = 1, n do
  x = x * 16807 % 2147483647
  keep[x % 20011] = {id = i, name = "n" .. x, tostring(i), x}
  if i % 400 == 0 then keep["t" .. x % 50] = tree(8) end
  local k = keep[i % 20011]
  if k then sum = sum + #k.name + k[2] % 3 end
end
print(sum)
LUA
}
real_lua_run() { run_command "$1" lua5.4 $in/work.lua $((100000 * scale)); }

real_python_make() {
    cat >$in/work.py <<'PYTHON'
import sys

class Node:
    def __init__(self, key):
        self.key, self.text = key, "n%d" % key
        self.kids = []

def tree(depth, key):
    node = Node(key)
    if depth:
        node.kids = [tree(depth - 1, 2 * key + i) for i in (0, 1)]
    return node

def count(node):
    return len(node.text) + sum(count(k) for k in node.kids)

total, keep = 0, {}
for i in range(int(sys.argv[1])):
    keep[i % 7] = tree(11, i + 1)
    total += count(keep[i * 3 % 7]) if i * 3 % 7 in keep else 0
    words = ["%x" % (j * j) for j in range(2000)]
    total += len(",".join(sorted(words, reverse=True)))
print(total)
PYTHON
}
real_python_run() {
    run_command "$1" /usr/bin/python3 -S $in/work.py $((12 * scale))
}

# ---- git: the history of a repository, as patches --------------------------------

real_git_make() {
    rm -rf $in/repo
    git init -q --bare $in/repo
    gawk -v n=$((60 * scale)) 'BEGIN {
        for (c = 1; c <= n; c++) {
            printf "commit refs/heads/main\ncommitter A <a@b> %d +0000\n" \
                   "data 2\nm\n", 1000000000 + c * 60
            for (f = c % 5; f < 20; f += 5) {
                text = ""
                for (i = 0; i < 400; i++)
                    text = text "line " (i * 31 + \
                           (i % 37 == c % 37 ? c : 0)) " of " f "\n"
                printf "M 644 inline dir%d/file%d\ndata %d\n%s", f % 4, f, \
                       length(text), text
            }
        }
        print "done"
    }' | git -C $in/repo fast-import --quiet --done
}
real_git_run() {
    run_command "$1" git -C $in/repo log -p --stat -M refs/heads/main
}

# ---- cc1: a generated source, optimised -------------------------------------------

real_cc1_make() {
    gawk -v n=$((60 * scale)) 'BEGIN {
        print "struct s { int a[8]; struct s *next; };"
        for (f = 1; f <= n; f++) {
            printf "int f%d(struct s *p, int n)\n{\n    int t = 0;\n", f
            printf "    for (int i = 0; i < n; i++, p = p->next) {\n"
            for (i = 0; i < 8; i++)
                printf "        if (p->a[%d] > t + %d)\n" \
                       "            t += p->a[%d] * %d;\n" \
                       "        else\n            p->a[%d] ^= t >> %d;\n", \
                       i, f % 13, (i * f) % 8, f + i, (i + f) % 8, i
            printf "    }\n    return t%s;\n}\n", \
                   (f > 1 ? " + f" (f - 1) "(p, n - 1)" : "")
        }
    }' >$in/source.c
}
real_cc1_run() {
    run_command "$1" "$(gcc -print-prog-name=cc1)" -quiet -O2 $in/source.c -o -
}

# ---- redis: a server, and a client that ends it ---------------------------------

# What the benchmark asks is random; so what is compared is a digest of data
# that the server makes by itself afterwards.
redis_client() {
    local cli="redis-cli -s $in/redis.sock" i
    for i in $(seq 100); do
        [ "$($cli ping 2>/dev/null)" = PONG ] && break
        sleep 0.02
    done
    redis-benchmark -s $in/redis.sock -q -P 16 -r 20000 -d 100 \
        -n $((40000 * scale)) -t set,get,lpush,lpop,sadd,hset,mset >/dev/null
    {
        $cli flushall
        $cli debug populate $((10000 * scale)) key 100
        $cli debug digest
    } >$in/answer 2>&1
    $cli shutdown nosave
}
real_redis_make() { :; }
real_redis_run() {
    rm -f $in/redis.sock
    redis_client >/dev/null 2>&1 &
    run_command "$1" redis-server --port 0 --unixsocket $in/redis.sock \
        --save '' --appendonly no --logfile /dev/null \
        --enable-debug-command yes
    wait $!
}

# Its name on disk.
real_program() {
    case $1 in
    lua) echo lua5.4 ;;
    python) echo /usr/bin/python3 ;;
    cc1) gcc -print-prog-name=cc1 ;;
    redis) echo redis-server ;;
    *) echo $1 ;;
    esac
}
