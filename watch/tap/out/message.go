package out

import (
	"encoding/binary"

	"anyu/dns/wire"
	"anyu/event"
)

// question writes the question of an observation.
func question(b []byte, q *event.Query) []byte {
	be := binary.BigEndian
	b = be.AppendUint16(b, q.ID)
	b = be.AppendUint16(b, q.QueryFlags)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	if q.Name != nil {
		b[5] = 1
		b = append(b, q.Name...)
		b = be.AppendUint16(b, q.Type)
		b = be.AppendUint16(b, q.Class)
	}
	if q.Payload == 0 {
		return b
	}
	b[11] = 1 // RFC 6891, Section 6.1.2
	b = append(b, 0, 0, byte(wire.TypeOPT))
	b = be.AppendUint16(b, q.Payload)
	flags := uint32(0)
	if q.DO {
		flags = 1 << 15
	}
	b = be.AppendUint32(b, flags)
	p := q.SubnetPrefix()
	if !p.IsValid() {
		return append(b, 0, 0)
	}
	// RFC 7871, Section 6: family, source and scope length, as many octets as the prefix has.
	family, n := uint16(1), (p.Bits()+7)/8
	if p.Addr().Is6() {
		family = 2
	}
	b = be.AppendUint16(b, uint16(8+n))
	b = be.AppendUint16(b, wire.OptionECS)
	b = be.AppendUint16(b, uint16(4+n))
	b = be.AppendUint16(b, family)
	b = append(b, byte(p.Bits()), 0)
	return append(b, p.Masked().Addr().AsSlice()[:n]...)
}

// whole leaves of the start of a message what can be read: its question and its whole records, with the counts of these. It changes b.
func whole(b []byte) []byte {
	if len(b) < wire.HeaderSize {
		return b
	}
	h := wire.ReadHeader(b)
	at := wire.HeaderSize
	left := [4]uint16{h.QD, h.AN, h.NS, h.AR}
	for section, n := range left {
		fixed := 10
		if section == 0 {
			fixed = 4
		}
		for i := range n {
			end, err := wire.SkipName(b, at)
			if err == nil && end+fixed <= len(b) && section > 0 {
				end += int(binary.BigEndian.Uint16(b[end+8:]))
			}
			if err != nil || end+fixed > len(b) {
				left[section] = i
				for later := section + 1; later < len(left); later++ {
					left[later] = 0
				}
				return counted(b[:at], left)
			}
			at = end + fixed
		}
	}
	return b[:at]
}

func counted(b []byte, counts [4]uint16) []byte {
	for i, n := range counts {
		binary.BigEndian.PutUint16(b[4+2*i:], n)
	}
	return b
}
