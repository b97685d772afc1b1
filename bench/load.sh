#!/usr/bin/env bash
# Compares how long a large zone takes from start to the first right answer, and the memory at its peak (VmHWM): a master file of
# 1,000,000 delegations, both cores for everybody, rounds in turn, medians. Loopback only.
#
#   bench/load.sh [-r ROUNDS] [-n NAMES] [server...]
set -u
cd "$(dirname "$0")/.."
rounds=5 names=1000000
while getopts r:n: o; do case $o in r) rounds=$OPTARG;; n) names=$OPTARG;; *) exit 2;; esac; done
shift $((OPTIND - 1))
servers=("$@"); [ ${#servers[@]} -gt 0 ] || servers=(anyu knotd nsd named)
tmp=$(mktemp -d); port=$((RANDOM % 10000 + 20000))
trap '[ -n "${pid:-}" ] && kill -9 "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
CGO_ENABLED=0 go build -o "$tmp/anyu" ./cmd/anyu && go run ./bench/makezone -names "$names" -zone "$tmp/bench.zone" -kind delegations || exit 2
go build -o "$tmp/first" ./bench/first || exit 2
cat >"$tmp/knot.conf" <<END
server:
    listen: 127.0.0.1@$port
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
    journal-content: none
END
cat >"$tmp/nsd.conf" <<END
server:
    ip-address: 127.0.0.1@$port
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "$tmp"
    pidfile: "$tmp/nsd.pid"
    database: ""
    xfrdfile: "$tmp/xfrd"
    xfrdir: "$tmp"
    zonelistfile: "$tmp/zl"
remote-control:
    control-enable: no
zone:
    name: bench.test
    zonefile: "$tmp/bench.zone"
END
cat >"$tmp/named.conf" <<END
options { listen-on port $port { 127.0.0.1; }; listen-on-v6 { none; }; directory "$tmp"; recursion no; pid-file none; session-keyfile none; dnssec-validation no; };
controls { };
zone "bench.test" { type primary; file "$tmp/bench.zone"; notify no; };
END
mkdir -p "$tmp/knot"; chmod 777 "$tmp" "$tmp/knot"
family() { echo "$1"; local c; for c in $(pgrep -P "$1"); do family "$c"; done; }
for r in $(seq "$rounds"); do
  for s in "${servers[@]}"; do
    case $s in
      anyu) rm -rf "$tmp/data"; cmd=("$tmp/anyu" serve --dns 127.0.0.1:$port --http off --data "$tmp/data" --zone "bench.test=$tmp/bench.zone") ;;
      knotd) cmd=(knotd -c "$tmp/knot.conf") ;;
      nsd) cmd=(nsd -d -c "$tmp/nsd.conf") ;;
      named) cmd=(named -f -c "$tmp/named.conf") ;;
    esac
    command -v "${cmd[0]}" >/dev/null || { echo "SKIPPED: $s is not installed" >&2; continue; }
    cat "$tmp/bench.zone" >/dev/null # in the page cache for everybody
    start=$(date +%s.%N)
    "${cmd[@]}" >"$tmp/$s.log" 2>&1 &
    pid=$!
    "$tmp/first" -server 127.0.0.1:$port -name x.d0000001.bench.test -wait 60s || { echo "$s gives no answer: $(tail -3 "$tmp/$s.log")" >&2; kill -9 $pid; continue; }
    end=$(date +%s.%N)
    peak=0; for p in $(family $pid); do k=$(awk '/VmHWM/ { print $2 }' /proc/$p/status 2>/dev/null); [ "${k:-0}" -gt $peak ] && peak=$k; done
    for p in $(family $pid); do kill "$p" 2>/dev/null; done; timeout 20 tail --pid=$pid -f /dev/null; kill -9 $pid 2>/dev/null; pid=
    awk -v s="$s" -v a="$start" -v b="$end" -v k="$peak" 'BEGIN { printf "%s %.3f %d\n", s, b - a, k / 1024 }' | tee -a "$tmp/results"
  done
done
echo
echo "$names delegations, $(stat -c %s "$tmp/bench.zone") octets, $rounds rounds; commit $(git rev-parse --short HEAD); $(date -u +%FT%TZ);$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), $(nproc) cores"
echo "| server | start to first answer, s (median) | lowest | highest | peak memory MB (highest) |"
echo "|---|---|---|---|---|"
for s in "${servers[@]}"; do
  grep "^$s " "$tmp/results" | sort -k2n | awk -v s="$s" '{ t[NR] = $2; if ($3 > m) m = $3 } END { if (NR) printf "| %s | %.2f | %.2f | %.2f | %d |\n", s, t[int((NR + 1) / 2)], t[1], t[NR], m }'
done
