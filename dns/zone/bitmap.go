package zone

import (
	"slices"

	"anyu/dns/wire"
)

// appendBitmap appends the windows for types (RFC 4034, Section 4.1.2).
func appendBitmap(dst []byte, types []wire.Type, sorted bool) []byte {
	if !sorted {
		slices.Sort(types)
	}
	for i := 0; i < len(types); {
		window, at := types[i]>>8, len(dst)
		dst = append(dst, byte(window), 0)
		for ; i < len(types) && types[i]>>8 == window; i++ {
			octet := int(types[i] & 0xFF / 8)
			for len(dst)-at-2 <= octet {
				dst = append(dst, 0)
			}
			dst[at+2+octet] |= 0x80 >> (types[i] & 7)
		}
		dst[at+1] = byte(len(dst) - at - 2)
	}
	return dst
}

// bitmapTypes yields the types of a valid bitmap.
func bitmapTypes(b []byte, yield func(wire.Type)) {
	for len(b) >= 2 {
		window, n := wire.Type(b[0])<<8, int(b[1])
		for i, octet := range b[2 : 2+n] {
			for bit := range 8 {
				if octet&(0x80>>bit) != 0 {
					yield(window | wire.Type(i*8+bit))
				}
			}
		}
		b = b[2+n:]
	}
}
