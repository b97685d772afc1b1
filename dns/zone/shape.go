package zone

import (
	"fmt"

	"anyu/dns/wire"
)

// checkWire tells whether wire RDATA, from \# or from a peer, is what its type holds: what passes is written to a text that loads again, as a copy of a transferred zone must.
// The text is made in room, which is given back.
func checkWire(room []byte, t wire.Type, rdata []byte, class wire.Class) ([]byte, error) {
	if t == wire.TypeA && class == wire.ClassCH || t == typeALIAS {
		return room, nil
	}
	switch layoutOf(t) {
	case layoutNone:
		return room, wire.CheckRData(t, rdata)
	case layoutSpecial:
		return room, checkSpecial(t, rdata)
	}
	if err := wire.CheckRData(t, rdata); err != nil {
		return room, err
	}
	room, ok := appendLayoutText(room[:0], layoutOf(t), rdata)
	if !ok {
		return room, wire.ErrRData
	}
	return room, checkFields(t, rdata)
}

// checkFields refuses values that the text of a field allows and its meaning does not.
func checkFields(t wire.Type, rdata []byte) error {
	switch t {
	case wire.TypeNSEC3:
		// RFC 5155, Section 3.1.7: the next hashed owner has the length of the hash; algorithm 1 is SHA-1.
		if at := 5 + int(rdata[4]); rdata[0] == 1 && rdata[at] != 20 {
			return fmt.Errorf("the next hashed owner name has %d octets: SHA-1 gives 20", rdata[at])
		}
	case wire.TypeCAA:
		// RFC 8659, Section 4.1: the tag is 1 to 255 letters and digits.
		n := int(rdata[1])
		if n == 0 {
			return fmt.Errorf("the tag of a CAA record is empty")
		}
		for _, c := range rdata[2 : 2+n] {
			if c |= 0x20; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
				return fmt.Errorf("the tag of a CAA record has other characters than letters and digits")
			}
		}
	}
	return nil
}
