package gauge

import (
	"testing"
	"time"

	"anyu/event"
)

// Each source has its own minute; what it did before, or what came late, is not in it.
func TestGauge_knowsTheMinuteOfASource(t *testing.T) {
	g := New(event.NewNames(), "n")
	g.SetSource(1, "edge", "n")
	now := time.Unix(1_000_000, 0)
	see := func(source uint16, at time.Time, rcode uint16, latency time.Duration) {
		q := event.Query{Source: source, Has: event.HasTime | event.HasReply | event.HasLatency, Time: at.UnixNano(), ReplySize: 40, Rcode: rcode, Clock: event.ClockTap, Latency: int64(latency)}
		g.Lock(now)
		g.Observe(&q)
		g.Unlock()
	}
	if p := g.SourceMinute(1, now); p.Known != 0 || p.Count != 0 {
		t.Errorf("before anything: %+v", p)
	}
	for i := range 60 {
		see(1, now.Add(-time.Duration(i+1)*time.Second), uint16(2*(i%2)), 3*time.Millisecond)
	}
	see(0, now.Add(-2*time.Second), 0, time.Second)
	see(1, now.Add(-10*time.Minute), 0, time.Second)
	p := g.SourceMinute(1, now)
	rate, ok := p.SuccessRate()
	if p.Count != 60 || !ok || rate != 0.5 || p.P99 > 4*time.Millisecond || p.P99 < 2*time.Millisecond {
		t.Errorf("%+v", p)
	}
	if p := g.SourceMinute(0, now); p.Count != 1 {
		t.Errorf("self: %+v", p)
	}
	if p := g.SourceMinute(1, now.Add(5*time.Minute)); p.Count != 0 || p.Known != 60 {
		t.Errorf("later: %+v", p)
	}
}
