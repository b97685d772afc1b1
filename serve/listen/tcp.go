package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"anyu/event"
)

// streamListener accepts TCP and TLS connections on one address. A connection has one goroutine and, while it is silent, no
// buffer but the few hundred octets of conn.small.
type streamListener struct {
	server    *Server
	listener  net.Listener
	transport event.Transport
	tls       *tls.Config // nil for plain TCP
	stopped   atomic.Bool
	accepting chan struct{} // closed when the accept goroutine has ended

	mu    sync.Mutex
	conns map[*conn]struct{}
}

func (s *Server) acceptStreams(l net.Listener, t event.Transport, config *tls.Config) endpoint {
	e := &streamListener{server: s, listener: l, transport: t, tls: config, accepting: make(chan struct{}), conns: make(map[*conn]struct{})}
	s.work.Add(1)
	go e.accept()
	return e
}

// acceptPause is the wait after accept failed for want of descriptors or memory, having closed an idle connection.
const acceptPause = 5 * time.Millisecond

func (e *streamListener) accept() {
	defer e.server.work.Done()
	defer close(e.accepting)
	for {
		nc, err := e.listener.Accept()
		if err != nil {
			if e.stopped.Load() || errors.Is(err, net.ErrClosed) {
				return
			}
			e.server.log.Warn("accepting a connection failed", "address", e.listener.Addr(), "error", err)
			e.server.table.shrink()
			time.Sleep(acceptPause)
			continue
		}
		e.begin(nc)
	}
}

func (e *streamListener) begin(nc net.Conn) {
	s := e.server
	set := s.settings.Load()
	c := &conn{listener: e, server: s, raw: nc, nc: nc, counters: &s.counters[e.transport]}
	c.client = Client{Remote: clientAddr(nc.RemoteAddr()), Local: clientAddr(nc.LocalAddr()), Transport: e.transport}
	c.gone = make(chan struct{})
	c.client.Later = c.later
	c.member.kill = c.cut
	c.proxied = contains(set.proxies, c.client.Remote.Addr())
	client := clientPrefix(c.client.Remote.Addr())
	if c.proxied {
		client = netip.Prefix{} // counted for the client once the header names it
	}
	s.table.add(&c.member, client, &set.limits, time.Now().UnixNano())
	c.counters.opened.Add(1)
	c.counters.open.Add(1)
	e.mu.Lock()
	e.conns[c] = struct{}{}
	e.mu.Unlock()
	s.work.Add(1)
	go c.run()
}

func (e *streamListener) forget(c *conn) {
	e.mu.Lock()
	delete(e.conns, c)
	e.mu.Unlock()
}

func (e *streamListener) draining() bool { return e.stopped.Load() || e.server.draining.Load() }

func (e *streamListener) drain(ctx context.Context) {
	e.stopped.Store(true)
	e.listener.Close()
	<-e.accepting
	e.mu.Lock()
	for c := range e.conns { // whoever waits for a message looks once more, briefly; see conn.fill
		c.nc.SetReadDeadline(time.Now())
	}
	e.mu.Unlock()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		e.mu.Lock()
		left := len(e.conns)
		e.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-ctx.Done():
			e.cut()
			return
		case <-tick.C:
		}
	}
}

func (e *streamListener) close() {
	e.stopped.Store(true)
	e.listener.Close()
	e.cut()
}

func (e *streamListener) cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		c.cut()
	}
}
