package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/watch/store/storetest"
)

// A node with a cluster of two shards sends what it logs, shows its figures, and a trace in the cluster says what one in the segments says.
func TestTrace_inClickHouse(t *testing.T) {
	cluster := storetest.New(t, 2)
	cluster.Start(t, 0)
	cluster.Start(t, 1)
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "anyu.yaml")
	text := fmt.Sprintf("data: %s\nlog:\n  clickhouse:\n    addresses: [%s]\n    cluster: anyu\n    interval: 1s\n    search: true\nzones:\n  - name: example.org\n    file: %s\n",
		data, strings.Join(cluster.Addresses, ", "), writeZone(t, dir, 1, 2))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := serve(t, data, "--config", file)
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	for range 3 {
		p.ask("ns.example.org.")
	}
	p.stopped(t)
	stopped := time.Now().UTC().Format(time.RFC3339Nano)
	// What the last seconds left is sent by the next run.
	p = serve(t, data, "--config", file)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if out, _ := run(t, "trace", "--config", file, "--name", "ns.example.org", "--json"); strings.Count(out, "\n") == 3 {
			break
		}
		if time.Now().After(end) {
			out, _ := run(t, "control", "status", "--data", data)
			t.Fatalf("not in ClickHouse:\n%s\n%s", out, p.out)
		}
	}
	reply, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(reply.Body)
	reply.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`anyu_store_up{server="` + cluster.Addresses[0] + `"} 1`, "anyu_store_rows_total ", "anyu_store_lag_seconds ", "anyu_store_lost_total 0"} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	page, err := http.Get("http://" + p.http + "/api/anyu/log?name=ns.example.org") // search: true
	if err != nil {
		t.Fatal(err)
	}
	text2, err := io.ReadAll(page.Body)
	page.Body.Close()
	if err != nil || strings.Count(string(text2), `"qname":"ns.example.org."`) != 3 {
		t.Errorf("the console finds in the cluster: %v\n%s", err, text2)
	}
	if out, status := run(t, "control", "status", "--data", data); status != 0 || !strings.Contains(out, "clickhouse "+cluster.Addresses[0]) {
		t.Errorf("%d %s", status, out)
	}
	p.stopped(t)
	for _, asked := range [][]string{{"--name", "*.example.org", "--json"}, {"--top", "name", "--name", "*.org"}, {"--top", "type", "--json"}, {"--client", "127.0.0.0/8", "--name", "ns.example.org"}, {"--name", "nobody.asked.example"}} {
		until := append([]string{"trace", "--data", data, "--config", file, "--until", stopped}, asked...)
		want, wanted := run(t, append(until, "--store", "segments")...)
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			got, status := run(t, append(until, "--store", "clickhouse")...)
			if lines(got) == lines(want) && status == wanted {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%q: ClickHouse %d\n%s\nsegments %d\n%s", asked, status, got, wanted, want)
			}
		}
	}
	if out, status := run(t, "trace", "--config", file, "--export", filepath.Join(dir, "case.zip")); status != 2 || !strings.Contains(out, "segments") {
		t.Errorf("%d %s", status, out)
	}
	// A restored backup does not trust its journal, and sends nothing twice.
	rows, _ := run(t, "trace", "--data", data, "--config", file, "--store", "clickhouse", "--name", "ns.example.org")
	again := filepath.Join(dir, "again")
	for _, args := range [][]string{{"backup", filepath.Join(dir, "copy"), "--data", data}, {"restore", filepath.Join(dir, "copy"), "--data", again}} {
		if out, status := run(t, args...); status != 0 {
			t.Fatalf("%q: %d %s", args, status, out)
		}
	}
	if err := os.WriteFile(filepath.Join(again, "store", "sent.jsonl"), nil, 0o640); err != nil { // as if it had been made before anything was sent
		t.Fatal(err)
	}
	p = serve(t, again, "--config", file)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(again, "store", "doubted")); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("still in doubt:\n%s", p.out)
		}
	}
	p.stopped(t)
	if now, _ := run(t, "trace", "--data", data, "--config", file, "--store", "clickhouse", "--name", "ns.example.org"); lines(now) != lines(rows) {
		t.Errorf("before\n%s\nafter a restored backup\n%s", rows, now)
	}
	out, status := run(t, "clickhouse", "tables", "--config", file)
	if status != 0 || !strings.Contains(out, "CREATE TABLE IF NOT EXISTS anyu.queries_local\n") || !strings.Contains(out, "Distributed(anyu, anyu, queries_local)") {
		t.Errorf("%d %s", status, out)
	}
	if out, status := run(t, "clickhouse", "tables", "--create", "--config", file); status != 0 {
		t.Errorf("%d %s", status, out)
	}
}

// lines are the rows of an answer: rows of one time stand in no order, and how many were read is another matter in each store.
func lines(out string) string {
	list := []string{}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "no row fits") {
			list = append(list, line)
		}
	}
	return strings.Join(list, "")
}
