package node_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anyu/house/port"
	"anyu/node"
	"anyu/watch/ledger"
	"anyu/watch/trail"
)

// What commands change is kept with who did it, what only looks is not; a reload says which keys changed, not what they are.
func TestLedger_keepsActsAndRules(t *testing.T) {
	n := startNode(t, port.Free(t), "")
	control(t, n, "status")
	control(t, n, "flush", "www.example.org")
	n.configure("answers: {payload: 1400}\n")
	control(t, n, "reload")
	n.stop()
	var kept []string
	if err := ledger.Each(filepath.Join(n.data, node.LedgerDir), func(e ledger.Entry) bool {
		text := fmt.Sprintf("%s %s", e.Kind, e.Subject)
		for _, f := range e.Facts {
			text += " " + f.Name + "=" + f.Value
		}
		kept = append(kept, text)
		if e.Kind == ledger.Audit && e.Who == "" {
			t.Errorf("nobody did %s", text)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"rule configuration", "audit flush args=www.example.org by=anyu control", "rule configuration changed=answers.payload", "audit reload args= by=anyu control", "audit stop"}
	if !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}

// The node notices that what it keeps was changed, says so, and ends the finding when it is as it was.
func TestLedger_checkedByTheNode(t *testing.T) {
	n := startNode(t, port.Free(t), "")
	control(t, n, "flush", "all")
	open := func() bool { return slices.Contains(node.OpenFindings(n.Node), "ledger-check") }
	node.CheckLedger(n.Node, time.Now())
	if open() {
		t.Fatal("a good ledger is a finding")
	}
	path := filepath.Join(n.data, node.LedgerDir, "entries.jsonl")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(bytes.Index(good, []byte("flush")))
	put := func(word string) { // in place: the finding is an entry of its own meanwhile
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(word), at); err != nil {
			t.Fatal(err)
		}
	}
	put("clean")
	node.CheckLedger(n.Node, time.Now())
	if !open() {
		t.Error("an altered entry is no finding")
	}
	put("flush")
	node.CheckLedger(n.Node, time.Now())
	if open() {
		t.Error("the finding stays")
	}
	if strings.Contains(string(good), "secret") {
		t.Error("a secret is in the ledger")
	}
}

// logged runs a node in a folder with a query log, in which the questions are that wait for it.
func logged(t *testing.T, dir string) *running {
	t.Helper()
	return startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), "log: {queries: true}\n")
}

// entries are those of a data folder, with their facts, as text.
func entries(t *testing.T, data string) (list []string) {
	t.Helper()
	if err := ledger.Each(filepath.Join(data, node.LedgerDir), func(e ledger.Entry) bool {
		text := fmt.Sprintf("%s %s", e.Kind, e.Subject)
		for _, f := range e.Facts {
			text += " " + f.Name + "=" + f.Value
		}
		list = append(list, text)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func holds(t *testing.T, data string) {
	t.Helper()
	r, err := ledger.Verify(ledger.Verification{Data: data, Log: node.LogDir, Now: time.Now().Add(time.Hour)})
	if err != nil || len(r.Problems) > 0 {
		t.Errorf("%v %+v", err, r)
	}
	if err == nil && r.Segments == 0 {
		t.Error("there is no segment that could be unknown")
	}
}

// A ledger that is damaged while the node runs is moved aside, and another begins, with the segments there are: no restart is needed.
func TestLedger_goesOnAfterDamage(t *testing.T) {
	n := logged(t, t.TempDir())
	n.stop()
	n = logged(t, n.data)
	dir := filepath.Join(n.data, node.LedgerDir)
	if err := os.Truncate(filepath.Join(dir, "entries.jsonl"), 10); err != nil {
		t.Fatal(err)
	}
	control(t, n, "flush", "www.example.org")
	if !slices.Contains(node.OpenFindings(n.Node), "ledger") {
		t.Error("no finding says that the ledger was damaged")
	}
	control(t, n, "flush", "ns.example.org")
	n.stop()
	list := strings.Join(entries(t, n.data), "\n")
	for _, want := range []string{"loss ledger old=ledger.damaged-", "audit flush args=www.example.org", "audit flush args=ns.example.org", "found=without an entry, when this ledger began"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	if aside, _ := filepath.Glob(dir + ".damaged-*"); len(aside) != 1 {
		t.Errorf("moved aside: %q", aside)
	}
	holds(t, n.data)
}

// Segments that were closed while no ledger could be opened are noted once one can, and say so; acts are kept from then on without a restart.
func TestLedger_notesLaterWhatItCouldNotTake(t *testing.T) {
	n := logged(t, t.TempDir())
	n.stop()
	dir := filepath.Join(n.data, node.LedgerDir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	n = logged(t, n.data)
	if !slices.Contains(node.OpenFindings(n.Node), "ledger") {
		t.Error("no finding says that there is no ledger")
	}
	n.stop() // its segment is closed without a ledger
	n = logged(t, n.data)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	node.RetryLedger(n.Node)
	control(t, n, "flush", "www.example.org")
	n.stop()
	list := strings.Join(entries(t, n.data), "\n")
	for _, want := range []string{"audit flush args=www.example.org", "noted later="} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	holds(t, n.data)
}

// Personal data is taken out of the log: each segment is an entry with its old one, verify accepts that and nothing else, and proofs of before hold.
func TestErase_isAnEntryAndNothingElseIs(t *testing.T) {
	n := logged(t, t.TempDir())
	dir := filepath.Join(n.data, node.LedgerDir)
	before, err := ledger.Head(dir)
	if err != nil {
		t.Fatal(err)
	}
	log, err := trail.Look(filepath.Join(n.data, node.LogDir))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a row is in the append-only file", func() bool {
		found, err := log.Rows(t.Context(), trail.Filter{})
		return err == nil && len(found.Rows) > 0 && found.Rows[0].Segment == ""
	})
	control(t, n, "erase", "127.0.0.0/8", "", "", "request 17")
	found, err := log.Rows(t.Context(), trail.Filter{})
	if err != nil || len(found.Rows) == 0 {
		t.Fatal(found, err)
	}
	for _, r := range found.Rows {
		if r.Client != "" || r.ClientPort != nil {
			t.Errorf("%+v still has its client", r)
		}
	}
	var erased ledger.Entry
	if err := ledger.Each(dir, func(e ledger.Entry) bool {
		if e.Kind == ledger.Erased {
			erased = e
		}
		for _, f := range e.Facts {
			if strings.Contains(f.Value, "127.0.0.0/8") {
				t.Errorf("entry %d keeps whose data it was: %+v", e.N, e)
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if erased.Old == nil || erased.Why != "request 17" || erased.Who == "" || erased.Rows == 0 {
		t.Fatalf("%+v", erased)
	}
	n.stop()
	holds(t, n.data)
	r, err := ledger.Verify(ledger.Verification{Data: n.data, Log: node.LogDir, Now: time.Now().Add(time.Hour), Checkpoint: before})
	if err != nil || len(r.Problems) > 0 || r.Erased != 1 {
		t.Errorf("with the checkpoint of before: %v %+v", err, r)
	}
	// One octet more, and it is no erasure any more.
	path := filepath.Join(n.data, filepath.FromSlash(erased.Subject))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err = ledger.Verify(ledger.Verification{Data: n.data, Log: node.LogDir, Now: time.Now().Add(time.Hour)})
	if err != nil || len(r.Problems) != 1 || r.Problems[0].What != ledger.Altered || r.Problems[0].Subject != erased.Subject {
		t.Errorf("%v %+v", err, r)
	}
}
