package gauge

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"anyu/dns/wire"
)

// Ranking is who asked most, or what was asked most, in some minutes.
type Ranking struct {
	From  time.Time // begin of the first minute
	Total uint64    // observations that had such a key
	Every int       // of how many observations one was looked at, at the most; 1: of all
	Lines []Ranked
}

// Ranked is a line of a ranking. Its true count is between Least and Count, but for sampling.
type Ranked struct {
	Name         string
	Count, Least uint64
}

// Rank merges the minutes of the last part of the last hour, the one under way included: the largest first, at most n. Keys that are not certain
// by half are left out.
func (g *Gauge) Rank(of Set, now time.Time, last time.Duration, by List, n int) Ranking {
	end := now.Unix()/60 + 1
	minutes := min(max(1, int64((last+time.Minute-1)/time.Minute)), topMinutes)
	return g.rankBetween(of, end-minutes, end, by, n)
}

// rankBetween merges the minutes [from, to).
func (g *Gauge) rankBetween(of Set, from, to int64, by List, n int) Ranking {
	r := Ranking{From: time.Unix(from*60, 0), Every: 1}
	sums := map[uint64]line{}
	for t, every := range g.tallies(of, from, to, by) {
		r.Every = max(r.Every, every)
		r.Total += t.total
		for _, l := range t.lines {
			sum := sums[l.hash]
			sums[l.hash] = line{hash: l.hash, count: sum.count + l.count, over: sum.over + l.over, key: l.key}
		}
	}
	lines := make([]line, 0, len(sums))
	for _, l := range sums {
		lines = append(lines, l)
	}
	slices.SortFunc(lines, byCount)
	for _, l := range lines[:min(n, len(lines))] {
		r.Lines = append(r.Lines, Ranked{Name: by.text(l.key), Count: l.count, Least: l.count - l.over})
	}
	return r
}

// byCount puts the largest first, in an order that does not depend on a map's.
func byCount(a, b line) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.key, b.key)) }

// tallies are those of the minutes [from, to), each with its sampling. The lock is let go before any is looked at: what is over does not change.
func (g *Gauge) tallies(of Set, from, to int64, by List) map[*tally]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[*tally]int{}
	for s := range g.each(of) {
		for m := from; m < to; m++ {
			if p := &s.tops.past[m%topMinutes]; p.minute == m {
				kept := p.lists[by]
				all[&kept] = p.every
			}
		}
		if s.tops.minute >= from && s.tops.minute < to {
			now := s.tops.counted[by].tally()
			all[&now] = g.all.every
		}
	}
	return all
}

// text is a key for people.
func (l List) text(key string) string {
	switch l {
	case Clients, Servers:
		return addrOf(key).String()
	case Networks:
		a := addrOf(key)
		bits := 48
		if a.Is4() {
			bits = 24
		}
		return netip.PrefixFrom(a, bits).String()
	}
	if wire.ValidName(wire.Name(key)) != nil {
		return ""
	}
	return wire.Name(key).String()
}

func addrOf(key string) netip.Addr {
	var b [16]byte
	copy(b[:], key)
	return netip.AddrFrom16(b).Unmap()
}

// RankMovers lists whose volume changed most between the last full window and the one before it, at most n. What is not among the
// largest of a window counts there as nothing, so small ones never seem to move.
func (g *Gauge) RankMovers(of Set, now time.Time, window time.Duration, by List, n int) []Mover {
	width := min(max(1, int64(window/time.Minute)), topMinutes/2)
	end := now.Unix() / 60
	moved := map[string]Mover{}
	for _, l := range g.rankBetween(of, end-width, end, by, tallyLines).Lines {
		moved[l.Name] = Mover{Name: l.Name, Now: float64(l.Count) / float64(width*60)}
	}
	for _, l := range g.rankBetween(of, end-2*width, end-width, by, tallyLines).Lines {
		m := moved[l.Name]
		moved[l.Name] = Mover{Name: l.Name, Now: m.Now, Before: float64(l.Count) / float64(width*60)}
	}
	all := make([]Mover, 0, len(moved))
	for _, m := range moved {
		all = append(all, m)
	}
	return mostMoved(all, n)
}

// Distinct is how many different ones there were, with a standard error of 1.6 % (of a zone 3.3 %).
type Distinct struct{ Clients, Names uint64 }

// Distinct counts the different clients and names of some sources in the last part of the last hour, in whole minutes.
func (g *Gauge) Distinct(of Set, now time.Time, last time.Duration) Distinct {
	end := now.Unix()/60 + 1
	from := end - min(max(1, int64((last+time.Minute-1)/time.Minute)), topMinutes)
	clients, names := newDistinct(sourcePrecision), newDistinct(sourcePrecision)
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.each(of) {
		t := s.tops
		if t.minute >= from && t.minute < end {
			merge(clients, t.clients)
			merge(names, t.names)
		}
		for i := range t.past {
			if p := &t.past[i]; p.minute >= from && p.minute < end {
				merge(clients, p.clients)
				merge(names, p.names)
			}
		}
	}
	return Distinct{clients.Estimate(), names.Estimate()}
}

func merge(into, from *hyperloglog.Sketch) {
	if err := into.Merge(from); err != nil {
		panic(err) // both have the same precision
	}
}

// ZoneDistinct are those of a zone in the hour of the clock that now is in, and in the one before; false where the zone is not counted by name.
func (g *Gauge) ZoneDistinct(now time.Time, zone string) (hour, before Distinct, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	slot := g.zones.slot(func(slot int) bool { return g.zoneName(g.zones.ids, slot) == zone })
	if slot == 0 || slot >= len(g.zones.distinct) || g.zones.distinct[slot] == nil {
		return hour, before, false
	}
	d := g.zones.distinct[slot]
	at := [2]*Distinct{&hour, &before}
	for i := range 2 {
		if place := now.Unix()/3600 - d.hour + int64(i); place >= 0 && place < 2 && d.clients[i] != nil {
			*at[place] = Distinct{d.clients[i].Estimate(), d.names[i].Estimate()}
		}
	}
	return hour, before, true
}
