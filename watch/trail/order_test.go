package trail_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/trail"
)

// What is below a name lies together in a segment, however it came; within a name by type, then time.
func TestSegments_areInTheOrderOfTracing(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	r := rand.New(rand.NewPCG(1, 2))
	var names []wire.Name
	for _, text := range []string{"org.", "example.org.", "a.example.org.", "www.a.example.org.", "b.example.org.", "WWW.b.example.ORG.", `x\.y.example.org.`, "ab.example.org.", "xexample.org.", "cn.", "a.cn.", "."} {
		n, err := wire.ParseName(text)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n)
	}
	var qs []*event.Query
	for range 5000 {
		q := s.question(begin, r.IntN(900))
		q.Name, q.Type = names[r.IntN(len(names))], []uint16{1, 28, 65}[r.IntN(3)]
		qs = append(qs, q)
	}
	qs[17].Name = nil
	put(t, l, qs...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[trail.Row](onlyFile(t, filepath.Join(s.opts.Dir, "date=*", "hour=*", "*.parquet")))
	if err != nil || len(rows) != 5000 {
		t.Fatal(len(rows), err)
	}
	key := func(r trail.Row) string {
		k := "!"
		if r.Name != "" {
			n, err := wire.ParseName(r.Name)
			if err != nil {
				t.Fatal(err)
			}
			k = "+" + string(wire.AppendKey(nil, n, wire.Root()))
		}
		typ, _ := wire.ParseType(r.Type)
		return fmt.Sprintf("%s\x00%05d|%020d", k, typ, r.Time)
	}
	for i := range rows[1:] {
		a, b := rows[i], rows[i+1]
		if strings.Compare(key(a), key(b)) > 0 {
			t.Fatalf("row %d: %q before %q", i, key(a), key(b))
		}
	}
}

// Times may be of any hour, also before 1970: a capture says what it likes.
func TestSegments_ofManyHours(t *testing.T) {
	s := settle(t)
	s.opts.Retain = 100 * 365 * 24 * time.Hour
	l := s.open(t)
	for i, at := range []time.Time{begin, begin.Add(-400 * 24 * time.Hour), time.Date(1969, 12, 31, 23, 59, 59, 5000, time.UTC), begin.Add(time.Hour), begin} {
		q := s.question(begin, i)
		q.Time = at.UnixNano()
		put(t, l, q)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(s.opts.Dir, "date=*", "hour=*", "*.parquet"))
	var hours []string
	for _, f := range files {
		dir, _ := filepath.Rel(s.opts.Dir, filepath.Dir(f))
		hours = append(hours, dir)
	}
	want := []string{"date=1969-12-31/hour=23", "date=2025-10-19/hour=12", "date=2026-11-23/hour=12", "date=2026-11-23/hour=13"}
	if !slices.Equal(hours, want) {
		t.Errorf("hours %v, want %v", hours, want)
	}
}
