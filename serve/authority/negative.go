package authority

import (
	"encoding/binary"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/dns/zone"
)

// nodata says that the name exists without the type (RFC 2308, Section 2.2).
func (r *Responder) nodata(key []byte, m match) {
	if !r.soa() || !r.do {
		return
	}
	if r.nsec3() {
		h := r.hash(r.qname)
		if r.addNSEC3(r.z.FindNSEC3(h[:])) {
			return
		}
		// RFC 5155, Section 7.2.4: no NSEC3 of its own inside an opt-out span. (case 45)
		r.closestEncloser(r.qname)
		return
	}
	if m.kind == exact {
		r.addNSEC(m.node, true)
		return
	}
	// The NSEC before an empty non-terminal spans it. (case 43)
	r.addNSEC(r.z.Prev(key))
}

// nxdomain says that the name does not exist (RFC 2308, Section 2.1; RFC 4035, Section 3.1.3.2; RFC 5155, Section 7.2.2).
func (r *Responder) nxdomain(key []byte, m match) {
	r.res.Rcode = wire.NXDomain
	if !r.soa() || !r.do {
		return
	}
	if r.nsec3() {
		// The wildcard is denied at the encloser that was proved, which in an opt-out span may be above the one that
		// exists: an empty non-terminal that leads only to unsigned delegations has no NSEC3.
		var room [wire.MaxName + 2]byte
		h := r.hash(append(append(room[:0], 1, '*'), r.closestEncloser(r.qname)...))
		r.addNSEC3(r.z.CoverNSEC3(h[:]))
		return
	}
	star := append(append(r.other[:0], key[:m.end]...), '*', 0)
	r.addNSEC(r.z.Prev(key))
	r.addNSEC(r.z.Prev(star))
}

// wildcardNoData: `*` matches but lacks the type (RFC 4035, Section 3.1.3.4; RFC 5155, Section 7.2.5; case 8).
func (r *Responder) wildcardNoData(key []byte, m match, star zone.Node, isNode bool) {
	if !r.soa() || !r.do {
		return
	}
	if r.nsec3() {
		r.closestEncloser(r.qname)
		var room [wire.MaxName + 2]byte
		h := r.hash(append(append(room[:0], 1, '*'), suffix(r.qname, key, m.end)...))
		r.addNSEC3(r.z.FindNSEC3(h[:]))
		return
	}
	r.addNSEC(r.z.Prev(key))
	if isNode {
		r.addNSEC(star, true)
		return
	}
	r.addNSEC(r.z.Prev(append(append(r.other[:0], key[:m.end]...), '*', 0)))
}

// proveExpansions adds, for each wildcard used, the proof that no closer name exists (RFC 4035, Section 3.1.3.3; RFC 5155,
// Section 7.2.6: the next closer name only; case 47).
func (r *Responder) proveExpansions() {
	for i := range r.wilds {
		w := r.wild[i]
		key := wire.AppendKey(r.key[:0], w.qname, r.apex)
		if !r.nsec3() {
			r.addNSEC(r.z.Prev(key))
			continue
		}
		h := r.hash(suffix(w.qname, key, nextLabel(key, w.encloser)))
		r.addNSEC3(r.z.CoverNSEC3(h[:]))
	}
}

// proveNoDS shows at a cut that there is no DS (RFC 4035, Section 3.1.4; RFC 5155, Section 7.2.7).
func (r *Responder) proveNoDS(node zone.Node, at wire.Name) {
	if !r.nsec3() {
		r.addNSEC(node, true)
		return
	}
	h := r.hash(at)
	if !r.addNSEC3(r.z.FindNSEC3(h[:])) {
		r.closestEncloser(at)
	}
}

// closestEncloser adds the closest provable encloser proof (RFC 5155, Section 7.2.1): the NSEC3 of the longest ancestor that
// has one, and the NSEC3 that covers the next closer name. It returns that ancestor.
func (r *Responder) closestEncloser(name wire.Name) wire.Name {
	next, above := name, name.Parent()
	for {
		h := r.hash(above)
		if node, ok := r.z.FindNSEC3(h[:]); ok {
			r.addNSEC3(node, true)
			break
		}
		if len(above) <= len(r.apex) {
			break // a broken chain: the apex has no NSEC3
		}
		next, above = above, above.Parent()
	}
	h := r.hash(next)
	r.addNSEC3(r.z.CoverNSEC3(h[:]))
	return above
}

// soa adds the SOA with the TTL of a negative answer: the lower of its own and MINIMUM (RFC 2308, Section 3; case 40).
func (r *Responder) soa() bool {
	apex, _ := r.z.Find(nil)
	set, ok := apex.Set(wire.TypeSOA)
	if !ok {
		return false
	}
	it := set.Iter()
	it.Next()
	rd := it.RData()
	ttl := min(set.TTL(), binary.BigEndian.Uint32(rd[len(rd)-4:]))
	return r.must(r.set(wire.Authorities, r.apex, apex, set, ttl))
}

func (r *Responder) nsec3() bool {
	_, _, _, ok := r.z.NSEC3Param()
	return ok
}

func (r *Responder) hash(name wire.Name) [dnssec.HashSize]byte {
	_, iterations, salt, _ := r.z.NSEC3Param()
	return dnssec.NSEC3Hash(name, salt, int(iterations))
}

// proof names a record already sent: its type and the place of its key in the zone's pages.
type proof struct {
	typ wire.Type
	key []byte
}

// addNSEC adds the NSEC of a node once (case 42: equal proofs are sent once).
func (r *Responder) addNSEC(node zone.Node, ok bool) {
	if !ok {
		return
	}
	set, ok := node.Set(wire.TypeNSEC)
	if !ok || r.already(wire.TypeNSEC, node.Key()) {
		return
	}
	owner := wire.Name(node.AppendOwner(r.owner[:0], r.apex))
	r.must(r.set(wire.Authorities, owner, node, set, set.TTL()))
}

// addNSEC3 adds the NSEC3 of a node once, and tells whether there was one.
func (r *Responder) addNSEC3(node zone.Node, ok bool) bool {
	if !ok {
		return false
	}
	set, ok := node.Set(wire.TypeNSEC3)
	if !ok || r.already(wire.TypeNSEC3, node.Key()) {
		return ok
	}
	owner := wire.Name(node.AppendOwner(r.owner[:0], r.apex))
	r.must(r.set(wire.Authorities, owner, node, set, set.TTL()))
	return true
}

func (r *Responder) already(t wire.Type, key []byte) bool {
	for i := range r.proved {
		if p := r.proofs[i]; p.typ == t && string(p.key) == string(key) {
			return true
		}
	}
	if r.proved < len(r.proofs) {
		r.proofs[r.proved] = proof{t, key}
		r.proved++
	}
	return false
}
