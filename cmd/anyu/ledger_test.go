package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyu/watch/ledger"
)

// stopped ends the process and waits.
func (p *process) stopped(t testing.TB) {
	t.Helper()
	p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("anyu does not stop:\n%s", p.out)
	}
}

// verified runs ledger verify.
func verified(t testing.TB, data string, args ...string) (r ledger.Result, status int) {
	t.Helper()
	out, status := run(t, append([]string{"ledger", "verify", "--json", "--data", data}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r, status
}

// A running node keeps its log's segments, acts and rules in the ledger. One flipped octet is found and named; so is a folder put back, with a
// checkpoint kept elsewhere; a backup verifies as its original does.
func TestLedger_fromServeToVerify(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := writeZone(t, dir, 1, 2)
	p := serve(t, data, "--zone", "example.org="+file)
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	if out, status := run(t, "control", "flush", "all", "--data", data); status != 0 {
		t.Fatal(out)
	}
	early, status := run(t, "ledger", "checkpoint", "--data", data)
	if status != 0 {
		t.Fatal(early)
	}
	backup := filepath.Join(dir, "backup")
	if out, status := run(t, "backup", backup, "--data", data); status != 0 {
		t.Fatal(out)
	}
	p.stopped(t)
	late, _ := run(t, "ledger", "checkpoint", "--data", data)
	for name, text := range map[string]string{"early": early, "late": late} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, status := verified(t, data, "--checkpoint", filepath.Join(dir, "early"))
	if status != 0 || r.Segments == 0 || r.Kinds[ledger.Audit] == 0 || r.Kinds[ledger.Rule] == 0 || !r.Compared {
		t.Fatalf("status %d, %+v", status, r)
	}
	if r, status := verified(t, backup); status != 0 || r.Kinds[ledger.Audit] == 0 {
		t.Errorf("the backup: status %d, %+v", status, r)
	}
	if r, status := verified(t, backup, "--checkpoint", filepath.Join(dir, "late")); status != 1 || r.Problems[0].What != ledger.RolledBack {
		t.Errorf("an older folder: status %d, %+v", status, r)
	}
	segments, _ := filepath.Glob(filepath.Join(data, "log", "*", "*", "*.parquet"))
	rel, err := filepath.Rel(data, segments[0])
	if err != nil {
		t.Fatal(err)
	}
	proof, status := run(t, "ledger", "prove", rel, "--data", data)
	if status != 0 {
		t.Fatal(proof)
	}
	proofs := filepath.Join(dir, "proofs.json")
	os.WriteFile(proofs, []byte(proof), 0o644)
	check := []string{"ledger", "check", proofs, "--key", filepath.Join(data, "ledger", "key.pub"), "--files", filepath.Dir(segments[0])}
	if out, status := run(t, check...); status != 0 || !strings.Contains(out, "1 proofs hold") {
		t.Errorf("%d %s", status, out)
	}
	elsewhere := append(slices.Clone(check[:len(check)-1]), t.TempDir()) // as a court has it: the proofs without the segments
	if out, status := run(t, elsewhere...); status != 0 || !strings.Contains(out, "1 of their files are not in") {
		t.Errorf("without the segment: %d %s", status, out)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(segments[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	r, status = verified(t, data)
	if status != 1 || len(r.Problems) != 1 || r.Problems[0].What != ledger.Altered || r.Problems[0].Subject != filepath.ToSlash(rel) {
		t.Errorf("a flipped bit: status %d, %+v", status, r.Problems)
	}
	if out, status := run(t, check...); status != 1 {
		t.Errorf("the proof of another file: %d %s", status, out)
	}
	if r, status := verified(t, data, "--quick"); status != 0 || r.Read {
		t.Errorf("by sizes only: status %d, %+v", status, r.Problems)
	}
}

// A damaged ledger is moved aside as it is, the node serves, and a finding says so.
func TestLedger_damagedIsMovedAside(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	serve(t, data).stopped(t)
	entries := filepath.Join(data, "ledger", "entries.jsonl")
	if err := os.WriteFile(entries, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	p := serve(t, data)
	if out, _ := run(t, "control", "status", "--json", "--data", p.data); !strings.Contains(out, `"open_findings": 1`) {
		t.Errorf("no finding:\n%s", out)
	}
	if aside, _ := filepath.Glob(filepath.Join(data, "ledger.damaged-*", "checkpoint")); len(aside) != 1 {
		t.Errorf("%v", aside)
	}
	p.stopped(t)
	if r, status := verified(t, data); status != 1 || r.Kinds[ledger.Loss] != 1 { // the segments of before have no entry any more
		t.Logf("status %d, %+v", status, r)
	}
	if out, _ := run(t, "ledger", "list", "--kind", "loss", "--data", data); !strings.Contains(out, "damaged") {
		t.Errorf("the new ledger does not tell of the old one: %s", out)
	}
}

func TestLedger_wrongUseSaysWhatToWrite(t *testing.T) {
	for args, want := range map[string]string{
		"":                            "ledger takes verify",
		"burn":                        "no command",
		"verify --data nowhere":       "--data",
		"verify --key nosuchfile":     "--key",
		"check nosuchfile":            "nosuchfile",
		"prove --data nowhere":        "name entries",
		"verify more":                 "flags only",
		"checkpoint --data nowhere":   "checkpoint",
		"list --data nowhere":         "ledger",
		"verify --checkpoint nowhere": "nowhere",
	} {
		out, status := run(t, append([]string{"ledger"}, strings.Fields(args)...)...)
		if status != 2 || !strings.Contains(out, want) {
			t.Errorf("ledger %s: status %d, %q", args, status, out)
		}
	}
}
