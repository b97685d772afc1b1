package node_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"anyu/house/port"
	"anyu/node"
	"anyu/watch/ledger"
	"anyu/watch/ledger/witness"
)

// A running node has its head co-signed; what it keeps is a checkpoint that verify takes; a witness that has seen another history is a finding.
func TestWitness_cosignsTheNodesLedger(t *testing.T) {
	dir := t.TempDir()
	first := startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), "") // makes the ledger's key, which a witness is given
	first.stop()
	l, err := ledger.Open(filepath.Join(dir, node.LedgerDir), "")
	if err != nil {
		t.Fatal(err)
	}
	key := l.Key()
	l.Close()
	secret, public, err := witness.NewKey("w.example/1")
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.New(t.TempDir(), secret, []string{key}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	lies := false
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if lies {
			out.WriteHeader(http.StatusConflict)
			fmt.Fprintln(out, 1_000_000)
			return
		}
		w.ServeHTTP(out, r)
	}))
	defer server.Close()
	n := startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), fmt.Sprintf("ledger: {witnesses: [{url: %q, key: %q}]}\n", server.URL, public))
	if err := node.AskWitnesses(t.Context(), n.Node); err != nil {
		t.Fatal(err)
	}
	text, err := node.Witnessed(dir)
	if err != nil {
		t.Fatal(err)
	}
	by, err := witness.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	if when, err := witness.Cosigned(text, by); err != nil || len(when) != 1 {
		t.Errorf("%v %v\n%s", when, err, text)
	}
	lies = true
	if err := node.AskWitnesses(t.Context(), n.Node); err == nil || !slices.Contains(node.OpenFindings(n.Node), "ledger-witness") {
		t.Errorf("%v, findings %v", err, node.OpenFindings(n.Node))
	}
	lies = false
	if err := node.AskWitnesses(t.Context(), n.Node); err != nil || slices.Contains(node.OpenFindings(n.Node), "ledger-witness") {
		t.Errorf("%v, findings %v", err, node.OpenFindings(n.Node))
	}
	n.stop()
	r, err := ledger.Verify(ledger.Verification{Data: dir, Log: node.LogDir, Now: time.Now(), Checkpoint: text})
	if err != nil || len(r.Problems) > 0 || !r.Compared {
		t.Errorf("%v %+v", err, r)
	}
}
