package listen

import (
	"crypto/tls"
	"errors"
	"net"

	"anyu/event"
)

// DNS over TLS (RFC 7858, RFC 8310) and zone transfer over TLS (RFC 9103). Framing, limits and transfers are those of TCP (conn.go).
//
// Session tickets: crypto/tls makes and rotates the keys, one set for all connections of a listener. 0-RTT is not offered.

// tlsConfig is shared by every connection of a transport, so that tickets of one resume on another.
func (s *Server) tlsConfig(lowest uint16, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     lowest,
		NextProtos:     protocols,
		GetCertificate: s.certificate,
	}
}

var errNoCertificate = errors.New("no certificate is configured any more")

func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := s.certificates.Load()
	if c == nil {
		return nil, errNoCertificate
	}
	return c.current.Load(), nil
}

func (s *Server) serveTLS(l net.Listener) endpoint {
	// RFC 8310, Section 9: TLS 1.2 is the least. RFC 7858, Section 3.1 and RFC 9103, Section 7: the protocol is "dot"; clients
	// of the years before it was registered send none, which is taken.
	return s.acceptStreams(l, event.TLS, s.tlsConfig(tls.VersionTLS12, "dot"))
}
