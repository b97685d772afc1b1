package serve

import (
	"encoding/binary"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/local"
)

// maxAliases bounds CNAME records of the operator's own in one answer; it ends loops of theirs.
const maxAliases = 8

// alias is a CNAME record of the operator's own. Its owner is the target of the one before, of the first the name asked for.
type alias struct {
	ttl    uint32
	reason uint16 // of the rule it comes from
	rule   event.Policy
	target wire.Name
}

// fromLocal answers from local data. done is false where that says nothing: then opened tells whether the name is looked up in any case.
func (w *Worker) fromLocal(out []byte) (n int, done bool) {
	t, name := w.config.Recursion.Local, w.q.Name
	for {
		v := t.Look(name, w.q.Type, w.from.Remote.Addr(), w.available, w.lower[:0])
		switch {
		case v.Outcome == local.Alias && w.goesOn(v.Sets[0].RData[0]):
			target := wire.Name(v.Sets[0].RData[0])
			w.alias[w.aliases] = alias{v.Sets[0].TTL, v.Reason, v.Rule, target}
			w.aliases++
			w.policy = w.alias[0].rule
			name = target
			continue
		case v.Outcome == local.Pass && w.aliases == 0:
			w.opened = v.Opened
			return 0, false
		case v.Outcome == local.Pass && w.recursive:
			w.opened = v.Opened
			return w.fromZone(out, name), true
		}
		return w.local(out, name, &v), true
	}
}

// goesOn tells whether an alias may be followed: not back to where the chain has been, and not without end.
func (w *Worker) goesOn(target wire.Name) bool {
	for _, a := range w.alias[:w.aliases] {
		if a.target.Equal(target) {
			return false
		}
	}
	return w.aliases < maxAliases && !target.Equal(w.q.Name)
}

// local writes the answer that local data gives. owner is the name at the end of the aliases.
func (w *Worker) local(out []byte, owner wire.Name, v *local.Verdict) int {
	w.via, w.rcode = event.FromLocal, wire.NoError
	if v.Rule != event.NoPolicy { // else aliases end here
		w.policy = v.Rule
	}
	if v.Policy {
		w.via = event.FromPolicy
	}
	switch v.Outcome {
	case local.Dropped:
		return listen.Drop
	case local.Refused:
		w.rcode = wire.Refused
	case local.NoName:
		w.rcode = wire.NXDomain
	}
	w.explain(v.Reason, "")
	kind := filter.Positive
	switch {
	case w.rcode == wire.Refused:
		kind = filter.Failure
	case len(v.Sets) == 0:
		kind = filter.Negative
	}
	if n, limited := w.limited(out, kind, w.q.Name); limited {
		return n
	}
	flags := wire.FlagQR | wire.FlagAA | w.q.Flags&wire.FlagRD | uint16(w.rcode)
	if !w.localRecords(out, owner, v) {
		flags |= wire.FlagTC
	}
	b := &w.builder
	h := wire.Header{ID: w.q.ID, Flags: flags, QD: 1, AN: uint16(b.Count(wire.Answers)), NS: uint16(b.Count(wire.Authorities))}
	return w.finish(out, b.Len(), h)
}

// localRecords puts aliases, sets and the SOA into the builder, set by set. False: not all fitted.
func (w *Worker) localRecords(out []byte, owner wire.Name, v *local.Verdict) (whole bool) {
	b := &w.builder
	b.Reset(out[:w.limit:len(out)])
	b.Question(w.q.Name, w.q.Type, w.q.Class)
	b.Reserve(w.opt.Size())
	if !w.putAliases() {
		return false
	}
	for i := range v.Sets {
		s, before := &v.Sets[i], b.Mark()
		for _, rdata := range s.RData {
			if !b.RR(wire.Answers, owner, s.Type, wire.ClassIN, s.TTL, rdata) {
				b.Back(before)
				return false
			}
		}
	}
	if v.SOA == nil {
		return true
	}
	// RFC 2308, Section 5: the lower of TTL and MINIMUM.
	rdata := v.SOA.RData[0]
	return b.RR(wire.Authorities, v.Apex, wire.TypeSOA, wire.ClassIN, min(v.SOA.TTL, binary.BigEndian.Uint32(rdata[len(rdata)-4:])), rdata)
}

// putAliases begins the answer section with the aliases gone through.
func (w *Worker) putAliases() (whole bool) {
	owner := w.q.Name
	for _, a := range w.alias[:w.aliases] {
		if !w.builder.RR(wire.Answers, owner, wire.TypeCNAME, wire.ClassIN, a.ttl, a.target) {
			return false
		}
		owner = a.target
	}
	return true
}
