package trail

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"

	"anyu/dns/wire"
	"anyu/event"
)

// Rule says how many of the questions that fit all its parts are kept. A part without entries fits every question; one that was not observed fits none.
type Rule struct {
	Clients []netip.Prefix
	Names   []string // in wire form, lower case; each with everything below it
	Sources []string // self, or the name of a tap
	OneOf   int      // 1 keeps all, N one of N, 0 none
}

// sampler decides what becomes a row. It belongs to the observing goroutine, but for pressure and the counts.
type sampler struct {
	rules    []Rule
	oneOf    int // where no rule fits
	source   func(id uint16) (name, node string)
	sources  map[uint16]string // asked once each: it may take a lock
	dice     *rand.Rand
	pressure atomic.Int64 // for want of space one of so many is kept, whatever the rules say
	left     atomic.Uint64
}

func newSampler(o *Options) *sampler {
	s := &sampler{rules: o.Rules, oneOf: max(o.Sample, 1), source: o.Source, sources: map[uint16]string{}, dice: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	s.pressure.Store(1)
	return s
}

// keep tells whether q becomes a row, and for how many questions that stands. By chance, for every so-many-th would be the same ones of a client
// that asks in a fixed rhythm.
func (s *sampler) keep(q *event.Query) (oneOf int64, kept bool) {
	pressure := s.pressure.Load()
	if pressure == 1 && s.oneOf == 1 && len(s.rules) == 0 {
		return 1, true
	}
	oneOf = pressure * int64(s.rate(q))
	if oneOf == 1 {
		return 1, true
	}
	if oneOf == 0 || s.dice.Int64N(oneOf) != 0 {
		s.left.Add(1)
		return 0, false
	}
	return oneOf, true
}

// rate is that of the first rule that fits.
func (s *sampler) rate(q *event.Query) int {
	for i := range s.rules {
		if r := &s.rules[i]; s.from(r, q.Source) && asks(r, q) && below(r, q.Name) {
			return r.OneOf
		}
	}
	return s.oneOf
}

func (s *sampler) from(r *Rule, id uint16) bool {
	if len(r.Sources) == 0 {
		return true
	}
	name, known := s.sources[id]
	if !known {
		name, _ = s.source(id)
		s.sources[id] = name
	}
	for _, want := range r.Sources {
		if want == name {
			return true
		}
	}
	return false
}

func asks(r *Rule, q *event.Query) bool {
	if len(r.Clients) == 0 {
		return true
	}
	if q.Has&event.HasClient == 0 {
		return false
	}
	client := netip.AddrFrom16(q.Client).Unmap()
	for _, p := range r.Clients {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// below tells whether a name is one of the rule's or below it: whether it ends like that at the beginning of a label.
func below(r *Rule, name []byte) bool {
	if len(r.Names) == 0 {
		return true
	}
	for at := 0; at < len(name); at += int(name[at]) + 1 {
		for _, want := range r.Names {
			if sameName(name[at:], want) {
				return true
			}
		}
	}
	return false
}

func sameName(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range name {
		if wire.Lower(name[i]) != lower[i] {
			return false
		}
	}
	return true
}

// SampledNow tells for how many questions a row stands now where no rule fits, and how many rules there are.
func (t *Trail) SampledNow() (oneOf int64, rules int) {
	if t.sampler == nil {
		return 1, 0
	}
	return int64(t.sampler.oneOf) * t.sampler.pressure.Load(), len(t.sampler.rules)
}

// LeftOut counts the observations that the sample left out, of this run.
func (t *Trail) LeftOut() uint64 {
	if t.sampler == nil {
		return 0
	}
	return t.sampler.left.Load()
}
