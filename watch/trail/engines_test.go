package trail_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"anyu/watch/trail"
)

// The log is read by others as it is. The statements are those of docs/formats/log.md.
func TestSegments_areReadByOtherEngines(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	put(t, l, s.answered(t), s.question(begin, 6), s.question(begin, 2000)) // the last one an hour later
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile("testdata/schema1/hour13.parquet")
	if err != nil {
		t.Fatal(err)
	}
	// A segment that was written before there were answers, beside the new ones.
	if err := os.WriteFile(filepath.Join(s.opts.Dir, "date=2026-11-23/hour=13/n0-old.parquet"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	all := filepath.Join(s.opts.Dir, "date=*", "hour=*", "*.parquet")
	for _, c := range []struct{ name, engine, sql, want string }{
		{"types", "duckdb", `SELECT time::VARCHAR AS at, client, qname, rcode, latency_us, upstream, answers, answer_ttl, answers_left_out, answer_ips FROM read_parquet('ALL', union_by_name = true)
			WHERE list_contains(answer_ips, '2001:db8::7')`,
			`{"at":"2026-11-23 12:59:59.005+00","client":"192.0.2.5","qname":"n005.example.org.","rcode":"NXDOMAIN","latency_us":"1500","upstream":"198.51.100.7",` +
				`"answers":["n005.example.org. CNAME www.example.net.","www.example.net. AAAA 2001:db8::7","www.example.net. TXT \"A \\\"b\\\"\""],"answer_ttl":60,"answers_left_out":0,"answer_ips":["2001:db8::7"]}`},
		{"partitions", "duckdb", `SELECT hour, count(*)::INTEGER AS n, count(answers)::INTEGER AS seen FROM read_parquet('ALL', union_by_name = true, hive_partitioning = true) WHERE date = '2026-11-23' GROUP BY hour ORDER BY hour`,
			`{"hour":"12","n":2,"seen":1}` + "\n" + `{"hour":"13","n":11,"seen":0}`},
		{"passive DNS", "duckdb", `SELECT split_part(a, ' ', 1) AS rrname, split_part(a, ' ', 2) AS rrtype, min(epoch(time))::BIGINT AS time_first, count(*)::INTEGER AS n
			FROM (SELECT time, unnest(answers) AS a FROM read_parquet('ALL', union_by_name = true)) GROUP BY 1, 2, a ORDER BY rrtype`,
			`{"rrname":"www.example.net.","rrtype":"AAAA","time_first":"1795438799","n":1}` + "\n" + `{"rrname":"n005.example.org.","rrtype":"CNAME","time_first":"1795438799","n":1}` + "\n" +
				`{"rrname":"www.example.net.","rrtype":"TXT","time_first":"1795438799","n":1}`},
		{"types", "chdb", `SELECT toUnixTimestamp64Micro(time) AS at, client, qname, answers, answer_ttl FROM file('ALL', 'Parquet') WHERE has(answer_ips, '2001:db8::7') SETTINGS use_hive_partitioning = 0`,
			`{"at":1795438799005000,"client":"192.0.2.5","qname":"n005.example.org.","answers":["n005.example.org. CNAME www.example.net.","www.example.net. AAAA 2001:db8::7","www.example.net. TXT \"A \\\"b\\\"\""],"answer_ttl":60}`},
		{"top", "chdb", `SELECT client, count() AS n FROM file('ALL', 'Parquet') WHERE endsWith(qname, '.example.org.') GROUP BY client ORDER BY n DESC, client LIMIT 2 SETTINGS use_hive_partitioning = 0`,
			`{"client":"192.0.2.5","n":4}` + "\n" + `{"client":"192.0.2.3","n":2}`},
	} {
		got := ask(t, c.engine, strings.ReplaceAll(c.sql, "ALL", all))
		if got != c.want {
			t.Errorf("%s, %s: got\n%s\nwant\n%s", c.engine, c.name, got, c.want)
		}
	}
	look, err := trail.Look(s.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := look.Rows(t.Context(), trail.Filter{}); err != nil || len(found.Rows) != 13 {
		t.Errorf("%d rows, %v", len(found.Rows), err)
	}
}

// ask gives what an engine answers, a JSON object a line.
func ask(t *testing.T, engine, sql string) string {
	t.Helper()
	folder := os.Getenv("ANYU_ENGINES")
	if home, err := os.UserHomeDir(); folder == "" && err == nil {
		folder = filepath.Join(home, ".cache", "anyu-engines")
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "chdb")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no engines: %v; .ci/engines puts them there", err)
		}
		t.Skipf("SKIPPED: %v: that DuckDB and ClickHouse read the log is not tried; .ci/engines gets them", err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/engines/ask.mjs", engine, folder)
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.Output()
	if err != nil {
		text := ""
		if exit, ok := err.(*exec.ExitError); ok {
			text = string(exit.Stderr)
		}
		t.Fatalf("%s: %v\n%s", engine, err, text)
	}
	return strings.TrimSpace(string(out))
}
