package message

import (
	"encoding/binary"
	"fmt"
	"strings"

	"anyu/dns/wire"
)

// RRset is the records of one owner, class and type, and the RRSIGs over them. RRSIGs without their RRset in the same section form
// an RRset of type RRSIG. An RRset that came from Parse or a cache is shared: Copy before changing it.
type RRset struct {
	Name  wire.Name // owner, case as received
	Type  wire.Type
	Class wire.Class
	TTL   uint32   // seconds, the lowest of its records (RFC 2181, Section 5.2), at most 2^31-1 (Section 8)
	Data  [][]byte // RDATA without compression, no two alike
	Sigs  [][]byte // RDATA of the RRSIGs that cover it
}

// Copy returns an RRset whose fields may be changed; the octets of names and RDATA are shared.
func (s *RRset) Copy() *RRset {
	c := *s
	c.Data = append([][]byte(nil), s.Data...)
	c.Sigs = append([][]byte(nil), s.Sigs...)
	return &c
}

// Is tells whether the RRset has this owner and type.
func (s *RRset) Is(owner wire.Name, t wire.Type) bool { return s.Type == t && s.Name.Equal(owner) }

// SameData tells whether two RRsets have the same records, in any order. Case in RDATA counts.
func (s *RRset) SameData(o *RRset) bool {
	if len(s.Data) != len(o.Data) {
		return false
	}
	for _, d := range s.Data {
		if !contains(o.Data, d) {
			return false
		}
	}
	return true
}

// Put appends the RRset to a message: its records, and its signatures where asked for. False means that it did not fit, and
// then nothing of it was appended.
func (s *RRset) Put(b *wire.Builder, section wire.Section, ttl uint32, sigs bool) bool {
	mark := b.Mark()
	for _, d := range s.Data {
		if !b.RR(section, s.Name, s.Type, s.Class, ttl, d) {
			b.Back(mark)
			return false
		}
	}
	if sigs {
		for _, d := range s.Sigs {
			if !b.RR(section, s.Name, wire.TypeRRSIG, s.Class, ttl, d) {
				b.Back(mark)
				return false
			}
		}
	}
	return true
}

// Target returns the domain name that RDATA of NS, CNAME, DNAME or PTR is.
func Target(rdata []byte) wire.Name { return wire.Name(rdata) }

// SOAMinimum returns the field MINIMUM of SOA RDATA (RFC 2308, Section 4), 0 for RDATA that is too short.
func SOAMinimum(rdata []byte) uint32 {
	if len(rdata) < 22 {
		return 0
	}
	return binary.BigEndian.Uint32(rdata[len(rdata)-4:])
}

// String is for logs and traces: owner, TTL, type, number of records.
func (s *RRset) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %s x%d", s.Name, s.TTL, s.Type, len(s.Data))
	if len(s.Sigs) > 0 {
		fmt.Fprintf(&b, " signed")
	}
	return b.String()
}
