package authority

import (
	"encoding/binary"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// any answers type ANY: over a stream everything, else one set (RFC 8482, Section 4.1), so that it is no amplifier. (case 63)
func (r *Responder) any(key []byte, m match, owner wire.Name) {
	found := false
	for set := range m.node.Sets() {
		t := set.Type()
		if t == wire.TypeRRSIG || (found && !r.tcp) {
			continue
		}
		found = true
		if !r.answer(m.node, set, owner) {
			return
		}
	}
	if !found {
		r.nodata(key, m)
	}
}

// signatures answers type RRSIG (RFC 3225: types asked for are answered without DO; case 49).
func (r *Responder) signatures(key []byte, m match, owner wire.Name) {
	found := false
	for set := range m.node.Sets() {
		if set.Type() != wire.TypeRRSIG {
			continue
		}
		found = true
		mark := r.b.Mark()
		for it := set.Iter(); it.Next(); {
			if !r.must(r.b.RR(wire.Answers, owner, wire.TypeRRSIG, r.z.Class(), set.TTL(), it.RData())) {
				r.b.Back(mark)
				return
			}
		}
	}
	if !found {
		r.nodata(key, m)
	}
}

// substitute applies a DNAME (RFC 6672, Section 3.1): the DNAME itself, then the synthesised CNAME, then the new name.
// The CNAME has the TTL of the DNAME and no signature (Section 5.3.1; case 22).
func (r *Responder) substitute(n int, key []byte, m match) bool {
	set, _ := m.node.Set(wire.TypeDNAME)
	at := suffix(r.qname, key, m.end)
	to := wire.Name(set.First())
	// A DNAME used twice stands in the answer once; one that points below itself only makes the name longer each time,
	// and is used once. (case 24)
	if used := r.already(wire.TypeDNAME, m.node.Key()); used && to.IsSubdomainOf(at) {
		return false
	} else if !used && !r.answer(m.node, set, at) {
		return false
	}
	prefix := r.qname[:len(r.qname)-len(at)]
	if len(prefix)+len(to) > wire.MaxName {
		r.res.Rcode = wire.YXDomain // RFC 6672, Section 2.2 (case 25)
		return false
	}
	next := append(append(r.owner[:0], prefix...), to...)
	if !r.must(r.b.RR(wire.Answers, r.qname, wire.TypeCNAME, r.z.Class(), set.TTL(), next)) {
		return false
	}
	if r.qtype == wire.TypeCNAME || !wire.Name(next).IsSubdomainOf(r.apex) {
		return false // the synthesised CNAME is the answer to a question for CNAME (case 23)
	}
	return r.goOn(n, wire.Name(next))
}

// wildcard answers a name that does not exist from `*` below its closest encloser, if that exists (RFC 4592, Section 3.3.1).
func (r *Responder) wildcard(n int, key []byte, m match) bool {
	star := append(append(r.other[:0], key[:m.end]...), '*', 0)
	node, ok := r.z.Find(star)
	if !ok && !r.z.HasBelow(star) {
		r.nxdomain(key, m)
		return false
	}
	if !ok {
		r.wildcardNoData(key, m, node, false)
		return false
	}
	set, has := node.Set(r.qtype)
	cname := false
	if !has && r.qtype != wire.TypeANY && r.follows() {
		set, cname = node.Set(wire.TypeCNAME)
	}
	switch {
	case r.qtype == wire.TypeANY || r.qtype == wire.TypeRRSIG:
		r.expanded(m)
		return r.data(n, key, match{exact, node, m.end}, r.qname)
	case has:
		if r.answer(node, set, r.qname) {
			r.expanded(m)
			r.want(set, r.qname, nil)
		}
		return false
	case cname:
		r.expanded(m)
		return r.answer(node, set, r.qname) && r.follow(n, set)
	}
	r.wildcardNoData(key, m, node, true)
	return false
}

// expanded remembers that the answer needs the proof that no closer name exists.
func (r *Responder) expanded(m match) {
	if r.do && r.wilds < len(r.wild) {
		r.wild[r.wilds] = expansion{r.qname, m.end}
		r.wilds++
	}
}

// refer writes a referral (RFC 1034, Section 4.3.2, step 3b): AA clear unless the answer holds an alias already (cases 17, 28).
func (r *Responder) refer(key []byte, m match, first bool) {
	if first {
		r.res.AA = false
	}
	r.res.Named = first && m.end == len(key)
	at := suffix(r.qname, key, m.end)
	set, _ := m.node.Set(wire.TypeNS)
	if !r.must(r.plain(wire.Authorities, at, set)) {
		return
	}
	r.want(set, at, at)
	if !r.do {
		return
	}
	// RFC 4035, Section 3.1.4: DS or the proof of its absence; without room for it the answer is truncated (case 36).
	if ds, ok := m.node.Set(wire.TypeDS); ok {
		r.must(r.set(wire.Authorities, at, m.node, ds, ds.TTL()))
		return
	}
	r.proveNoDS(m.node, at)
}

// plain adds a set without signatures: NS at a cut and glue are not signed (RFC 4035, Section 2.2; case 50).
func (r *Responder) plain(s wire.Section, owner wire.Name, set zone.RRset) bool {
	do := r.do
	r.do = false
	ok := r.set(s, owner, zone.Node{}, set, set.TTL())
	r.do = do
	return ok
}

// want notes the names in a set whose addresses help the client (RFC 1034, Section 4.3.2, step 6; RFC 9460, Section 4.1).
// below is the cut of a referral; names at or below it are mandatory (RFC 9471, Section 2.1; case 34).
func (r *Responder) want(set zone.RRset, owner, below wire.Name) {
	skip := 0
	switch set.Type() {
	case wire.TypeNS:
	case wire.TypeMX, wire.TypeSVCB, wire.TypeHTTPS:
		skip = 2
	case wire.TypeSRV:
		skip = 6
	default:
		return
	}
	for it := set.Iter(); it.Next() && r.wanted < len(r.targets); {
		rd := it.RData()
		if len(rd) <= skip {
			continue
		}
		name := firstName(rd[skip:])
		// RFC 9460, Section 2.5.2: in ServiceMode "." stands for the owner.
		if name.IsRoot() && skip == 2 && set.Type() != wire.TypeMX && binary.BigEndian.Uint16(rd) != 0 {
			name = owner
		}
		if name.IsSubdomainOf(r.apex) {
			r.targets[r.wanted] = target{name, below != nil && name.IsSubdomainOf(below)}
			r.wanted++
		}
	}
}

func firstName(b []byte) wire.Name {
	i := 0
	for i < len(b) && b[i] != 0 {
		i += int(b[i]) + 1
	}
	return wire.Name(b[:i+1])
}

// addAdditional adds the addresses of the wanted names. Missing mandatory glue sets TC (RFC 9471, Section 2.1), the rest is
// left out silently where room ends. An alias is not chased (case 78).
func (r *Responder) addAdditional() {
	if r.res.TC {
		return
	}
	for pass := range 2 {
		for i := range r.wanted {
			t := &r.targets[i]
			if t.must != (pass == 0) || r.seen(i) {
				continue
			}
			node, ok := r.z.Find(wire.AppendKey(r.other[:0], t.name, r.apex))
			if !ok {
				continue
			}
			for _, typ := range [2]wire.Type{wire.TypeA, wire.TypeAAAA} {
				set, ok := node.Set(typ)
				if !ok || r.res.AA && r.qtype == typ && t.name.Equal(r.qname) {
					continue // it is the answer
				}
				if r.set(wire.Additionals, t.name, node, set, set.TTL()) {
					continue
				}
				r.res.Whole = false
				if t.must {
					r.res.TC = true
					return
				}
			}
		}
	}
}

// seen tells whether an earlier target is the same name.
func (r *Responder) seen(i int) bool {
	for k := range i {
		if r.targets[k].name.Equal(r.targets[i].name) {
			return true
		}
	}
	return false
}
