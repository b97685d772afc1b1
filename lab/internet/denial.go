package internet

import (
	"bytes"
	"encoding/base32"
	"slices"
	"sort"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// hashed is a name of a zone with its NSEC3 hash.
type hashed struct {
	sum  [dnssec.HashSize]byte
	node int
}

// base32hex is that of RFC 5155, Section 3.3, in lower case.
var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func (z *zone) hashes() bool {
	return z.policy.denial == dnssec.DenialNSEC3 || z.policy.denial == dnssec.DenialOptOut
}

// whole tells whether the names of the zone are few enough for a chain of their hashes.
func (z *zone) whole() bool { return len(z.stretches) == 0 }

// hash makes the chain of a zone that has one.
func (b *body) hash() {
	z := b.zone
	if !z.policy.signed() || !z.hashes() || !z.whole() {
		return
	}
	for i := range b.nodes {
		n := &b.nodes[i]
		// RFC 5155, Section 6: with opt-out, delegations without DS need no record.
		if n.cut != nil && z.policy.denial == dnssec.DenialOptOut && !n.cut.open().delegatesTrust() {
			continue
		}
		b.hashes = append(b.hashes, hashed{dnssec.NSEC3Hash(n.name, z.policy.salt, z.policy.iterations), i})
	}
	slices.SortFunc(b.hashes, func(x, y hashed) int { return bytes.Compare(x.sum[:], y.sum[:]) })
}

// types are those of a node with the ones that denial adds.
func (z *zone) types(n *node, denial wire.Type) (list []wire.Type) {
	if n == nil || n.empty() {
		if denial == wire.TypeNSEC {
			return []wire.Type{wire.TypeRRSIG, wire.TypeNSEC}
		}
		return nil
	}
	for i := range n.sets {
		list = append(list, n.sets[i].typ)
	}
	if n.cut != nil {
		list = append(list, wire.TypeNS)
		if n.cut.open().delegatesTrust() {
			list = append(list, wire.TypeDS, wire.TypeRRSIG)
		}
	} else {
		list = append(list, wire.TypeRRSIG)
	}
	if denial == wire.TypeNSEC {
		list = append(list, wire.TypeNSEC)
		if n.cut != nil && !slices.Contains(list, wire.TypeRRSIG) {
			list = append(list, wire.TypeRRSIG)
		}
	}
	return list
}

// appendBitmap: RFC 4034, Section 4.1.2.
func appendBitmap(dst []byte, types []wire.Type) []byte {
	slices.Sort(types)
	for i := 0; i < len(types); {
		window := types[i] >> 8
		var bits [32]byte
		last := 0
		for ; i < len(types) && types[i]>>8 == window; i++ {
			low := int(types[i] & 0xFF)
			bits[low/8] |= 0x80 >> (low % 8)
			last = low/8 + 1
		}
		dst = append(dst, byte(window), byte(last))
		dst = append(dst, bits[:last]...)
	}
	return dst
}

// nsec is the record at or before a name (RFC 4034, Section 4).
func (z *zone) nsec(key []byte) *rrset {
	owner := z.neighbour(key, false)
	next := z.neighbour(owner.key, true)
	nextName := z.apex
	if next != nil {
		nextName = next.name
	}
	rdata := appendBitmap(append([]byte(nil), nextName...), z.types(owner, wire.TypeNSEC))
	return &rrset{name: owner.name, typ: wire.TypeNSEC, ttl: negativeTTL, data: [][]byte{rdata}}
}

// neighbour is the last name that is not empty at or before key, or the first after it.
func (z *zone) neighbour(key []byte, after bool) *node {
	nodes := z.content().nodes
	i := sort.Search(len(nodes), func(i int) bool { return bytes.Compare(nodes[i].key, key) > 0 })
	var best *node
	step := 1
	if !after {
		i, step = i-1, -1
	}
	for ; i >= 0 && i < len(nodes); i += step {
		if !nodes[i].empty() {
			best = &nodes[i]
			break
		}
	}
	for _, s := range z.stretches {
		j := s.place(key)
		if here := j < s.count && bytes.Equal(s.key(j), key); here == after {
			if after {
				j++ // key is word j, the next one is wanted
			} else {
				j-- // key is none, the one before is wanted
			}
		}
		if j < 0 || j >= s.count {
			continue
		}
		k := s.key(j)
		if best == nil || (bytes.Compare(k, best.key) < 0) == after {
			best = z.registered(s, j)
		}
	}
	return best
}

// nsec3 is the record that matches the hash of a name, or the one that covers it.
func (z *zone) nsec3(name wire.Name, n *node, match bool) *rrset {
	sum := dnssec.NSEC3Hash(name, z.policy.salt, z.policy.iterations)
	owner, next := sum, sum
	if z.whole() {
		h := z.content().hashes
		i := sort.Search(len(h), func(i int) bool { return bytes.Compare(h[i].sum[:], sum[:]) > 0 })
		at := (i - 1 + len(h)) % len(h)
		owner, next = h[at].sum, h[i%len(h)].sum
		n = &z.content().nodes[h[at].node]
	} else {
		if !match {
			n = nil
			decrease(&owner)
		}
		increase(&next)
	}
	flags := byte(0)
	if z.policy.denial == dnssec.DenialOptOut {
		flags = 1
	}
	rdata := []byte{1, flags, byte(z.policy.iterations >> 8), byte(z.policy.iterations), byte(len(z.policy.salt))}
	rdata = append(append(rdata, z.policy.salt...), dnssec.HashSize)
	rdata = append(rdata, next[:]...)
	types := z.types(n, wire.TypeNSEC3)
	if !z.whole() && !match {
		types = []wire.Type{wire.TypeTXT, wire.TypeRRSIG} // of a name that only this record says to be there
	}
	rdata = appendBitmap(rdata, types)
	label := base32hex.EncodeToString(owner[:])
	return &rrset{name: under(label, z.apex), typ: wire.TypeNSEC3, ttl: negativeTTL, data: [][]byte{rdata}}
}

func increase(b *[dnssec.HashSize]byte) {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return
		}
	}
}

func decrease(b *[dnssec.HashSize]byte) {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]--; b[i] != 0xFF {
			return
		}
	}
}

// nextCloser is the name one label below the closest encloser on the way to name (RFC 5155, Section 1.3).
func nextCloser(name, encloser wire.Name) wire.Name { return ancestor(name, encloser.Labels()+1) }

// denyType proves that a name has no such type (RFC 4035, Section 3.1.3.1; RFC 5155, Sections 7.2.3 and 7.2.4).
func (z *zone) denyType(n *node) []*rrset {
	if !z.hashes() {
		return []*rrset{z.nsec(n.key)}
	}
	if n.cut != nil && z.policy.denial == dnssec.DenialOptOut && !n.cut.open().delegatesTrust() {
		encloser := z.existing(n.name.Parent())
		return []*rrset{z.nsec3(encloser.name, encloser, true), z.nsec3(nextCloser(n.name, encloser.name), nil, false)}
	}
	return []*rrset{z.nsec3(n.name, n, true)}
}

// existing is the closest name to name, itself included, that has an NSEC3 record.
func (z *zone) existing(name wire.Name) *node {
	for {
		if n := z.at(name); n != nil && n.cut == nil {
			return n
		}
		name = name.Parent()
	}
}

// denyName proves that neither a name nor a wildcard for it exists (RFC 4035, Section 3.1.3.2; RFC 5155, Section 7.2.2).
func (z *zone) denyName(name, encloser wire.Name) []*rrset {
	wildcard := under("*", encloser)
	if !z.hashes() {
		return distinct(z.nsec(z.key(name)), z.nsec(z.key(wildcard)))
	}
	return distinct(z.nsec3(encloser, z.at(encloser), true), z.nsec3(nextCloser(name, encloser), nil, false), z.nsec3(wildcard, nil, false))
}

// denyCloser proves that nothing is closer to name than the wildcard that was used (RFC 4035, Section 3.1.3.3; RFC 5155, Section 7.2.6).
func (z *zone) denyCloser(name, encloser wire.Name) []*rrset {
	if !z.hashes() {
		return []*rrset{z.nsec(z.key(name))}
	}
	return []*rrset{z.nsec3(nextCloser(name, encloser), nil, false)}
}

// denyWildcardType proves that the wildcard that a name falls under has no such type (RFC 4035, Section 3.1.3.4; RFC 5155, Section 7.2.5).
func (z *zone) denyWildcardType(name, encloser wire.Name, wildcard *node) []*rrset {
	if !z.hashes() {
		return distinct(z.nsec(z.key(name)), z.nsec(wildcard.key))
	}
	return distinct(z.nsec3(encloser, z.at(encloser), true), z.nsec3(nextCloser(name, encloser), nil, false), z.nsec3(wildcard.name, wildcard, true))
}

func distinct(sets ...*rrset) (list []*rrset) {
	for _, s := range sets {
		if !slices.ContainsFunc(list, func(o *rrset) bool { return o.name.Equal(s.name) }) {
			list = append(list, s)
		}
	}
	return list
}
