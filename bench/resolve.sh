#!/usr/bin/env bash
# Compares resolvers on the same work in one run: anyu, Unbound, PowerDNS Recursor, Knot Resolver, BIND, in the simulated Internet of
# `anyu lab up`. Two network namespaces on a veth pair: the resolver and the lab in one, the clients in the other. The resolver is pinned to
# core 0 with one worker; lab and clients run on the other. Validation is on everywhere, rate limits and query logs are off.
# Needs root, iproute2, knot-dnsutils, dnsperf; a resolver that is not installed is left out and said so.
#
#   bench/resolve.sh [-r ROUNDS] [-n NAMES] [-t SECONDS] MODE [server...]
#
#   hits     answers/s and user time an answer for names that are cached, next to the empty echo
#   cold     NAMES distinct names (50,000): CPU time and memory a name, and how many come out as the lab says they must
#   attack   hits at a fixed rate, alone and beside as many questions for random names: success and p99
#   secure   hits over DoT and DoH, the server on half of its core
#   memory   NAMES names (of one crowd, as in gc): memory a cached RRset, everything the process has included
#   gc       1,000,000 cached names in anyu (-n for other than that): pauses, from GODEBUG=gctrace=1, and how long the world stood still, by perf
set -u
cd "$(dirname "$0")/.."
rounds=5 seconds=3 names= crowd=1000000 qps=400000 seed=1
while getopts r:t:n:q:s: o; do case $o in r) rounds=$OPTARG;; t) seconds=$OPTARG;; n) names=$OPTARG crowd=$OPTARG;; q) qps=$OPTARG;; s) seed=$OPTARG;; *) exit 2;; esac; done
shift $((OPTIND - 1))
mode=${1:-}; shift
names=${names:-50000}
case $mode in hits) all=(echo anyu unbound pdns kresd named);; cold|attack) all=(anyu unbound pdns kresd named);; secure) all=(anyu unbound kresd);; memory) all=(anyu unbound pdns);; gc) all=(anyu);;
  *) echo "usage: bench/resolve.sh [-r ROUNDS] [-n NAMES] [-t SECONDS] hits|cold|attack|secure|memory|gc [server...]" >&2; exit 2;; esac
servers=("$@"); [ ${#servers[@]} -gt 0 ] || servers=("${all[@]}")

tmp=$(mktemp -d); ns=anyur$$; pid= lab=
ip=10.54.$((RANDOM % 200 + 20)); port=5300
cleanup() {
  for p in $pid $lab; do kill "$p" 2>/dev/null; done
  sleep 0.3
  for p in $pid $lab; do kill -9 "$p" 2>/dev/null; done
  ip netns del ${ns}s 2>/dev/null; ip netns del ${ns}c 2>/dev/null
  rmdir /sys/fs/cgroup/cpu/$ns /sys/fs/cgroup/$ns 2>/dev/null
  perf probe -q -d "$ns:*" 2>/dev/null
  [ -n "${KEEP:-}" ] && echo "kept $tmp" >&2 || rm -rf "$tmp"
}
trap cleanup EXIT
for n in s c; do ip netns add $ns$n; ip -n $ns$n link set lo up; done
ip -n ${ns}s link add srv type veth peer name cli netns ${ns}c
ip -n ${ns}s addr add $ip.1/24 dev srv; ip -n ${ns}c addr add $ip.2/24 dev cli; ip -n ${ns}c addr add $ip.3/24 dev cli
ip -n ${ns}s link set srv up; ip -n ${ns}c link set cli up
client() { ip netns exec ${ns}c taskset -c 1 "$@"; }

CGO_ENABLED=0 go build -o "$tmp/anyu" ./cmd/anyu && CGO_ENABLED=0 go build -o "$tmp/echo" ./bench/echo && CGO_ENABLED=0 go build -o "$tmp/asker" ./bench/asker || exit 2
cp "$tmp/anyu" "$tmp/internet" # another name: whoever ends all resolvers by name leaves the lab alone
ip netns exec ${ns}s taskset -c 1 "$tmp/internet" lab up --seed "$seed" --files "$tmp/lab" >"$tmp/lab.log" 2>&1 &
lab=$!
for _ in $(seq 50); do [ -s "$tmp/lab/root.key" ] && grep -q 'root hints' "$tmp/lab.log" && break; sleep 0.1; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=bench -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null

cat >"$tmp/anyu.yaml" <<END
listen:
  dns: [$ip.1:$port]
  tls: [$ip.1:8530]
  https: [$ip.1:8443]
  certificate: $tmp/cert.pem
  key: $tmp/key.pem
console: {off: true}
clients: {recursion: [$ip.0/24]}
recursion:
  hints: $tmp/lab/root.hints
  permitted: [127.53.0.0/16]
  private: []
  ipv6: false
  validation: {anchors: [$tmp/lab/root.key], update: false}
  cache: {size: 1GiB, save: false}
  limits: {client_waiters: 20000}
END
cat >"$tmp/unbound.conf" <<END
server:
  interface: $ip.1@$port
  interface: $ip.1@8530
  interface: $ip.1@8443
  tls-port: 8530
  https-port: 8443
  tls-service-key: "$tmp/key.pem"
  tls-service-pem: "$tmp/cert.pem"
  access-control: 0.0.0.0/0 allow
  num-threads: 1
  username: ""
  chroot: ""
  directory: "$tmp"
  pidfile: ""
  use-syslog: no
  do-ip6: no
  do-not-query-localhost: no
  root-hints: "$tmp/lab/root.hints"
  trust-anchor-file: "$tmp/lab/root.key"
  msg-cache-size: 512m
  rrset-cache-size: 512m
  outgoing-range: 4096
  num-queries-per-thread: 2048
  incoming-num-tcp: 200
  verbosity: 1
  logfile: ""
  aggressive-nsec: yes
  extended-statistics: yes
  qname-minimisation: yes
remote-control:
  control-enable: yes
  control-interface: $tmp/unbound.ctl
END
cat >"$tmp/recursor.conf" <<END
local-address=$ip.1
local-port=$port
allow-from=0.0.0.0/0
dont-query=
hint-file=$tmp/lab/root.hints
dnssec=validate
lua-config-file=$tmp/recursor.lua
socket-dir=$tmp
threads=1
pdns-distributes-queries=no
max-cache-entries=4000000
max-packetcache-entries=1000000
quiet=yes
security-poll-suffix=
daemon=no
END
printf 'clearTA(".")\nreadTrustAnchorsFromFile("%s", 0)\n' "$tmp/lab/root.key" >"$tmp/recursor.lua"
cat >"$tmp/kresd.conf" <<END
net.ipv6 = false
net.listen('$ip.1', $port, { kind = 'dns' })
net.tls('$tmp/cert.pem', '$tmp/key.pem')
net.listen('$ip.1', 8530, { kind = 'tls' })
pcall(net.listen, '$ip.1', 8443, { kind = 'doh2' })
modules.load('hints')
hints.root_file('$tmp/lab/root.hints')
trust_anchors.remove('.')
trust_anchors.add_file('$tmp/lab/root.key', true)
option('ALLOW_LOCAL', true)
cache.size = 1024 * MB
END
cat >"$tmp/named.conf" <<END
options { listen-on port $port { $ip.1; }; listen-on-v6 { none; }; directory "$tmp"; recursion yes; allow-query { any; }; allow-recursion { any; };
  pid-file none; session-keyfile none; dnssec-validation yes; minimal-responses yes; empty-zones-enable no; max-cache-size 1g; };
controls { };
zone "." { type hint; file "$tmp/lab/root.hints"; };
include "$tmp/lab/bind-anchors.conf";
END
mkdir -p "$tmp/kresd"; chmod 777 "$tmp" "$tmp/kresd"

declare -A program=([unbound]=unbound [pdns]=pdns_recursor [kresd]=kresd [named]=named)
# What a resolver does not validate (SM2; SHA-1 where RFC 9905 is followed), so that the truth for it is another.
declare -A without=([anyu]=5,7 [unbound]=17 [pdns]=17 [kresd]=17 [named]=17)
installed() { [ -z "${program[$1]:-}" ] || command -v "${program[$1]}" >/dev/null || { echo "SKIPPED: $1 is not installed" >&2; return 1; }; }

start() {
  case $1 in
    echo) cmd=("$tmp/echo" -listen $ip.1:$port -workers 1) ;;
    anyu) rm -rf "$tmp/anyu-state"; cmd=(env GODEBUG="${GODEBUG:-}" "$tmp/anyu" serve --config "$tmp/anyu.yaml" --data "$tmp/anyu-state" --workers 1 --no-limits --no-query-log) ;;
    unbound) cmd=(unbound -d -c "$tmp/unbound.conf") ;;
    pdns) cmd=(pdns_recursor --config-dir="$tmp") ;;
    kresd) rm -rf "$tmp/kresd"; mkdir -p "$tmp/kresd"; cmd=(kresd -n -c "$tmp/kresd.conf" "$tmp/kresd") ;;
    named) cmd=(named -f -n 1 -c "$tmp/named.conf") ;;
    *) echo "no resolver $1" >&2; exit 2 ;;
  esac
  kill -0 "$lab" 2>/dev/null || { echo "the lab has ended: $(tail -3 "$tmp/lab.log")" >&2; exit 2; }
  ip netns exec ${ns}s taskset -c 0 "${cmd[@]}" >"$tmp/$1.log" 2>&1 &
  pid=$!
  for _ in $(seq 60); do
    [ "$(client timeout 2 dig +time=1 +tries=1 +short -p $port @$ip.1 com. NS 2>/dev/null | grep -c nic.com)" -gt 0 ] && return 0
    [ "$1" = echo ] && sleep 0.3 && return 0
    sleep 0.2
  done
  echo "$1 does not resolve: $(tail -3 "$tmp/$1.log")" >&2; stop; return 1
}
stop() { for p in $(family $pid); do kill "$p" 2>/dev/null; done; timeout 10 tail --pid="$pid" -f /dev/null; kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; pid=; }

family() { echo "$1"; local c; for c in $(pgrep -P "$1"); do family "$c"; done; }
# CPU time in clock ticks of the process and its descendants: field 14 user, 15 system
ticks() { local t=0 p u; for p in $(family "$pid"); do u=$(awk -v f="$1" '{print $f}' "/proc/$p/stat" 2>/dev/null); t=$((t + ${u:-0})); done; echo $t; }
# KiB that are the processes' own: not the pages of programs and libraries, which the kernel maps as they are first used, and can drop
memory() { local t=0 p k; for p in $(family "$pid"); do k=$(awk '/^(RssAnon|RssShmem)/ { k += $2 } END { print k }' "/proc/$p/status" 2>/dev/null); t=$((t + ${k:-0})); done; echo $t; }
# RRsets that are cached, where the resolver tells
rrsets() {
  case $1 in
    anyu) "$tmp/anyu" control recursion --json --data "$tmp/anyu-state" 2>/dev/null | sed -n 's/.*"rrsets": *\([0-9]*\).*/\1/p' | head -1 ;;
    unbound) unbound-control -c "$tmp/unbound.conf" stats_noreset 2>/dev/null | sed -n 's/^rrset.cache.count=//p' ;;
    pdns) rec_control --socket-dir="$tmp" get cache-entries 2>/dev/null ;;
  esac
}
hz=$(getconf CLK_TCK)
answer() { sed -n "s/.* $1 \([0-9.a-zµ]*\).*/\1/p" <<<" $2" | head -1; }

# Names for hits: those that are there, with answers that fit 512 octets.
hitnames() {
  "$tmp/anyu" lab names --seed "$seed" --count 12000 --truth | awk '$3 == "NOERROR" && $2 == "A" && $5 == "-" { print; if (++n == 4000) exit }' >"$tmp/hits.truth"
  awk '{ print $1, $2 }' "$tmp/hits.truth" >"$tmp/hits"
}
warm() { client "$tmp/asker" -server $ip.1:$port -questions "$tmp/hits.truth" -inflight 100 -ad=false >"$tmp/warm" 2>&1; }

hits() {
  start "$1" || return
  [ "$1" = echo ] || warm
  client timeout 20 kxdpgun -t 1 -Q 100000 -i "$tmp/hits" -p $port $ip.1 >/dev/null 2>&1
  local u s out replies; u=$(ticks 14) s=$(ticks 15)
  out=$(client timeout 60 kxdpgun -t "$seconds" -Q "$qps" -i "$tmp/hits" -p $port $ip.1 2>&1)
  u=$(($(ticks 14) - u)) s=$(($(ticks 15) - s))
  stop
  replies=$(sed -n 's/^total replies: *\([0-9]*\).*/\1/p' <<<"$out")
  [ "${replies:-0}" -gt 0 ] || { echo "$1 gave no replies: $out" >&2; return; }
  awk -v s="$1" -v n="$replies" -v t="$seconds" -v u=$u -v k=$s -v hz="$hz" 'BEGIN { printf "%s %.0f %.2f %.2f\n", s, n / t, u / hz * 1e6 / n, k / hz * 1e6 / n }' | tee -a "$tmp/results"
}

cold() {
  "$tmp/anyu" lab names --seed "$seed" --count "$names" --truth --without "${without[$1]}" >"$tmp/cold.$1"
  start "$1" || return
  local m u s out; m=$(memory) u=$(ticks 14) s=$(ticks 15)
  out=$(client "$tmp/asker" -server $ip.1:$port -questions "$tmp/cold.$1" -inflight 200 2>"$tmp/$1.err"); echo "$out" >"$tmp/$1.cold"
  u=$(($(ticks 14) - u)) s=$(($(ticks 15) - s)) m=$(($(memory) - m))
  local sets; sets=$(rrsets "$1")
  stop
  [ -n "${VERBOSE:-}" ] && echo "$out" >&2
  awk -v s="$1" -v u=$u -v k=$s -v m=$m -v n="$names" -v hz="$hz" -v answerable="$(answer answerable "$out")" -v good="$(answer of-these-right "$out")" -v right="$(answer right "$out")" \
    -v silent="$(answer silent "$out")" -v secs="$(answer seconds "$out")" -v p50="$(answer p50 "$out")" -v sets="${sets:-0}" \
    'BEGIN { printf "%s %.0f %.0f %.0f %d %d %d %d %.0f %s %s %.1f %s\n", s, u / hz * 1e6 / n, k / hz * 1e6 / n, (u + k) / hz * 1e6 / n, answerable, good, right, silent, m * 1024 / n,
      sets ? sets : "-", sets ? sprintf("%.0f", m * 1024 / sets) : "-", secs, p50 }' | tee -a "$tmp/results"
}

rate=5000
# The asker that measures goes before the lab and the attacker on their core, so that it measures the resolver and not their turns.
asker() { client nice -n -15 timeout 60 "$tmp/asker" -server $ip.1:$port -questions "$tmp/hits.truth" -inflight 400 -rate $rate -rounds 10 -timeout 2s -ad=false | head -1; }
attack() {
  start "$1" || return
  warm
  local alone beside; alone=$(asker)
  warm
  ip netns exec ${ns}c taskset -c 1 dnsperf -s $ip.1 -p $port -a $ip.3 -d "$tmp/attack" -Q $rate -q 20000 -l 11 -t 2 >"$tmp/$1.attack" 2>&1 &
  local dnsperf=$!; sleep 1
  beside=$(asker)
  wait $dnsperf; stop
  echo "$1 $(answer right "$alone") $(answer asked "$alone") $(answer p50 "$alone") $(answer p99 "$alone") $(answer right "$beside") $(answer asked "$beside") $(answer p50 "$beside") $(answer p99 "$beside") $(sed -n 's/.*Queries lost: *[0-9]* (\(.*\))/\1/p' "$tmp/$1.attack")" | tee -a "$tmp/results"
}

# Over TLS the asker takes as much of a core as the server: on a core each, the asker's would be what is measured. So the server gets half of its core.
halve() {
  local v1=/sys/fs/cgroup/cpu v2=/sys/fs/cgroup p
  if [ -e $v1/cpu.cfs_quota_us ] || [ -e $v1/cgroup.procs ]; then
    mkdir -p $v1/$ns && echo 5000 >$v1/$ns/cpu.cfs_period_us && echo 2500 >$v1/$ns/cpu.cfs_quota_us || exit 2
    for p in $(family "$pid"); do echo "$p" >$v1/$ns/cgroup.procs; done
  else
    echo +cpu >$v2/cgroup.subtree_control && mkdir -p $v2/$ns && echo "2500 5000" >$v2/$ns/cpu.max || exit 2
    for p in $(family "$pid"); do echo "$p" >$v2/$ns/cgroup.procs; done
  fi
}

secure() {
  start "$1" || return
  warm
  halve
  local m p u k n
  for m in dot doh; do
    p=8530; [ $m = doh ] && p=8443
    client timeout 10 dnsperf -m $m -s $ip.1 -p $p -d "$tmp/hits" -l 1 -c 20 -q 1000 >/dev/null 2>&1
    u=$(ticks 14) k=$(ticks 15)
    n=$(client timeout 60 dnsperf -m $m -s $ip.1 -p $p -d "$tmp/hits" -l "$seconds" -c 20 -q 1000 2>&1 | sed -n 's/.*Queries completed: *\([0-9]*\).*/\1/p')
    u=$(($(ticks 14) - u)) k=$(($(ticks 15) - k))
    [ "${n:-0}" -gt 0 ] || { echo "$1 answers nothing over $m" >&2; continue; }
    awk -v s="$1/$m" -v n="$n" -v t="$seconds" -v u=$u -v k=$k -v hz="$hz" 'BEGIN { printf "%s %.0f %.2f %.2f\n", s, n / t, u / hz * 1e6 / n, k / hz * 1e6 / n }' | tee -a "$tmp/results"
  done
  stop
}

# The process before it has answered anything is left out, so that a big binary or a ring of observations does not count; what a
# collector has not given back, and the room in a table that is not full, do.
fill() {
  start "$1" || return
  local m; m=$(memory)
  client timeout 900 dnsperf -s $ip.1 -p $port -d "$tmp/crowd" -n 1 -q 300 -c 10 >"$tmp/$1.fill" 2>&1
  sleep 5; m=$(($(memory) - m))
  local sets; sets=$(rrsets "$1")
  echo "$1 $((m * 1024 / ${sets:-1})) $sets $((m / 1024)) $(sed -n 's/.*Queries completed: *\([0-9]*\).*/\1/p' "$tmp/$1.fill")" | tee -a "$tmp/results"
  stop
}

# What the trace of the collector calls a pause ends when the thread that stopped the world reads the clock again, after it has woken the
# others. Here it shares a core with those, and loses it to them. So perf, if there is one, says how long nobody ran: from stopping to the first wake.
watchstops() {
  command -v perf >/dev/null || { echo "SKIPPED: no perf, so no time that the world stood still" >&2; return; }
  for p in stop start; do perf probe -q -x "$tmp/anyu" "$ns:$p=runtime.${p}TheWorldWithSema" || return; done
  perf record -q -o "$tmp/stops" -e "$ns:stop,$ns:start" -p "$pid" >/dev/null 2>&1 & stops=$!
}
showstops() {
  [ -n "${stops:-}" ] || return
  kill -INT "$stops"; wait "$stops" 2>/dev/null; stops=
  perf script -i "$tmp/stops" -F time,event 2>/dev/null | awk '{ t = $1 + 0 } /:stop:/ { at = t } /:start:/ && at { d = (t - at) * 1e3; at = 0; n++; if (d > max) max = d; if (d > 1) more++ }
    END { printf "the world stood still %d times, %d of them for more than 1 ms, longest %.2f ms\n", n, more, max }'
  perf probe -q -d "$ns:*"
}

gc() {
  "$tmp/anyu" lab names --seed "$seed" --sort crowd --count "$crowd" >"$tmp/crowd"
  GODEBUG=gctrace=1 start anyu || return
  watchstops
  client dnsperf -s $ip.1 -p $port -d "$tmp/crowd" -n 1 -q 500 -c 20 2>&1 | grep -E 'completed|lost|per second'
  local before; before=$(grep -c '^gc ' "$tmp/anyu.log"); hitnames; warm
  client timeout 60 kxdpgun -t 10 -Q 100000 -i "$tmp/hits" -p $port $ip.1 2>&1 | grep replies:
  echo "memory: $(($(memory) / 1024)) MiB, $(rrsets anyu) RRsets; $("$tmp/anyu" control recursion --json --data "$tmp/anyu-state" | grep -E '"(answers|packets|bytes)"' | tr -d '\n')"
  # gc 5 @1.2s 1%: 0.03+4.1+0.02 ms clock: the first and the last part stop the world
  awk '/^gc / { split($5, p, "+"); n++; a = p[1] + 0; b = p[3] + 0; if (a > max) max = a; if (b > max) max = b; c = p[2] + 0; if (c > mark) mark = c } END { printf "collections %d, longest pause %.3f ms, longest marking (not a pause) %.1f ms\n", n, max, mark }' "$tmp/anyu.log"
  showstops
  stop
}

table() { # table HEAD COLUMNS: medians by server, sorted by the first column
  echo; echo "mode $mode, $rounds rounds; commit $(git rev-parse --short HEAD); $(date -u +%FT%TZ);$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), kernel $(uname -r)"
  echo "$1"; sed 's/[^|]*/---/g' <<<"$1" | sed 's/^---|/|/; s/|---$/|/'
  for s in $(awk '{ print $1 }' "$tmp/results" | awk '!seen[$0]++'); do
    awk -v s="$s" '$1 == s' "$tmp/results" | sort -k2n | awk '{ line[NR] = $0 } END { $0 = line[int((NR + 1) / 2)]; printf "|"; for (i = 1; i <= NF; i++) printf " %s |", $i; print "" }'
  done
}

[ "$mode" = hits ] || [ "$mode" = attack ] || [ "$mode" = secure ] && hitnames
[ "$mode" = attack ] && "$tmp/anyu" lab names --seed "$seed" --sort attack --count 200000 >"$tmp/attack"
[ "$mode" = memory ] && { mode=fill; "$tmp/anyu" lab names --seed "$seed" --sort crowd --count "$names" >"$tmp/crowd"; }
for _ in $(seq "$rounds"); do
  for s in "${servers[@]}"; do installed "$s" && $mode "$s"; done
  [ "$mode" = gc ] && exit
done
case $mode in
  hits) table "| server | answers/s (median) | user us an answer | system us an answer |" ;;
  secure) table "| server | answers/s on half a core (median) | user us an answer | system us an answer |" ;;
  fill) table "| server | octets an RRset | RRsets | MiB | answers |" ;;
  cold) table "| server | user us a name | system us | CPU us | answerable | of these right | right of all | silent (10 s) | octets a name | RRsets | octets an RRset | seconds | p50 |" ;;
  attack) table "| server | right alone | asked | p50 | p99 | right beside the attack | asked | p50 | p99 | attack lost |" ;;
esac
