package denial

import "anyu/dns/wire"

// Types is a type bitmap (RFC 4034, Section 4.1.2) of valid form.
type Types []byte

// Has tells whether the bitmap shows a type.
func (b Types) Has(t wire.Type) bool {
	window, octet, bit := byte(t>>8), int(t&0xFF)/8, byte(0x80)>>(t&7)
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		if b[0] == window {
			return octet < int(b[1]) && b[2+octet]&bit != 0
		}
		b = b[2+int(b[1]):]
	}
	return false
}

// Delegation tells whether the record stands on the parent's side of a cut. RFC 4035, Section 5.4 and RFC 6840, Section 4.1: NS
// without SOA.
func (b Types) Delegation() bool { return b.Has(wire.TypeNS) && !b.Has(wire.TypeSOA) }

// hides tells whether names below the owner are not the zone's to speak of: below a cut (RFC 6840, Section 4.1) or a DNAME (RFC
// 6672, Section 5.3.4.1).
func (b Types) hides() bool { return b.Delegation() || b.Has(wire.TypeDNAME) }

// deny tells whether a record that matches a name proves that the name has no data of a type and no CNAME. RFC 6840, Section
// 4.3: the CNAME bit counts as well.
func (b Types) deny(t wire.Type, root bool) bool {
	switch {
	case b.Has(t) || b.Has(wire.TypeCNAME) || t == wire.TypeANY && b.data():
		return false
	case t == wire.TypeDS:
		// RFC 4035, Section 5.2: a record with SOA is the child's and says nothing of DS; the root has no parent.
		return root || !b.Has(wire.TypeSOA)
	}
	return !b.Delegation()
}

// data tells whether the bitmap shows any type but those of the proof itself.
func (b Types) data() bool {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		for i, octet := range b[2 : 2+int(b[1])] {
			for bit := range 8 {
				if octet&(0x80>>bit) == 0 {
					continue
				}
				switch wire.Type(b[0])<<8 | wire.Type(i*8+bit) {
				case wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3, wire.TypeNXNAME:
				default:
					return true
				}
			}
		}
		b = b[2+int(b[1]):]
	}
	return false
}
