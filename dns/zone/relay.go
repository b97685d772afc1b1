package zone

import (
	"net/netip"
	"strconv"

	"anyu/dns/wire"
)

// The types of the relay field of AMTRELAY and its D bit, which says that the discovery is optional (RFC 8777, Section 4.2.3).
const (
	relayNone = iota
	relayIPv4
	relayIPv6
	relayName

	relayOptional = 0x80
)

// relayLayouts are the layouts of the relay field; of relayNone the text is "." and the data nothing.
var relayLayouts = [...]byte{relayIPv4: 'a', relayIPv6: '6', relayName: 'n'}

// relay reads AMTRELAY: precedence, D bit, type, relay (RFC 8777, Section 4.3.1).
func (p *parser) relay(dst []byte) ([]byte, error) {
	begin := len(dst)
	dst, err := p.field(dst, '1', begin)
	if err != nil {
		return dst, err
	}
	at := len(dst)
	for range 2 {
		if dst, err = p.field(dst, '1', begin); err != nil {
			return dst, err
		}
	}
	optional, kind := dst[at], dst[at+1]
	if optional > 1 || kind > relayName {
		return dst, p.errorf("the D bit is 0 or 1, not %d, and the type of a relay 0 to 3, not %d (RFC 8777, Section 4.2)", optional, kind)
	}
	dst = append(dst[:at], optional<<7|kind)
	if kind != relayNone {
		return p.field(dst, relayLayouts[kind], begin)
	}
	if p.tok.kind != tokenWord || string(p.tok.text) != "." {
		return dst, p.errorf("no relay (type 0) is written as a dot")
	}
	return dst, p.next()
}

// appendRelay writes AMTRELAY data; ok is false where it is malformed or of another type.
func appendRelay(dst, b []byte) (out []byte, ok bool) {
	if len(b) < 2 || b[1]&^relayOptional > relayName {
		return dst, false
	}
	kind := b[1] &^ relayOptional
	dst = append(strconv.AppendUint(dst, uint64(b[0]), 10), ' ', '0'+b[1]>>7, ' ', '0'+kind, ' ')
	switch b = b[2:]; kind {
	case relayIPv4, relayIPv6:
		addr, _ := netip.AddrFromSlice(b)
		return addr.AppendTo(dst), len(b) == fixedSize(relayLayouts[kind])
	case relayName:
		if nameEnd(b) != len(b) {
			return dst, false
		}
		return wire.Name(b).AppendText(dst), true
	}
	return append(dst, '.'), len(b) == 0
}
