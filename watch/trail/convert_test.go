package trail

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/event"
)

// What a row costs from the append-only file to the segment, in nanoseconds: ns/op is of a file of rows, ns/row of one.
func BenchmarkConvert(b *testing.B) {
	const rows = 250_000
	for _, kind := range []struct {
		name           string
		names, clients uint64
	}{{"authority", 100_000, 1}, {"resolver", 1_000_000, 20_000}} {
		b.Run(kind.name, func(b *testing.B) {
			text := manyRows(b, rows, kind.names, kind.clients)
			b.ReportAllocs()
			for b.Loop() {
				out := segments{dir: b.TempDir(), stem: "n1", turn: runtime.Gosched}
				if _, err := out.write(text); err != nil {
					b.Fatal(err)
				}
				if err := out.finish(); err != nil {
					b.Fatal(err)
				}
				info, err := os.Stat(out.all[0].path)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(info.Size())/rows, "octets/row")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}

// manyRows is an append-only file of one hour: names by Zipf's law where there are many clients, in turn where there is one.
func manyRows(tb testing.TB, rows int, names, clients uint64) []byte {
	opts := Options{Dir: tb.TempDir(), Names: event.NewNames(), Source: func(uint16) (string, string) { return "self", "n1" },
		Create: func(path string) (AppendFile, error) { return os.Create(path) }, Without: DefaultWithout()}
	if err := os.Mkdir(filepath.Join(opts.Dir, walDir), 0o750); err != nil {
		tb.Fatal(err)
	}
	at := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	l, err := createLog(&opts, at, "")
	if err != nil {
		tb.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	zipf, who := rand.NewZipf(r, 1.15, 12, names-1), rand.NewZipf(r, 1.05, 40, max(clients, 2)-1)
	keeps, s := leaveOut(opts.Without).packing(), slab{}
	for i := range rows {
		n, client := uint64(i)%names, uint64(1)
		if clients > 1 {
			n, client = zipf.Uint64(), who.Uint64()
		}
		q := question(n, client, r)
		q.Time = at.UnixNano() + int64(i)*int64(time.Hour)/int64(rows)
		s.buf, s.rows = keeps.pack(s.buf, q, 1), s.rows+1
		if s.rows == 256 || i == rows-1 {
			if _, err := l.append(&s, &opts); err != nil {
				tb.Fatal(err)
			}
			s.buf, s.rows = s.buf[:0], 0
		}
	}
	if err := l.file.Close(); err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(l.path)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// question is one for the nth name, answered with an address.
func question(n, client uint64, r *rand.Rand) *event.Query {
	name, err := wire.ParseName(fmt.Sprintf("host%d.zone%d.test.", n, n%100))
	if err != nil {
		panic(err)
	}
	reply := append([]byte{0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0}, name...)
	reply = append(reply, 0, 1, 0, 1, 0xC0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, byte(n>>8), byte(n))
	return &event.Query{
		Has:    event.HasClient | event.HasServer | event.HasQuery | event.HasReply | event.HasReason | event.HasLatency | event.HasZone | event.HasPolicy | event.HasTime,
		Client: netip.AddrFrom4([4]byte{10, byte(client >> 16), byte(client >> 8), byte(client)}).As16(), Server: netip.AddrFrom4([4]byte{10, 0, 0, 53}).As16(),
		ClientPort: uint16(r.Uint32()), ServerPort: 53, ID: uint16(r.Uint32()), Latency: int64(2000 + r.IntN(1000)), Clock: event.ClockSelf,
		Type: 1, Class: 1, QueryFlags: 0, Flags: binary.BigEndian.Uint16(reply[2:]), Reason: event.NoReason, QuerySize: uint16(len(reply) - 16), ReplySize: uint16(len(reply)),
		Transport: event.UDP, From: event.FromCompiled, Name: name, Reply: reply,
	}
}

// Files that wait for their segments are read from the newest rows on, and where time runs out what was found is given, with the time down to which it is all.
func TestRows_ofFilesThatWait(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir(), Node: "n1", Names: event.NewNames(), Findings: unheard{}, SegmentRows: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	l.keeping.Lock() // no segments
	const rows = 100_000
	begin, r := time.Now().Add(-time.Minute).Truncate(time.Microsecond), rand.New(rand.NewPCG(1, 2))
	for i := range rows {
		q := question(uint64(i), 1, r)
		q.Time = begin.Add(time.Duration(i) * time.Microsecond).UnixNano()
		l.Observe(q)
		l.Flush()
		for l.Pending() > 20 {
			time.Sleep(time.Millisecond)
		}
	}
	for end := time.Now().Add(20 * time.Second); l.Kept() < rows && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		l.Flush() // what is left, once the writer has nothing else
	}
	if paths, err := l.sealed(); err != nil || len(paths) < 8 {
		t.Fatal(paths, err)
	}
	at := func(i int) time.Time { return begin.Add(time.Duration(i) * time.Microsecond) }
	found, err := l.Rows(context.Background(), Filter{Limit: 10})
	if err != nil || len(found.Rows) != 10 || !found.Rows[9].At().Equal(at(rows-10)) || found.Scanned > rows/10 {
		t.Errorf("the newest: %d rows since %v, %d looked at, %v", len(found.Rows), found.Since, found.Scanned, err)
	}
	found, err = l.Rows(context.Background(), Filter{From: at(20_000), To: at(20_010), Limit: 100})
	if err != nil || len(found.Rows) != 10 || found.Scanned > rows/10 {
		t.Errorf("in the middle: %d rows, %d looked at, %v", len(found.Rows), found.Scanned, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	seen := 0
	s := newSearch(ctx, Filter{Limit: rows})
	logs, _, err := l.openLogs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stretches(s, logs)[:3] { // so many are read before time runs out
		if err := p.each(s, func(*Row) error { seen++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	closeLogs(logs)
	s = newSearch(ctx, Filter{Limit: rows})
	s.ctx = &runsOut{Context: ctx, stop: stop, calls: seen/1024 + 1}
	found, err = l.stream(s, func(r *Row) error { found.Rows = append(found.Rows, *r); return nil })
	if err != nil || found.Complete || !found.Since.After(at(0)) || !found.Since.Before(at(rows)) {
		t.Errorf("when time ran out: complete %v, since %v, %v", found.Complete, found.Since, err)
	}
	l.keeping.Unlock()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	count := 0
	if _, err := l.Each(context.Background(), Filter{}, func(*Row) error { count++; return nil }); err != nil || count != rows {
		t.Errorf("%d rows in segments, %v", count, err)
	}
}

// runsOut ends when it was asked so many times.
type runsOut struct {
	context.Context
	stop  func()
	calls int
}

func (c *runsOut) Err() error {
	if c.calls--; c.calls < 0 {
		c.stop()
	}
	return c.Context.Err()
}

type unheard struct{}

func (unheard) Report(event.Finding) {}

func TestHeadOf_saysWhatNextDoes(t *testing.T) {
	keeps, r := leaveOut(nil).packing(), rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		q := question(uint64(i), 1, r)
		q.Time, q.Zone, q.Source, q.Has = int64(r.Uint64()>>1), r.Uint32(), uint16(r.Uint32()), q.Has^event.Known(r.Uint32())
		b := keeps.pack(nil, q, int64(1+i%2))
		b = append(b, b...)
		var p packed
		rest, ok := p.next(b)
		h, n := headOf(b)
		if !ok || n != len(b)-len(rest) || h.has != p.Has || h.zone != p.Zone || h.time != p.Time || h.source != p.Source {
			t.Fatalf("%+v and %d octets, want %+v and %d", h, n, p.Query, len(b)-len(rest))
		}
		if _, n := headOf(b[:n-1]); n != 0 {
			t.Fatal("a row that is cut off")
		}
	}
}
