package denial

import "anyu/dns/wire"

// hash computes the hash of a name, each name once. False: no hash is left.
func (p *Proof) hash(name wire.Name) (*Hash, bool) {
	for i := range p.memo {
		if p.memo[i].name.Equal(name) {
			return &p.memo[i].hash, true
		}
	}
	if p.hashes.Left <= 0 {
		return nil, false
	}
	p.hashes.Left--
	p.memo = append(p.memo, hashed{name, p.nsec3[0].Hash(name)})
	return &p.memo[len(p.memo)-1].hash, true
}

// match finds the record of a name; ok is false where no hash is left.
func (p *Proof) match(name wire.Name) (n *NSEC3, ok bool) {
	h, ok := p.hash(name)
	if !ok {
		return nil, false
	}
	for i := range p.nsec3 {
		if p.nsec3[i].Matches(h) {
			return &p.nsec3[i], true
		}
	}
	return nil, true
}

// covers3 tells whether a name is covered, and so is not in the zone or not signed.
func (p *Proof) covers3(name wire.Name) Verdict {
	h, ok := p.hash(name)
	if !ok {
		return Exhausted
	}
	v := Unproven
	for i := range p.nsec3 {
		switch n := &p.nsec3[i]; {
		case n.Matches(h):
			return Unproven
		case n.Covers(h) && n.OptOut:
			return OptOut
		case n.Covers(h):
			v = Proven
		}
	}
	return v
}

// encloser finds the closest provable encloser of a name that has no record (RFC 5155, Section 8.3): its longest ancestor with a
// record, where the name one label longer is covered. v is what covers that next closer name.
func (p *Proof) encloser(name wire.Name) (ancestor wire.Name, v Verdict) {
	for next := name; len(next) > len(p.zone); next = next.Parent() {
		n, ok := p.match(next.Parent())
		switch {
		case !ok:
			return nil, Exhausted
		case n == nil:
			continue
		case n.Types.hides():
			return nil, Unproven // RFC 5155, Section 8.3: below a cut or a DNAME the zone has nothing to say
		}
		return next.Parent(), p.covers3(next)
	}
	return nil, Unproven
}

func (p *Proof) noData3(name wire.Name, t wire.Type) Verdict {
	if len(p.nsec3) == 0 {
		return Unproven
	}
	n, ok := p.match(name)
	switch {
	case !ok:
		return Exhausted
	case n != nil && n.Types.deny(t, name.IsRoot()): // RFC 5155, Section 8.5
		return Proven
	case n != nil:
		return Unproven
	}
	ancestor, v := p.encloser(name)
	if v != Proven && v != OptOut {
		return v
	}
	// RFC 5155, Section 8.7: the wildcard that answers has no such type. 8.6: else only opt-out leaves room for the name.
	if w, fits := Wildcard(ancestor); fits {
		n, ok := p.match(w)
		switch {
		case !ok:
			return Exhausted
		case n != nil && n.Types.deny(t, false):
			return v
		case n != nil:
			return Unproven
		}
	}
	if v == OptOut {
		return OptOut
	}
	return Unproven
}

// noName3: RFC 5155, Section 8.4.
func (p *Proof) noName3(name wire.Name) Verdict {
	if len(p.nsec3) == 0 {
		return Unproven
	}
	n, ok := p.match(name)
	switch {
	case !ok:
		return Exhausted
	case n != nil && n.Types.Has(wire.TypeNXNAME): // RFC 9824, Section 4
		return Proven
	case n != nil:
		return Unproven
	}
	ancestor, v := p.encloser(name)
	if v != Proven && v != OptOut {
		return v
	}
	w, fits := Wildcard(ancestor)
	if !fits {
		return v
	}
	if c := p.covers3(w); c == Unproven || c == Exhausted {
		return c
	}
	return v
}

// noDS3: RFC 5155, Section 8.6 and 8.9.
func (p *Proof) noDS3(name wire.Name) (Verdict, Cut) {
	if len(p.nsec3) == 0 {
		return Unproven, Inside
	}
	n, ok := p.match(name)
	switch {
	case !ok:
		return Exhausted, Inside
	case n != nil:
		return n.Types.noDS(name.IsRoot())
	}
	_, v := p.encloser(name)
	if v == OptOut {
		return OptOut, Delegated
	}
	return v, Nothing
}
