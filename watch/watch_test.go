package watch_test

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch"
	"anyu/watch/gauge"
)

// steps notes the order in which observations arrive.
type steps struct {
	mu       sync.Mutex
	observed int
	flushed  int
	ticks    int
}

func (s *steps) Observe(*event.Query) { s.mu.Lock(); s.observed++; s.mu.Unlock() }
func (s *steps) Flush()               { s.mu.Lock(); s.flushed = s.observed; s.mu.Unlock() }
func (s *steps) Tick(now time.Time, report func(event.Finding)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticks++
	report(event.Finding{Kind: "tick"})
}

type sink struct{ findings chan event.Finding }

func (s sink) Report(f event.Finding) {
	select {
	case s.findings <- f:
	default:
	}
}

func TestRun_handsEverythingOnAndDrainsAtTheEnd(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	log, detector := &steps{}, &steps{}
	found := sink{make(chan event.Finding, 1)}
	w := watch.New(watch.Parts{
		Gauge: g, Log: log, Detectors: []watch.Detector{detector}, Findings: found,
		Load: func(time.Time) gauge.Load { return gauge.Load{CPU: 0.25} },
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()

	const total = 5000
	rings := []*event.Ring{event.NewRing(1 << 20), event.NewRing(1 << 20)}
	for _, r := range rings {
		remove := w.Add(r)
		for range total {
			q := event.Query{Has: event.HasReply, ReplySize: 1, Name: []byte("\x01a\x00")}
			r.Put(&q)
		}
		remove()
	}
	stop()
	<-done
	if log.observed != 2*total || log.flushed != 2*total || detector.observed != 2*total {
		t.Errorf("log %d, flushed %d, detector %d", log.observed, log.flushed, detector.observed)
	}
	var sum uint64
	for _, x := range g.Totals() {
		sum += x.Count
	}
	if sum != 2*total || w.Dropped() != 0 {
		t.Errorf("gauge %d, dropped %d", sum, w.Dropped())
	}
	if detector.ticks == 0 || (<-found.findings).Kind != "tick" {
		t.Error("no tick")
	}
}

func TestDropped_keepsTheCountOfRemovedRings(t *testing.T) {
	w := watch.New(watch.Parts{Gauge: gauge.New(event.NewNames(), "n1", maphash.MakeSeed())})
	r := event.NewRing(0)
	remove := w.Add(r)
	for range 2000 { // does not fit into 64 KiB
		r.Put(&event.Query{})
	}
	want := r.Dropped()
	remove()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	w.Run(ctx)
	if got := w.Dropped(); got != want || want == 0 {
		t.Errorf("dropped %d, want %d", got, want)
	}
}

// The whole way of an observation, from the worker's Put to the counted figure.
func BenchmarkPath(b *testing.B) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	r := event.NewRing(1 << 20)
	q := event.Query{
		Has:  event.HasClient | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply | event.HasZone,
		Time: time.Now().UnixNano(), Latency: 2000, Clock: event.ClockSelf, Type: 1, ReplySize: 60, Zone: 1,
		Name: []byte("\x07example\x03org\x00"), Reply: make([]byte, 60),
	}
	see := g.Observe
	n := 0
	for b.Loop() {
		r.Put(&q)
		if n++; n%256 == 0 {
			g.Lock(time.Unix(0, q.Time))
			r.Drain(256, see)
			g.Unlock()
		}
	}
	if r.Dropped() > 0 {
		b.Error(fmt.Errorf("%d dropped", r.Dropped()))
	}
}
