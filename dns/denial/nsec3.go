package denial

import (
	"bytes"
	"encoding/binary"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Hash is an NSEC3 hash.
type Hash = [dnssec.HashSize]byte

// NSEC3 is an NSEC3 record read (RFC 5155, Section 3.2). It shares memory with the RRset, but for the hashes.
type NSEC3 struct {
	Owner, Next Hash
	OptOut      bool
	Iterations  int
	Salt        []byte
	Types       Types
	Zone        wire.Name
}

// ReadNSEC3 reads the NSEC3 RRset that zone has signed. False for what proves nothing. RFC 5155, Section 8.1 and 8.2: unknown hash
// algorithms and flags are ignored. The owner must stand right below the apex of the zone that signed it, or the record is
// another zone's (CVE-2026-10723: a child's record used as its parent's).
func ReadNSEC3(set *message.RRset, zone wire.Name) (NSEC3, bool) {
	if set.Type != wire.TypeNSEC3 || len(set.Data) != 1 || set.Name.IsRoot() || !set.Name.Parent().Equal(zone) {
		return NSEC3{}, false
	}
	d := set.Data[0]
	if len(d) < 6 || d[0] != 1 || d[1]&^1 != 0 {
		return NSEC3{}, false
	}
	n := NSEC3{OptOut: d[1] == 1, Iterations: int(binary.BigEndian.Uint16(d[2:])), Zone: zone}
	salt := int(d[4])
	if len(d) < 6+salt || int(d[5+salt]) != dnssec.HashSize || len(d) < 6+salt+dnssec.HashSize {
		return NSEC3{}, false
	}
	n.Salt = d[5 : 5+salt]
	copy(n.Next[:], d[6+salt:])
	n.Types = Types(d[6+salt+dnssec.HashSize:])
	return n, decodeHash(&n.Owner, set.Name)
}

// decodeHash reads the first label of a name as base32hex without padding, in any case (RFC 5155, Section 3.3).
func decodeHash(h *Hash, name wire.Name) bool {
	if name[0] != 32 {
		return false
	}
	var bits uint64
	at := 0
	for i, c := range name[1:33] {
		switch c = wire.Lower(c); {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'v':
			c -= 'a' - 10
		default:
			return false
		}
		bits = bits<<5 | uint64(c)
		if i&7 == 7 {
			for shift := 32; shift >= 0; shift -= 8 {
				h[at] = byte(bits >> shift)
				at++
			}
		}
	}
	return true
}

// Hash computes the hash of a name with the record's parameters. The caller bounds iterations and counts.
func (n *NSEC3) Hash(name wire.Name) Hash { return dnssec.NSEC3Hash(name, n.Salt, n.Iterations) }

// SameChain tells whether two records have the same parameters (RFC 5155, Section 8.2).
func (n *NSEC3) SameChain(o *NSEC3) bool {
	return n.Iterations == o.Iterations && bytes.Equal(n.Salt, o.Salt) && n.Zone.Equal(o.Zone)
}

// Matches tells whether the record is that of the hashed name.
func (n *NSEC3) Matches(h *Hash) bool { return n.Owner == *h }

// Covers tells whether the hash stands between the owner's and the next one; the last record of the ring points to the first
// (RFC 5155, Section 3.1.7), and a ring of one covers all but its owner.
func (n *NSEC3) Covers(h *Hash) bool {
	above, below := bytes.Compare(n.Owner[:], h[:]) < 0, bytes.Compare(h[:], n.Next[:]) < 0
	if bytes.Compare(n.Owner[:], n.Next[:]) < 0 {
		return above && below
	}
	return above || below && n.Owner != *h
}
