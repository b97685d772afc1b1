package zone

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"
)

// hexTail reads hexadecimal digits to the end of the record; blanks may stand between octets.
func (p *parser) hexTail(dst []byte) ([]byte, error) {
	half, high := false, byte(0)
	for p.tok.kind != tokenEnd {
		if p.tok.kind == tokenQuoted {
			return dst, p.errorf("quotes are not hexadecimal data")
		}
		for _, c := range p.tok.text {
			d, ok := hexDigit(c)
			if !ok {
				return dst, p.errorf("%q is not hexadecimal", p.tok.text)
			}
			if half {
				dst = append(dst, high<<4|d)
			}
			half, high = !half, d
		}
		if err := p.next(); err != nil {
			return dst, err
		}
	}
	if half {
		return dst, p.errorf("an odd number of hexadecimal digits")
	}
	return dst, nil
}

// base64Tail reads base64 to the end of the record; blanks may stand anywhere in it.
func (p *parser) base64Tail(dst []byte) ([]byte, error) {
	p.text = p.text[:0]
	for p.tok.kind != tokenEnd {
		if p.tok.kind == tokenQuoted {
			return dst, p.errorf("quotes are not base64 data")
		}
		p.text = append(p.text, p.tok.text...)
		if err := p.next(); err != nil {
			return dst, err
		}
	}
	out, err := base64.StdEncoding.Strict().AppendDecode(dst, p.text)
	if err != nil {
		return dst, p.errorf("bad base64 data: %v", err)
	}
	if len(out) == len(dst) {
		return dst, p.errorf("base64 data is empty")
	}
	return out, nil
}

// counted reads a length octet and hexadecimal or base32hex.
func (p *parser) counted(dst []byte, f byte) ([]byte, error) {
	at, text := len(dst), p.tok.text
	dst = append(dst, 0)
	if f == '3' {
		out, ok := appendFromBase32(dst, text)
		if !ok || len(out) == len(dst) {
			return dst, p.errorf("%q is not base32hex without padding", text)
		}
		dst = out
	} else if string(text) != "-" {
		if len(text)%2 != 0 || len(text) == 0 {
			return dst, p.errorf("%q is not hexadecimal with two digits an octet", text)
		}
		for i := 0; i < len(text); i += 2 {
			high, ok := hexDigit(text[i])
			low, ok2 := hexDigit(text[i+1])
			if !ok || !ok2 {
				return dst, p.errorf("%q is not hexadecimal", text)
			}
			dst = append(dst, high<<4|low)
		}
	}
	if len(dst)-at-1 > 255 {
		return dst, p.errorf("a field of more than 255 octets")
	}
	dst[at] = byte(len(dst) - at - 1)
	return dst, nil
}

// groups reads n groups of width hexadecimal digits each with sep between them.
func (p *parser) groups(dst []byte, n, width int, sep byte) ([]byte, error) {
	text := p.tok.text
	bad := func() ([]byte, error) {
		return dst, p.errorf("%q is not %d groups of %d hexadecimal digits with %q between them", text, n, width, sep)
	}
	if len(text) != n*width+n-1 {
		return bad()
	}
	half, high := false, byte(0)
	for i, c := range text {
		if i%(width+1) == width {
			if c != sep {
				return bad()
			}
			continue
		}
		d, ok := hexDigit(c)
		if !ok {
			return bad()
		}
		if half {
			dst = append(dst, high<<4|d)
		}
		half, high = !half, d
	}
	return dst, nil
}

// locator reads 64 bits as four groups of up to four hexadecimal digits (RFC 6742, Section 2.1.2).
func (p *parser) locator(dst []byte) ([]byte, error) {
	groups := 0
	for group := range bytes.SplitSeq(p.tok.text, []byte{':'}) {
		v, err := strconv.ParseUint(string(group), 16, 16)
		if groups++; err != nil || len(group) > 4 || groups > 4 {
			groups = 0
			break
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(v))
	}
	if groups != 4 {
		return dst, p.errorf("%q is not four groups of up to four hexadecimal digits with colons between them", p.tok.text)
	}
	return dst, nil
}

// nsap reads 0x and hexadecimal digits with dots for the eye (RFC 1706, Section 7).
func (p *parser) nsap(dst []byte) ([]byte, error) {
	text := p.tok.text
	if len(text) < 4 || text[0] != '0' || text[1]|0x20 != 'x' {
		return dst, p.errorf("%q is not an NSAP address: 0x and hexadecimal digits", text)
	}
	begin, half, high := len(dst), false, byte(0)
	for _, c := range text[2:] {
		if c == '.' {
			continue
		}
		d, ok := hexDigit(c)
		if !ok {
			return dst, p.errorf("%q is not an NSAP address: 0x and hexadecimal digits", text)
		}
		if half {
			dst = append(dst, high<<4|d)
		}
		half, high = !half, d
	}
	if half {
		return dst, p.errorf("an odd number of hexadecimal digits")
	}
	if len(dst) == begin {
		return dst, p.errorf("%q is an NSAP address without a digit", text)
	}
	return dst, nil
}
