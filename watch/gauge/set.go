package gauge

import (
	"iter"
	"math/bits"
)

// Set is a choice of sources. Their figures are added up.
type Set uint64

// Everything is all sources. A question that two of them saw counts twice.
const Everything = ^Set(0)

// Self is this server alone.
const Self = Set(1)

// Only is one source.
func Only(id uint16) Set { return 1 << min(id, MaxSources-1) }

// each goes through the sources of a set that were observed. The lock is held.
func (g *Gauge) each(of Set) iter.Seq[*source] {
	return func(yield func(*source) bool) {
		for rest := uint64(of); rest != 0; rest &= rest - 1 {
			if s := &g.sources[bits.TrailingZeros64(rest)]; s.hour != nil && !yield(s) {
				return
			}
		}
	}
}

// Watched is a source that something was observed of.
type Watched struct {
	ID         uint16
	Name, Node string
}

// Sources are this server and all sources that something was observed of, in their order.
func (g *Gauge) Sources() (all []Watched) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.sources {
		if s := &g.sources[i]; s.hour != nil {
			all = append(all, Watched{uint16(i), s.name, s.node})
		}
	}
	return all
}
