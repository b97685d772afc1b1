package gauge

import (
	"cmp"
	"slices"
	"time"
)

// Total is how often one combination was observed since the start.
type Total struct {
	Source, Node, Zone, Transport, Type, Rcode string

	Outcome Outcome
	Count   uint64
}

// Totals are all combinations seen, in an order that keeps those apart only by Outcome next to each other.
func (g *Gauge) Totals() []Total {
	g.mu.Lock()
	cells := slices.Clone(g.series.cells)
	ids := slices.Clone(g.zones.ids)
	var names [MaxSources][2]string
	for i := range g.sources {
		names[i] = [2]string{g.sources[i].name, g.sources[i].node}
	}
	g.mu.Unlock()

	cells = slices.DeleteFunc(cells, func(c cell) bool { return c.key == 0 })
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Compare(a.key, b.key) })
	totals := make([]Total, len(cells))
	for i, c := range cells {
		source := names[keySource(c.key)]
		totals[i] = Total{
			Source: source[0], Node: source[1], Zone: g.zoneName(ids, keyZone(c.key)),
			Transport: transportName(keyTransport(c.key)), Type: typeNames[keyType(c.key)], Rcode: rcodeNames[keyRcode(c.key)],
			Outcome: keyOutcome(c.key), Count: c.count,
		}
	}
	return totals
}

// zoneName is the name of a slot; "other" for none of ours and for those beyond the bound.
func (g *Gauge) zoneName(ids []uint32, slot int) string {
	if slot == 0 || slot >= len(ids) {
		return other
	}
	if name := g.names.Name(ids[slot]); name != "" {
		return name
	}
	return other
}

// Timing is the speed of one source on one transport since the start.
type Timing struct {
	Source, Node, Transport string

	Speed Speed
	Sum   time.Duration
}

// Timings are the histograms of all sources and transports that answered.
func (g *Gauge) Timings() []Timing {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Timing
	for i := range g.sources {
		s := &g.sources[i]
		for slot, t := range s.speed {
			if t != nil {
				all = append(all, Timing{Source: s.name, Node: s.node, Transport: transportName(slot), Speed: t.counts, Sum: time.Duration(t.sum)})
			}
		}
	}
	return all
}
