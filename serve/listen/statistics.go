package listen

import (
	"net/netip"
	"sync/atomic"
	"time"

	"anyu/event"
)

// Statistics are totals since the start, and the state of this moment. Reading them takes no lock that an answer waits for.
type Statistics struct {
	Transports [event.Transports]TransportStatistics
	// Sockets are the UDP sockets of plain DNS, the queues that fill first.
	Sockets []SocketStatistics

	Connections uint64 // open now, all transports
	Evicted     uint64 // closed to make room for others
	Transfers   uint64 // Streamer.Stream calls running now
	Requests    uint64 // HTTP requests and QUIC streams being worked on now
	Deferred    uint64 // messages whose reply is still to come
	StreamBytes uint64 // held now for long messages and replies, see Limits.StreamMemory

	// CertificateEnd is when the certificate in use ends; zero without one. CertificateError is why the files on disk are
	// not in use; empty when they are.
	CertificateEnd   time.Time
	CertificateError string
}

// TransportStatistics are the totals of one transport. HTTPS counts HTTP/2, HTTP/3 and plain HTTP.
type TransportStatistics struct {
	Received   uint64 // messages handed to an Answerer
	Sent       uint64 // messages sent
	SendErrors uint64 // replies that could not be sent
	Refused    uint64 // messages, requests or connections turned away: bad framing, untrusted PROXY header, over a limit
	Opened     uint64 // connections accepted
	Open       uint64 // connections open now
	IdleClosed uint64 // connections closed after Limits.Idle or Limits.Message
}

// SocketStatistics is the state of one UDP socket.
type SocketStatistics struct {
	Local    netip.AddrPort
	Worker   int
	Queued   uint64 // octets of kernel memory that waiting datagrams take
	Room     uint64 // octets of kernel memory they may take
	Overflow uint64 // datagrams dropped by the kernel because the room was full
}

// counters of one transport. Each is written by many connections, so they are for streams only; a UDP worker has its own.
type counters struct {
	received, sent, sendErrors, refused, opened, idleClosed atomic.Uint64
	open                                                    atomic.Int64
}

func (c *counters) read() TransportStatistics {
	return TransportStatistics{
		Received: c.received.Load(), Sent: c.sent.Load(), SendErrors: c.sendErrors.Load(), Refused: c.refused.Load(),
		Opened: c.opened.Load(), Open: uint64(max(0, c.open.Load())), IdleClosed: c.idleClosed.Load(),
	}
}

// udpCounters belong to one UDP worker: one writer, on cache lines of its own.
type udpCounters struct {
	_                                   [64]byte
	received, sent, sendErrors, refused atomic.Uint64
	_                                   [64]byte
}

func (c *udpCounters) addTo(t *TransportStatistics) {
	t.Received += c.received.Load()
	t.Sent += c.sent.Load()
	t.SendErrors += c.sendErrors.Load()
	t.Refused += c.refused.Load()
}

// Statistics reads the counters of all transports.
func (s *Server) Statistics() Statistics {
	var r Statistics
	for i := range s.counters {
		r.Transports[i] = s.counters[i].read()
	}
	now := s.open.Load()
	for _, c := range now.retired {
		c.addTo(&r.Transports[event.UDP])
	}
	for _, g := range now.groups {
		for _, e := range g.endpoints {
			if u, ok := e.(*udpSocket); ok {
				u.counters.addTo(&r.Transports[event.UDP])
				r.Sockets = append(r.Sockets, u.state())
			}
		}
	}
	r.Connections = uint64(s.table.size())
	r.Evicted = s.table.evicted.Load()
	r.Transfers = uint64(max(0, s.transfers.Load()))
	r.Requests = uint64(max(0, s.requests.Load()))
	r.Deferred = uint64(max(0, s.deferred.Load()))
	r.StreamBytes = uint64(max(0, s.memory.Load()))
	if c := s.certificates.Load(); c != nil {
		r.CertificateEnd, r.CertificateError = c.state()
	}
	return r
}
