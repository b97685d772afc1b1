package zone

import (
	"bytes"
	"encoding/binary"
)

// location reads LOC: degrees [minutes [seconds]] N|S, the same with E|W, altitude [size [horizontal [vertical precision]]]
// (RFC 1876, Section 3).
func (p *parser) location(dst []byte) ([]byte, error) {
	latitude, err := p.angle('N', 'S', 90)
	if err != nil {
		return dst, err
	}
	longitude, err := p.angle('E', 'W', 180)
	if err != nil {
		return dst, err
	}
	if err := p.need("the altitude"); err != nil {
		return dst, err
	}
	altitude, ok := centimetres(p.tok.text)
	altitude += 100_000 * 100 // counted from 100,000 m below the ellipsoid
	if !ok || altitude < 0 || altitude > 1<<32-1 {
		return dst, p.errorf("%q is not an altitude in metres", p.tok.text)
	}
	if err := p.next(); err != nil {
		return dst, err
	}
	sizes := [3]byte{0x12, 0x16, 0x13} // 1 m, 10,000 m, 10 m
	for i := 0; i < 3 && p.tok.kind != tokenEnd; i++ {
		v, ok := centimetres(p.tok.text)
		if !ok || v < 0 || v > 9_000_000_000 {
			return dst, p.errorf("%q is not a length from 0 to 90000000 m", p.tok.text)
		}
		sizes[i] = mantissa(v)
		if err := p.next(); err != nil {
			return dst, err
		}
	}
	dst = append(append(dst, 0), sizes[:]...)
	dst = binary.BigEndian.AppendUint32(dst, latitude)
	dst = binary.BigEndian.AppendUint32(dst, longitude)
	return binary.BigEndian.AppendUint32(dst, uint32(altitude)), nil
}

// angle reads degrees, minutes and seconds up to a letter for the direction, in thousandths of a second from 2^31.
func (p *parser) angle(positive, negative byte, most int64) (uint32, error) {
	var total int64
	units := [3]int64{3600_000, 60_000, 1000}
	for i := 0; ; i++ {
		if err := p.need("a direction"); err != nil {
			return 0, err
		}
		text := p.tok.text
		if len(text) == 1 && i > 0 && (text[0]&^0x20 == positive || text[0]&^0x20 == negative) {
			if total > most*3600_000 {
				return 0, p.errorf("an angle over %d degrees", most)
			}
			if text[0]&^0x20 == negative {
				total = -total
			}
			return uint32(1<<31 + total), p.next()
		}
		if i > 2 {
			return 0, p.errorf("%q stands where %c or %c is expected", text, positive, negative)
		}
		var v int64
		ok := false
		if i == 2 {
			v, ok = decimal(text, 3)
			ok = ok && v < 60_000
		} else {
			var n uint64
			n, ok = parseNumber(text, []uint64{uint64(most), 59}[i])
			v = int64(n) * 1000
		}
		if !ok {
			return 0, p.errorf("%q is not a part of an angle", text)
		}
		total += v * units[i] / 1000
		if err := p.next(); err != nil {
			return 0, err
		}
	}
}

// centimetres reads metres with up to two decimals and an optional m.
func centimetres(b []byte) (int64, bool) {
	if n := len(b); n > 0 && b[n-1]|0x20 == 'm' {
		b = b[:n-1]
	}
	if rest, ok := bytes.CutPrefix(b, []byte{'-'}); ok {
		v, ok := decimal(rest, 2)
		return -v, ok
	}
	return decimal(b, 2)
}

// decimal reads a number with at most places decimals as that many times ten.
func decimal(b []byte, places int) (int64, bool) {
	whole, part, _ := bytes.Cut(b, []byte{'.'})
	if len(part) > places {
		return 0, false
	}
	v, ok := parseNumber(whole, 1<<33)
	if !ok {
		return 0, false
	}
	n := int64(v)
	for i := range places {
		n *= 10
		if i < len(part) {
			if part[i] < '0' || part[i] > '9' {
				return 0, false
			}
			n += int64(part[i] - '0')
		}
	}
	return n, true
}

// mantissa is a length as digit and power of ten (RFC 1876, Section 2).
func mantissa(v int64) byte {
	e := 0
	for v >= 10 {
		v /= 10
		e++
	}
	return byte(v)<<4 | byte(e)
}
