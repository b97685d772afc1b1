#!/usr/bin/env bash
# What the query log takes on disk, beside ClickHouse with the same rows and columns in the same order, and C-DNS (RFC 8618) with xz of the same messages.
# ClickHouse is the current engine as a library (npm chdb, .ci/engines), with its own default codec (LZ4) and with ZSTD. Sizes do not depend on the machine.
#
#   bench/logsize.sh [-n ROWS] [CAPTURE...]     synthetic traffic of bench/trail, a crowd of bench/taps, and each capture
set -euo pipefail
cd "$(dirname "$0")/.."
rows=1000000
while getopts n: o; do case $o in n) rows=$OPTARG;; *) exit 2;; esac; done
shift $((OPTIND - 1))
engines=$(.ci/engines)
tmp=$(mktemp -d -p "${TMPDIR:-/var/tmp}"); trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/anyu" ./cmd/anyu; go build -o "$tmp/trail" ./bench/trail; go build -o "$tmp/taps" ./bench/taps

# clickhouse LOG: octets a row of the ten columns and of all, by codec.
clickhouse() {
  node - "$tmp/statements" "$1" <<'END'
const [out, log] = process.argv.slice(2);
const ten = "'time','client','qname','qtype','rcode','query_flags','flags','query_size','reply_size','latency_us'";
const order = "(arrayStringConcat(arrayReverse(splitByChar('.', ifNull(qname, ''))), '.'), ifNull(qtype, ''), time)";
const list = [];
for (const [name, codec] of [["lz4", "LZ4"], ["zstd", "ZSTD(3)"]]) {
  list.push(`CREATE TABLE ${name} ENGINE = MergeTree ORDER BY ${order} SETTINGS allow_nullable_key = 1, default_compression_codec = '${codec}', min_bytes_for_wide_part = 0
    AS SELECT * FROM file('${log}/date=*/hour=*/*.parquet', 'Parquet') SETTINGS use_hive_partitioning = 0`);
  list.push(`OPTIMIZE TABLE ${name} FINAL`);
  list.push(`SELECT '${codec}' AS codec, round(sumIf(column_data_compressed_bytes + column_marks_bytes, column IN (${ten})) / any(rows), 2) AS ten, round(sum(column_data_compressed_bytes + column_marks_bytes) / any(rows), 2) AS every
    FROM system.parts_columns WHERE active AND table = '${name}'`);
}
require("fs").writeFileSync(out, JSON.stringify(list));
END
  rm -rf "$tmp/tables"; mkdir "$tmp/tables"
  node watch/store/testdata/session.mjs "$engines" "$tmp/tables" <"$tmp/statements" |
    node -e 'for (const [r] of JSON.parse(require("fs").readFileSync(0, "utf8")).filter((a) => a.length)) console.log(`  ClickHouse ${r.codec}: ten columns ${r.ten}, all ${r.every}`)'
}

# compare NAME LOG [CAPTURE]
compare() {
  echo "$1"
  "$tmp/trail" --dir "$2" --sizes | sed -n 's/^\([0-9]* rows.*\)/  anyu: \1/p'
  clickhouse "$2"
  [ $# -gt 2 ] || return 0
  "$tmp/anyu" tap --quiet --json --to cdns --out "$tmp/file.cdns" "$3" >"$tmp/summary" 2>/dev/null || [ $? = 1 ] # 1: something in the capture is not right, the rest is there
  local n; n=$(node -e 'const s = JSON.parse(require("fs").readFileSync(0, "utf8")); console.log(s.matched + s.unmatched_queries + s.unmatched_responses)' <"$tmp/summary")
  xz -9 -k -T 0 "$tmp/file.cdns"
  awk -v n="$n" -v plain="$(stat -c %s "$tmp/file.cdns")" -v xz="$(stat -c %s "$tmp/file.cdns.xz")" 'BEGIN { printf "  C-DNS: %.2f, with xz -9 %.2f octets a transaction\n", plain / n, xz / n }'
  rm -f "$tmp"/file.cdns*
}

"$tmp/trail" --dir "$tmp/made" --rows "$rows" >/dev/null
compare "$rows rows of bench/trail in an hour" "$tmp/made"
"$tmp/taps" -transactions "$rows" -pcap "$tmp/crowd.pcap"
"$tmp/trail" --dir "$tmp/crowd" --capture "$tmp/crowd.pcap" >/dev/null
compare "$rows transactions of bench/taps" "$tmp/crowd" "$tmp/crowd.pcap"
for file; do
  rm -rf "$tmp/one"; "$tmp/trail" --dir "$tmp/one" --capture "$file" >/dev/null
  compare "$file" "$tmp/one" "$file"
done
