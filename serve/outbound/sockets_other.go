//go:build !linux || 386 || arm || mips || mipsle

package outbound

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// sockets are the UDP sockets of one loop. This is the portable form, for development: a goroutine reads each.
type sockets struct {
	source Source
	random *random
	came   chan arrival
	woken  chan struct{}
	ready  []arrival
	open   map[*flight]struct{}
	ended  chan struct{}
}

type arrival struct {
	flight *flight
	conn   *net.UDPConn
	msg    []byte
	result result
}

// socket of a flight.
type socket struct{ conn *net.UDPConn }

var noSocket = socket{}

// arrivals that may wait to be looked at.
const arrivals = 256

func newSockets(source Source, r *random) (*sockets, error) {
	return &sockets{source: source, random: r, came: make(chan arrival, arrivals), woken: make(chan struct{}, 1), open: make(map[*flight]struct{}),
		ended: make(chan struct{})}, nil
}

func (s *sockets) end() {
	for f := range s.open {
		s.close(f)
	}
	close(s.ended)
}

// wake ends the wait of now, or else the next.
func (s *sockets) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *sockets) wait(timeout time.Duration) (int, error) {
	s.ready = s.ready[:0]
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case a := <-s.came:
		s.ready = append(s.ready, a)
	case <-s.woken:
	case <-timer.C:
	}
	for len(s.ready) < arrivals {
		select {
		case a := <-s.came:
			s.ready = append(s.ready, a)
			continue
		default:
		}
		break
	}
	return len(s.ready), nil
}

func (s *sockets) heard(i int) (*flight, []byte, result) {
	a := s.ready[i]
	if a.flight.socket.conn != a.conn {
		return nil, nil, fine
	}
	return a.flight, a.msg, a.result
}

func (s *sockets) send(f *flight, to netip.AddrPort, msg []byte) result {
	conn, err := s.dial(to)
	if err != nil {
		return verdict(err)
	}
	f.socket.conn = conn
	s.open[f] = struct{}{}
	if _, err := conn.Write(msg); err != nil {
		s.close(f)
		return verdict(err)
	}
	go func() {
		for {
			b := make([]byte, maxReply)
			n, err := conn.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			a := arrival{flight: f, conn: conn, msg: b[:n]}
			if err != nil {
				a.result = verdict(err)
			}
			select {
			case s.came <- a:
			case <-s.ended:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return fine
}

// dial opens a socket on a random port.
func (s *sockets) dial(to netip.AddrPort) (*net.UDPConn, error) {
	from := s.source.of(to.Addr())
	for try := 0; ; try++ {
		local := &net.UDPAddr{Port: int(firstPort + s.random.next()%(lastPort-firstPort+1))}
		if from.IsValid() {
			local.IP = from.AsSlice()
		}
		if try == portTries {
			local.Port = 0
		}
		conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(to))
		if err == nil || try == portTries || !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return conn, err
		}
	}
}

func verdict(err error) result {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.EADDRINUSE):
		return exhausted
	}
	return unreachable
}

func (s *sockets) close(f *flight) {
	if f.socket.conn == nil {
		return
	}
	f.socket.conn.Close()
	f.socket = noSocket
	delete(s.open, f)
}

func yieldThread() { runtime.Gosched() }
