package gauge_test

import (
	"fmt"
	"hash/maphash"
	"sync"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/gauge"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// answered is an observation of this server, answered in 100 us.
func answered(at time.Time) event.Query {
	return event.Query{
		Has:  event.HasClient | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply,
		Time: at.UnixNano(), Latency: 100_000, Clock: event.ClockSelf, Type: 1, Class: 1, QuerySize: 30, ReplySize: 60,
		Reason: event.NoReason, From: event.FromCompiled,
	}
}

func observe(g *gauge.Gauge, now time.Time, q event.Query, n int) {
	g.Lock(now)
	defer g.Unlock()
	for range n {
		g.Observe(&q)
	}
}

func TestLive_showsTheFourFigures(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	for i := range 10 {
		at := noon.Add(time.Duration(i) * time.Second)
		g.Tick(at, gauge.Load{CPU: 0.5, Resident: uint64(i), Dropped: 2})
		q := answered(at)
		observe(g, at, q, 90)
		q.Rcode, q.Latency = 2, 20_000_000
		observe(g, at, q, 10)
	}
	p := g.Summary(gauge.Self, noon.Add(10*time.Second), time.Minute)
	if p.Known != 10 || p.Count != 1000 || p.Volume() != 100 {
		t.Errorf("known %d, count %d, volume %v", p.Known, p.Count, p.Volume())
	}
	if rate, ok := p.SuccessRate(); !ok || rate != 0.9 {
		t.Errorf("success rate %v %v", rate, ok)
	}
	near(t, "p50", p.P50, 100*time.Microsecond)
	near(t, "p99", p.P99, 20*time.Millisecond)
	if p.Load.CPU != 0.5 || p.Load.Resident != 9 || p.Load.Dropped != 20 {
		t.Errorf("load %+v", p.Load)
	}
}

func TestLive_tellsGapsFromZeros(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	g.Tick(noon, gauge.Load{})
	g.Tick(noon.Add(2*time.Second), gauge.Load{})
	points := g.Live(gauge.Self, noon.Add(2*time.Second), 4*time.Second, time.Second)
	got := ""
	for _, p := range points {
		got += fmt.Sprintf("%d:%d:%v ", p.Start.Sub(noon)/time.Second, p.Known, p.Complete)
	}
	if want := "-1:0:true 0:1:true 1:0:true 2:1:false "; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	if p := points[1]; p.Timed != 0 || p.P50 != 0 {
		t.Errorf("quantiles from nothing: %+v", p)
	}
}

func TestLive_stepsStandStillWhileTimeMoves(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	first := g.Live(gauge.Self, noon.Add(3*time.Second), time.Minute, 10*time.Second)
	later := g.Live(gauge.Self, noon.Add(9*time.Second), time.Minute, 10*time.Second)
	if len(first) != 6 || !first[0].Start.Equal(later[0].Start) {
		t.Errorf("%d steps from %v, later from %v", len(first), first[0].Start, later[0].Start)
	}
}

func TestHour_forgetsAfterAnHourAndKeepsLateOnes(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	observe(g, noon, answered(noon), 5)
	late := noon.Add(30 * time.Minute)
	observe(g, late, answered(noon), 1) // belongs to noon
	if p := g.Summary(gauge.Self, late.Add(time.Second), time.Hour); p.Count != 6 {
		t.Errorf("count %d", p.Count)
	}
	next := noon.Add(time.Hour)
	observe(g, next, answered(noon), 3) // too late: counted now
	observe(g, next, answered(next.Add(time.Hour)), 2)
	if p := g.Live(gauge.Self, next, time.Second, time.Second); p[0].Count != 5 {
		t.Errorf("now %d", p[0].Count)
	}
	if p := g.Summary(gauge.Self, next.Add(time.Second), time.Hour); p.Count != 5 {
		t.Errorf("hour later %d", p.Count)
	}
}

func TestTotals_boundSeriesAndLoseNothing(t *testing.T) {
	names := event.NewNames()
	g := gauge.New(names, "n1", maphash.MakeSeed())
	n := uint64(0)
	for zone := range 3000 {
		q := answered(noon)
		q.Has |= event.HasZone
		q.Zone = names.ID(fmt.Sprintf("z%d.example.", zone))
		for typ := range 60 {
			q.Type, q.Transport = uint16(typ), event.Transport(typ%7)
			q.Rcode = uint16(typ % 30)
			observe(g, noon, q, 1)
			n++
		}
	}
	totals := g.Totals()
	zones := map[string]bool{}
	var sum uint64
	seen := map[string]bool{}
	for _, x := range totals {
		sum += x.Count
		zones[x.Zone] = true
		key := fmt.Sprint(x.Source, x.Zone, x.Transport, x.Type, x.Rcode, x.Outcome)
		if seen[key] {
			t.Fatalf("twice: %s", key)
		}
		seen[key] = true
	}
	if sum != n {
		t.Errorf("counted %d of %d", sum, n)
	}
	if len(totals) > 40_001 || len(zones) > gauge.Zones+1 {
		t.Errorf("%d series, %d zones", len(totals), len(zones))
	}
}

func TestSources_unnamedAreOther(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	g.SetSource(1, "bind", "n2")
	for _, source := range []uint16{0, 1, 2, 5000} {
		q := answered(noon)
		q.Source = source
		observe(g, noon, q, 1)
	}
	got := map[string]uint64{}
	for _, x := range g.Totals() {
		got[x.Source+"@"+x.Node] += x.Count
	}
	if want := fmt.Sprint(map[string]uint64{"self@n1": 1, "bind@n2": 1, "other@n1": 2}); fmt.Sprint(got) != want {
		t.Errorf("got %v want %v", got, want)
	}
}

func TestTop_listsDimensions(t *testing.T) {
	names := event.NewNames()
	g := gauge.New(names, "n1", maphash.MakeSeed())
	for i, count := range []int{5, 20, 10} {
		q := answered(noon)
		q.Has |= event.HasZone
		q.Zone = names.ID(fmt.Sprintf("z%d.", i))
		q.Type, q.Rcode, q.Transport = uint16(i+1), uint16(3*(i%2)), event.Transport(i)
		observe(g, noon, q, count)
	}
	for by, want := range map[gauge.Dimension]string{
		gauge.ByZone:      "[{z1. 20 20 0 20} {z2. 10 10 0 0}]",
		gauge.ByRcode:     "[{NXDOMAIN 20 0 0 0} {NOERROR 15 0 0 0}]",
		gauge.ByType:      "[{NS 20 0 0 0} {other 10 0 0 0}]",
		gauge.ByTransport: "[{tcp 20 0 0 0} {tls 10 0 0 0}]",
	} {
		if got := fmt.Sprint(g.Shares(gauge.Self, noon, time.Minute, by, 2)); got != want {
			t.Errorf("by %d: got %s want %s", by, got, want)
		}
	}
	if got := g.LiveZone(gauge.Self, noon, time.Minute, "z1."); len(got) != 6 || got[5].Count != 20 || got[5].NX != 20 {
		t.Errorf("zone: %+v", got)
	}
	if got := g.LiveZone(gauge.Self, noon, time.Minute, "unseen."); got != nil {
		t.Errorf("unseen zone: %+v", got)
	}
}

func TestMovers_orderByChange(t *testing.T) {
	names := event.NewNames()
	g := gauge.New(names, "n1", maphash.MakeSeed())
	put := func(zone string, at time.Time, n int) {
		q := answered(at)
		q.Has |= event.HasZone
		q.Zone = names.ID(zone)
		observe(g, at, q, n)
	}
	put("steady.", noon, 600)
	put("falls.", noon, 600)
	after := noon.Add(time.Minute)
	put("steady.", after, 600)
	put("rises.", after, 300)
	got := fmt.Sprint(g.Movers(gauge.Self, after.Add(time.Minute), time.Minute, 5))
	if want := "[{falls. 0 10} {rises. 5 0}]"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestGauge_isReadWhileItCounts(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 200 {
			observe(g, noon, answered(noon), 50)
		}
	})
	for range 20 {
		g.Totals()
		g.Timings()
		g.Rank(gauge.Everything, noon, time.Hour, gauge.QueryNames, 5)
		g.Distinct(gauge.Everything, noon, time.Hour)
		g.Servers()
		g.Live(gauge.Self, noon, time.Minute, time.Second)
		g.Shares(gauge.Self, noon, time.Minute, gauge.ByZone, 5)
	}
	wg.Wait()
	if p := g.Summary(gauge.Self, noon.Add(time.Second), time.Minute); p.Count != 10_000 {
		t.Errorf("count %d", p.Count)
	}
}

func TestObserve_allocatesNothing(t *testing.T) {
	names := event.NewNames()
	g := gauge.New(names, "n1", maphash.MakeSeed())
	q := answered(noon)
	q.Has |= event.HasZone
	q.Zone = names.ID("example.")
	observe(g, noon, q, 1)
	if n := testing.AllocsPerRun(1000, func() { observe(g, noon, q, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	names := event.NewNames()
	g := gauge.New(names, "n1", maphash.MakeSeed())
	qs := make([]event.Query, 64)
	for i := range qs {
		qs[i] = answered(noon)
		qs[i].Has |= event.HasZone
		qs[i].Zone = names.ID(fmt.Sprintf("z%d.", i%8))
		qs[i].Type = uint16(i % 5)
		qs[i].Latency = int64(i) * 3000
	}
	g.Lock(noon)
	i := 0
	for b.Loop() {
		g.Observe(&qs[i&63])
		i++
	}
	g.Unlock()
}

func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if off := float64(got-want) / float64(want); off > 1.0/30 || off < -1.0/30 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
