package zone

import (
	"encoding/binary"

	"anyu/dns/wire"
)

// An entry is what a leaf holds of one name:
//
//	key length   1 octet, or 2 with the top bit of the first set
//	key          wire.AppendKey relative to the apex, or the raw hash in the tree of NSEC3
//	flags        1 octet
//	owner        with flagOwner: length and labels without the apex, where the name as loaded is not all lower case
//	sets         in order of type, then of covered type
//
// and a set is
//
//	type         1 octet, or 255 and 2 octets
//	covered      the same, only in RRSIG sets: they are kept one a covered type
//	TTL, count   varints
//	size         varint: octets that follow in this set
//	RDATA        count times: length as varint, octets; in canonical order
const (
	flagCut   = 1 << iota // NS below the apex: a zone cut
	flagDNAME             // DNAME
	flagNSEC              // NSEC, or in the other tree NSEC3
	flagOwner             // the owner is spelled out
	flagHash              // the key is a raw hash
	flagUpper             // the hash was written in upper case
	flagCNAME             // CNAME
)

func entryKey(e []byte) []byte {
	n := int(e[0])
	if n < 0x80 {
		return e[1 : 1+n]
	}
	n = n&0x7F<<8 | int(e[1])
	return e[2 : 2+n]
}

// keyEnd is the offset of the flags.
func keyEnd(e []byte) int {
	n := int(e[0])
	if n < 0x80 {
		return 1 + n
	}
	return 2 + (n&0x7F<<8 | int(e[1]))
}

func entryFlags(e []byte) byte { return e[keyEnd(e)] }

// setsAt is the offset of the first set.
func setsAt(e []byte) int {
	at := keyEnd(e)
	if e[at]&flagOwner != 0 {
		return at + 2 + int(e[at+1])
	}
	return at + 1
}

// appendHead appends all of an entry that precedes the sets. owner is nil or the labels without the apex.
func appendHead(dst, key []byte, flags byte, owner []byte) []byte {
	if len(key) < 0x80 {
		dst = append(dst, byte(len(key)))
	} else {
		dst = append(dst, 0x80|byte(len(key)>>8), byte(len(key)))
	}
	dst = append(dst, key...)
	if owner == nil {
		return append(dst, flags&^flagOwner)
	}
	dst = append(dst, flags|flagOwner, byte(len(owner)))
	return append(dst, owner...)
}

// setFlags is what a set of type t adds to the flags of a name.
func setFlags(t wire.Type, apex bool) byte {
	switch t {
	case wire.TypeNS:
		if !apex {
			return flagCut
		}
	case wire.TypeDNAME:
		return flagDNAME
	case wire.TypeCNAME:
		return flagCNAME
	case wire.TypeNSEC, wire.TypeNSEC3:
		return flagNSEC
	}
	return 0
}

func appendType(dst []byte, t wire.Type) []byte {
	if t < 0xFF {
		return append(dst, byte(t))
	}
	return append(dst, 0xFF, byte(t>>8), byte(t))
}

func readType(b []byte) (wire.Type, []byte) {
	if b[0] < 0xFF {
		return wire.Type(b[0]), b[1:]
	}
	return wire.Type(b[1])<<8 | wire.Type(b[2]), b[3:]
}

func readVarint(b []byte) (int, []byte) {
	if b[0] < 0x80 {
		return int(b[0]), b[1:]
	}
	v, n := binary.Uvarint(b)
	return int(v), b[n:]
}

func varintLen(v int) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// appendSet appends a set; rdatas must be in canonical order without duplicates.
func appendSet(dst []byte, t, covered wire.Type, ttl uint32, rdatas [][]byte) []byte {
	dst = appendType(dst, t)
	if t == wire.TypeRRSIG {
		dst = appendType(dst, covered)
	}
	size := 0
	for _, r := range rdatas {
		size += varintLen(len(r)) + len(r)
	}
	dst = binary.AppendUvarint(dst, uint64(ttl))
	dst = binary.AppendUvarint(dst, uint64(len(rdatas)))
	dst = binary.AppendUvarint(dst, uint64(size))
	for _, r := range rdatas {
		dst = binary.AppendUvarint(dst, uint64(len(r)))
		dst = append(dst, r...)
	}
	return dst
}

// nextSet reads the set at the start of b and returns what follows it.
func nextSet(b []byte) (s RRset, rest []byte) {
	t, b := readType(b)
	s.typ = t
	if t == wire.TypeRRSIG {
		s.covered, b = readType(b)
	}
	v, b := readVarint(b)
	s.ttl = uint32(v)
	v, b = readVarint(b)
	s.count = int32(v)
	v, b = readVarint(b)
	s.data = b[:v:v]
	return s, b[v:]
}

// entryTotals counts what one entry adds to its page.
func entryTotals(e []byte) totals {
	t := totals{names: 1, bytes: int64(len(e) + leafItem)}
	t.flags(entryFlags(e))
	for b := e[setsAt(e):]; len(b) > 0; {
		var s RRset
		s, b = nextSet(b)
		t.records += int(s.count)
	}
	return t
}
