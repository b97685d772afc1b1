//go:build !linux || 386 || arm || mips || mipsle

package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"anyu/event"
)

// udpSocket is one worker on an address. All workers of an address share one socket, and a datagram is a call of its own: this is
// the portable form, for development, not for load.
type udpSocket struct {
	server   *Server
	worker   int
	local    netip.AddrPort
	conn     *net.UDPConn
	counters udpCounters
	waiting  *atomic.Int64 // replies that are to come, of all workers of the address
	done     chan struct{}
}

func (s *Server) openUDP(at netip.AddrPort, receiveBuffer int) ([]endpoint, netip.AddrPort, error) {
	network := "udp6"
	if at.Addr().Is4() {
		network = "udp4"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, at, err
	}
	_ = conn.SetReadBuffer(receiveBuffer) // the system's own size is good enough
	at = netip.AddrPortFrom(at.Addr(), clientAddr(conn.LocalAddr()).Port())
	var all []endpoint
	waiting := new(atomic.Int64)
	for n := range s.config.Workers {
		u := &udpSocket{server: s, worker: n, local: at, conn: conn, waiting: waiting, done: make(chan struct{})}
		s.work.Add(1)
		go u.run()
		all = append(all, u)
	}
	return all, at, nil
}

func (u *udpSocket) run() {
	defer u.server.work.Done()
	defer close(u.done)
	in, out := make([]byte, MaxMessage), make([]byte, MaxMessage)
	l := u.server.udpLanes[u.worker]
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(in)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			u.settle()
			u.conn.Close()
			return
		}
		if err != nil {
			continue
		}
		c := Client{Remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Local: u.local, Transport: event.UDP, Arrived: time.Now().UnixNano()}
		query, ok := unwrapDatagram(in[:n], &c, u.server.settings.Load().proxies)
		if !ok {
			u.counters.refused.Add(1)
			continue
		}
		u.counters.received.Add(1)
		c.Later = func() Replier {
			u.waiting.Add(1)
			u.server.deferred.Add(1)
			return &udpReplier{socket: u, to: from}
		}
		l.mu.Lock()
		size := l.answerer.Answer(query, &c, out)
		l.mu.Unlock()
		if size <= 0 {
			continue
		}
		if _, err := u.conn.WriteToUDPAddrPort(out[:size], from); err != nil {
			u.counters.sendErrors.Add(1)
			continue
		}
		u.counters.sent.Add(1)
	}
}

// udpReplier sends one reply from the socket that was asked.
type udpReplier struct {
	socket *udpSocket
	used   atomic.Bool
	to     netip.AddrPort
}

func (r *udpReplier) Reply(msg []byte) {
	if r.used.Swap(true) {
		return
	}
	u := r.socket
	u.server.deferred.Add(-1)
	defer u.waiting.Add(-1)
	if len(msg) == 0 {
		return
	}
	if _, err := u.conn.WriteToUDPAddrPort(msg, r.to); errors.Is(err, net.ErrClosed) {
		return
	} else if err != nil {
		u.counters.sendErrors.Add(1)
		return
	}
	u.counters.sent.Add(1)
}

// settle waits for the replies that are still to come.
func (u *udpSocket) settle() {
	for end := time.Now().Add(laterDrain); u.waiting.Load() > 0 && time.Now().Before(end); {
		select {
		case <-u.server.impatient:
			return
		case <-time.After(laterPoll):
		}
	}
}

func (u *udpSocket) drain(ctx context.Context) {
	u.conn.SetReadDeadline(time.Now())
	select {
	case <-u.done:
	case <-ctx.Done():
	}
}

func (u *udpSocket) close() { u.conn.Close() }

func (u *udpSocket) state() SocketStatistics {
	return SocketStatistics{Local: u.local, Worker: u.worker}
}

func probeUDP(netip.AddrPort) error { return nil }
func probeTCP(netip.AddrPort) error { return nil }
func shareAddress(uintptr) error    { return nil }
