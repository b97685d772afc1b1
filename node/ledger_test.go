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
	want := []string{"rule configuration", "audit flush args=www.example.org by=anyu control", "rule configuration changed=answers.payload", "audit reload args= by=anyu control"}
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
