package pending

import (
	"sync"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/resolve"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
)

// follower keeps trust anchors current (RFC 5011): it fetches their keys when that is due.
type follower struct {
	mu        sync.Mutex // Primed comes from all engines
	validator *validate.Validator
	points    []*anchor.Point
	probing   map[*anchor.Point]bool
	changed   func(p *anchor.Point, anchors bool, err error)
	signal    bool
}

// Follow keeps the trust anchors of points current. changed is told of each probe: the key file is to be written, and where anchors is
// set, the validator is to be given the new ones; err says why a probe taught nothing. With signal, the zone is told which keys are
// trusted (RFC 8145, Section 5).
func (t *Table) Follow(v *validate.Validator, points []*anchor.Point, signal bool, changed func(p *anchor.Point, anchors bool, err error)) {
	t.follower = &follower{validator: v, points: points, probing: make(map[*anchor.Point]bool), changed: changed, signal: signal}
}

// probe fetches the keys of every zone whose time has come.
func (t *Table) probe(now int64) {
	f := t.follower
	if f == nil {
		return
	}
	for _, p := range f.points {
		if p.Over() || f.probing[p] || p.NextProbe*second > now {
			continue
		}
		f.probing[p] = true
		q := message.Question{Name: p.Zone, Type: wire.TypeDNSKEY, Class: wire.ClassIN}
		t.engine.Resolve(now, q, resolve.Options{CD: true, Refresh: true, Priority: true}, func(a *resolve.Answer) {
			delete(f.probing, p)
			f.observe(t.engine.Now(), p, message.Find(a.Answer, p.Zone, wire.TypeDNSKEY))
		})
		if name, ok := f.validator.SignalName(p.Zone); ok && f.signal {
			q := message.Question{Name: name, Type: wire.TypeNULL, Class: wire.ClassIN}
			t.engine.Resolve(now, q, resolve.Options{CD: true, Refresh: true}, func(*resolve.Answer) {})
		}
	}
}

func (f *follower) observe(now int64, p *anchor.Point, set *message.RRset) (anchors bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	anchors, err := p.Observe(now, set, f.validator)
	f.changed(p, anchors, err)
	return anchors
}

// Primed takes the keys that validation has fetched for a zone with a trust anchor, as a probe does: what a question has shown need not wait.
// It is for validate.Config.Primed, and may be called by any goroutine.
func (t *Table) Primed(now int64, zone wire.Name, set *message.RRset) (changed bool) {
	f := t.follower
	if f == nil {
		return false
	}
	for _, p := range f.points {
		if p.Zone.Equal(zone) && !p.Over() {
			return f.observe(now, p, set)
		}
	}
	return false
}

// nextProbe is when the next fetch is due.
func (t *Table) nextProbe() (at int64, ok bool) {
	if t.follower == nil {
		return 0, false
	}
	for _, p := range t.follower.points {
		if p.Over() || t.follower.probing[p] {
			continue
		}
		if n := p.NextProbe * second; !ok || n < at {
			at, ok = n, true
		}
	}
	return at, ok
}

const second = int64(1e9)
