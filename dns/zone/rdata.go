package zone

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strings"

	"anyu/dns/wire"
)

// rdata reads the RDATA of one record of type t, from the current token (the first after the type) to the end of the
// record, and appends it to dst in wire form.
func (p *parser) rdata(dst []byte, t wire.Type) ([]byte, error) {
	begin := len(dst)
	var err error
	layout := layoutOf(t)
	switch {
	case p.tok.kind == tokenWord && len(p.tok.text) == 2 && p.tok.text[0] == '\\' && p.tok.text[1] == '#':
		if dst, err = p.generic(dst, t); err != nil {
			return dst, err
		}
	case layout == layoutNone:
		return dst, p.errorf("type %v has no text form here: write its data as \\# LENGTH HEX (RFC 3597)", t)
	case layout == layoutSpecial || t == wire.TypeA && p.class == wire.ClassCH:
		if dst, err = p.special(dst, t); err != nil {
			return dst, err
		}
	default:
		for i := range len(layout) {
			if dst, err = p.field(dst, layout[i], begin); err != nil {
				return dst, err
			}
		}
	}
	if p.tok.kind != tokenEnd {
		return dst, p.errorf("%q is left over after the data of the %v record", p.tok.text, t)
	}
	if len(dst)-begin > maxRData {
		return dst, p.errorf("the data of the %v record is longer than 65535 octets", t)
	}
	if err := checkFields(t, dst[begin:]); err != nil {
		return dst, p.errorf("%v", err)
	}
	return dst, nil
}

// need refuses the end of the record.
func (p *parser) need(what string) error {
	if p.tok.kind == tokenEnd {
		return p.errorf("%s is missing: the record ends too early", what)
	}
	return nil
}

// field reads one field from the current token on and leaves the token after it current.
func (p *parser) field(dst []byte, f byte, begin int) ([]byte, error) {
	var err error
	switch f {
	case 'S', 'x', 'h', 'B', 'b', 'm', 'v':
		return p.tail(dst, f, begin)
	case 'n':
		if err = p.need("a domain name"); err != nil {
			return dst, err
		}
		var relative bool
		if dst, relative, err = p.appendName(dst, p.origin); err != nil {
			return dst, err
		}
		p.used.origin = p.used.origin || relative
		return dst, p.next()
	}
	if err = p.need("a field"); err != nil {
		return dst, err
	}
	if dst, err = p.oneWord(dst, f); err != nil {
		return dst, err
	}
	return dst, p.next()
}

// oneWord reads a field that is one token.
func (p *parser) oneWord(dst []byte, f byte) ([]byte, error) {
	text := p.tok.text
	switch f {
	case 's', 'w':
		return p.charString(dst)
	case '1', '2', '4', '8':
		return p.number(dst, f)
	case 'a':
		addr, ok := parseIPv4(text)
		if !ok {
			return dst, p.errorf("%q is not an IPv4 address", text)
		}
		return append(dst, addr[:]...), nil
	case '6':
		addr, err := netip.ParseAddr(string(text))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return dst, p.errorf("%q is not an IPv6 address", text)
		}
		b := addr.As16()
		return append(dst, b[:]...), nil
	case 't':
		v, ok := parseTTL(text)
		if !ok {
			return dst, p.errorf("%q is not a time in seconds", text)
		}
		return binary.BigEndian.AppendUint32(dst, v), nil
	case 'd':
		v, ok := parseTime(text)
		if !ok {
			return dst, p.errorf("%q is not a date: write YYYYMMDDHHmmSS", text)
		}
		return binary.BigEndian.AppendUint32(dst, v), nil
	case 'T':
		t, ok := parseType(text)
		if !ok {
			return dst, p.errorf("%q is not an RR type", text)
		}
		return binary.BigEndian.AppendUint16(dst, uint16(t)), nil
	case 'H', '3':
		return p.counted(dst, f)
	}
	return p.mnemonic(dst, f)
}

func (p *parser) number(dst []byte, f byte) ([]byte, error) {
	limit := uint64(math.MaxUint64) >> (64 - 8*(f-'0'))
	v, ok := parseNumber(p.tok.text, limit)
	if !ok {
		return dst, p.errorf("%q is not a number from 0 to %d", p.tok.text, limit)
	}
	switch f {
	case '1':
		return append(dst, byte(v)), nil
	case '2':
		return binary.BigEndian.AppendUint16(dst, uint16(v)), nil
	case '4':
		return binary.BigEndian.AppendUint32(dst, uint32(v)), nil
	}
	return binary.BigEndian.AppendUint64(dst, v), nil
}

// mnemonic reads the fields that are numbers with names, and the kinds of hardware address.
func (p *parser) mnemonic(dst []byte, f byte) ([]byte, error) {
	text := p.tok.text
	switch f {
	case 'g':
		if v, ok := algorithmNumbers[strings.ToUpper(string(text))]; ok {
			return append(dst, v), nil
		}
		return p.number(dst, '1')
	case 'c':
		if v, ok := certNumbers[strings.ToUpper(string(text))]; ok {
			return binary.BigEndian.AppendUint16(dst, v), nil
		}
		return p.number(dst, '2')
	case 'y':
		if upperEqual(text, "NOTIFY") { // RFC 9859, Section 6.2
			return append(dst, 1), nil
		}
		return p.number(dst, '1')
	case 'i':
		return p.locator(dst)
	case 'e':
		return p.groups(dst, 6, 2, '-')
	case 'E':
		return p.groups(dst, 8, 2, '-')
	}
	return p.nsap(dst)
}

// charString reads one character string of at most 255 octets (RFC 1035, Section 3.3).
func (p *parser) charString(dst []byte) ([]byte, error) {
	at := len(dst)
	dst, err := p.appendUnescaped(append(dst, 0), p.tok.text)
	if err != nil {
		return dst, err
	}
	n := len(dst) - at - 1
	if n > 255 {
		return dst, p.errorf("a character string of %d octets: 255 are allowed", n)
	}
	dst[at] = byte(n)
	return dst, nil
}

// tail reads the fields that go on to the end of the record.
func (p *parser) tail(dst []byte, f byte, begin int) ([]byte, error) {
	switch f {
	case 'm':
		return p.bitmap(dst)
	case 'v':
		return p.svcParams(dst)
	case 'S':
		if err := p.need("a character string"); err != nil {
			return dst, err
		}
		for p.tok.kind != tokenEnd {
			var err error
			if dst, err = p.charString(dst); err != nil {
				return dst, err
			}
			if len(dst)-begin > maxRData {
				return dst, p.errorf("the data is longer than 65535 octets")
			}
			if err = p.next(); err != nil {
				return dst, err
			}
		}
		return dst, nil
	case 'x':
		if err := p.need("a text"); err != nil {
			return dst, err
		}
		dst, err := p.appendUnescaped(dst, p.tok.text)
		if err != nil {
			return dst, err
		}
		return dst, p.next()
	case 'h':
		if err := p.need("hexadecimal data"); err != nil {
			return dst, err
		}
		return p.hexTail(dst)
	}
	if err := p.need("base64 data"); err != nil {
		return dst, err
	}
	if f == 'b' && string(p.tok.text) == "-" {
		return dst, p.next()
	}
	return p.base64Tail(dst)
}

// bitmap reads mnemonics of types to the end of the record and appends windows (RFC 4034, Section 4.1.2).
func (p *parser) bitmap(dst []byte) ([]byte, error) {
	p.types = p.types[:0]
	sorted := true
	for p.tok.kind != tokenEnd {
		t, ok := parseType(p.tok.text)
		if !ok || p.tok.kind != tokenWord {
			return dst, p.errorf("%q is not an RR type", p.tok.text)
		}
		if n := len(p.types); n > 0 && t < p.types[n-1] {
			sorted = false
		}
		p.types = append(p.types, t)
		if err := p.next(); err != nil {
			return dst, err
		}
	}
	return appendBitmap(dst, p.types, sorted), nil
}

// generic reads \# LENGTH HEX (RFC 3597, Section 5).
func (p *parser) generic(dst []byte, t wire.Type) ([]byte, error) {
	begin := len(dst)
	if err := p.next(); err != nil {
		return dst, err
	}
	if err := p.need("the length"); err != nil {
		return dst, err
	}
	length, ok := parseNumber(p.tok.text, maxRData)
	if !ok {
		return dst, p.errorf("%q is not a length from 0 to 65535", p.tok.text)
	}
	if err := p.next(); err != nil {
		return dst, err
	}
	dst, err := p.hexTail(dst)
	if err != nil {
		return dst, err
	}
	if len(dst)-begin != int(length) {
		return dst, p.errorf("%d octets are announced and %d given", length, len(dst)-begin)
	}
	// RFC 3597, Section 5: for a known type the data must be what that type holds.
	if _, err := checkWire(nil, t, dst[begin:], p.class); err != nil {
		return dst, p.errorf("%v", err)
	}
	return dst, nil
}
