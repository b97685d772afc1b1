package gauge_test

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/gauge"
)

func asked(at time.Time, client, name string) event.Query {
	q := answered(at)
	q.Client = netip.MustParseAddr(client).As16()
	q.Name, _ = wire.ParseName(name)
	return q
}

func ranks(r gauge.Ranking) (text string) {
	for _, l := range r.Lines {
		text += fmt.Sprintf("%s %d/%d ", l.Name, l.Least, l.Count)
	}
	return text
}

func TestRank_tellsWhoAskedMost(t *testing.T) {
	g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
	for i, c := range []struct {
		client, name string
		rcode        uint16
		n            int
	}{
		{"192.0.2.1", "www.Example.CO.UK.", 0, 50},
		{"192.0.2.2", "WWW.example.co.uk.", 0, 20},
		{"2001:db8::1", "a.b.example.org.", 2, 10},
		{"2001:db8:0:1::2", "bank.lab.", 0, 7},
		{"198.51.100.1", "co.uk.", 0, 3},
		{"198.51.100.1", ".", 0, 2},
	} {
		q := asked(noon, c.client, c.name)
		q.Rcode = c.rcode
		observe(g, noon.Add(time.Duration(i)*time.Minute), q, c.n)
	}
	now := noon.Add(6 * time.Minute)
	for list, want := range map[gauge.List]string{
		gauge.Clients:    "192.0.2.1 50/50 192.0.2.2 20/20 2001:db8::1 10/10 2001:db8:0:1::2 7/7 198.51.100.1 5/5 ",
		gauge.Networks:   "192.0.2.0/24 70/70 2001:db8::/48 17/17 198.51.100.0/24 5/5 ",
		gauge.QueryNames: "www.example.co.uk. 70/70 a.b.example.org. 10/10 bank.lab. 7/7 co.uk. 3/3 . 2/2 ",
		gauge.Domains:    "example.co.uk. 70/70 example.org. 10/10 bank.lab. 7/7 co.uk. 3/3 . 2/2 ",
		gauge.Unanswered: "a.b.example.org. 10/10 ",
	} {
		r := g.Rank(gauge.Self, now, time.Hour, list, 10)
		if got := ranks(r); got != want || r.Every != 1 {
			t.Errorf("list %d: got %s want %s", list, got, want)
		}
	}
	if got := ranks(g.Rank(gauge.Self, now, 2*time.Minute, gauge.Clients, 1)); got != "198.51.100.1 2/2 " {
		t.Errorf("the last minutes: %s", got)
	}
	if d := g.Distinct(gauge.Self, now, time.Hour); d.Clients != 5 || d.Names != 5 {
		t.Errorf("different ones: %+v", d)
	}
	if r := g.Rank(gauge.Self, now.Add(2*time.Hour), time.Hour, gauge.Clients, 9); len(r.Lines) > 0 || r.Total > 0 {
		t.Errorf("two hours later: %+v", r)
	}
	if r := g.Rank(gauge.Only(1), now, time.Hour, gauge.Clients, 9); len(r.Lines) > 0 {
		t.Errorf("another source: %+v", r)
	}
}

// Hundreds of thousands of random names neither fill memory nor push out who asks often; none of them is named.
func TestRank_findsTheFewInAFlood(t *testing.T) {
	g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
	r := rand.New(rand.NewPCG(5, 6))
	const flood = 200_000
	for i := range flood {
		at := noon.Add(time.Duration(i) * time.Minute / flood)
		q := asked(at, "192.0.2.7", fmt.Sprintf("x%d.victim.example.", r.Uint64()))
		if i%20 == 0 {
			q = asked(at, "192.0.2.9", "often.example.")
		}
		q.Has |= event.HasTime
		g.Lock(at)
		g.Observe(&q)
		g.Unlock()
	}
	names := g.Rank(gauge.Self, noon.Add(time.Minute), 2*time.Minute, gauge.QueryNames, 10)
	if len(names.Lines) != 1 || names.Lines[0].Name != "often.example." {
		t.Fatalf("names: %+v", names.Lines)
	}
	if l := names.Lines[0]; l.Least > flood/20*11/10 || l.Count < flood/20*9/10 {
		t.Errorf("often.example.: %+v", l)
	}
	domains := g.Rank(gauge.Self, noon.Add(time.Minute), 2*time.Minute, gauge.Domains, 10)
	if len(domains.Lines) != 2 || domains.Lines[0].Name != "victim.example." {
		t.Errorf("domains: %+v", domains.Lines)
	}
	if d := g.Distinct(gauge.Self, noon.Add(time.Minute), 2*time.Minute); float64(d.Names) < 0.95*flood*0.93 || float64(d.Names) > 0.95*flood*1.07 || d.Clients != 2 {
		t.Errorf("different ones: %+v", d)
	}
}

// Where there is more than can be looked at one by one, a sample stands for all, and says so.
func TestRank_samplesAFlood(t *testing.T) {
	g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
	const rate, seconds = 100_000, 5
	q := asked(noon, "192.0.2.1", "a.example.")
	other := asked(noon, "192.0.2.2", "b.example.")
	for s := range seconds {
		at := noon.Add(time.Duration(s) * time.Second)
		observe(g, at, q, rate*3/4)
		observe(g, at, other, rate/4)
	}
	r := g.Rank(gauge.Self, noon.Add(seconds*time.Second), time.Minute, gauge.QueryNames, 2)
	if r.Every < 10 || r.Every > 40 {
		t.Errorf("one of %d", r.Every)
	}
	if got := float64(r.Total); got < 0.9*rate*seconds || got > 1.1*rate*seconds {
		t.Errorf("in all %v", got)
	}
	if got := float64(r.Lines[0].Count) / float64(r.Total); r.Lines[0].Name != "a.example." || got < 0.7 || got > 0.8 {
		t.Errorf("a.example.: %v of %v", r.Lines[0], r.Total)
	}
}

func TestRankMovers_compareTwoWindows(t *testing.T) {
	g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
	observe(g, noon, asked(noon, "192.0.2.1", "steady.example."), 600)
	observe(g, noon, asked(noon, "192.0.2.2", "falls.example."), 300)
	after := noon.Add(time.Minute)
	observe(g, after, asked(after, "192.0.2.1", "steady.example."), 600)
	observe(g, after, asked(after, "192.0.2.3", "rises.example."), 1200)
	got := fmt.Sprint(g.RankMovers(gauge.Self, after.Add(time.Minute), time.Minute, gauge.QueryNames, 5))
	if want := "[{rises.example. 20 0} {falls.example. 0 5}]"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestZone_knowsItsClientsAndSpeed(t *testing.T) {
	names := event.NewNames()
	g := gauge.New(names, "n", maphash.MakeSeed())
	zone := names.ID("z.example.")
	for i := range 300 {
		q := asked(noon, fmt.Sprintf("192.0.2.%d", i%30), fmt.Sprintf("n%d.z.example.", i%60))
		q.Has |= event.HasZone
		q.Zone, q.Latency = zone, 5_000_000
		observe(g, noon, q, 1)
	}
	hour, before, ok := g.ZoneDistinct(noon.Add(time.Minute), "z.example.")
	if !ok || hour.Clients < 28 || hour.Clients > 32 || hour.Names < 57 || hour.Names > 63 || before.Clients != 0 {
		t.Errorf("%+v %+v %v", hour, before, ok)
	}
	if hour, before, _ := g.ZoneDistinct(noon.Add(time.Hour), "z.example."); hour.Clients != 0 || before.Clients < 28 {
		t.Errorf("an hour later: %+v %+v", hour, before)
	}
	points := g.LiveZone(gauge.Self, noon, time.Minute, "z.example.")
	if last := points[len(points)-1]; last.Timed != 300 {
		t.Errorf("timed %d", last.Timed)
	} else {
		near(t, "p95", last.P95, 5*time.Millisecond)
	}
}

// Whatever name is counted, its registered domain is the end of it, at a label's border.
func FuzzRank_anyName(f *testing.F) {
	for _, name := range []string{".", "com.", "www.example.co.uk.", "1.2.3.4.", `a\.b.c\000.example.`, "xn--p1ai.", "WWW.GOV.CN."} {
		n, err := wire.ParseName(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(n))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		if wire.ValidName(wire.Name(name)) != nil {
			return
		}
		g := gauge.New(event.NewNames(), "n", maphash.MakeSeed())
		q := answered(noon)
		q.Name = name
		observe(g, noon, q, 1)
		whole := g.Rank(gauge.Self, noon, time.Minute, gauge.QueryNames, 2)
		domain := g.Rank(gauge.Self, noon, time.Minute, gauge.Domains, 2)
		if len(whole.Lines) != 1 || len(domain.Lines) != 1 {
			t.Fatalf("%v %v", whole, domain)
		}
		a, err := wire.ParseName(whole.Lines[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := wire.ParseName(domain.Lines[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for len(a)-at > len(b) {
			at += 1 + int(a[at])
		}
		if string(a[at:]) != string(b) {
			t.Errorf("%s has the domain %s", whole.Lines[0].Name, domain.Lines[0].Name)
		}
	})
}
