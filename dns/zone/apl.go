package zone

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Address families of APL (RFC 3123, Section 4).
const (
	familyIPv4 = 1
	familyIPv6 = 2
)

// prefixes reads APL: [!]family:address/length, any number of times (RFC 3123, Section 5).
func (p *parser) prefixes(dst []byte) ([]byte, error) {
	for p.tok.kind != tokenEnd {
		text, negated := bytes.CutPrefix(p.tok.text, []byte{'!'})
		family, rest, ok := bytes.Cut(text, []byte{':'})
		addrText, lengthText, ok2 := bytes.Cut(rest, []byte{'/'})
		addr, err := netip.ParseAddr(string(addrText))
		if !ok || !ok2 || err != nil || addr.Zone() != "" {
			return dst, p.errorf("%q is not an address prefix [!]FAMILY:ADDRESS/LENGTH", p.tok.text)
		}
		number := familyIPv4
		if addr.Is6() {
			number = familyIPv6
		}
		length, ok := parseNumber(lengthText, uint64(addr.BitLen()))
		if !ok || string(family) != strconv.Itoa(number) {
			return dst, p.errorf("%q: length or family do not fit the address", p.tok.text)
		}
		// RFC 3123, Section 4: trailing zero octets are left out.
		octets := bytes.TrimRight(addr.AsSlice(), "\x00")
		n := byte(len(octets))
		if negated {
			n |= 0x80
		}
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(number)), byte(length), n)
		dst = append(dst, octets...)
		if err := p.next(); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendPrefixes writes APL data; ok is false where it is malformed or of another family.
func appendPrefixes(dst, b []byte) (out []byte, ok bool) {
	for first := true; len(b) > 0; first = false {
		if len(b) < 4 {
			return dst, false
		}
		family, length, n := binary.BigEndian.Uint16(b), b[2], int(b[3]&0x7F)
		size := map[uint16]int{familyIPv4: 4, familyIPv6: 16}[family]
		if n > size || 4+n > len(b) || int(length) > size*8 || n > 0 && b[3+n] == 0 {
			return dst, false
		}
		if !first {
			dst = append(dst, ' ')
		}
		if b[3]&0x80 != 0 {
			dst = append(dst, '!')
		}
		var full [16]byte
		copy(full[:], b[4:4+n])
		addr, _ := netip.AddrFromSlice(full[:size])
		dst = append(strconv.AppendUint(dst, uint64(family), 10), ':')
		dst = append(addr.AppendTo(dst), '/')
		dst = strconv.AppendUint(dst, uint64(length), 10)
		b = b[4+n:]
	}
	return dst, true
}
