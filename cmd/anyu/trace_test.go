package main_test

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/watch/ledger"
)

// What was asked is found while the node runs and after it stopped, counted, exported with proofs; and every look is in the ledger.
func TestTrace_rowsTopsAndEvidence(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := serve(t, data, "--zone", "example.org="+writeZone(t, dir, 1, 2))
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	for range 3 {
		p.ask("ns.example.org.")
	}
	p.stopped(t)
	out, status := run(t, "trace", "--data", data, "--name", "*.example.org", "--client", "127.0.0.0/8", "--since", "1h", "--json", "--limit", "2")
	var row struct{ When, Client, Qname, Rcode string }
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &row); err != nil || status != 0 {
		t.Fatalf("%d %v %s", status, err, out)
	}
	if row.Client != "127.0.0.1" || row.Qname != "ns.example.org." || row.Rcode != "NOERROR" || row.When == "" {
		t.Errorf("%+v", row)
	}
	// Of one name: how often the other was asked until its zone was there is the machine's affair.
	out, status = run(t, "trace", "--data", data, "--top", "name", "--name", "ns.example.org", "--json")
	var top struct {
		Value string
		Count int
	}
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &top); err != nil || status != 0 || top.Value != "ns.example.org." || top.Count != 3 {
		t.Errorf("%d %v %s", status, err, out)
	}
	if out, status := run(t, "trace", "--data", data, "--name", "nobody.asked.example"); status != 1 || !strings.Contains(out, "no row fits") {
		t.Errorf("%d %s", status, out)
	}
	file := filepath.Join(dir, "case.zip")
	if out, status := run(t, "trace", "--data", data, "--name", "ns.example.org", "--export", file, "--reason", "case 7"); status != 0 {
		t.Fatal(out)
	}
	if out, status := run(t, "trace", "--data", data, "--export", file); status != 2 {
		t.Errorf("a package was written over: %s", out)
	}
	parts := unzipped(t, file)
	if n := strings.Count(parts["rows.jsonl"], "\n"); n != 3 || !strings.Contains(parts["report.md"], "case 7") {
		t.Errorf("%d rows; %s", n, parts["report.md"])
	}
	proofs := filepath.Join(dir, "proofs.json")
	os.WriteFile(proofs, []byte(parts["proofs.json"]), 0o644)
	if out, status := run(t, "ledger", "check", proofs, "--key", filepath.Join(data, "ledger", "key.pub")); status != 0 || !strings.Contains(out, "3 proofs hold") {
		t.Errorf("%d %s", status, out)
	}
	if r, status := verified(t, data); status != 0 || r.Kinds[ledger.Trace] != 6 {
		t.Errorf("status %d, %d traces kept: %+v", status, r.Kinds[ledger.Trace], r.Problems)
	}
}

func unzipped(t *testing.T, path string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	parts := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[f.Name] = string(b)
	}
	return parts
}

func TestTrace_wrongUseSaysWhatToWrite(t *testing.T) {
	for args, want := range map[string]string{
		"--client ten":             "an address or a prefix",
		"--since yesterday":        "30d",
		"--until 2026-13-01":       "30d",
		"--top colour":             "there are answer, client",
		"--name a*.example":        "whole labels",
		"--limit 0":                "from 1",
		"www.example.org":          "--name www.example.org",
		"--data nowhere --name x.": "--data",
	} {
		if out, status := run(t, append([]string{"trace"}, strings.Fields(args)...)...); status != 2 || !strings.Contains(out, want) {
			t.Errorf("trace %s: status %d, %q", args, status, out)
		}
	}
}

// Who was told an address, when, and what a name's records were: of a node that runs, and of the segments that it leaves.
func TestTrace_answersTimelineAndPassiveDNS(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := serve(t, data, "--zone", "example.org="+writeZone(t, dir, 1, 2))
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	p.ask("ns.example.org.")
	time.Sleep(1500 * time.Millisecond) // rows are safe, and shown, after a second
	check := func(where string) {
		trace := func(args ...string) (string, int) {
			return run(t, append([]string{"trace", "--data", data}, args...)...)
		}
		if out, status := trace("--answer", "192.0.2.2", "--json"); status != 0 || !strings.Contains(out, `"answers":["www.example.org. A 192.0.2.2"]`) || strings.Contains(out, `"qname":"ns.`) {
			t.Errorf("%s: --answer: %d %s", where, status, out)
		}
		if out, status := trace("--answer", "203.0.113.0/24"); status != 1 || !strings.Contains(out, "no row fits") {
			t.Errorf("%s: another answer: %d %s", where, status, out)
		}
		if out, status := trace("--top", "answer", "--name", "www.example.org"); status != 0 || !strings.Contains(out, "192.0.2.2") {
			t.Errorf("%s: --top answer: %d %s", where, status, out)
		}
		if out, status := trace("--timeline", "--answer", "192.0.2.2"); status != 0 || !strings.Contains(out, "██████") {
			t.Errorf("%s: --timeline: %d %s", where, status, out)
		}
		var bar struct {
			From  time.Time
			Count int
		}
		out, status := trace("--timeline=day", "--answer", "192.0.2.2", "--json")
		if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &bar); err != nil || status != 0 || bar.Count < 1 || time.Since(bar.From) > 25*time.Hour {
			t.Errorf("%s: --timeline=day: %d %v %s", where, status, err, out)
		}
		var record struct {
			RRName, RRType, RData string
			TimeFirst             int64 `json:"time_first"`
			TimeLast              int64 `json:"time_last"`
			Count                 int
		}
		out, status = trace("--pdns", "--name", "www.example.org", "--json")
		if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &record); err != nil || status != 0 || record.RRName != "www.example.org." || record.RRType != "A" || record.RData != "192.0.2.2" ||
			record.Count < 1 || record.TimeFirst > record.TimeLast || time.Now().Unix()-record.TimeFirst > 600 || !strings.Contains(out, "bailiwick is not known") {
			t.Errorf("%s: --pdns: %d %v %s", where, status, err, out)
		}
	}
	check("running")
	p.stopped(t)
	check("stopped")
	for _, wrong := range [][]string{{"--top", "latency"}, {"--timeline=week"}, {"--pdns", "--top", "name"}, {"--answer", "here"}} {
		if out, status := run(t, append([]string{"trace", "--data", data}, wrong...)...); status != 2 {
			t.Errorf("%v: %d %s", wrong, status, out)
		}
	}
}
