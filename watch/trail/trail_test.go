package trail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parquet-go/parquet-go"

	"anyu/event"
	"anyu/watch/trail"
)

// noted is a sink that remembers.
type noted struct {
	mu  sync.Mutex
	all []event.Finding
}

func (n *noted) Report(f event.Finding) { n.mu.Lock(); n.all = append(n.all, f); n.mu.Unlock() }
func (n *noted) kinds() (s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.all {
		s += fmt.Sprintf("%s:%v ", f.Kind, f.Open())
	}
	return s
}

type setting struct {
	opts  trail.Options
	names *event.Names
	found *noted
}

func settle(t *testing.T) *setting {
	t.Helper()
	s := &setting{names: event.NewNames(), found: &noted{}}
	s.opts = trail.Options{Dir: filepath.Join(t.TempDir(), "log"), Node: "n1", Names: s.names, Findings: s.found, SyncEvery: 5 * time.Millisecond}
	return s
}

func (s *setting) open(t *testing.T) *trail.Trail {
	t.Helper()
	l, err := trail.Open(s.opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// question is the n-th of a made-up stream, one every millisecond from begin.
func (s *setting) question(begin time.Time, n int) *event.Query {
	client := netip.AddrFrom4([4]byte{192, 0, 2, byte(n % 7)}).As16()
	return &event.Query{
		Has:  event.HasClient | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply | event.HasZone | event.HasReason,
		Zone: s.names.ID("example.org."), Time: begin.Add(time.Duration(n) * time.Millisecond).UnixNano(), Latency: 1_500_000, Clock: event.ClockSelf,
		Client: client, ClientPort: uint16(1024 + n), QueryFlags: 0x0100, Flags: 0x8580, Rcode: uint16(3 * (n % 2)), Type: 28, Class: 1, Payload: 1232,
		Reason: event.NoReason, QuerySize: 40, ReplySize: 90, Transport: event.TLS, From: event.FromAuthority, DO: true,
		Name: append(append([]byte{4}, fmt.Sprintf("n%03d", n%1000)...), "\x07Example\x03org\x00"...),
	}
}

func put(t *testing.T, l *trail.Trail, qs ...*event.Query) {
	t.Helper()
	want := l.Kept() + uint64(len(qs))
	for _, q := range qs {
		l.Observe(q)
		l.Flush()
	}
	for end := time.Now().Add(5 * time.Second); l.Kept() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d rows kept, %d dropped", l.Kept(), want, l.Dropped())
		}
		l.Flush()
	}
}

var begin = time.Date(2026, 11, 23, 12, 59, 59, 0, time.UTC)

func TestTrail_rowsComeBackFromFileAndSegment(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	var qs []*event.Query
	for n := range 2000 { // over the end of an hour
		qs = append(qs, s.question(begin, n))
	}
	put(t, l, qs...)
	checkSearches(t, l, "append-only file")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, hour := range []string{"date=2026-11-23/hour=12", "date=2026-11-23/hour=13"} {
		if files, _ := filepath.Glob(filepath.Join(s.opts.Dir, hour, "n1-*.parquet")); len(files) != 1 {
			t.Errorf("%s has %v", hour, files)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.opts.Dir, "wal", "*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	s.names = event.NewNames() // numbers mean nothing after a restart
	s.opts.Names = s.names
	l = s.open(t)
	defer l.Close()
	checkSearches(t, l, "segments")
}

func checkSearches(t *testing.T, l *trail.Trail, where string) {
	t.Helper()
	for _, c := range []struct {
		name   string
		filter trail.Filter
		want   string // rows, first and last name, complete
	}{
		{"newest", trail.Filter{Limit: 10}, "10 n999 n990 false"},
		{"all", trail.Filter{Limit: 5000}, "2000 n999 n000 true"},
		{"a name", trail.Filter{Name: "N005.example.org"}, "2 n005 n005 true"},
		{"below a name", trail.Filter{Name: "*.example.org.", Limit: 3}, "3 n999 n997 false"},
		{"not below a name", trail.Filter{Name: "*.xample.org."}, "0 true"},
		{"a client", trail.Filter{Client: netip.MustParsePrefix("192.0.2.6/32"), Limit: 5000}, "285 n994 n006 true"},
		{"a network", trail.Filter{Client: netip.MustParsePrefix("192.0.2.0/30"), Limit: 5000}, "1144 n998 n000 true"},
		{"rcode", trail.Filter{Rcode: "NXDOMAIN", Limit: 5000}, "1000 n999 n001 true"},
		{"zone", trail.Filter{Zone: "example.org.", Limit: 1}, "1 n999 n999 false"},
		{"another zone", trail.Filter{Zone: "example.com."}, "0 true"},
		{"time", trail.Filter{From: begin.Add(500 * time.Millisecond), To: begin.Add(1500 * time.Millisecond), Limit: 5000}, "1000 n499 n500 true"},
	} {
		found, err := l.Rows(t.Context(), c.filter)
		got := fmt.Sprint(len(found.Rows))
		if n := len(found.Rows); n > 0 {
			got += " " + found.Rows[0].Name[:4] + " " + found.Rows[n-1].Name[:4]
		}
		got += fmt.Sprint(" ", found.Complete)
		if err != nil || got != c.want {
			t.Errorf("%s, %s: got %s, want %s, error %v", where, c.name, got, c.want, err)
		}
	}
	page, err := l.Rows(t.Context(), trail.Filter{Limit: 1500})
	if err != nil {
		t.Fatal(err)
	}
	rest, err := l.Rows(t.Context(), trail.Filter{Limit: 1500, To: page.Since})
	if err != nil || len(page.Rows) != 1500 || len(rest.Rows) != 500 || !rest.Complete {
		t.Errorf("%s, pages: %d and %d, %v", where, len(page.Rows), len(rest.Rows), err)
	}
	text, err := json.Marshal(page.Rows[1499])
	want := `{"time":1795438799500000,"node":"n1","source":"self","client":"192.0.2.3","client_port":1524,"transport":"tls","qname":"n500.example.org.","qname_asked":"n500.Example.org.",` +
		`"qtype":"AAAA","qclass":"IN","rcode":"NOERROR","query_flags":256,"flags":34176,"edns_payload":1232,"do":true,"query_size":40,"reply_size":90,"latency_us":1500,"from":"authority","zone":"example.org."}`
	if err != nil || string(text) != want {
		t.Errorf("%s: got %s\nwant %s", where, text, want)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if cut, err := l.Rows(ended, trail.Filter{Limit: 5000}); err != nil || cut.Complete || cut.Since.IsZero() {
		t.Errorf("%s: out of time: complete %v, since %v, %v", where, cut.Complete, cut.Since, err)
	}
}

func TestRow_unknownIsNotZero(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	put(t, l, &event.Query{Rcode: 5, Flags: 1, Latency: 7, QuerySize: 9})
	found, err := l.Rows(t.Context(), trail.Filter{})
	if err != nil || len(found.Rows) != 1 {
		t.Fatal(found, err)
	}
	r := found.Rows[0]
	if r.Rcode != "" || r.Flags != nil || r.Latency != nil || r.QuerySize != nil || r.Client != "" || r.DO != nil || r.EDE != nil || r.Name != "" {
		t.Errorf("%+v", r)
	}
	if age := time.Since(r.At()); age < 0 || age > time.Minute {
		t.Errorf("logged %v ago", age)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSegments_areMadeAtTheirSize(t *testing.T) {
	s := settle(t)
	s.opts.SegmentRows = 100
	l := s.open(t)
	for n := 0; n < 350; n += 50 {
		var qs []*event.Query
		for i := range 50 {
			qs = append(qs, s.question(begin, n+i))
		}
		put(t, l, qs...)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(s.opts.Dir, "date=*", "hour=*", "*.parquet"))
	rows := 0
	for _, file := range files {
		all, err := parquet.ReadFile[trail.Row](file)
		if err != nil {
			t.Fatal(err)
		}
		rows += len(all)
	}
	if len(files) != 4 || rows != 350 {
		t.Errorf("%d files, %d rows", len(files), rows)
	}
}

// A kill at any moment leaves a file that is cut anywhere: every row before the cut frame is there, none is invented, and the log goes on.
func TestOpen_recoversAFileCutAnywhere(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	const total = 6
	for n := range total {
		put(t, l, s.question(begin, n)) // a frame each
	}
	wal := onlyFile(t, filepath.Join(s.opts.Dir, "wal", "*.wal"))
	whole, err := os.ReadFile(wal)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	last := 0
	for cut := 0; cut <= len(whole); cut += 11 {
		rows := recovered(t, whole[:cut])
		if rows < last || rows > total {
			t.Fatalf("cut at %d: %d rows, before %d", cut, rows, last)
		}
		last = rows
	}
	if rows := recovered(t, whole); rows != total {
		t.Errorf("whole: %d rows", rows)
	}
}

// recovered is how many rows a file left by a crash gives.
func recovered(t testing.TB, text []byte) int {
	t.Helper()
	names := event.NewNames()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wal", "20261123T120000.000000001Z.wal"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	found := &noted{}
	l, err := trail.Open(trail.Options{Dir: dir, Node: "n1", Names: names, Findings: found})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "wal", "*.wal")); len(left) != 0 {
		t.Fatalf("left %v", left)
	}
	cuts, _ := filepath.Glob(filepath.Join(dir, "wal", "*.cut"))
	if (len(cuts) > 0) != strings.Contains(found.kinds(), "log-cut:false") {
		t.Errorf("cut files %v, findings %s", cuts, found.kinds())
	}
	l, err = trail.Open(trail.Options{Dir: dir, Node: "n1", Names: names, Findings: found, Off: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rows, err := l.Rows(t.Context(), trail.Filter{Limit: 5000})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows.Rows)
}

func FuzzOpen_survivesAnyFile(f *testing.F) {
	f.Add([]byte("anyulog1"))
	f.Add([]byte("anyulog1\x05\x00\x00\x00\x00\x00\x00\x00\x01abcd"))
	f.Add([]byte("anyulog1\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		recovered(t, text)
	})
}

// full is a disk that takes so many octets and no more.
type full struct {
	*os.File
	room *int
}

var errFull = errors.New("no space left on device")

func (f full) Write(b []byte) (int, error) {
	if len(b) <= *f.room {
		*f.room -= len(b)
		return f.File.Write(b)
	}
	n, _ := f.File.Write(b[:*f.room])
	*f.room = 0
	return n, errFull
}

func TestTrail_pausesWhenTheDiskIsFull(t *testing.T) {
	s := settle(t)
	room := 1000
	s.opts.Create = func(path string) (trail.AppendFile, error) {
		f, err := os.Create(path)
		return full{f, &room}, err
	}
	l := s.open(t)
	for n := range 100 {
		l.Observe(s.question(begin, n))
		l.Flush()
		time.Sleep(100 * time.Microsecond)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.found.kinds(), "log-disk:true") || strings.Contains(s.found.kinds(), "log-cut") {
		t.Errorf("findings %s", s.found.kinds())
	}
	s.opts.Create, s.opts.Off = nil, true
	again := s.open(t)
	defer again.Close()
	rows, err := again.Rows(t.Context(), trail.Filter{Limit: 1000})
	if err != nil || len(rows.Rows) == 0 || len(rows.Rows)+int(l.Dropped()) != 100 {
		t.Errorf("%d rows, %d dropped, %v", len(rows.Rows), l.Dropped(), err)
	}
}

func TestTrail_goesOnWhenTheDiskHasRoomAgain(t *testing.T) {
	s := settle(t)
	var room atomic.Bool
	s.opts.Create = func(path string) (trail.AppendFile, error) {
		if !room.Load() {
			return nil, errFull
		}
		return os.Create(path)
	}
	synctest.Test(t, func(t *testing.T) {
		l := s.open(t)
		one := func(n int) { l.Observe(s.question(begin, n)); l.Flush(); synctest.Wait() }
		one(1) // tried and lost
		one(2) // not even tried
		room.Store(true)
		time.Sleep(11 * time.Second)
		one(3)
		time.Sleep(time.Second)
		synctest.Wait()
		if l.Dropped() != 2 || l.Kept() != 1 {
			t.Errorf("%d dropped, %d kept", l.Dropped(), l.Kept())
		}
		if got := s.found.kinds(); got != "log-disk:true log-disk:false " {
			t.Errorf("findings %s", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// stuck is a disk that takes nothing until it is let go.
type stuck struct {
	*os.File
	hold chan struct{}
}

func (s stuck) Write(b []byte) (int, error) { <-s.hold; return s.File.Write(b) }

func TestObserve_neverWaitsForTheDisk(t *testing.T) {
	s := settle(t)
	hold := make(chan struct{})
	s.opts.Create = func(path string) (trail.AppendFile, error) {
		f, err := os.Create(path)
		return stuck{f, hold}, err
	}
	l := s.open(t)
	q := s.question(begin, 1)
	const total = 400_000 // more than the queue holds
	for range total {
		l.Observe(q)
		l.Flush()
	}
	dropped := l.Dropped()
	if dropped == 0 || dropped > total {
		t.Errorf("%d dropped", dropped)
	}
	close(hold)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l.Kept()+l.Dropped() != total {
		t.Errorf("%d kept, %d dropped", l.Kept(), l.Dropped())
	}
}

func TestRetention_deletesOldHoursAndSaysWhenEarly(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	now := time.Now().UTC().Truncate(time.Hour)
	for _, age := range []int{0, 1, 2, 300 * 24} {
		put(t, l, s.question(now.Add(-time.Duration(age)*time.Hour), 1))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	left := func() int {
		dirs, _ := filepath.Glob(filepath.Join(s.opts.Dir, "date=*", "hour=*"))
		return len(dirs)
	}
	if left() != 4 {
		t.Fatalf("%d hours", left())
	}
	l = s.open(t)
	l.Close()
	if left() != 3 || s.found.kinds() != "" {
		t.Errorf("by age: %d hours, findings %s", left(), s.found.kinds())
	}
	usage, err := l.Usage()
	if err != nil || !usage.Oldest.Equal(now.Add(-2*time.Hour)) {
		t.Errorf("usage %+v %v", usage, err)
	}
	s.opts.MaxBytes = usage.Bytes - 1
	l = s.open(t)
	l.Close()
	if left() != 2 || s.found.kinds() != "log-space:true " {
		t.Errorf("by space: %d hours, findings %s", left(), s.found.kinds())
	}
}

func TestOff_keepsNothing(t *testing.T) {
	s := settle(t)
	s.opts.Off = true
	l := s.open(t)
	l.Observe(s.question(begin, 1))
	l.Flush()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(s.opts.Dir, "*", "*")); len(files) != 0 || l.Dropped() != 0 {
		t.Errorf("files %v", files)
	}
}

func TestObserve_allocatesNothing(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	defer l.Close()
	q := s.question(begin, 1)
	l.Observe(q)
	if n := testing.AllocsPerRun(1000, func() { l.Observe(q) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	names := event.NewNames()
	l, err := trail.Open(trail.Options{Dir: b.TempDir(), Node: "n1", Names: names, Findings: &noted{}, Create: func(string) (trail.AppendFile, error) { return nowhere{io.Discard}, nil }})
	if err != nil {
		b.Fatal(err)
	}
	s := &setting{names: names}
	q := s.question(begin, 1)
	for b.Loop() {
		l.Observe(q)
		l.Flush()
	}
	l.Close()
}

type nowhere struct{ io.Writer }

func (nowhere) Sync() error  { return nil }
func (nowhere) Close() error { return nil }

func onlyFile(t *testing.T, pattern string) string {
	t.Helper()
	files, _ := filepath.Glob(pattern)
	if len(files) != 1 {
		t.Fatalf("%s: %v", pattern, files)
	}
	return files[0]
}
