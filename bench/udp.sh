#!/usr/bin/env bash
# Compares answers/s over UDP: anyu, Knot, NSD, BIND and the empty echo, on the same work in one run.
#
# Two network namespaces on a veth pair; the server is pinned to one core with one worker, kxdpgun runs on the other.
# Rounds in turn, medians. Rate limits and the query log are off everywhere, anyu's ring and counters are on.
# Needs root, iproute2, knot-dnsutils, and the peers (knot, nsd, bind9); a missing peer is left out and said so.
#
#   bench/udp.sh [-r ROUNDS] [-t SECONDS] [-q QPS] [-k KIND] [-c CORES] [server...]     KIND: plain (default), nsec3, nsec3-nx
#
# What observing costs: bench/udp.sh -t 25 anyu-blind anyu anyu-log. anyu-blind observes nothing (a build of its own), anyu has ring and figures, anyu-log
# the query log as well, with the segments it makes meanwhile; its drops while it is measured are printed, by place. With -c 0,1 the server has both cores, which the asker shares.
set -u
cd "$(dirname "$0")/.."
rounds=5 seconds=3 qps=400000 kind=plain cores=0
while getopts r:t:q:k:c: o; do case $o in r) rounds=$OPTARG;; t) seconds=$OPTARG;; q) qps=$OPTARG;; k) kind=$OPTARG;; c) cores=$OPTARG;; *) exit 2;; esac; done
shift $((OPTIND - 1))
servers=("$@"); [ ${#servers[@]} -gt 0 ] || servers=(echo anyu knotd nsd named)

tmp=$(mktemp -d); ns=anyub$$
ip=10.53.$((RANDOM % 200 + 20))
cleanup() {
  [ -n "${pid:-}" ] && kill "$pid" 2>/dev/null
  ip netns del ${ns}s 2>/dev/null; ip netns del ${ns}c 2>/dev/null
  rm -rf "$tmp"
}
trap cleanup EXIT
for n in s c; do ip netns add $ns$n; ip -n $ns$n link set lo up; done
ip -n ${ns}s link add srv type veth peer name cli netns ${ns}c
ip -n ${ns}s addr add $ip.1/24 dev srv; ip -n ${ns}c addr add $ip.2/24 dev cli
ip -n ${ns}s link set srv up; ip -n ${ns}c link set cli up

CGO_ENABLED=0 go build -o "$tmp/anyu" ./cmd/anyu && CGO_ENABLED=0 go build -o "$tmp/echo" ./bench/echo || exit 2
case " ${servers[*]} " in *" anyu-blind "*) CGO_ENABLED=0 go build -tags unobserved -o "$tmp/blind" ./cmd/anyu || exit 2 ;; esac
go run ./bench/makezone -names 100000 -zone "$tmp/bench.zone" -queries "$tmp/queries" -kind "$kind" || exit 2

cat >"$tmp/knot.conf" <<END
server:
    listen: $ip.1@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    rundir: $tmp/knot
log:
  - target: stderr
    any: error
database:
    storage: $tmp/knot
zone:
  - domain: bench.test
    file: $tmp/bench.zone
    zonefile-sync: -1
END
cat >"$tmp/nsd.conf" <<END
server:
    ip-address: $ip.1
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "$tmp"
    pidfile: "$tmp/nsd.pid"
    database: ""
    xfrdfile: "$tmp/xfrd"
    xfrdir: "$tmp"
    zonelistfile: "$tmp/zl"
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    tcp-count: 10
remote-control:
    control-enable: no
zone:
    name: bench.test
    zonefile: "$tmp/bench.zone"
END
cat >"$tmp/named.conf" <<END
options { listen-on { $ip.1; }; listen-on-v6 { none; }; directory "$tmp"; recursion no; pid-file none; dnssec-validation no; minimal-responses yes; };
controls { };
zone "bench.test" { type primary; file "$tmp/bench.zone"; notify no; };
END
mkdir -p "$tmp/knot"; chmod 777 "$tmp" "$tmp/knot"

start() {
  case $1 in
    echo) cmd=("$tmp/echo" ${ECHO_FLAGS:--listen $ip.1:53 -workers 1}) ;;
    anyu|anyu-blind|anyu-log) rm -rf "$tmp/data"
      cmd=("$tmp/anyu" serve --dns $ip.1:53 --http off --data "$tmp/data" --workers 1 --no-limits --zone "bench.test=$tmp/bench.zone")
      [ "$1" = anyu-log ] && cmd+=(--http 127.0.0.1:8053) # for its metrics
      [ "$1" = anyu-blind ] && cmd[0]=$tmp/blind
      [ "$1" = anyu-log ] || cmd+=(--no-query-log) ;;
    knotd) cmd=(knotd -c "$tmp/knot.conf") ;;
    nsd) cmd=(nsd -d -c "$tmp/nsd.conf") ;;
    named) cmd=(named -f -n 1 -c "$tmp/named.conf") ;;
    *) echo "no server $1" >&2; exit 2 ;;
  esac
  ip netns exec ${ns}s taskset -c "$cores" "${cmd[@]}" >"$tmp/$1.log" 2>&1 &
  pid=$!
  for _ in $(seq 60); do
    ip netns exec ${ns}c timeout 2 dig +time=1 +tries=1 +norec @$ip.1 host1.bench.test A >"$tmp/dig" 2>&1 && break
    sleep 0.1
  done
}

# user CPU time, in clock ticks, of the process and its descendants
family() { echo "$1"; local c; for c in $(pgrep -P "$1"); do family "$c"; done; }
drops() { ip netns exec ${ns}s curl -s http://127.0.0.1:8053/metrics | awk '/^anyu_dropped_total/ { print $2 }' | paste -sd ' '; }
ticks() { local t=0 p u; for p in $(family $pid); do u=$(awk '{print $14}' /proc/$p/stat 2>/dev/null); t=$((t + ${u:-0})); done; echo $t; }

for r in $(seq "$rounds"); do
  for s in "${servers[@]}"; do
    if [ "$s" != echo ] && [ "${s%-*}" != anyu ] && ! command -v "$s" >/dev/null; then echo "SKIPPED: $s is not installed" >&2; continue; fi
    start "$s"
    # once through all names first: caches and compiled answers are warm for everybody
    ip netns exec ${ns}c taskset -c 1 timeout 20 kxdpgun -t 1 -Q 150000 -i "$tmp/queries" -p 53 $ip.1 >/dev/null 2>&1
    [ "$s" = anyu-log ] && { sleep 1; dropped=$(drops); }
    before=$(ticks)
    out=$(ip netns exec ${ns}c taskset -c 1 timeout $((seconds + 60)) kxdpgun -t "$seconds" -Q "$qps" -i "$tmp/queries" -p 53 $ip.1 2>&1)
    after=$(ticks)
    [ "$s" = anyu-log ] && ip netns exec ${ns}s curl -s http://127.0.0.1:8053/metrics | awk -v old="$dropped" 'BEGIN { split(old, o, " ") } /^anyu_dropped_total/ { sub(/.*where="/, ""); sub(/".*} /, " "); if ($2 > o[++n]) printf "dropped %s %d; ", $1, $2 - o[n] }'
    kill $pid 2>/dev/null; timeout 20 tail --pid=$pid -f /dev/null; kill -9 $pid 2>/dev/null; pid=
    replies=$(sed -n 's/^total replies: *\([0-9]*\).*/\1/p' <<<"$out")
    [ -n "$replies" ] && [ "$replies" -gt 0 ] || { echo "$s gave no replies: $out $(tail -3 "$tmp/$s.log")" >&2; continue; }
    awk -v s="$s" -v n="$replies" -v t="$seconds" -v u=$((after - before)) -v hz=$(getconf CLK_TCK) \
      'BEGIN { printf "%s %.0f %.2f\n", s, n / t, u / hz * 1e6 / n }' | tee -a "$tmp/results"
  done
done
echo
echo "kind $kind, $rounds rounds of $seconds s at $qps q/s; commit $(git rev-parse --short HEAD); $(date -u +%FT%TZ); $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), kernel $(uname -r)"
echo "| server | answers/s (median) | lowest | highest | user us an answer (median) |"
echo "|---|---|---|---|---|"
for s in "${servers[@]}"; do
  grep "^$s " "$tmp/results" | sort -k2n | awk -v s="$s" '{ q[NR] = $2; u[NR] = $3 } END { if (NR) {
    for (i = 1; i <= NR; i++) for (j = i + 1; j <= NR; j++) if (u[j] < u[i]) { x = u[i]; u[i] = u[j]; u[j] = x }
    m = int((NR + 1) / 2); printf "| %s | %d | %d | %d | %.2f |\n", s, q[m], q[1], q[NR], u[m] } }'
done
