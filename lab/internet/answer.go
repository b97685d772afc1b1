package internet

import (
	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// maxLinks of aliases are followed within one zone.
const maxLinks = 32

// answer is what an honest server of a zone says to a question, before it is a message.
type answer struct {
	z     *zone
	rcode wire.Rcode
	aa    bool
	parts [3][]part // answer, authority, additional

	alias    wire.Name // where the chain of aliases leaves the zone
	negative bool
	wildcard bool // something was made from a wildcard
	optOut   bool // the proof of a denial has opt-out set where it matters
}

// part is an RRset in an answer.
type part struct {
	owner wire.Name // of the records: not that of the set where it is a wildcard
	set   *rrset
	glue  bool // not signed
}

func (a *answer) put(s wire.Section, set *rrset) {
	a.parts[s-wire.Answers] = append(a.parts[s-wire.Answers], part{owner: set.name, set: set})
}

func (a *answer) glue(s wire.Section, set *rrset) {
	a.parts[s-wire.Answers] = append(a.parts[s-wire.Answers], part{owner: set.name, set: set, glue: true})
}

// signs tells whether signatures and proofs go with the zone's data.
func (z *zone) signs() bool { return z.policy.signed() && z.fault() != faultUnsigned }

// answer answers a question from the zone (RFC 1034, Section 4.3.2; RFC 4035, Section 3.1).
func (z *zone) answer(name wire.Name, t wire.Type) *answer {
	a := &answer{z: z, aa: true}
	for range maxLinks {
		cut, n, encloser := z.descend(name)
		switch {
		case cut != nil && (t != wire.TypeDS || len(cut.name) != len(name)):
			if len(a.parts[0]) == 0 {
				a.refer(cut)
			} else {
				a.alias = name
			}
			return a
		case cut != nil: // DS: the parent's own
			a.delegationSigner(cut)
			return a
		case n == nil:
			if dname := z.at(encloser).set(wire.TypeDNAME); dname != nil {
				name = a.rename(name, encloser, dname)
			} else {
				name = a.missing(name, encloser, t)
			}
		default:
			name = a.found(n, n.name, t)
		}
		if name == nil {
			return a
		}
		if !name.IsSubdomainOf(z.apex) {
			a.alias = name
			return a
		}
	}
	a.alias = name
	return a
}

// found answers from what stands at a node, for the owner asked. It returns the target of an alias to follow.
func (a *answer) found(n *node, owner wire.Name, t wire.Type) wire.Name {
	if c := n.set(wire.TypeCNAME); c != nil && t != wire.TypeCNAME {
		a.parts[0] = append(a.parts[0], part{owner: owner, set: c})
		return c.data[0]
	}
	if t == wire.TypeANY && !n.empty() {
		for i := range n.sets {
			a.parts[0] = append(a.parts[0], part{owner: owner, set: &n.sets[i]})
		}
		return nil
	}
	if s := n.set(t); s != nil {
		a.parts[0] = append(a.parts[0], part{owner: owner, set: s})
		return nil
	}
	if len(owner) == len(n.name) && owner.Equal(n.name) {
		a.deny(func() []*rrset { return a.z.denyType(n) })
	}
	return nil
}

// missing answers for a name that does not exist, from a wildcard if there is one (RFC 4592, Section 3.3.1).
func (a *answer) missing(name, encloser wire.Name, t wire.Type) wire.Name {
	z := a.z
	w := z.at(under("*", encloser))
	if w == nil {
		a.rcode = wire.NXDomain
		a.optOut = z.policy.denial == dnssec.DenialOptOut
		a.deny(func() []*rrset { return z.denyName(name, encloser) })
		return nil
	}
	a.wildcard = true
	before := len(a.parts[0])
	next := a.found(w, name, t)
	a.optOut = a.optOut || z.policy.denial == dnssec.DenialOptOut
	if len(a.parts[0]) == before {
		a.deny(func() []*rrset { return z.denyWildcardType(name, encloser, w) })
		return nil
	}
	if z.signs() && z.fault() != faultNoProof {
		for _, s := range z.denyCloser(name, encloser) {
			a.put(wire.Authorities, s)
		}
	}
	return next
}

// rename answers below a DNAME (RFC 6672, Section 3.1).
func (a *answer) rename(name, above wire.Name, dname *rrset) wire.Name {
	a.put(wire.Answers, dname)
	target := append(append(wire.Name(nil), name[:len(name)-len(above)]...), dname.data[0]...)
	if len(target) > wire.MaxName {
		a.rcode = wire.YXDomain
		return nil
	}
	a.glue(wire.Answers, &rrset{name: name, typ: wire.TypeCNAME, ttl: dname.ttl, data: [][]byte{target}})
	return target
}

// deny completes an answer that has no data: SOA, and the proof.
func (a *answer) deny(proof func() []*rrset) {
	z := a.z
	a.negative = true
	soa := *z.at(z.apex).set(wire.TypeSOA)
	soa.ttl = negativeTTL // RFC 2308, Section 3
	a.put(wire.Authorities, &soa)
	if !z.signs() || z.fault() == faultNoProof {
		return
	}
	for _, s := range proof() {
		a.put(wire.Authorities, s)
	}
}

// delegationSigner answers a question for DS at a cut.
func (a *answer) delegationSigner(n *node) {
	if ds := n.cut.open().ds(); ds != nil {
		a.put(wire.Answers, ds)
		return
	}
	a.optOut = a.z.policy.denial == dnssec.DenialOptOut
	a.deny(func() []*rrset { return a.z.denyType(n) })
}

// refer answers with a delegation (RFC 4035, Section 3.1.4).
func (a *answer) refer(n *node) {
	a.aa = false
	z, child := a.z, n.cut.open()
	ns := &rrset{name: child.apex, typ: wire.TypeNS, ttl: nsTTL}
	for i, h := range child.hosts {
		if i == 0 || !h.name.Equal(child.hosts[i-1].name) {
			ns.data = append(ns.data, h.name)
		}
	}
	a.glue(wire.Authorities, ns)
	if ds := child.ds(); ds != nil {
		a.put(wire.Authorities, ds)
	} else if z.signs() {
		for _, s := range z.denyType(n) {
			a.put(wire.Authorities, s)
		}
	}
	child.hostAddresses(func(name wire.Name, t wire.Type, data [][]byte) {
		// RFC 9471: all glue inside of the zone. The root gives addresses of others, too, for half of its delegations.
		if name.IsSubdomainOf(child.apex) || z.parent == nil && child.seed&1 == 0 {
			a.glue(wire.Additionals, &rrset{name: name, typ: t, ttl: nsTTL, data: data})
		}
	})
}

// write makes the message; false: it does not fit.
func (a *answer) write(b *wire.Builder, signed bool) bool {
	for i, list := range a.parts {
		section := wire.Answers + wire.Section(i)
		for _, p := range list {
			if !a.writePart(b, section, p, signed) {
				return false
			}
		}
	}
	return true
}

func (a *answer) writePart(b *wire.Builder, section wire.Section, p part, signed bool) bool {
	for _, d := range p.set.data {
		if !b.RR(section, p.owner, p.set.typ, wire.ClassIN, p.set.ttl, d) {
			return false
		}
	}
	if !signed || p.glue {
		return true
	}
	set := p.set
	if set.typ == wire.TypeSOA && set.ttl != soaTTL {
		set = a.z.at(a.z.apex).set(wire.TypeSOA)
	}
	for _, d := range a.z.signatures(set) {
		if !b.RR(section, p.owner, wire.TypeRRSIG, wire.ClassIN, p.set.ttl, d) {
			return false
		}
	}
	return true
}
