#!/usr/bin/env bash
# How fast others' observations are taken in, on one core: dnstap over a socket through figures and query log of a running node; files by `anyu tap`,
# beside dnstap-read (BIND), dnstap-ldns, tshark and dnscap on the same files. What sends (fstrm_replay) runs on the other core.
# Needs util-linux; fstrm-bin, curl, and the peers (bind9-dnsutils, dnstap-ldns, tshark, dnscap); a missing peer is left out and said so.
#
#   bench/tap.sh [-r ROUNDS] [-n TRANSACTIONS] [live|files]...
set -u
cd "$(dirname "$0")/.."
rounds=3 transactions=1000000
while getopts r:n: o; do case $o in r) rounds=$OPTARG;; n) transactions=$OPTARG;; *) exit 2;; esac; done
shift $((OPTIND - 1))
modes=("$@"); [ ${#modes[@]} -gt 0 ] || modes=(live files)
tmp=$(mktemp -d -p "${TMPDIR:-/var/tmp}"); pid=
cleanup() { [ -n "$pid" ] && kill "$pid" 2>/dev/null; wait 2>/dev/null; [ -n "${KEEP:-}" ] && echo "kept $tmp" >&2 || rm -rf "$tmp"; }
trap cleanup EXIT
CGO_ENABLED=0 go build -o "$tmp/anyu" ./cmd/anyu && CGO_ENABLED=0 go build -o "$tmp/taps" ./bench/taps || exit 2
"$tmp/taps" -transactions "$transactions" -dnstap "$tmp/crowd.tap" -pcap "$tmp/crowd.pcap" || exit 2
messages=$((2 * transactions)) hz=$(getconf CLK_TCK)
have() { command -v "$1" >/dev/null || { echo "$1 is not installed: left out" >&2; return 1; }; }
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
metric() { curl -s http://127.0.0.1:18053/metrics | awk -v n="$1" 'index($1, n) == 1 { s += $2 } END { printf "%d\n", s }'; }

# live: messages/s from the first to the last one taken in, drops, and CPU a message. Two senders: one that gathers frames as servers do (bench/taps), and fstrm_replay with a system call
# for each frame, whose own speed fstrm_capture into /dev/null shows.
live() {
  have fstrm_replay && have fstrm_capture && have curl || return
  for _ in $(seq "$rounds"); do
    through gathered "$tmp/taps" -send "$tmp/tap.sock" -dnstap "$tmp/crowd.tap"
    through replay fstrm_replay -t protobuf:dnstap.Dnstap -u "$tmp/tap.sock" -r "$tmp/crowd.tap"
    rm -f "$tmp/cap.sock"; taskset -c 0 fstrm_capture -t protobuf:dnstap.Dnstap -u "$tmp/cap.sock" -w /dev/null >/dev/null 2>&1 & pid=$!; sleep 0.5
    local from to; from=$(date +%s%N); taskset -c 1 fstrm_replay -t protobuf:dnstap.Dnstap -u "$tmp/cap.sock" -r "$tmp/crowd.tap" >/dev/null 2>&1; to=$(date +%s%N)
    kill "$pid"; wait "$pid" 2>/dev/null; pid=
    echo "null $messages $(( (to - from) / 1000000 ))"
  done | awk '
    $1 == "null" { printf "fstrm_replay into fstrm_capture -w /dev/null: %d messages in %d ms (%d/s)\n", $2, $3, $2 * 1000 / $3; next }
    { printf "dnstap (%s) through figures and log: %d of '$messages' messages in %d ms (%d/s), dropped %d by the tap, %d in all, %d ns of CPU a message until taken in, %d rows kept\n", $1, $2, $3, $2 * 1000 / $3, $4, $5, $6, $7 }'
}
through() { # NAME SENDER...
  local name=$1 before from to n=0 last=-1; shift
  rm -rf "$tmp/data" "$tmp/tap.sock"
  taskset -c 0 "$tmp/anyu" serve --dns 127.0.0.1:15300 --http 127.0.0.1:18053 --data "$tmp/data" --tap "bench=dnstap+unix:$tmp/tap.sock" >"$tmp/log" 2>&1 &
  pid=$!
  for _ in $(seq 50); do [ -S "$tmp/tap.sock" ] && break; sleep 0.1; done
  sleep 1
  before=$(ticks); from=$(date +%s%N)
  taskset -c 1 "$@" >/dev/null 2>&1
  to=$(date +%s%N)
  while n=$(metric anyu_tap_messages_total); [ "$n" -lt "$messages" ] && [ "$n" != "$last" ]; do last=$n; sleep 0.3; to=$(date +%s%N); done
  local cpu=$(( ($(ticks) - before) * 1000000000 / hz / messages ))
  sleep 2
  echo "$name $n $(( (to - from) / 1000000 )) $(metric anyu_tap_dropped_total) $(metric anyu_dropped_total) $cpu $(metric anyu_log_rows_total)"
  kill "$pid"; wait "$pid" 2>/dev/null; pid=
}

# files: seconds of one core, of the process and nothing else.
files() {
  local f
  for _ in $(seq "$rounds"); do
    for f in tap pcap; do
      file "anyu tap --quiet" $f "$tmp/anyu" tap --quiet "$tmp/crowd.$f"
      file "anyu tap" $f "$tmp/anyu" tap "$tmp/crowd.$f"
    done
    have dnstap-read && file "dnstap-read" tap dnstap-read "$tmp/crowd.tap"
    have dnstap-ldns && file "dnstap-ldns -q" tap dnstap-ldns -q -r "$tmp/crowd.tap"
    have tshark && file "tshark -T fields (4 of DNS)" pcap tshark -r "$tmp/crowd.pcap" -T fields -e frame.time_epoch -e ip.src -e dns.qry.name -e dns.flags.rcode
    have dnscap && file "dnscap -g" pcap dnscap -g -r "$tmp/crowd.pcap"
  done >"$tmp/results"
  echo "| program | file | messages/s, median | |"; echo "|---|---|---|---|"
  cut -d'|' -f1,2 "$tmp/results" | sort -u | while IFS='|' read -r name f; do
    awk -F'|' -v n="$name" -v f="$f" '$1 == n && $2 == f { print $3 }' "$tmp/results" | sort -n | awk -v n="$name" -v f="$f" '{ v[NR] = $1 } END { printf "| %s | %s | %d | %d rounds |\n", n, f, v[int((NR + 1) / 2)], NR }'
  done
}
file() { # NAME KIND COMMAND...
  local name=$1 kind=$2 from to; shift 2
  from=$(date +%s%N); taskset -c 0 "$@" >/dev/null 2>&1; to=$(date +%s%N)
  echo "$name|$kind|$((messages * 1000 / ((to - from) / 1000000 + 1)))"
}
echo "$transactions transactions; commit $(git rev-parse --short HEAD); $(date -u +%FT%TZ);$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), kernel $(uname -r)"
for m in "${modes[@]}"; do $m; done
