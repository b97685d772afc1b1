package denial

import (
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Verdict is what records prove.
type Verdict uint8

const (
	// Unproven: the records do not prove it. In a signed zone that makes an answer bogus.
	Unproven Verdict = iota
	// Proven: it is so.
	Proven
	// OptOut: it is so as far as the zone is signed; an unsigned delegation may be there (RFC 5155, Section 6 and 9.2): insecure.
	OptOut
	// Iterations: the NSEC3 records have more iterations than are computed: insecure (RFC 9276, Section 3.2).
	Iterations
	// Exhausted: no hash was left to compute. It says nothing.
	Exhausted
)

var verdictNames = [...]string{"unproven", "proven", "opt-out", "too many NSEC3 iterations", "no NSEC3 hash left"}

func (v Verdict) String() string { return verdictNames[v] }

// Hashes counts the NSEC3 hashes that may still be computed.
type Hashes struct{ Left int }

// Proof is the NSEC and NSEC3 records of one zone taken together. It is for one goroutine.
type Proof struct {
	zone   wire.Name
	nsec   []NSEC
	nsec3  []NSEC3
	limit  int // iterations
	hashes *Hashes
	memo   []hashed
	over   bool // NSEC3 records with too many iterations were met
}

type hashed struct {
	name wire.Name
	hash Hash
}

// NewProof reads the RRsets of a message that zone has signed; others than NSEC and NSEC3 are passed over. RRsets that are the
// expansion of a wildcard must not be among them: they are no proof of themselves (RFC 4035, Section 5.4; servers.md 5.2, case 62).
func NewProof(zone wire.Name, sets []*message.RRset, iterations int, hashes *Hashes) *Proof {
	p := &Proof{zone: zone, limit: iterations, hashes: hashes}
	for _, s := range sets {
		if len(p.nsec)+len(p.nsec3) == MaxRecords {
			break
		}
		if n, ok := ReadNSEC(s, zone); ok {
			p.nsec = append(p.nsec, n)
		}
		n3, ok := ReadNSEC3(s, zone)
		switch {
		case !ok:
		case n3.Iterations > iterations:
			p.over = true
		// RFC 5155, Section 8.2: records of different parameters do not belong together.
		case len(p.nsec3) == 0 || p.nsec3[0].SameChain(&n3):
			p.nsec3 = append(p.nsec3, n3)
		}
	}
	return p
}

// Empty tells whether there is nothing that could prove anything.
func (p *Proof) Empty() bool { return len(p.nsec) == 0 && len(p.nsec3) == 0 && !p.over }

// NoData tells whether it is proved that a name has no data of a type and no CNAME, by the name's own record, as an empty
// non-terminal, or at the wildcard that answers for it.
func (p *Proof) NoData(name wire.Name, t wire.Type) Verdict {
	if !name.IsSubdomainOf(p.zone) {
		return Unproven
	}
	for i := range p.nsec {
		if p.nsec[i].NoType(name, t) {
			return Proven
		}
	}
	// RFC 4035, Section 3.1.3.4: the name does not exist, and the wildcard that answers for it has no such type.
	if w, ok := p.wildcardNSEC(name); ok {
		for i := range p.nsec {
			if p.nsec[i].NoType(w, t) {
				return Proven
			}
		}
	}
	return p.orOver(p.noData3(name, t))
}

// NoName tells whether it is proved that a name does not exist and that no wildcard answers for it.
func (p *Proof) NoName(name wire.Name) Verdict {
	if !name.IsSubdomainOf(p.zone) {
		return Unproven
	}
	for i := range p.nsec {
		// RFC 9824, Section 3.5: the type NXNAME at the name says that there is no such name.
		if p.nsec[i].Matches(name) && p.nsec[i].Types.Has(wire.TypeNXNAME) {
			return Proven
		}
	}
	// RFC 4035, Section 3.1.3.2.
	if w, ok := p.wildcardNSEC(name); ok {
		for i := range p.nsec {
			if p.nsec[i].NoName(w) {
				return Proven
			}
		}
	}
	return p.orOver(p.noName3(name))
}

// NoCloser tells whether it is proved that no name matches closer than the wildcard below the ancestor with so many labels, from
// which the answer was made (RFC 4035, Section 5.3.4; RFC 5155, Section 8.8).
func (p *Proof) NoCloser(name wire.Name, labels int) Verdict {
	if !name.IsSubdomainOf(p.zone) || labels >= name.Labels() {
		return Unproven
	}
	for i := range p.nsec {
		if p.nsec[i].NoName(name) && p.nsec[i].Encloser(name) <= labels {
			return Proven
		}
	}
	if len(p.nsec3) == 0 {
		return p.orOver(Unproven)
	}
	return p.orOver(p.covers3(Ancestor(name, labels+1)))
}

// Cut is what stands at a name where it is proved that there is no DS record.
type Cut uint8

const (
	Delegated Cut = iota // a delegation without DS
	Inside               // the name belongs to the zone; something below it may be delegated
	Nothing              // there is no such name, and so nothing below it either
)

// NoDS tells whether it is proved that a name has no DS record, from the parent's side, and what it is then (RFC 4035, Section 5.2;
// RFC 5155, Section 8.9). OptOut: whatever is delegated there has no DS.
func (p *Proof) NoDS(name wire.Name) (Verdict, Cut) {
	if !name.IsSubdomainOf(p.zone) {
		return Unproven, Inside
	}
	for i := range p.nsec {
		n := &p.nsec[i]
		switch {
		case n.Matches(name):
			if v, cut := n.Types.noDS(name.IsRoot()); v == Proven {
				return v, cut
			}
		case n.emptyNonTerminal(name) && n.NoType(name, wire.TypeDS):
			return Proven, Inside
		// Whether a wildcard stands for the name is all the same: a wildcard delegates nothing (RFC 4592, Section 4.2).
		case n.NoName(name):
			return Proven, Nothing
		}
	}
	v, cut := p.noDS3(name)
	return p.orOver(v), cut
}

// noDS reads the bitmap of the name itself.
func (b Types) noDS(root bool) (Verdict, Cut) {
	switch {
	case b.Has(wire.TypeDS) || b.Has(wire.TypeSOA) && !root:
		return Unproven, Inside
	case b.Has(wire.TypeNXNAME): // RFC 9824, Section 3.5
		return Proven, Nothing
	case b.Has(wire.TypeNS):
		return Proven, Delegated
	}
	return Proven, Inside
}

// orOver puts Iterations where records that were not looked at might have proved more.
func (p *Proof) orOver(v Verdict) Verdict {
	if v == Unproven && p.over {
		return Iterations
	}
	return v
}

// wildcardNSEC is the wildcard that would answer for a name that NSEC records prove not to exist.
func (p *Proof) wildcardNSEC(name wire.Name) (wire.Name, bool) {
	for i := range p.nsec {
		if n := &p.nsec[i]; n.NoName(name) {
			return Wildcard(Ancestor(name, max(n.Encloser(name), p.zone.Labels())))
		}
	}
	return nil, false
}
