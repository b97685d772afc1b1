package gauge

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Dimension is what a list of shares is made of. Shares are counted, not estimated: there are few of each.
type Dimension uint8

const (
	ByZone Dimension = iota
	ByRcode
	ByType
	ByTransport
)

// Share is one line of such a list.
type Share struct {
	Name    string
	Count   uint64
	Success uint64 // these three are known by zone only
	Failure uint64
	NX      uint64
}

// Shares lists what some sources were asked most in the last part of the last hour, largest first, at most n. Zones are looked at in
// steps of ten seconds.
func (g *Gauge) Shares(of Set, now time.Time, last time.Duration, by Dimension, n int) []Share {
	var all []Share
	if by == ByZone {
		all = g.zoneShares(of, now.Unix()/zoneStep-steps(last)+1, now.Unix()/zoneStep+1)
	} else {
		all = g.slotShares(of, now.Unix(), min(int64(last/time.Second), hourSeconds), by)
	}
	all = slices.DeleteFunc(all, func(s Share) bool { return s.Count == 0 })
	slices.SortFunc(all, func(a, b Share) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return all[:min(n, len(all))]
}

func steps(last time.Duration) int64 { return min(max(1, int64(last/time.Second)/zoneStep), zoneSteps) }

func (g *Gauge) slotShares(of Set, now, seconds int64, by Dimension) []Share {
	names := map[Dimension][]string{ByRcode: rcodeNames[:], ByType: typeNames[:]}[by]
	if by == ByTransport {
		for i := range transportSlots {
			names = append(names, transportName(i))
		}
	}
	all := make([]Share, len(names))
	for i, name := range names {
		all[i].Name = name
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for source := range g.each(of) {
		for at := now - seconds + 1; at <= now; at++ {
			s := source.hour.get(at)
			if s == nil {
				continue
			}
			counts := s.transports[:]
			switch by {
			case ByRcode:
				counts = s.rcodes[:]
			case ByType:
				counts = s.types[:]
			}
			for i, c := range counts {
				all[i].Count += uint64(c)
			}
		}
	}
	return all
}

// zoneShares adds up the steps [from, to) of every zone.
func (g *Gauge) zoneShares(of Set, from, to int64) []Share {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Share, max(1, len(g.zones.ids)))
	for slot := range all {
		all[slot].Name = g.zoneName(g.zones.ids, slot)
	}
	for source := range g.each(of) {
		for slot, h := range source.zones {
			if h != nil {
				h.addTo(&all[slot], from, to)
			}
		}
	}
	return all
}

func (h *zoneHour) addTo(s *Share, from, to int64) {
	for step := from; step < to; step++ {
		c := &h.counts[step%zoneSteps]
		if int64(c.step) != step {
			continue
		}
		for _, n := range c.outcomes {
			s.Count += uint64(n)
		}
		s.Success += uint64(c.outcomes[Success])
		s.Failure += uint64(c.outcomes[Failure])
		s.NX += uint64(c.nx)
	}
}

// Mover is what was asked more or less than before.
type Mover struct {
	Name        string
	Now, Before float64 // observations a second
}

// Movers lists the zones whose volume changed most between the last full window and the one before it, by the size of the
// change, at most n. A window is at most half an hour.
func (g *Gauge) Movers(of Set, now time.Time, window time.Duration, n int) []Mover {
	width := min(steps(window), zoneSteps/2)
	end := now.Unix() / zoneStep
	before, after := g.zoneShares(of, end-2*width, end-width), g.zoneShares(of, end-width, end)
	moved := make([]Mover, 0, len(after))
	for i, a := range after {
		m := Mover{Name: a.Name, Now: float64(a.Count) / float64(width*zoneStep)}
		if i < len(before) {
			m.Before = float64(before[i].Count) / float64(width*zoneStep)
		}
		moved = append(moved, m)
	}
	return mostMoved(moved, n)
}

func mostMoved(moved []Mover, n int) []Mover {
	moved = slices.DeleteFunc(moved, func(m Mover) bool { return m.Now == m.Before })
	slices.SortFunc(moved, func(a, b Mover) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Now-b.Before), math.Abs(a.Now-a.Before)), cmp.Compare(a.Name, b.Name))
	})
	return moved[:min(n, len(moved))]
}
