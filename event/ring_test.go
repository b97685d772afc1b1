package event_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"unsafe"

	"anyu/event"
)

func TestRing_keepsEveryField(t *testing.T) {
	const upstream, subnet = event.HasUpstream | event.HasAsked, event.HasSubnet
	for _, has := range []event.Known{upstream | subnet, 0, event.HasUpstream, event.HasAsked, subnet} { // none is read as the one before
		keepsEveryField(t, has)
	}
}

func keepsEveryField(t *testing.T, has event.Known) {
	r := event.NewRing(0)
	full := event.Query{Has: event.HasUpstream | event.HasAsked | event.HasSubnet, Upstream: [16]byte{3}, Asked: 9, AskedTime: 9, UpstreamPort: 9, UpstreamOver: 4, Subnet: [16]byte{4}, SubnetBits: 9}
	r.Put(&full)
	want := event.Query{
		Has: has | event.HasClient | event.HasReply | event.HasPolicy, Source: 3, Zone: 70000, Time: 1, Latency: 2,
		Client: [16]byte{15: 1}, Server: [16]byte{15: 2}, ClientPort: 53000, ServerPort: 53, ID: 0xBEEF,
		QueryFlags: 0x0100, Flags: 0x8400, Rcode: 16, Type: 1, Class: 1, Payload: 1232, Reason: event.NoReason,
		QuerySize: 30, ReplySize: 60, Transport: event.QUIC, From: event.FromCompiled, Clock: event.ClockTap, DO: true,
		Policy: event.LocalRedirect, Name: []byte("\x07example\x00"), Reply: []byte("reply"),
	}
	if has&(event.HasUpstream|event.HasAsked) != 0 {
		want.Upstream, want.UpstreamPort, want.UpstreamOver, want.Asked, want.AskedTime = [16]byte{15: 9}, 853, event.TLS, 4, 1<<40
	}
	if has&event.HasSubnet != 0 {
		want.Subnet, want.SubnetBits = [16]byte{0x20, 0x01, 0x0d, 0xb8}, 56
	}
	r.Put(&want)
	first := true
	n := r.Drain(10, func(q *event.Query) {
		if first {
			first = false
			return
		}
		got, w := *q, want
		if !bytes.Equal(got.Name, w.Name) || !bytes.Equal(got.Reply, w.Reply) {
			t.Errorf("slices: got %q %q", got.Name, got.Reply)
		}
		got.Name, got.Reply, w.Name, w.Reply = nil, nil, nil, nil
		if fields(got) != fields(w) {
			t.Errorf("got %+v\nwant %+v", got, w)
		}
	})
	if n != 2 {
		t.Fatalf("drained %d", n)
	}
}

// A writer and a reader at full speed: every observation is either read, in order, or counted as dropped.
func TestRing_losesNothingUncounted(t *testing.T) {
	const total = 300_000
	r := event.NewRing(0)
	var wg sync.WaitGroup
	wg.Go(func() {
		q := event.Query{Name: []byte("\x01a\x00"), Reply: make([]byte, 100)}
		for i := range total {
			q.Time = int64(i)
			q.Reply = q.Reply[:i%100]
			r.Put(&q)
		}
	})
	read, last := 0, int64(-1)
	for uint64(read)+r.Dropped() < total {
		r.Drain(1000, func(q *event.Query) {
			if q.Time <= last || len(q.Reply) != int(q.Time%100) {
				t.Fatalf("after %d came %d with %d octets", last, q.Time, len(q.Reply))
			}
			last = q.Time
			read++
		})
	}
	wg.Wait()
	r.Drain(total, func(*event.Query) { read++ })
	if uint64(read)+r.Dropped() != total {
		t.Errorf("read %d, dropped %d, put %d", read, r.Dropped(), total)
	}
}

// A reader that keeps up costs no more of the cache, or of memory, than two blocks; one that does not has all of it, and then again.
func TestRing_touchesWhatItNeeds(t *testing.T) {
	const size = 1 << 20
	r := event.NewRing(size)
	q := event.Query{Name: []byte("\x01a\x00"), Reply: make([]byte, 300)}
	touched := map[uintptr]bool{}
	see := func(q *event.Query) { touched[uintptr(unsafe.Pointer(&q.Name[0]))>>10] = true }
	for range 100_000 {
		r.Put(&q)
		r.Drain(10, see)
	}
	if len(touched) > size>>10/16 {
		t.Errorf("a reader that keeps up walked over %d KiB", len(touched))
	}
	for range 3 {
		for before := r.Dropped(); r.Dropped() == before; {
			r.Put(&q)
		}
		if r.Used() < size/10*9 {
			t.Errorf("full with %d octets of %d", r.Used(), size)
		}
		dropped := r.Dropped()
		r.Drain(1<<20, see)
		for range 100 {
			r.Put(&q)
		}
		if r.Dropped() != dropped || r.Used() == 0 {
			t.Errorf("%d dropped and %d octets held after it was emptied", r.Dropped()-dropped, r.Used())
		}
	}
}

func TestRing_putAllocatesNothing(t *testing.T) {
	r := event.NewRing(1 << 20)
	q := event.Query{Has: event.HasUpstream | event.HasAsked | event.HasSubnet, Name: []byte("\x07example\x00"), Reply: make([]byte, 600)}
	if n := testing.AllocsPerRun(1000, func() { r.Put(&q); r.Drain(10, func(*event.Query) {}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRing(b *testing.B) {
	r := event.NewRing(1 << 20)
	q := event.Query{Name: []byte("\x07example\x03org\x00"), Reply: make([]byte, 60)}
	for b.Loop() {
		r.Put(&q)
		r.Drain(1, func(*event.Query) {})
	}
}

func fields(q event.Query) string { return fmt.Sprintf("%+v", q) }
