package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/store"
	"anyu/watch/store/storetest"
	"anyu/watch/trail"
)

var tables = store.Tables{Database: "anyu", Table: "queries", Cluster: "anyu"}

// The same questions give the same rows from segments and from two shards behind a Distributed table.
func TestSearch_answersAsSegmentsDo(t *testing.T) {
	cluster := storetest.New(t, 2)
	cluster.Start(t, 0)
	cluster.Start(t, 1)
	dir, names, found := t.TempDir(), event.NewNames(), &noted{}
	opts := trail.Options{Dir: filepath.Join(dir, "log"), Node: "n1", Names: names, Findings: found, SyncEvery: 5 * time.Millisecond, SegmentRows: 2000,
		Rules: []trail.Rule{{Clients: []netip.Prefix{netip.MustParsePrefix("192.0.0.0/24")}, OneOf: 4}}}
	log, err := trail.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().UTC().Truncate(24 * time.Hour).Add(-30 * time.Minute) // over midnight in UTC, and not in the servers' zone
	const asked = 20_000
	for n := range asked {
		log.Observe(question(names, begin.Add(time.Duration(n/2)*300*time.Millisecond), n)) // two rows each time
		if n%1000 == 0 {
			log.Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, store.Options{Dir: filepath.Join(dir, "store"), Log: opts.Dir, Node: "n1", Addresses: cluster.Addresses, Tables: tables, Findings: found, Batch: 700})
	defer s.Close()
	drained(t, s, time.Minute)
	segments, err := trail.Look(opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	if _, err := segments.Each(t.Context(), trail.Filter{}, func(*trail.Row) error { rows++; return nil }); err != nil || rows == 0 || rows == asked {
		t.Fatalf("%d rows of %d questions, some of which are sampled: %v", rows, asked, err)
	}
	if st := s.Status(); int(st.Sent) != rows || st.Lost != 0 {
		t.Errorf("sent %d, lost %d of %d", st.Sent, st.Lost, rows)
	}
	search, err := store.NewSearch(cluster.Addresses, tables, store.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer search.Close()
	for i := range cluster.Addresses { // both have some
		one, err := store.NewSearch(cluster.Addresses[i:i+1], store.Tables{Database: "anyu", Table: "queries_local"}, store.Access{})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, one); n == 0 || n == rows {
			t.Errorf("shard %d has %d of %d rows", i, n, rows)
		}
		one.Close()
	}
	prefix := netip.MustParsePrefix
	at := func(n int) time.Time { return begin.Add(time.Duration(n/2) * 300 * time.Millisecond) }
	for i, f := range []trail.Filter{
		{}, {Limit: 1}, {Limit: 7}, {Limit: 9999},
		{Name: "n0123.example.org"}, {Name: "N0123.EXAMPLE.ORG."}, {Name: "nothere.example.org"}, {Name: "*.example.net", Limit: 1000}, {Name: "*.org", Limit: 5}, {Name: "*.xample.org"},
		{Name: "*.n0123.example.org"}, {Name: "*."}, {Name: `a\.'\\b.example.net`},
		{Client: prefix("192.0.2.0/24"), Limit: 10000}, {Client: prefix("192.0.0.0/23"), Limit: 10000}, {Client: prefix("192.0.1.77/32")}, {Client: prefix("2001:db8:1::/48")}, {Client: prefix("::/0")}, {Client: prefix("0.0.0.0/0")},
		{Answer: prefix("203.0.113.0/25"), Limit: 1000}, {Answer: prefix("203.0.113.56/32")}, {Answer: prefix("2001:db8:7::/48")}, {Answer: prefix("::/0"), Limit: 1000}, {Answer: prefix("198.51.100.0/24")},
		{Rcode: "NXDOMAIN"}, {Rcode: "none"}, {Type: "AAAA"}, {Type: "A"}, {Zone: "example.org."}, {Zone: "other."}, {Source: "self"}, {Source: "'; DROP TABLE x"}, {Node: "n1"}, {Node: "n2"},
		{From: at(5000), To: at(5200), Limit: 1000}, {To: at(1000)}, {From: at(19000), Limit: 50},
	} {
		want, err := segments.Rows(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := search.Rows(context.Background(), f)
		if err != nil {
			t.Errorf("question %d %+v: %v", i, f, err)
			continue
		}
		if g, w := texts(t, got.Rows), texts(t, want.Rows); !slices.Equal(g, w) {
			t.Errorf("question %d %+v: %d rows, segments give %d; first %.300q and %.300q", i, f, len(g), len(w), first(g), first(w))
		}
		if got.Complete != want.Complete || !got.Complete && !got.Since.Equal(want.Since) {
			t.Errorf("question %d %+v: complete %v since %v, segments say %v %v", i, f, got.Complete, got.Since, want.Complete, want.Since)
		}
		each := func(e func(context.Context, trail.Filter, func(*trail.Row) error) (int, error)) (list []trail.Row) {
			if _, err := e(context.Background(), f, func(r *trail.Row) error { list = append(list, *r); return nil }); err != nil {
				t.Fatal(err)
			}
			return list
		}
		if g, w := texts(t, each(search.Each)), texts(t, each(segments.Each)); !slices.Equal(g, w) {
			t.Errorf("question %d %+v: each gives %d rows, of segments %d", i, f, len(g), len(w))
		}
		for name, column := range map[string]string{"client": "client", "name": "qname", "rcode": "rcode"} {
			tops := trail.NewTops(name)
			if _, err := segments.Each(t.Context(), f, tops.Add); err != nil {
				t.Fatal(err)
			}
			want, err := search.Top(t.Context(), f, column, 20)
			if got := tops.Ranking(20); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("question %d %+v: %v\nClickHouse counts %+v\n%v, segments  %+v", i, f, column, want, err, got)
			}
		}
	}
}

// What is erased from segments is erased from the cluster, also by a server that was down then; other rows stay as they are.
func TestErase_reachesEveryServer(t *testing.T) {
	cluster := storetest.New(t, 2)
	cluster.Start(t, 0)
	cluster.Start(t, 1)
	dir, names, found := t.TempDir(), event.NewNames(), &noted{}
	var s *store.Store
	opts := trail.Options{Dir: filepath.Join(dir, "log"), Node: "n1", Names: names, Findings: found, SegmentRows: 1000, Witness: forward{func() *store.Store { return s }}}
	log, err := trail.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	sending := store.Options{Dir: filepath.Join(dir, "store"), Log: opts.Dir, Node: "n1", Addresses: cluster.Addresses, Tables: tables, Findings: found, Batch: 1000}
	s = open(t, sending)
	begin := time.Now().UTC().Truncate(time.Hour).Add(-time.Hour)
	for n := range 8000 {
		log.Observe(question(names, begin.Add(time.Duration(n)*100*time.Millisecond), n))
		if n%1000 == 999 {
			log.Flush()
			time.Sleep(50 * time.Millisecond)
		}
	}
	e := trail.Erasure{Client: netip.MustParsePrefix("192.0.1.0/24")}
	drained(t, s, time.Minute)
	if s.Status().Sent == 0 {
		t.Fatal("nothing was sent that could be erased")
	}
	if _, _, err := log.Erase(t.Context(), e, func(trail.Replacement) error { return nil }); err != nil { // which makes segments of everything first
		t.Fatal(err)
	}
	drained(t, s, time.Minute)
	cluster.Kill(1)
	if err := s.Erase(e); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := s.Close(); err != nil { // the node ends before the server is back
		t.Fatal(err)
	}
	cluster.Start(t, 1)
	s = open(t, sending)
	defer s.Close()
	segments, err := trail.Look(opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	search, err := store.NewSearch(cluster.Addresses, tables, store.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer search.Close()
	all := func(each func(context.Context, trail.Filter, func(*trail.Row) error) (int, error)) []string {
		var list []trail.Row
		if _, err := each(context.Background(), trail.Filter{}, func(r *trail.Row) error { list = append(list, *r); return nil }); err != nil {
			t.Fatal(err)
		}
		return texts(t, list)
	}
	want := all(segments.Each)
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		got := all(search.Each)
		if slices.Equal(got, want) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d rows, of segments %d; first %.400q and %.400q", len(got), len(want), first(got), first(want))
		}
	}
	// The rows are empty a moment before the last server's word for it is on disk.
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(sending.Dir, "erasures.jsonl"))
		if err == nil && len(text) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it is still kept whose data it was: %s %v", text, err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// texts are rows with everything that is in them, in an order of their own: rows of one time have none.
func texts(t *testing.T, rows []trail.Row) (list []string) {
	t.Helper()
	for i := range rows {
		b, err := json.Marshal(&rows[i])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%d %s %s", rows[i].Time, b, rows[i].Segment))
	}
	slices.Sort(list)
	return list
}
