package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// PROXY protocol version 2, as published by HAProxy ("The PROXY protocol, Versions 1 & 2", 2.2). Version 1 is text and
// is not taken.

// proxySignature opens a header. As a DNS message it would be an inverse query (opcode 1, obsoleted by RFC 3425), so nothing
// of value is lost where a header from elsewhere is dropped.
var proxySignature = [12]byte{'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'}

const (
	proxyFixed = 16 // signature, version and command, family, length
	// proxyMost bounds a header with its TLVs. Addresses take 36 octets at most; stops a length of 65,535 being waited for.
	proxyMost = 4096
)

var (
	errProxyShort = errors.New("PROXY header is not complete")
	errProxyBad   = errors.New("PROXY header is not valid version 2")
)

// proxied is what a header says. Without known the connection is the proxy's own (LOCAL, or a family that has no
// addresses of use): the addresses of the socket hold.
type proxied struct {
	known         bool
	remote, local netip.AddrPort
	size          int // octets of the header
}

// hasProxySignature tells whether b begins like a PROXYv2 header.
func hasProxySignature(b []byte) bool {
	return len(b) >= len(proxySignature) && b[0] == '\r' && bytes.Equal(b[:len(proxySignature)], proxySignature[:])
}

// parseProxy reads the header at the start of b. errProxyShort asks for more octets, errProxyBad never becomes good.
// TLVs are skipped: nothing in them is trusted.
func parseProxy(b []byte) (proxied, error) {
	n := min(len(b), len(proxySignature))
	if !bytes.Equal(b[:n], proxySignature[:n]) {
		return proxied{}, errProxyBad
	}
	if len(b) < proxyFixed {
		return proxied{}, errProxyShort
	}
	version, command, family := b[12]>>4, b[12]&15, b[13]>>4
	length := int(binary.BigEndian.Uint16(b[14:]))
	if version != 2 || command > 1 || proxyFixed+length > proxyMost {
		return proxied{}, errProxyBad
	}
	if len(b) < proxyFixed+length {
		return proxied{}, errProxyShort
	}
	p := proxied{size: proxyFixed + length}
	if command == 0 { // LOCAL: health checks of the proxy itself
		return p, nil
	}
	a := b[proxyFixed:p.size]
	switch family {
	case 1: // AF_INET
		if len(a) < 12 {
			return proxied{}, errProxyBad
		}
		p.remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[0:4])), binary.BigEndian.Uint16(a[8:]))
		p.local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), binary.BigEndian.Uint16(a[10:]))
		p.known = true
	case 2: // AF_INET6
		if len(a) < 36 {
			return proxied{}, errProxyBad
		}
		p.remote = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[0:16])).Unmap(), binary.BigEndian.Uint16(a[32:]))
		p.local = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[16:32])).Unmap(), binary.BigEndian.Uint16(a[34:]))
		p.known = true
	case 0, 3: // AF_UNSPEC, AF_UNIX: no address a DNS server can use
	default:
		return proxied{}, errProxyBad
	}
	return p, nil
}
