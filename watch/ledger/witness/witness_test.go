package witness

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"anyu/watch/ledger"
)

var quiet = slog.New(slog.DiscardHandler)

// watched is a ledger, and a witness of it behind HTTP.
type watched struct {
	t       *testing.T
	dir     string
	book    *ledger.Ledger
	witness *Witness
	server  *httptest.Server
	by      note.Verifier
	n       int
}

func begin(t *testing.T) *watched {
	t.Helper()
	w := &watched{t: t, dir: t.TempDir()}
	w.book = w.open(filepath.Join(w.dir, "ledger"))
	secret, public, err := NewKey("witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	if w.by, err = NewVerifier(public); err != nil {
		t.Fatal(err)
	}
	if w.witness, err = New(filepath.Join(w.dir, "witness"), secret, []string{w.book.Key()}, quiet); err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.witness)
	t.Cleanup(w.server.Close)
	w.add(3)
	return w
}

func (w *watched) open(dir string) *ledger.Ledger {
	w.t.Helper()
	l, err := ledger.Open(dir, "ns1")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	return l
}

func (w *watched) add(n int) {
	w.t.Helper()
	for range n {
		w.n++
		if err := w.book.Append(time.Now(), &ledger.Entry{Kind: ledger.Audit, Subject: fmt.Sprint("act ", w.n)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *watched) ask(l *ledger.Ledger) ([]byte, error) {
	w.t.Helper()
	head, text, prove, err := l.Consistency()
	if err != nil {
		w.t.Fatal(err)
	}
	return Ask(w.t.Context(), http.DefaultClient, w.server.URL, w.by, text, head.Size, prove)
}

// C2SP tlog-witness: a witness co-signs trees that hold the last one, at any size; the ledger's own check and that of another take the result.
func TestWitness_cosignsWhatGrows(t *testing.T) {
	w := begin(t)
	for _, more := range []int{0, 0, 1, 5, 100} {
		w.add(more)
		text, err := w.ask(w.book)
		if err != nil {
			t.Fatal(err)
		}
		when, err := Cosigned(text, w.by)
		if err != nil || time.Since(when["witness.example/w1"]) > time.Minute {
			t.Errorf("%v %v\n%s", when, err, text)
		}
		if c, err := ledger.OpenCheckpoint(text, w.book.Key()); err != nil || c.Size != w.book.Size() {
			t.Errorf("%+v %v", c, err)
		}
	}
	r, err := ledger.Verify(ledger.Verification{Data: w.dir, Now: time.Now(), Checkpoint: func() []byte { b, _ := w.ask(w.book); return b }()})
	if err != nil || len(r.Problems) > 0 || !r.Compared {
		t.Errorf("%+v %v", r, err)
	}
}

// A folder that was put back, and one that was made anew with the same key, are refused, by the next witness process, too.
func TestWitness_refusesAnotherHistory(t *testing.T) {
	w := begin(t)
	old := filepath.Join(w.dir, "old")
	if err := os.CopyFS(old, os.DirFS(filepath.Join(w.dir, "ledger"))); err != nil {
		t.Fatal(err)
	}
	w.add(4)
	if _, err := w.ask(w.book); err != nil {
		t.Fatal(err)
	}
	back := w.open(old)
	var refused *Refused
	if _, err := w.ask(back); !errors.As(err, &refused) || !strings.Contains(err.Error(), "older state") {
		t.Errorf("a folder that was put back: %v", err)
	}
	for n := range 10 {
		if err := back.Append(time.Now(), &ledger.Entry{Kind: ledger.Audit, Subject: fmt.Sprint("another act ", n)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ask(back); !errors.As(err, &refused) {
			t.Errorf("another history of %d entries: %v", back.Size(), err)
		}
	}
	if _, err := w.ask(w.book); err != nil {
		t.Errorf("the true one is refused after that: %v", err)
	}
	stranger := w.open(filepath.Join(w.dir, "stranger"))
	if err := stranger.Append(time.Now(), &ledger.Entry{Kind: ledger.Audit}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask(stranger); err == nil {
		t.Error("a ledger with another key is co-signed")
	}
}

// C2SP tlog-witness, add-checkpoint: the statuses.
func TestWitness_statuses(t *testing.T) {
	w := begin(t)
	_, text, _, err := w.book.Consistency()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if status, _ := w.witness.Add(append([]byte("old 0\n\n"), text...), now); status != 200 {
		t.Fatal(status)
	}
	w.add(2)
	_, text, prove, err := w.book.Consistency()
	if err != nil {
		t.Fatal(err)
	}
	proof, err := prove(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(p tlog.TreeProof) (s string) {
		for _, h := range p {
			s += h.String() + "\n"
		}
		return s
	}
	other := bytes.Replace(text, []byte("\n5\n"), []byte("\n6\n"), 1)
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"nothing", "", 400}, {"no size", "old x\n\n" + string(text), 400}, {"a leading zero", "old 03\n\n" + string(text), 400}, {"no proof", "old 3\n\n" + string(text), 422},
		{"a wrong old size", "old 0\n\n" + string(text), 409}, {"an old size beyond", "old 6\n\n" + string(text), 400}, {"an unknown ledger", "old 0\n\nother\n5\nAAAA\n", 404},
		{"altered", "old 3\n" + lines(proof) + "\n" + string(other), 403}, {"a proof of another", "old 3\n" + lines(append(tlog.TreeProof{proof[0]}, proof...)) + "\n" + string(text), 422},
		{"64 hashes", "old 3\n" + strings.Repeat(proof[0].String()+"\n", 64) + "\n" + string(text), 400}, {"right", "old 3\n" + lines(proof) + "\n" + string(text), 200},
		{"the same again", "old 5\n\n" + string(text), 200}, {"the same with a proof", "old 5\n" + lines(proof) + "\n" + string(text), 422},
	} {
		status, answer := w.witness.Add([]byte(c.body), now)
		if status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, status, answer, c.status)
		}
		if c.name == "a wrong old size" && string(answer) != "3\n" {
			t.Errorf("%q", answer)
		}
	}
}

// C2SP tlog-cosignature, Format: the key ID is made of the name, 0x04 and the key; the example of that page has this form.
func TestCosigner_isOfTheForm(t *testing.T) {
	secret, public, err := NewKey("witness.example.com/w1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCosigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	c.now = time.Unix(1679315147, 0)
	text := "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	signed, err := note.Sign(&note.Note{Text: text}, c)
	if err != nil {
		t.Fatal(err)
	}
	by, err := NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(by))
	if err != nil || len(n.Sigs) != 1 {
		t.Fatal(n, err)
	}
	b, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || len(b) != 4+8+ed25519.SignatureSize {
		t.Fatal(len(b), err)
	}
	if !ed25519.Verify(c.key.Public().(ed25519.PublicKey), []byte("cosignature/v1\ntime 1679315147\n"+text), b[12:]) {
		t.Error("the signed message is another one")
	}
	b[11]++ // another time
	if by.Verify([]byte(text), b[4:]) {
		t.Error("the time is not signed")
	}
}

func FuzzAdd(f *testing.F) {
	f.Add([]byte("old 0\n\nns1\n5\nAAAA\n\n— ns1 AAAA\n"))
	f.Add([]byte("old 3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\nx\n"))
	secret, _, err := NewKey("w")
	if err != nil {
		f.Fatal(err)
	}
	_, key, err := note.GenerateKey(sevens{}, "ns1")
	if err != nil {
		f.Fatal(err)
	}
	w, err := New(f.TempDir(), secret, []string{key}, quiet)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if status, _ := w.Add(body, time.Unix(1, 0)); status == http.StatusOK {
			t.Errorf("%q is co-signed", body)
		}
	})
}

// sevens make a key that signed nothing.
type sevens struct{}

func (sevens) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 7
	}
	return len(b), nil
}
