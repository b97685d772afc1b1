package gauge_test

import (
	"testing"
	"time"

	"anyu/watch/gauge"
)

// BenchmarkRank is what a page costs that shows the rankings of a full hour.
func BenchmarkRank(b *testing.B) {
	g, qs := traffic(false)
	at := noon
	for range 60 {
		g.Lock(at)
		for i := range qs[:20_000] {
			g.Observe(&qs[i])
		}
		g.Unlock()
		at = at.Add(time.Minute)
	}
	b.ReportAllocs()
	for b.Loop() {
		for list := gauge.Clients; list <= gauge.Servers; list++ {
			g.Rank(gauge.Self, at, time.Hour, list, 6)
		}
	}
}
