package zone

import (
	"iter"

	"anyu/dns/wire"
)

// Node is all that a zone holds at one name: a view into a page, valid as long as anybody keeps it.
type Node struct {
	entry []byte
	flags byte
	sets  uint16 // where the sets begin
}

func nodeOf(entry []byte) Node {
	return Node{entry: entry, flags: entryFlags(entry), sets: uint16(setsAt(entry))}
}

// Key is the sort key relative to the apex (wire.AppendKey), for NSEC3 nodes the raw hash.
func (n Node) Key() []byte { return entryKey(n.entry) }

// IsZero tells whether n is no node.
func (n Node) IsZero() bool { return n.entry == nil }

// IsApex, IsCut (NS below the apex), HasDNAME, HasCNAME, HasNSEC and IsNSEC3 (a node of the NSEC3 tree) cost nothing.
func (n Node) IsApex() bool   { return n.entry != nil && n.entry[0] == 0 && n.flags&flagHash == 0 }
func (n Node) IsCut() bool    { return n.flags&flagCut != 0 }
func (n Node) HasDNAME() bool { return n.flags&flagDNAME != 0 }
func (n Node) HasCNAME() bool { return n.flags&flagCNAME != 0 }
func (n Node) HasNSEC() bool  { return n.flags&(flagNSEC|flagHash) == flagNSEC }
func (n Node) IsNSEC3() bool  { return n.flags&flagHash != 0 }

// AppendOwner appends the owner name in wire form with the case it was loaded with; apex is the zone's.
func (n Node) AppendOwner(dst []byte, apex wire.Name) []byte {
	key := n.Key()
	if n.flags&flagOwner != 0 {
		at := keyEnd(n.entry) + 1
		dst = append(dst, n.entry[at+1:at+1+int(n.entry[at])]...)
		return append(dst, apex...)
	}
	if n.flags&flagHash != 0 {
		at := len(dst)
		dst = append(dst, 0)
		dst = appendBase32(dst, key, n.flags&flagUpper != 0)
		dst[at] = byte(len(dst) - at - 1)
		return append(dst, apex...)
	}
	return wire.AppendNameOfKey(dst, key, apex)
}

// Set returns the RRset of type t. For RRSIG use Sigs.
func (n Node) Set(t wire.Type) (RRset, bool) {
	for b := n.entry[n.sets:]; len(b) > 0; {
		var s RRset
		s, b = nextSet(b)
		if s.typ == t {
			return s, true
		}
		if s.typ > t {
			break
		}
	}
	return RRset{}, false
}

// Sigs returns the RRSIG records that cover type t.
func (n Node) Sigs(covered wire.Type) (RRset, bool) {
	for b := n.entry[n.sets:]; len(b) > 0; {
		var s RRset
		s, b = nextSet(b)
		if s.typ == wire.TypeRRSIG && s.covered == covered {
			return s, true
		}
		if s.typ > wire.TypeRRSIG {
			break
		}
	}
	return RRset{}, false
}

// Sets yields the RRsets in order of type; RRSIG sets come one a covered type.
func (n Node) Sets() iter.Seq[RRset] {
	return func(yield func(RRset) bool) {
		for b := n.entry[n.sets:]; len(b) > 0; {
			var s RRset
			s, b = nextSet(b)
			if !yield(s) {
				return
			}
		}
	}
}

// RRset is a set of records: same owner, class and type, and for RRSIG same covered type.
type RRset struct {
	data    []byte
	ttl     uint32
	count   int32
	typ     wire.Type
	covered wire.Type
}

func (s RRset) Type() wire.Type    { return s.typ }
func (s RRset) Covered() wire.Type { return s.covered }
func (s RRset) TTL() uint32        { return s.ttl }
func (s RRset) Len() int           { return int(s.count) }

// RDataSize is the sum of the RDLENGTHs.
func (s RRset) RDataSize() int {
	n := 0
	for it := s.Iter(); it.Next(); {
		n += len(it.RData())
	}
	return n
}

// Iter goes over the RDATA in canonical order:
//
//	for it := s.Iter(); it.Next(); { use(it.RData()) }
func (s RRset) Iter() RDataIter { return RDataIter{rest: s.data} }

// First is the first RDATA.
func (s RRset) First() []byte {
	it := s.Iter()
	it.Next()
	return it.RData()
}

// RDataIter is a position in an RRset.
type RDataIter struct{ rest, rdata []byte }

// Next goes to the next RDATA if there is one.
func (it *RDataIter) Next() bool {
	if len(it.rest) == 0 {
		return false
	}
	n, b := readVarint(it.rest)
	it.rdata, it.rest = b[:n:n], b[n:]
	return true
}

// RData is uncompressed wire form, names with the case they were loaded with. It must not be changed.
func (it *RDataIter) RData() []byte { return it.rdata }

const (
	base32Upper = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	base32Lower = "0123456789abcdefghijklmnopqrstuv"
)

// appendBase32 is base32hex without padding (RFC 5155, Section 1.3), written here because encoding/base32 wants a slice of
// its own.
func appendBase32(dst, src []byte, upper bool) []byte {
	alphabet := base32Lower
	if upper {
		alphabet = base32Upper
	}
	var acc uint32
	bits := 0
	for _, c := range src {
		acc = acc<<8 | uint32(c)
		for bits += 8; bits >= 5; {
			bits -= 5
			dst = append(dst, alphabet[acc>>bits&31])
		}
	}
	if bits > 0 {
		dst = append(dst, alphabet[acc<<(5-bits)&31])
	}
	return dst
}

// appendFromBase32 is the inverse for either case; ok is false for other characters, bits left over that are not 0,
// or a length that no octet string has.
func appendFromBase32(dst, src []byte) (out []byte, ok bool) {
	var acc uint32
	bits := 0
	for _, c := range src {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'v':
			c -= 'a' - 10
		case c >= 'A' && c <= 'V':
			c -= 'A' - 10
		default:
			return dst, false
		}
		acc = acc<<5 | uint32(c)
		if bits += 5; bits >= 8 {
			bits -= 8
			dst = append(dst, byte(acc>>bits))
		}
	}
	return dst, bits < 5 && acc&(1<<bits-1) == 0
}
