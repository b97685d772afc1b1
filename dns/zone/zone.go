package zone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"

	"anyu/dns/wire"
)

var (
	// ErrNoSOA and ErrSOAs say that a zone has not exactly one SOA at its apex (RFC 1035, Section 5.2).
	ErrNoSOA = errors.New("no SOA record at the apex")
	ErrSOAs  = errors.New("more than one SOA record at the apex")
	// ErrOutside says that a name is not at or below the apex.
	ErrOutside = errors.New("name is outside the zone")
	// ErrNotThere says that what is to be removed does not exist.
	ErrNotThere = errors.New("no such record in the zone")
	// ErrType says that a type or class is not data.
	ErrType = errors.New("type cannot stand in a zone")
)

// Zone is one immutable version of a zone. Any number of goroutines may read it; reading takes no lock and, where a method
// does not say otherwise, allocates nothing.
type Zone struct {
	apex  wire.Name
	class wire.Class

	names  tree // of the names of the zone
	hashes tree // of NSEC3 records and their signatures, by raw hash

	top     Node // of the apex: every query looks at it
	serial  uint32
	minimum uint32 // what a negative answer may be cached for (RFC 2308, Section 5)
	param   nsec3Param
	signed  bool
}

// nsec3Param is an NSEC3PARAM record taken apart (RFC 5155, Section 4).
type nsec3Param struct {
	ok         bool
	alg        uint8
	iterations uint16
	salt       []byte
	fixed      []byte // RDATA as NSEC3 records begin but for their flags octet
}

// version makes a Zone of two trees and reads from the apex what is asked for often.
func version(apex wire.Name, class wire.Class, names, hashes tree) (*Zone, error) {
	z := &Zone{apex: apex, class: class, names: names, hashes: hashes}
	root := names.find(nil)
	if root == nil {
		return nil, ErrNoSOA
	}
	n := nodeOf(root)
	z.top = n
	soa, ok := n.Set(wire.TypeSOA)
	if !ok {
		return nil, ErrNoSOA
	}
	if soa.Len() != 1 {
		return nil, ErrSOAs
	}
	fixed := soa.First()
	fixed = fixed[len(fixed)-20:]
	z.serial = binary.BigEndian.Uint32(fixed)
	z.minimum = min(soa.TTL(), binary.BigEndian.Uint32(fixed[16:]))
	_, z.signed = n.Sigs(wire.TypeSOA)
	if _, ok := n.Set(wire.TypeDNSKEY); !ok {
		z.signed = false
	}
	z.param = z.chooseParam(n)
	return z, nil
}

// chooseParam takes the NSEC3PARAM record whose chain is complete. RFC 5155, Section 4.1.2: flags other than 0 make a
// record unusable. Where several are left, the one whose chain has the apex is taken.
func (z *Zone) chooseParam(apex Node) (found nsec3Param) {
	set, ok := apex.Set(wire.TypeNSEC3PARAM)
	if !ok {
		return found
	}
	for it := set.Iter(); it.Next(); {
		r := it.RData()
		if r[1] != 0 {
			continue
		}
		p := nsec3Param{ok: true, alg: r[0], iterations: binary.BigEndian.Uint16(r[2:]), salt: r[5:], fixed: r}
		if !found.ok {
			found = p
		}
		if set.Len() == 1 {
			break
		}
		if n, ok := z.FindNSEC3(hashName(z.apex, p)); ok && p.matches(n) {
			return p
		}
	}
	return found
}

// matches tells whether n holds an NSEC3 record made with these parameters. The fields stand in the same places in both
// records; only the flags differ.
func (p *nsec3Param) matches(n Node) bool {
	set, ok := n.Set(wire.TypeNSEC3)
	if !ok {
		return false
	}
	for it := set.Iter(); it.Next(); {
		r := it.RData()
		if len(r) >= len(p.fixed) && r[0] == p.fixed[0] && bytes.Equal(r[2:len(p.fixed)], p.fixed[2:]) {
			return true
		}
	}
	return false
}

// Apex is the name of the zone, Class its class, Serial that of its SOA, NegativeTTL the lesser of the TTL and the MINIMUM
// of the SOA (RFC 2308, Section 5).
func (z *Zone) Apex() wire.Name     { return z.apex }
func (z *Zone) Class() wire.Class   { return z.class }
func (z *Zone) Serial() uint32      { return z.serial }
func (z *Zone) NegativeTTL() uint32 { return z.minimum }

// Signed tells whether the apex has DNSKEY records and a signed SOA.
func (z *Zone) Signed() bool { return z.signed }

// ApexNode is the node of the apex.
func (z *Zone) ApexNode() Node { return z.top }

// Find returns the node with exactly this key (wire.AppendKey relative to the apex).
func (z *Zone) Find(key []byte) (Node, bool) {
	if len(key) == 0 {
		return z.top, true
	}
	if e := z.names.find(key); e != nil {
		return nodeOf(e), true
	}
	return Node{}, false
}

// HasBelow tells whether a name exists below key. With Find failing, key is then an empty non-terminal (RFC 4592, Section
// 2.2.2).
func (z *Zone) HasBelow(key []byte) bool {
	e := z.names.after(key)
	return e != nil && bytes.HasPrefix(entryKey(e), key)
}

// Prev returns the last node with key at most the given that has an NSEC record; before the first it is the last of the
// zone, as the chain is a ring (RFC 4034, Section 4.1.1).
func (z *Zone) Prev(key []byte) (Node, bool) {
	if e := z.names.beforeOrLast(key); e != nil {
		return nodeOf(e), true
	}
	return Node{}, false
}

// FindNSEC3 returns the node of the NSEC3 record whose owner is this hash.
func (z *Zone) FindNSEC3(hash []byte) (Node, bool) {
	if e := z.hashes.find(hash); e != nil {
		return nodeOf(e), true
	}
	return Node{}, false
}

// maxForeignNSEC3 bounds the steps past NSEC3 records of another chain than NSEC3PARAM names, which stand in a zone while
// its salt changes; stops a zone with a long dead chain from making each negative answer slow.
const maxForeignNSEC3 = 64

// CoverNSEC3 returns the NSEC3 record whose interval covers hash. Nothing covers a hash that is an owner itself
// (RFC 5155, Section 1.3): then, too, it is the record before it.
func (z *Zone) CoverNSEC3(hash []byte) (Node, bool) {
	var low [64]byte
	key := appendBefore(low[:0], hash)
	for range maxForeignNSEC3 {
		e := z.hashes.beforeOrLast(key)
		if e == nil {
			return Node{}, false
		}
		n := nodeOf(e)
		if !z.param.ok || z.param.matches(n) {
			return n, true
		}
		key = appendBefore(low[:0], n.Key())
	}
	return Node{}, false
}

// appendBefore appends a key of the same length that is just below hash; below 00..00 comes nothing, and the search wraps.
func appendBefore(dst, hash []byte) []byte {
	dst = append(dst, hash...)
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i]--
		if dst[i] != 0xFF {
			break
		}
	}
	return dst
}

// NSEC3Param returns the parameters of the zone's NSEC3 chain; ok is false for a zone that uses NSEC or is unsigned.
func (z *Zone) NSEC3Param() (alg uint8, iterations uint16, salt []byte, ok bool) {
	return z.param.alg, z.param.iterations, z.param.salt, z.param.ok
}

// All yields every node: the names in canonical order, then the NSEC3 nodes in order of their hash.
func (z *Zone) All() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		each := func(e []byte) bool { return yield(nodeOf(e)) }
		if z.names.walk(each) {
			z.hashes.walk(each)
		}
	}
}

// Size counts owner names, records, and the octets they take in memory.
func (z *Zone) Size() (names, records int, bytes int64) {
	t := z.names.totals()
	t.add(z.hashes.totals())
	return t.names, t.records, t.bytes
}
