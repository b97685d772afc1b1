package dnssec

import (
	"bytes"
	"encoding/binary"
	"slices"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// nsec3 is an NSEC3 record taken apart (RFC 5155, Section 3.2).
type nsec3 struct {
	optOut bool
	flags  uint8
	next   []byte
	bitmap []byte
}

const flagOptOut = 1 // RFC 5155, Section 3.1.2.1

// chain is the set of NSEC3 records made with the parameters of one NSEC3PARAM record.
type chain struct {
	param      []byte // RDATA of the NSEC3PARAM record
	iterations int
	salt       []byte
	spans      []span // in order of their hash
}

// span is an NSEC3 record as far as coverage goes.
type span struct {
	hash   [HashSize]byte
	optOut bool
}

// record finds the NSEC3 record of the chain in a set; many tells that there are several.
func (c *chain) record(set zone.RRset) (r nsec3, ok, many bool) {
	for it := set.Iter(); it.Next(); {
		d := it.RData()
		n := len(c.param)
		if len(d) <= n || d[0] != c.param[0] || !bytes.Equal(d[2:n], c.param[2:]) {
			continue
		}
		size := int(d[n])
		if ok || len(d) < n+1+size {
			return r, ok, true
		}
		r, ok = nsec3{d[1]&flagOptOut != 0, d[1], d[n+1 : n+1+size], d[n+1+size:]}, true
	}
	return r, ok, false
}

// covered tells whether the hash falls into a span with opt-out; the ring is closed.
func (c *chain) covered(hash []byte) bool {
	if len(c.spans) == 0 {
		return false
	}
	i, exact := slices.BinarySearchFunc(c.spans, hash, func(s span, h []byte) int { return bytes.Compare(s.hash[:], h) })
	if exact {
		return false
	}
	if i == 0 {
		i = len(c.spans)
	}
	return c.spans[i-1].optOut
}

// readChains finds how the zone denies, and follows the rings of NSEC3.
func (c *check) readChains(w *worker) {
	set, _ := c.z.ApexNode().Set(wire.TypeNSEC3PARAM)
	flags := c.paramFlags(w, set)
	for it := set.Iter(); it.Next(); {
		r := it.RData()
		if r[1] != flags {
			continue
		}
		iterations := int(binary.BigEndian.Uint16(r[2:]))
		switch {
		case r[0] != 1:
			w.report(zone.Error, "nsec3-unchecked", "NSEC3 hash algorithm %d is unknown", r[0])
		case iterations > MaxIterations:
			w.report(zone.Error, "nsec3-unchecked", "%d iterations of NSEC3 are more than %d: the chain was not followed", iterations, MaxIterations)
		case len(c.chains) == maxChains:
			w.report(zone.Error, "nsec3-unchecked", "more than %d chains of NSEC3", maxChains)
		default:
			c.chains = append(c.chains, &chain{param: r, iterations: iterations, salt: r[5:]})
		}
	}
	switch {
	case c.nsec:
		c.report.Denial = DenialNSEC
	case set.Len() > 0:
		c.report.Denial = DenialNSEC3
	default: // RFC 4035, Section 2.3; RFC 5155, Section 7.1
		w.report(zone.Error, "denial-missing", "neither an NSEC nor an NSEC3PARAM record at the apex")
	}
	c.followRings()
}

// paramFlags is 0, the flags of NSEC3PARAM records that count (RFC 5155, Section 4.1.2). Where none has them, servers deny
// nothing; the chains are followed all the same, as some signers set the flag of opt-out there.
func (c *check) paramFlags(w *worker, set zone.RRset) (flags byte) {
	for it := set.Iter(); it.Next(); {
		if flags = it.RData()[1]; flags == 0 {
			return 0
		}
	}
	if set.Len() > 0 {
		w.report(zone.Warn, "nsec3param-flags", "the NSEC3PARAM record has flags %d: servers ignore it, as only 0 is allowed", flags)
	}
	return flags
}

// followRings goes over the NSEC3 records: each points to the next of its chain (RFC 5155, Section 7.1).
func (c *check) followRings() {
	w := c.worker()
	rings := make([]ring, len(c.chains))
	foreign := 0
	for n := range c.z.All() {
		if !n.IsNSEC3() {
			continue
		}
		if len(w.problems) >= maxProblems {
			break
		}
		w.owner = n.AppendOwner(w.owner[:0], c.apex)
		set, _ := n.Set(wire.TypeNSEC3)
		ours := 0
		for i, ch := range c.chains {
			r, ok, many := ch.record(set)
			if many {
				w.report(zone.Error, "nsec3-many", "several NSEC3 records of one chain")
			}
			if !ok {
				continue
			}
			ours++
			w.ring(&rings[i], ch, n.Key(), r)
		}
		foreign += set.Len() - ours
	}
	if foreign > 0 { // RFC 5155, Section 10.4: a chain being made or removed
		w.owner = append(w.owner[:0], c.apex...)
		w.report(zone.Warn, "nsec3-foreign", "%d NSEC3 records whose parameters no NSEC3PARAM record shows", foreign)
	}
	for i, ch := range c.chains {
		w.closeRing(&rings[i], ch)
	}
	c.tail = w.problems
}

// ring is the state of following a chain.
type ring struct {
	first, next []byte
	owner       wire.Name // of the record that next is from
}

// ring takes in the next record of a chain.
func (w *worker) ring(g *ring, ch *chain, hash []byte, r nsec3) {
	if len(hash) != HashSize || len(r.next) != HashSize {
		w.report(zone.Error, "nsec3-length", "an NSEC3 record whose hashes do not have %d octets", HashSize)
		return
	}
	if g.first == nil {
		g.first = hash
	} else if !bytes.Equal(g.next, hash) {
		w.wrongNext(g, hash)
	}
	g.next, g.owner = r.next, append(g.owner[:0], w.owner...)
	if r.flags&^flagOptOut != 0 { // RFC 5155, Section 3.1.2 and 8.2: validators ignore such records
		w.report(zone.Error, "nsec3-flags", "an NSEC3 record with unknown flags %#02x", r.flags)
	}
	if r.optOut && w.c.report.Denial == DenialNSEC3 {
		w.c.report.Denial = DenialOptOut
	}
	ch.spans = append(ch.spans, span{[HashSize]byte(hash), r.optOut})
}

func (w *worker) closeRing(g *ring, ch *chain) {
	if g.first == nil {
		w.owner = append(w.owner[:0], w.c.apex...)
		w.report(zone.Error, "nsec3-chain", "no NSEC3 records for NSEC3PARAM 1 0 %d %X", ch.iterations, ch.salt)
		return
	}
	if !bytes.Equal(g.next, g.first) {
		w.wrongNext(g, g.first)
	}
}

func (w *worker) wrongNext(g *ring, want []byte) {
	owner := w.owner
	w.owner = g.owner
	w.report(zone.Error, "nsec3-next", "the NSEC3 record points to %s, the next one is %s", base32Hex(g.next), base32Hex(want))
	w.owner = owner
}

// hashes checks the NSEC3 records of a name, in each chain.
func (w *worker) hashes(it item) {
	for i, ch := range w.c.chains {
		hash := NSEC3Hash(w.owner, ch.salt, ch.iterations)
		r, ok := w.c.find(ch, hash[:])
		optional := insecure(it) || it.kind == empty && !it.must
		switch {
		case ok:
			w.matched[i] = append(w.matched[i], binary.BigEndian.Uint64(hash[:]))
			var types []wire.Type
			if it.kind != empty {
				types = typesAt(it, wire.TypeNSEC3)
			}
			w.bitmap("nsec3", r.bitmap, types)
			if insecure(it) {
				w.above(ch, it.node.Key())
			}
		case !optional: // RFC 5155, Section 7.1
			w.report(zone.Error, "nsec3-missing", "no NSEC3 record %s", base32Hex(hash[:]))
		case !ch.covered(hash[:]): // RFC 5155, Section 6
			w.report(zone.Error, "nsec3-opt-out", "no NSEC3 record %s, and none with opt-out covers it", base32Hex(hash[:]))
		}
	}
}

// above demands the NSEC3 records of the empty non-terminals above an insecure delegation that has one itself (RFC 5155,
// Section 7.1: what is above a name of the chain is in the chain).
func (w *worker) above(ch *chain, key []byte) {
	owner := w.owner
	for i := len(key) - 2; i > 0; i-- {
		if key[i] != 0 {
			continue
		}
		w.room = wire.AppendNameOfKey(w.room[:0], key[:i+1], w.c.apex)
		hash := NSEC3Hash(wire.Name(w.room), ch.salt, ch.iterations)
		if _, ok := w.c.find(ch, hash[:]); !ok {
			w.owner = wire.Name(w.room)
			w.report(zone.Error, "nsec3-missing", "no NSEC3 record %s", base32Hex(hash[:]))
		}
	}
	w.owner = owner
}

func (c *check) find(ch *chain, hash []byte) (nsec3, bool) {
	n, ok := c.z.FindNSEC3(hash)
	if !ok {
		return nsec3{}, false
	}
	set, _ := n.Set(wire.TypeNSEC3)
	r, ok, _ := ch.record(set)
	return r, ok
}

// orphans reports NSEC3 records that are the hash of no name: they deny what they should not, or nothing.
func (c *check) orphans(workers []*worker) []zone.Problem {
	w := c.worker()
	for i, ch := range c.chains {
		var matched []uint64
		for _, other := range workers {
			matched = append(matched, other.matched[i]...)
		}
		slices.Sort(matched)
		for _, s := range ch.spans {
			if _, ok := slices.BinarySearch(matched, binary.BigEndian.Uint64(s.hash[:])); ok {
				continue
			}
			if len(w.problems) >= maxProblems {
				return w.problems
			}
			if n, ok := c.z.FindNSEC3(s.hash[:]); ok {
				w.owner = n.AppendOwner(w.owner[:0], c.apex)
			}
			w.report(zone.Error, "nsec3-orphan", "an NSEC3 record that belongs to no name of the zone")
		}
	}
	return w.problems
}

// base32Hex is how hashes are shown (RFC 5155, Section 3.3).
func base32Hex(b []byte) string { return hexEncoding.EncodeToString(b) }
