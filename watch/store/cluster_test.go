package store_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/store"
	"anyu/watch/trail"
)

// noted is a sink that remembers.
type noted struct {
	mu  sync.Mutex
	all []event.Finding
}

func (n *noted) Report(f event.Finding) { n.mu.Lock(); n.all = append(n.all, f); n.mu.Unlock() }

// forward tells a store of segments, as node does.
type forward struct{ to func() *store.Store }

func (f forward) Closed(path string, _ int64, _, _ time.Time) error {
	if s := f.to(); s != nil {
		s.Closed(path)
	}
	return nil
}
func (f forward) Removed(path, _ string) error {
	if s := f.to(); s != nil {
		s.Removed(path)
	}
	return nil
}

// question is the n-th of a made-up stream.
func question(names *event.Names, at time.Time, n int) *event.Query {
	client := netip.AddrFrom4([4]byte{192, 0, byte(n % 3), byte(n % 250)}).As16()
	if n%10 == 0 {
		client = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::%x", n%4, n%1000)).As16()
	}
	q := &event.Query{
		Has:  event.HasClient | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply | event.HasZone | event.HasReason,
		Zone: names.ID("example.org."), Time: at.UnixNano(), Latency: int64(n) * 1000, Clock: event.ClockSelf,
		Client: client, ClientPort: uint16(1024 + n%60000), QueryFlags: 0x0100, Flags: 0x8580, Rcode: uint16(3 * (n % 2)), Type: 28, Class: 1, Payload: 1232,
		Reason: event.NoReason, QuerySize: 40, ReplySize: 90, Transport: event.TLS, From: event.FromAuthority, DO: n%2 == 0,
		Name: append(append([]byte{5}, fmt.Sprintf("n%04d", n%5000)...), "\x07Example\x03org\x00"...),
	}
	switch n % 50 {
	case 1:
		q.Name = []byte("\x05a.'\\b\x07example\x03net\x00") // a dot, a quote and a backslash inside a label
	case 2:
		q.Has &^= event.HasReply | event.HasLatency
	case 3:
		q.Has &^= event.HasClient
	case 4:
		q.Has &^= event.HasQuery
	case 5:
		q.ReplySize = 0
	case 6, 7:
		q.Reply = answer(q, netip.AddrFrom4([4]byte{203, 0, 113, byte(n % 200)}))
	case 8:
		q.Reply = answer(q, netip.MustParseAddr(fmt.Sprintf("2001:db8:7::%x", n%9)))
	case 9:
		q.Has |= event.HasUpstream | event.HasAsked | event.HasSubnet | event.HasPolicy | event.HasServer
		q.Upstream, q.UpstreamPort, q.Asked, q.AskedTime = client, 53, 2, 5000
		q.Subnet, q.SubnetBits, q.Server, q.ServerPort = client, 24, client, 853
	}
	return q
}

// answer is a reply with an alias and an address.
func answer(q *event.Query, addr netip.Addr) []byte {
	target := wire.Name("\x03www\x07example\x03net\x00")
	var b wire.Builder
	b.Reset(make([]byte, 512))
	b.Question(wire.Name(q.Name), wire.Type(q.Type), wire.ClassIN)
	b.RR(wire.Answers, wire.Name(q.Name), wire.TypeCNAME, wire.ClassIN, 300, target)
	kind := wire.TypeA
	if addr.Is6() {
		kind = wire.TypeAAAA
	}
	b.RR(wire.Answers, target, kind, wire.ClassIN, 60, addr.AsSlice())
	return b.Finish(7, 0x8180)
}

func open(t *testing.T, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drained waits until everything is sent.
func drained(t *testing.T, s *store.Store, patience time.Duration) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		st := s.Status()
		if st.Segments == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still waiting: %+v", st)
		}
	}
}

func count(t *testing.T, s *store.Search) (n int) {
	t.Helper()
	if _, err := s.Each(context.Background(), trail.Filter{}, func(*trail.Row) error {
		n++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
