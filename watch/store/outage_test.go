package store_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/store"
	"anyu/watch/store/storetest"
	"anyu/watch/trail"
)

// ClickHouse is killed and away while the log goes on at 50,000 rows a second: the log waits for nothing, and every row is there once in the end.
// What an hour of it would be is that rate and the octets of a row, which are in the log of this test; nothing depends on how long it takes.
func TestStore_losesNothingWhileTheClusterIsDown(t *testing.T) {
	cluster := storetest.New(t, 2)
	cluster.Start(t, 0)
	cluster.Start(t, 1)
	dir, names, found := t.TempDir(), event.NewNames(), &noted{}
	opts := store.Options{Dir: filepath.Join(dir, "store"), Log: filepath.Join(dir, "log"), Node: "n1", Addresses: cluster.Addresses, Tables: tables, Findings: found, Spool: 1 << 40}
	var current atomic.Pointer[store.Store]
	kept := trail.Options{Dir: opts.Log, Node: "n1", Names: names, Findings: found, SegmentRows: 50_000, Witness: forward{current.Load},
		Holds: func(path string) bool { return current.Load().Holds(path) }}
	log, err := trail.Open(kept)
	if err != nil {
		t.Fatal(err)
	}
	current.Store(open(t, opts))
	const rate, batch = 50_000, 500
	written, begin := 0, time.Now().UTC()
	load := func(seconds float64) {
		until := written + int(seconds*rate)
		start, from := time.Now(), written
		for ; written < until; written += batch {
			for i := range batch {
				log.Observe(question(names, begin.Add(time.Duration(written+i)*20*time.Microsecond), written+i))
			}
			log.Flush()
			time.Sleep(time.Until(start.Add(time.Duration(written+batch-from) * time.Second / rate)))
		}
	}
	load(4)
	before := current.Load().Status()
	cluster.Kill(0)
	load(3) // one shard is gone
	cluster.Kill(1)
	load(6) // both are
	during := current.Load().Status()
	if during.Segments == 0 || during.Octets == 0 || during.Since.IsZero() {
		t.Errorf("nothing waits while the cluster is down: %+v", during)
	}
	if log.Dropped() > 0 {
		t.Errorf("the log dropped %d rows", log.Dropped())
	}
	// The node dies as well, and begins again.
	if err := current.Load().Close(); err != nil {
		t.Fatal(err)
	}
	current.Store(open(t, opts))
	load(1)
	back := time.Now()
	cluster.Start(t, 0)
	load(2)
	cluster.Start(t, 1)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	// What Close had no time for (under the race detector) becomes segments after the next start.
	for left := []string{""}; len(left) > 0; left, _ = filepath.Glob(filepath.Join(opts.Log, "wal", "*.wal")) {
		again, err := trail.Open(kept)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	drained(t, current.Load(), 2*time.Minute)
	took := time.Since(back)
	search, err := store.NewSearch(cluster.Addresses, tables, store.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer search.Close()
	there, twice := map[int64]int{}, 0
	if _, err := search.Each(context.Background(), trail.Filter{}, func(r *trail.Row) error { there[r.Time]++; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, n := range there { // each has a time of its own
		if n > 1 {
			twice++
		}
	}
	if len(there) != written || twice > 0 {
		t.Errorf("%d rows written: %d are there, %d of them twice", written, len(there), twice)
	}
	st := current.Load().Status()
	if st.Lost > 0 {
		t.Errorf("%d rows lost", st.Lost)
	}
	if err := current.Load().Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows written at %d/s, both servers killed, the store closed and opened; before %d rows were sent; while they were down %d segments waited with %d octets, %.1f octets a row: an hour at this rate is %.1f GB; all there %v after the first server was back, none twice",
		written, rate, before.Sent, during.Segments, during.Octets, float64(during.Octets)/float64(during.Segments)/50_000, float64(during.Octets)/float64(during.Segments)/50_000*rate*3600/1e9, took.Round(100*time.Millisecond))
}
