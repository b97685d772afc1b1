package trail_test

import (
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"anyu/watch/trail"
)

// told keeps what a witness is told.
type told struct {
	mu              sync.Mutex
	closed, removed []string
	rows            int64
}

func (w *told) Closed(path string, rows int64, from, to time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed, w.rows = append(w.closed, path), w.rows+rows
	return nil
}

func (w *told) Removed(path, why string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed = append(w.removed, path+" "+why)
	return nil
}

// A log that is only looked at gives the same rows, changes nothing, and says which segment each row is from. A name or client that is in no segment costs no
// row: the bloom filters say so.
func TestLook_findsWithoutReadingWhatCannotFit(t *testing.T) {
	s := settle(t)
	w := &told{}
	s.opts.Witness = w
	l := s.open(t)
	start := time.Now().Add(-time.Hour).Truncate(time.Hour)
	for n := range 500 {
		put(t, l, s.question(start, n))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if w.rows != 500 || len(w.closed) == 0 {
		t.Errorf("the witness was told of %d rows in %v", w.rows, w.closed)
	}
	for _, path := range w.closed {
		onlyFile(t, filepath.Join(s.opts.Dir, path))
	}
	look, err := trail.Look(s.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := look.Rows(t.Context(), trail.Filter{Limit: 1000})
	if err != nil || len(found.Rows) != 500 || !found.Complete {
		t.Fatalf("%d rows, %v", len(found.Rows), err)
	}
	name := found.Rows[0].Name
	seen := 0
	scanned, err := look.Each(t.Context(), trail.Filter{Name: name}, func(r *trail.Row) error {
		seen++
		if r.Segment == "" || r.Name != name {
			t.Errorf("%+v", r)
		}
		return nil
	})
	if err != nil || seen == 0 || scanned == 0 {
		t.Errorf("%d of %d, %v", seen, scanned, err)
	}
	for _, f := range []trail.Filter{{Name: "nobody.asked.example."}, {Client: netip.MustParsePrefix("203.0.113.77/32")}} {
		scanned, err := look.Each(t.Context(), f, func(r *trail.Row) error { t.Errorf("%+v", r); return nil })
		if err != nil || scanned != 0 {
			t.Errorf("%+v: %d rows were read, %v", f, scanned, err)
		}
	}
	if _, err := trail.Look(filepath.Join(s.opts.Dir, "nowhere")); err == nil {
		t.Error("a folder that is not there was opened")
	}
}

// Before an hour grown too old is deleted, the witness is told.
func TestRetention_tellsTheWitness(t *testing.T) {
	s := settle(t)
	w := &told{}
	s.opts.Witness = w
	s.opts.Retain = 48 * time.Hour
	l := s.open(t)
	put(t, l, s.question(time.Now().Add(-72*time.Hour), 1))
	l.Close()
	again := s.open(t) // looks for what is too old when it begins
	defer again.Close()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		w.mu.Lock()
		n := len(w.removed)
		w.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.removed) != 1 || len(w.closed) != 1 || w.removed[0] != w.closed[0]+" age" {
		t.Errorf("closed %v, removed %v", w.closed, w.removed)
	}
}
