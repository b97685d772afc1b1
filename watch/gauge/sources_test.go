package gauge_test

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/gauge"
)

// Each source has its own minute; what it did before, or what came late, is not in it.
func TestGauge_keepsSourcesApart(t *testing.T) {
	g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
	g.SetSource(1, "edge", "n")
	now := time.Unix(1_000_000, 0)
	for i := range 120 {
		g.Tick(now.Add(time.Duration(i-120)*time.Second), gauge.Load{})
	}
	see := func(source uint16, at time.Time, rcode uint16, latency time.Duration) {
		q := event.Query{Source: source, Has: event.HasTime | event.HasReply | event.HasLatency, Time: at.UnixNano(), ReplySize: 40, Rcode: rcode, Clock: event.ClockTap, Latency: int64(latency)}
		g.Lock(at)
		g.Observe(&q)
		g.Unlock()
	}
	edge := gauge.Only(1)
	if p := g.Summary(edge, now, time.Minute); p.Known != 0 || p.Count != 0 {
		t.Errorf("before anything: %+v", p)
	}
	for i := range 60 {
		see(1, now.Add(time.Duration(i-60)*time.Second), uint16(2*(i%2)), 3*time.Millisecond)
	}
	see(0, now.Add(-2*time.Second), 0, time.Second)
	see(1, now.Add(-10*time.Minute), 0, time.Second)
	p := g.Summary(edge, now, time.Minute)
	rate, ok := p.SuccessRate()
	if p.Known != 60 || p.Count != 60 || !ok || rate != 0.5 || p.P99 > 4*time.Millisecond || p.P99 < 2*time.Millisecond {
		t.Errorf("%+v", p)
	}
	if p := g.Summary(gauge.Self, now, time.Minute); p.Count != 1 || p.Known != 60 {
		t.Errorf("self: %+v", p)
	}
	if p := g.Summary(gauge.Self|edge, now, time.Minute); p.Count != 61 || p.Known != 60 {
		t.Errorf("both: %+v", p)
	}
	if p := g.Summary(edge, now.Add(-time.Minute), time.Minute); p.Known != 0 {
		t.Errorf("the minute before it was watched: %+v", p)
	}
	if got := fmt.Sprint(g.Sources()); got != "[{0 self n} {1 edge n}]" {
		t.Errorf("sources %s", got)
	}
}

// A source whose steps are longer weighs no more for that: of three timed answers two are fast, in every piece of time.
func TestLive_weighsSourcesAlike(t *testing.T) {
	g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
	for i := range 60 {
		at := noon.Add(time.Duration(i) * time.Second)
		g.Tick(at, gauge.Load{})
		for j := range 30 {
			q := answered(at)
			if j%3 == 0 {
				q.Source, q.Latency = 1, 20_000_000
			}
			observe(g, at, q, 1)
		}
	}
	for _, step := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second} {
		for _, p := range g.Live(gauge.Everything, noon.Add(59*time.Second), time.Minute, step) {
			if p.P50 > time.Millisecond || p.P95 < 15*time.Millisecond || p.Timed == 0 {
				t.Errorf("step %v at %v: p50 %v, p95 %v of %d", step, p.Start.Sub(noon), p.P50, p.P95, p.Timed)
			}
		}
	}
}

// A client counts in the longest configured prefix it is in, else among the others.
func TestNetworks_takeTheLongestPrefix(t *testing.T) {
	g := gauge.New(event.NewNames(), "n1", maphash.MakeSeed())
	var prefixes []netip.Prefix
	for _, text := range []string{"192.0.2.0/24", "192.0.2.128/25", "2001:db8::/32", "2001:db8:0:1::/64", "10.0.0.1/32", "::/0"} {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	observe(g, noon, asked(noon, "192.0.2.1", "x."), 9) // before anything is configured
	g.SetNetworks(prefixes[:5])
	for i, client := range []string{"192.0.2.1", "192.0.2.127", "192.0.2.128", "2001:db8::1", "2001:db8:0:1:ffff::", "2001:db9::", "10.0.0.1", "10.0.0.2", "::1"} {
		observe(g, noon, asked(noon, client, "x."), 1<<i)
	}
	got := ""
	for _, n := range g.Networks() {
		got += fmt.Sprintf("%s %d ", n.Prefix, n.Outcomes[gauge.Success])
	}
	if want := "10.0.0.1/32 64 192.0.2.0/24 3 192.0.2.128/25 4 2001:db8:0:1::/64 16 2001:db8::/32 8 other 416 "; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	g.SetNetworks(prefixes)
	observe(g, noon, asked(noon, "198.51.100.1", "x."), 2)
	observe(g, noon, asked(noon, "2001:db9::1", "x."), 2)
	if all := g.Networks(); len(all) != 2 || all[0].Prefix != "::/0" || all[1].Prefix != "other" {
		t.Errorf("::/0 is IPv6: %+v", all)
	}
}

// An address beyond the bound counts as "other", at its own source.
func TestServers_areBounded(t *testing.T) {
	g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
	for i := range 1000 {
		q := answered(noon)
		q.Has |= event.HasServer
		q.Source, q.Server = uint16(i%2), [16]byte{10: 0xFF, 11: 0xFF, 12: 192, 13: 0, 14: byte(i >> 8), 15: byte(i)}
		observe(g, noon, q, 3)
	}
	var sum, rest uint64
	servers := g.Servers()
	for _, s := range servers {
		sum += s.Outcomes[gauge.Success]
		if s.Address == "other" {
			rest += s.Outcomes[gauge.Success]
		}
	}
	if len(servers) != 258 || sum != 3000 || rest != 3*(1000-256) || servers[0].Address != "192.0.0.0" {
		t.Errorf("%d addresses, %d in all, %d others", len(servers), sum, rest)
	}
}
