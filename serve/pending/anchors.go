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
	validator *validate.Validator
	changed   func(p *anchor.Point, anchors bool, err error)
	signal    bool

	mu      sync.Mutex // of what follows, and of the points
	points  []*anchor.Point
	probing map[*anchor.Point]bool
}

// Follow keeps the trust anchors of points current. changed is told of each probe: the key file is to be written, and where anchors is
// set, the validator is to be given the new ones; err says why a probe taught nothing. With signal, the zone is told which keys are
// trusted (RFC 8145, Section 5).
func (t *Table) Follow(v *validate.Validator, points []*anchor.Point, signal bool, changed func(p *anchor.Point, anchors bool, err error)) {
	t.follower.Store(&follower{validator: v, points: points, probing: make(map[*anchor.Point]bool), changed: changed, signal: signal})
}

// probe fetches the keys of every zone whose time has come.
func (t *Table) probe(now int64) {
	f := t.follower.Load()
	if f == nil {
		return
	}
	for _, p := range f.due(now) {
		q := message.Question{Name: p.Zone, Type: wire.TypeDNSKEY, Class: wire.ClassIN}
		t.engine.Resolve(now, q, resolve.Options{CD: true, Refresh: true, Priority: true}, func(a *resolve.Answer) {
			f.observe(t.engine.Now(), p, message.Find(a.Answer, p.Zone, wire.TypeDNSKEY))
		})
		if name, ok := f.validator.SignalName(p.Zone); ok && f.signal {
			q := message.Question{Name: name, Type: wire.TypeNULL, Class: wire.ClassIN}
			t.engine.Resolve(now, q, resolve.Options{CD: true, Refresh: true}, func(*resolve.Answer) {})
		}
	}
}

// due returns the points whose time has come, and takes them for being probed.
func (f *follower) due(now int64) (list []*anchor.Point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.points {
		if !p.Over() && !f.probing[p] && p.NextProbe*second <= now {
			f.probing[p] = true
			list = append(list, p)
		}
	}
	return list
}

// observe shows keys to a point. What validation has fetched stands for the probe under way as well.
func (f *follower) observe(now int64, p *anchor.Point, set *message.RRset) (anchors bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.probing, p)
	if p.Over() {
		return false
	}
	anchors, err := p.Observe(now, set, f.validator)
	f.changed(p, anchors, err)
	return anchors
}

// Primed takes the keys that validation has fetched for a zone with a trust anchor, as a probe does: what a question has shown need not wait.
// It is for validate.Config.Primed, and may be called by any goroutine.
func (t *Table) Primed(now int64, zone wire.Name, set *message.RRset) (changed bool) {
	f := t.follower.Load()
	if f == nil {
		return false
	}
	for _, p := range f.points { // the list itself does not change
		if p.Zone.Equal(zone) {
			return f.observe(now, p, set)
		}
	}
	return false
}

// nextProbe is when the next fetch is due.
func (t *Table) nextProbe() (at int64, ok bool) {
	f := t.follower.Load()
	if f == nil {
		return 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.points {
		if p.Over() || f.probing[p] {
			continue
		}
		if n := p.NextProbe * second; !ok || n < at {
			at, ok = n, true
		}
	}
	return at, ok
}

const second = int64(1e9)
