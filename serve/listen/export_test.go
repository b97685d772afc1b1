package listen

import (
	"net/netip"
)

// What tests of the outside need of the inside.

var (
	DecodeDoH    = decodeDoH
	Freshness    = freshness
	ForwardedFor = forwardedFor
)

// Proxied is what ParseProxy found.
type Proxied struct {
	Known         bool
	Remote, Local netip.AddrPort
	Size          int
}

func ParseProxy(b []byte) (Proxied, error) {
	p, err := parseProxy(b)
	return Proxied{p.known, p.remote, p.local, p.size}, err
}

var ErrProxyShort = errProxyShort

// CheckCertificates does what the watch does when its time has come.
func (s *Server) CheckCertificates() { s.checkCertificates() }
