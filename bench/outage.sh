#!/usr/bin/env bash
# A ClickHouse cluster that is away for an hour, in real time: a node answers and logs, the server is killed and started again MINUTES later, and every answer
# must be there once. Needs clickhouse-server, clickhouse-client, dnsperf, dnsutils, curl.
#
#   bench/outage.sh [-m MINUTES] [-q QPS]
set -u
cd "$(dirname "$0")/.."
minutes=60 qps=2000
while getopts m:q: o; do case $o in m) minutes=$OPTARG;; q) qps=$OPTARG;; *) exit 2;; esac; done
tmp=$(mktemp -d -p "${TMPDIR:-/var/tmp}"); pid= house=
cleanup() { kill $pid 2>/dev/null; kill -9 $house 2>/dev/null; wait 2>/dev/null; rm -rf "$tmp"; }
trap cleanup EXIT
CGO_ENABLED=0 go build -o "$tmp/anyu" ./cmd/anyu && go run ./bench/makezone -names 100000 -zone "$tmp/bench.zone" -queries "$tmp/queries" -kind plain || exit 2
dns=127.0.0.1:$((20000 + RANDOM % 10000)) http=127.0.0.1:$((30000 + RANDOM % 10000)) native=$((40000 + RANDOM % 10000))
cat >"$tmp/config.xml" <<END
<yandex><logger><level>warning</level><log>$tmp/ch.log</log><errorlog>$tmp/ch.err</errorlog></logger>
<tcp_port>$native</tcp_port><listen_host>127.0.0.1</listen_host><mark_cache_size>67108864</mark_cache_size>
<path>$tmp/ch/</path><tmp_path>$tmp/chtmp/</tmp_path><users_config>$tmp/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database></yandex>
END
cat >"$tmp/users.xml" <<END
<yandex><profiles><default><max_memory_usage>2000000000</max_memory_usage></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
<quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas></yandex>
END
house() { (cd "$tmp" && exec clickhouse-server --config-file="$tmp/config.xml") >/dev/null 2>&1 & house=$!; }
ask() { clickhouse-client --port "$native" --query "$1"; }
load() { dnsperf -s "${dns%:*}" -p "${dns#*:}" -d "$tmp/queries" -Q "$qps" -l "$1" -c 8 2>&1 | sed -n 's/.*Queries completed: *\([0-9]*\).*/\1/p'; }
waiting() { curl -s "http://$http/metrics" | awk '/^anyu_store_waiting_/ && !/#/ { printf "%s ", $2 }'; }
cat >"$tmp/anyu.yaml" <<END
log:
  clickhouse:
    addresses: ["127.0.0.1:$native"]
    interval: 1m
END
house
"$tmp/anyu" serve --dns $dns --http $http --data "$tmp/data" --no-limits --zone "bench.test=$tmp/bench.zone" --config "$tmp/anyu.yaml" >"$tmp/anyu.log" 2>&1 & pid=$!
for _ in $(seq 100); do ask 'select 1' >/dev/null 2>&1 && dig +time=1 +tries=1 +short @${dns%:*} -p ${dns#*:} ns1.bench.test >/dev/null && break; sleep 0.2; done
answered=$(load 90)
before=$(ask 'select count() from anyu.queries')
kill -9 $house; gone=$(date +%s); echo "$(date -u +%T) killed; $answered answered, $before there"
answered=$((answered + $(load $((minutes * 60)))))
read -r octets segments <<<"$(waiting)"
echo "$(date -u +%T) started again after $((($(date +%s) - gone) / 60)) minutes; $segments segments wait with $(printf '%.0f' "$octets") octets"
house; back=$(date +%s)
answered=$((answered + $(load 90)))
for _ in $(seq 600); do
  read -r octets segments <<<"$(waiting)"
  kept=$(curl -s "http://$http/metrics" | awk '/^anyu_log_rows_total/ { printf "%d", $2 }')
  there=$(ask 'select count() from anyu.queries' 2>/dev/null)
  awk -v s="${segments:-1}" -v t="${there:-0}" -v k="$kept" 'BEGIN { exit !(s == 0 && t >= k) }' && break
  sleep 1
done
echo "$(date -u +%T) $answered questions answered, $kept rows kept, $there there ($(ask 'select uniqExact(time, client_port, qname) from anyu.queries') different), lost: $(curl -s "http://$http/metrics" | awk '/^anyu_store_lost_total/ { print $2 }'), $(($(date +%s) - back)) s after it was back; $(git rev-parse --short HEAD)"
