package listen

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Config says where to listen and within which bounds. The zero value listens nowhere; zero fields of Limits take
// their defaults. All of it but Workers and PinCPUs can change in Reload.
type Config struct {
	// Plain are the addresses for DNS over UDP and TCP. Port 0 takes a free port, the same for both.
	Plain []netip.AddrPort
	// TLS are the addresses for DNS over TLS and zone transfer over TLS (port 853).
	TLS []netip.AddrPort
	// HTTPS are the addresses for DNS over HTTPS (port 443), HTTP/2 on TCP and HTTP/3 on UDP.
	HTTPS []netip.AddrPort
	// QUIC are the addresses for DNS over QUIC (port 853, UDP).
	QUIC []netip.AddrPort
	// PlainHTTP are the addresses for DNS over HTTP without TLS (HTTP/1.1 and HTTP/2), for reverse proxies in HTTPProxies only.
	PlainHTTP []netip.AddrPort

	// NoHTTP3 leaves HTTP/3 away from HTTPS. Then no Alt-Svc is sent.
	NoHTTP3 bool
	// HTTPPath is the path of the DNS API. Default "/dns-query". Other paths answer 404.
	HTTPPath string

	// Certificate and Key are PEM files, needed for TLS, HTTPS and QUIC. They are watched: a new pair is taken without a
	// restart, a broken pair is refused and the old one kept.
	Certificate, Key string

	// Proxies are the addresses that must send a PROXYv2 header before UDP messages, TCP and TLS streams. From any other
	// address such a header means a drop. Default: none.
	Proxies []netip.Prefix
	// HTTPProxies are the addresses that may use PlainHTTP; their Forwarded or X-Forwarded-For names the client.
	HTTPProxies []netip.Prefix

	// Workers is the number of UDP sockets (and threads) an address gets, and of Answerers for streams. Default 1; the
	// node gives the number of CPUs. More than the CPUs only costs switches.
	Workers int
	// PinCPUs binds UDP worker n to the n-th CPU the process may use. Helps when the network card's queues are bound too;
	// harms when anything else needs those CPUs.
	PinCPUs bool

	Limits Limits
}

// Limits bound what clients can make the server hold. A zero field takes its default.
type Limits struct {
	// ReceiveBuffer is the kernel's room for datagrams that wait, octets a UDP socket. Default 4 MiB. More bridges longer
	// pauses and makes answers older under overload; above net.core.rmem_max it needs CAP_NET_ADMIN, else the kernel caps it.
	ReceiveBuffer int

	// Connections is the number of TCP, TLS, HTTP and QUIC connections in all. Default 10,000, at most what RLIMIT_NOFILE
	// leaves. When full, the idlest connection is closed for a new one. Stops connection exhaustion.
	Connections int
	// ClientConnections is the same for one client: an IPv4 address, an IPv6 /56. Default 500. Stops one client taking
	// Connections for itself; the client's own idlest connection goes.
	ClientConnections int
	// Idle is how long a connection may be silent. Default 10 s (RFC 7766, Section 6.2.3: a few seconds).
	Idle time.Duration
	// Message is how long one message may take from its first octet to its last, and a TLS or QUIC handshake.
	// Default 5 s. Stops slowloris.
	Message time.Duration
	// Write is how long one write may block on a client that does not read. Default 5 s.
	Write time.Duration
	// Queries is the number of messages one TCP or TLS connection may ask before it is closed. Default 100,000.
	Queries int
	// StreamMemory bounds the octets held for long messages being received and replies being written, over all TCP and
	// TLS connections. Default 64 MiB. The connection that would exceed it is closed. Stops clients that do not read.
	StreamMemory int64
	// Transfers is the number of Streamer.Stream calls at a time. Default 32. A connection that asks for more is closed.
	Transfers int
	// ConnectionTransfers is the same for one connection. Default 4. Further messages wait, unread.
	ConnectionTransfers int
	// Requests is the number of HTTP requests and QUIC streams worked on at a time, over all connections, counted before
	// any of their content is read. Default 4,096. More are refused (503, DOQ_EXCESSIVE_LOAD). Stops stream floods.
	Requests int
	// ConnectionRequests is the same for one connection, and bounds the Deferred messages of a TCP or TLS connection: the next ones wait,
	// unread. Default 100 (RFC 9113, Section 6.5.2: not smaller than 100).
	ConnectionRequests int
	// Later is how long the reply to a Deferred message is waited for. Default 20 s, which no resolution takes. Stops a Replier that nobody
	// uses from holding a connection or a request for ever.
	Later time.Duration
	// CertificateCheck is how often the certificate files are looked at. Default 10 s.
	CertificateCheck time.Duration
}

func (l Limits) withDefaults() Limits {
	number(&l.ReceiveBuffer, 4<<20)
	number(&l.Connections, 10_000)
	number(&l.ClientConnections, 500)
	number(&l.Idle, 10*time.Second)
	number(&l.Message, 5*time.Second)
	number(&l.Write, 5*time.Second)
	number(&l.Queries, 100_000)
	number(&l.StreamMemory, 64<<20)
	number(&l.Transfers, 32)
	number(&l.ConnectionTransfers, 4)
	number(&l.Requests, 4096)
	number(&l.ConnectionRequests, 100)
	number(&l.Later, 20*time.Second)
	number(&l.CertificateCheck, 10*time.Second)
	return l
}

func number[T int | int64 | time.Duration](v *T, preset T) {
	if *v <= 0 {
		*v = preset
	}
}

// DefaultHTTPPath is the path that clients expect (RFC 8484, Section 4.1 shows it in its examples).
const DefaultHTTPPath = "/dns-query"

// complete checks the parts against each other and fills the defaults in.
func (c Config) complete() (Config, error) {
	number(&c.Workers, 1)
	c.Limits = c.Limits.withDefaults()
	if c.HTTPPath == "" {
		c.HTTPPath = DefaultHTTPPath
	}
	if !strings.HasPrefix(c.HTTPPath, "/") {
		return c, fmt.Errorf("HTTP path %q: must begin with /", c.HTTPPath)
	}
	if len(c.TLS)+len(c.HTTPS)+len(c.QUIC) > 0 && (c.Certificate == "" || c.Key == "") {
		return c, errors.New("TLS, HTTPS and QUIC addresses need a certificate and a key: name both files or remove the addresses")
	}
	if len(c.PlainHTTP) > 0 && len(c.HTTPProxies) == 0 {
		return c, errors.New("plain HTTP addresses need a list of HTTP proxies that may use them")
	}
	for _, list := range [][]netip.AddrPort{c.Plain, c.TLS, c.HTTPS, c.QUIC, c.PlainHTTP} {
		for _, a := range list {
			if !a.Addr().IsValid() {
				return c, errors.New("an address is empty: write 0.0.0.0:53 or [::]:53 for every address of the machine")
			}
		}
	}
	return c, nil
}

// settings is what connections and workers look at while they run. A reload swaps it whole.
type settings struct {
	limits      Limits
	proxies     []netip.Prefix
	httpProxies []netip.Prefix
	httpPath    string
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
