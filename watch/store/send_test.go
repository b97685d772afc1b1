package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/trail"
)

// pretended is a server that fails as it is told to.
type pretended struct {
	mu     sync.Mutex
	rows   map[string]int // "segment row": how often
	blocks int
	fail   func(block int) (before, after error) // the rows are there after the second, not after the first
	gone   error
	asked  int
	other  *pretended // of the same cluster
}

func (p *pretended) prepare(context.Context) error { p.mu.Lock(); defer p.mu.Unlock(); return p.gone }

func (p *pretended) insert(_ context.Context, rows []trail.Row, segment string, first int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocks++
	var before, after error
	if p.fail != nil {
		before, after = p.fail(p.blocks)
	}
	if before != nil {
		return before
	}
	for i := range rows {
		p.rows[fmt.Sprint(segment, " ", first+int64(i))]++
	}
	return after
}

func (p *pretended) present(_ context.Context, block step, anywhere bool) (map[int64]bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	has := map[int64]bool{}
	for n := block.Rows; n < block.End; n++ {
		if p.rows[fmt.Sprint(block.Segment, " ", n)] > 0 || anywhere && p.other != nil && p.other.rows[fmt.Sprint(block.Segment, " ", n)] > 0 {
			has[n] = true
		}
	}
	return has, p.gone
}

// once tells what is not there, and what is there more than once.
func once(t *testing.T, wanted int, all ...*pretended) {
	t.Helper()
	n := 0
	for _, p := range all {
		for row, times := range p.rows {
			n++
			if times != 1 {
				t.Errorf("%s is there %d times", row, times)
			}
		}
	}
	if n != wanted {
		t.Errorf("%d rows are there, want %d", n, wanted)
	}
}

type sink struct {
	mu  sync.Mutex
	all []event.Finding
}

func (s *sink) Report(f event.Finding) { s.mu.Lock(); s.all = append(s.all, f); s.mu.Unlock() }
func (s *sink) kinds() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, f := range s.all {
		fmt.Fprintf(&b, "%s:%v ", f.Kind, f.Open())
	}
	return b.String()
}

// segmentsOf makes a log with segments of 1,000 rows.
func segmentsOf(t *testing.T, dir string, rows int) {
	t.Helper()
	names := event.NewNames()
	log, err := trail.Open(trail.Options{Dir: dir, Node: "n1", Names: names, Findings: &sink{}, SegmentRows: 1000, SyncEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for n := range rows {
		log.Observe(&event.Query{Has: event.HasTime, Time: begin.Add(time.Duration(n) * time.Millisecond).UnixNano(), Type: 1, Class: 1, Name: []byte("\x03www\x07example\x03org\x00")})
		if n%1000 == 999 {
			log.Flush()
			for log.Kept() < uint64(n+1) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// pretend opens a store with pretended servers.
func pretend(t *testing.T, dir string, found *sink, spool int64, all map[string]*pretended) *Store {
	t.Helper()
	opts := Options{Dir: filepath.Join(dir, "store"), Log: filepath.Join(dir, "log"), Node: "n1", Tables: Tables{Database: "d", Table: "q"}, Findings: found, Batch: 300, Spool: spool, faster: 1000}
	for address := range all {
		opts.Addresses = append(opts.Addresses, address)
	}
	opts.connect = func(address string) (target, error) { return all[address], nil }
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wait(t *testing.T, s *Store) {
	t.Helper()
	for range 2000 {
		if s.Status().Segments == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("still waiting: %+v", s.Status())
}

// A block that failed before or after it was written is there once: the server is asked before it is sent again.
func TestStore_asksBeforeItSendsAgain(t *testing.T) {
	dir := t.TempDir()
	segmentsOf(t, filepath.Join(dir, "log"), 5000)
	cut := errors.New("the connection was cut")
	p := &pretended{rows: map[string]int{}, fail: func(n int) (before, after error) {
		switch n % 4 {
		case 1:
			return cut, nil
		case 3:
			return nil, cut
		}
		return nil, nil
	}}
	found := &sink{}
	s := pretend(t, dir, found, 1<<40, map[string]*pretended{"a:9000": p})
	wait(t, s)
	once(t, 5000, p)
	if p.asked == 0 {
		t.Error("the server was never asked")
	}
	if st := s.Status(); st.Sent != 5000 {
		t.Errorf("sent %d", st.Sent)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The next run knows what was sent.
	again := &pretended{rows: map[string]int{}}
	s = pretend(t, dir, found, 1<<40, map[string]*pretended{"a:9000": again})
	wait(t, s)
	once(t, 0, again)
	s.Close()
}

// A process that died between a block and its answer asks as well; other segments go on to other servers meanwhile.
func TestStore_clearsUpWhatADeadProcessLeft(t *testing.T) {
	dir := t.TempDir()
	segmentsOf(t, filepath.Join(dir, "log"), 5000)
	list, err := trail.Segments(filepath.Join(dir, "log"))
	if err != nil || len(list) < 5 {
		t.Fatal(list, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "store"), 0o750); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"segment":%q,"rows":300,"end":600,"server":"a:9000"}`+"\n"+`{"segment":%q,"rows":0,"en`, list[0].Path, list[1].Path)
	if err := os.WriteFile(filepath.Join(dir, "store", journalFile), []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	a, b := &pretended{rows: map[string]int{}, gone: errors.New("down")}, &pretended{rows: map[string]int{}}
	for n := range 450 { // those before, and half of the block
		a.rows[fmt.Sprint(list[0].Path, " ", n)] = 1
	}
	found := &sink{}
	s := pretend(t, dir, found, 1<<40, map[string]*pretended{"a:9000": a, "b:9000": b})
	for range 2000 {
		if s.Status().Segments == 1 && strings.Contains(found.kinds(), "store-unreachable:true") {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // it goes on waiting
	st := s.Status()
	if st.Segments != 1 || len(b.rows) == 0 {
		t.Errorf("what server a has to clear up waits for it, and nothing else does: %+v", st)
	}
	if k := found.kinds(); !strings.Contains(k, "store-unreachable:true") {
		t.Errorf("findings %s", k)
	}
	a.mu.Lock()
	a.gone = nil
	a.mu.Unlock()
	wait(t, s)
	once(t, 5000, a, b)
	time.Sleep(100 * time.Millisecond)
	if k := found.kinds(); !strings.Contains(k, "store-unreachable:true") || !strings.HasSuffix(k, "store-unreachable:false ") {
		t.Errorf("findings %s", k)
	}
	s.Close()
}

// What a backup brings back, or a journal that is gone, makes nothing be there twice: not on another server either.
func TestStore_asksTheClusterWhenItsJournalIsOld(t *testing.T) {
	dir := t.TempDir()
	segmentsOf(t, filepath.Join(dir, "log"), 3000)
	list, err := trail.Segments(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"restored", "gone"} {
		a, b := &pretended{rows: map[string]int{}}, &pretended{rows: map[string]int{}}
		b.other = a
		s := pretend(t, dir, &sink{}, 1<<40, map[string]*pretended{"a:9000": a})
		wait(t, s)
		s.Close()
		before := len(a.rows)
		if how == "restored" { // of the time when the second segment was half sent
			text := fmt.Sprintf(`{"segment":%q,"rows":1000,"done":true}`+"\n"+`{"segment":%q,"rows":500,"end":500}`+"\n", list[0].Path, list[1].Path)
			if err := errors.Join(os.WriteFile(filepath.Join(dir, "store", journalFile), []byte(text), 0o640), Doubt(filepath.Join(dir, "store"))); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(filepath.Join(dir, "store", journalFile)); err != nil {
			t.Fatal(err)
		}
		s = pretend(t, dir, &sink{}, 1<<40, map[string]*pretended{"b:9000": b})
		wait(t, s)
		s.Close()
		if len(b.rows) > 0 || before != 3000 || b.asked == 0 {
			t.Errorf("%s: %d rows were sent to another server again, %d were there", how, len(b.rows), before)
		}
		if _, err := os.Stat(filepath.Join(dir, "store", doubtFile)); err == nil {
			t.Errorf("%s: it would go on asking for ever", how)
		}
		os.Remove(filepath.Join(dir, "store", journalFile))
	}
}

// More than the spool does not wait: it is counted, and a finding says so.
func TestStore_countsWhatTheSpoolCannotHold(t *testing.T) {
	dir := t.TempDir()
	segmentsOf(t, filepath.Join(dir, "log"), 5000)
	list, _ := trail.Segments(filepath.Join(dir, "log"))
	p := &pretended{rows: map[string]int{}, gone: errors.New("down")}
	found := &sink{}
	total := int64(0)
	for _, f := range list {
		total += f.Octets
	}
	s := pretend(t, dir, found, total-list[0].Octets, map[string]*pretended{"a:9000": p})
	if s.Holds(list[0].Path) {
		t.Error("the oldest is held although the spool is full")
	}
	os.Remove(filepath.Join(dir, "log", filepath.FromSlash(list[0].Path)))
	s.Removed(list[0].Path)
	if !s.Holds(list[1].Path) {
		t.Error("the next is not held although there is room")
	}
	if st := s.Status(); st.Lost != 1000 || st.Segments != len(list)-1 {
		t.Errorf("%+v", st)
	}
	p.mu.Lock()
	p.gone = nil
	p.mu.Unlock()
	wait(t, s)
	once(t, 4000, p)
	time.Sleep(100 * time.Millisecond)
	if k := found.kinds(); !strings.Contains(k, "store-spool-full:true") || !strings.Contains(k, "store-spool-full:false") {
		t.Errorf("findings %s", k)
	}
	if s.Holds(list[2].Path) {
		t.Error("what was sent is held")
	}
	s.Close()
}

// A segment that cannot be read keeps nothing up.
func TestStore_passesOverADamagedSegment(t *testing.T) {
	dir := t.TempDir()
	segmentsOf(t, filepath.Join(dir, "log"), 3000)
	list, _ := trail.Segments(filepath.Join(dir, "log"))
	if err := os.WriteFile(filepath.Join(dir, "log", filepath.FromSlash(list[1].Path)), []byte("no segment"), 0o640); err != nil {
		t.Fatal(err)
	}
	p, found := &pretended{rows: map[string]int{}}, &sink{}
	s := pretend(t, dir, found, 1<<40, map[string]*pretended{"a:9000": p})
	wait(t, s)
	once(t, 2000, p)
	if k := found.kinds(); !strings.Contains(k, "store-segment:true") {
		t.Errorf("findings %s", k)
	}
	s.Close()
}

// Days that are older than they are kept are deleted whole.
type aged struct {
	*pretended
	days    []int
	dropped []int
}

func (a *aged) partitions(context.Context) ([]int, error) { return a.days, nil }
func (a *aged) drop(_ context.Context, day int) error     { a.dropped = append(a.dropped, day); return nil }

func TestClean_dropsDaysThatAreTooOld(t *testing.T) {
	a := &aged{pretended: &pretended{}, days: []int{20260101, 20260517, 20260518, 20261124}}
	w := &worker{to: a, store: &Store{opts: Options{Days: 190, Logger: discard}}}
	if err := w.clean(t.Context(), time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.dropped); got != "[20260101 20260517]" { // 190 days before is 18 May
		t.Errorf("dropped %s", got)
	}
}
