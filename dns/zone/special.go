package zone

import (
	"encoding/binary"
	"strconv"
	"strings"

	"anyu/dns/wire"

	"github.com/miekg/dns"
)

// special reads the types whose text does not go field by field: rare ones, mostly through miekg/dns.
func (p *parser) special(dst []byte, t wire.Type) ([]byte, error) {
	switch t {
	case wire.TypeA:
		return p.chaosAddress(dst)
	case wire.TypeWKS:
		return p.wellKnown(dst)
	case wire.TypeATMA:
		return p.atma(dst)
	case wire.TypeLOC:
		return p.location(dst)
	case wire.TypeAPL:
		return p.prefixes(dst)
	case wire.TypeAMTRELAY:
		return p.relay(dst)
	}
	if err := p.need("data"); err != nil {
		return dst, err
	}
	text := make([]byte, 0, 256)
	text = append(append(text, "x. 0 IN "...), t.String()...)
	for p.tok.kind != tokenEnd {
		text = append(text, ' ')
		if p.tok.kind == tokenQuoted {
			text = append(append(append(text, '"'), p.tok.text...), '"')
		} else {
			text = append(text, p.tok.text...)
		}
		if err := p.next(); err != nil {
			return dst, err
		}
	}
	p.used.origin = true
	rdata, err := foreignRData(string(text)+"\n", p.origin)
	if err == nil {
		err = checkSpecial(t, rdata)
	}
	if err != nil {
		return dst, p.errorf("bad %v data: %v", t, err)
	}
	return append(dst, rdata...), nil
}

// foreignRData has miekg/dns read one record.
func foreignRData(text string, origin wire.Name) ([]byte, error) {
	zp := dns.NewZoneParser(strings.NewReader(text), origin.String(), "")
	rr, ok := zp.Next()
	if err := zp.Err(); err != nil || !ok {
		if err == nil {
			return nil, wire.ErrRData
		}
		return nil, err
	}
	buf := make([]byte, dns.Len(rr)+wire.MaxName+16)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	const fixed = 1 + 10 + 2 // the owner x., type to RDLENGTH
	return buf[fixed:n], nil
}

// appendForeignText has miekg/dns write RDATA; ok is false where it cannot.
func appendForeignText(dst []byte, t wire.Type, rdata []byte) (out []byte, ok bool) {
	switch t {
	case wire.TypeAPL:
		return appendPrefixes(dst, rdata)
	case wire.TypeAMTRELAY:
		return appendRelay(dst, rdata)
	}
	msg := []byte{0}
	msg = binary.BigEndian.AppendUint16(msg, uint16(t))
	msg = append(msg, 0, 1, 0, 0, 0, 0)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(rdata)))
	msg = append(msg, rdata...)
	rr, n, err := dns.UnpackRR(msg, 0)
	if err != nil || n != len(msg) {
		return dst, false
	}
	if _, generic := rr.(*dns.RFC3597); generic {
		return dst, false
	}
	return append(dst, strings.TrimPrefix(rr.String(), rr.Header().String())...), true
}

// checkSpecial tells whether RDATA of a type without a layout has its shape.
func checkSpecial(t wire.Type, rdata []byte) error {
	switch t {
	case wire.TypeWKS:
		if len(rdata) < 5 {
			return wire.ErrRData
		}
		return nil
	case wire.TypeATMA:
		if len(rdata) < 2 {
			return wire.ErrRData
		}
		return nil
	case wire.TypeHIP:
		// RFC 8005, Section 5: length of the HIT, algorithm, length of the key, HIT, key, servers.
		if len(rdata) < 4 || 4+int(rdata[0])+int(binary.BigEndian.Uint16(rdata[2:])) > len(rdata) {
			return wire.ErrRData
		}
	case wire.TypeAPL:
		if _, ok := appendPrefixes(nil, rdata); !ok {
			return wire.ErrRData
		}
		return nil
	case wire.TypeLOC:
		if len(rdata) != 16 || rdata[0] != 0 {
			return wire.ErrRData
		}
		return nil
	case wire.TypeAMTRELAY:
		if len(rdata) >= 2 && rdata[1]&^relayOptional > relayName {
			return nil // RFC 8777, Section 4.2.3: a type that is not assigned yet, of which nothing is known
		}
	case wire.TypeIPSECKEY:
		// RFC 4025, Section 2.4: algorithm 0 says that no key is present.
		if len(rdata) < 3 || rdata[1] > 3 || rdata[2] == 0 && rdata[1] == 0 && len(rdata) > 3 {
			return wire.ErrRData
		}
	}
	if len(rdata) == 0 {
		return wire.ErrRData
	}
	if _, ok := appendForeignText(nil, t, rdata); !ok {
		return wire.ErrRData
	}
	return nil
}

// chaosAddress reads the A record of class CH: a name and an octal number (RFC 1035, Section 3.2.4 names the class).
func (p *parser) chaosAddress(dst []byte) ([]byte, error) {
	dst, err := p.field(dst, 'n', 0)
	if err != nil {
		return dst, err
	}
	if err = p.need("a Chaos address"); err != nil {
		return dst, err
	}
	v, err := strconv.ParseUint(string(p.tok.text), 8, 16)
	if err != nil {
		return dst, p.errorf("%q is not a Chaos address in octal", p.tok.text)
	}
	return binary.BigEndian.AppendUint16(dst, uint16(v)), p.next()
}

// services are the port names that old WKS records use (RFC 1010).
var services = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "time": 37, "nameserver": 42, "whois": 43, "domain": 53,
	"tftp": 69, "gopher": 70, "finger": 79, "http": 80, "www": 80, "hostname": 101, "pop2": 109, "pop3": 110, "sunrpc": 111,
	"auth": 113, "nntp": 119, "ntp": 123, "snmp": 161, "https": 443, "login": 513, "shell": 514,
}

// wellKnown reads WKS: address, protocol, ports (RFC 1035, Section 3.4.2).
func (p *parser) wellKnown(dst []byte) ([]byte, error) {
	begin := len(dst)
	dst, err := p.field(dst, 'a', begin)
	if err != nil {
		return dst, err
	}
	switch {
	case upperEqual(p.tok.text, "TCP"):
		dst, err = append(dst, 6), p.next()
	case upperEqual(p.tok.text, "UDP"):
		dst, err = append(dst, 17), p.next()
	default:
		dst, err = p.field(dst, '1', begin)
	}
	if err != nil {
		return dst, err
	}
	bits := len(dst)
	for p.tok.kind != tokenEnd {
		port, ok := services[strings.ToLower(string(p.tok.text))]
		if !ok {
			v, ok := parseNumber(p.tok.text, 65535)
			if !ok {
				return dst, p.errorf("%q is not a port", p.tok.text)
			}
			port = uint16(v)
		}
		for len(dst)-bits <= int(port/8) {
			dst = append(dst, 0)
		}
		dst[bits+int(port/8)] |= 0x80 >> (port & 7)
		if err = p.next(); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// atma reads an ATM address: +digits (E.164), or hexadecimal with dots for the eye (ATM Forum af-dans-0152).
func (p *parser) atma(dst []byte) ([]byte, error) {
	if err := p.need("an ATM address"); err != nil {
		return dst, err
	}
	text := p.tok.text
	if digits, ok := strings.CutPrefix(string(text), "+"); ok {
		dst = append(dst, 1)
		if strings.Trim(digits, ".") == "" {
			return dst, p.errorf("%q is not an ATM address", text)
		}
		for _, c := range []byte(digits) {
			if c == '.' {
				continue
			}
			if c < '0' || c > '9' {
				return dst, p.errorf("%q is not an ATM address", text)
			}
			dst = append(dst, c)
		}
		return dst, p.next()
	}
	dst = append(dst, 0)
	half, high, n := false, byte(0), len(dst)
	for _, c := range text {
		if c == '.' {
			continue
		}
		d, ok := hexDigit(c)
		if !ok {
			return dst, p.errorf("%q is not an ATM address", text)
		}
		if half {
			dst = append(dst, high<<4|d)
		}
		half, high = !half, d
	}
	if half || len(dst) == n {
		return dst, p.errorf("%q is not an ATM address", text)
	}
	return dst, p.next()
}
