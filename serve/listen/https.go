package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"anyu/event"
)

// DNS over HTTPS (RFC 8484): HTTP/2 and HTTP/1.1 on TLS here, HTTP/3 in http3.go, and plain HTTP for trusted proxies.

const (
	// httpHeaders bounds a request's header fields. A GET of the longest sensible query takes 6,000 octets.
	httpHeaders = 16 << 10
	mediaType   = "application/dns-message" // RFC 8484, Section 6
)

// httpListener serves one TCP address.
type httpListener struct {
	server *http.Server
	conns  *countedListener
	ended  chan struct{}
}

func (s *Server) serveHTTPS(http3 bool) func(net.Listener) endpoint {
	return func(l net.Listener) endpoint {
		h := &dohHandler{server: s}
		if http3 { // RFC 9114, Section 3.1.1
			h.altSvc = fmt.Sprintf(`h3=":%d"; ma=86400`, clientAddr(l.Addr()).Port())
		}
		e := s.newHTTP(l, h, false)
		e.server.TLSConfig = s.tlsConfig(tls.VersionTLS12, "h2", "http/1.1")
		go func() {
			defer s.work.Done()
			defer close(e.ended)
			s.logServe(l, e.server.ServeTLS(e.conns, "", ""))
		}()
		return e
	}
}

func (s *Server) servePlainHTTP(l net.Listener) endpoint {
	e := s.newHTTP(l, &dohHandler{server: s, behindProxy: true}, true)
	e.server.Protocols.SetUnencryptedHTTP2(true)
	go func() {
		defer s.work.Done()
		defer close(e.ended)
		s.logServe(l, e.server.Serve(e.conns))
	}()
	return e
}

func (s *Server) logServe(l net.Listener, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		s.log.Error("serving HTTP ended", "address", l.Addr(), "error", err)
	}
}

func (s *Server) newHTTP(l net.Listener, h http.Handler, proxies bool) *httpListener {
	limits := s.settings.Load().limits
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(!proxies)
	e := &httpListener{conns: &countedListener{Listener: l, server: s, proxies: proxies}, ended: make(chan struct{})}
	e.server = &http.Server{
		Handler:           h,
		Protocols:         &protocols,
		ReadHeaderTimeout: limits.Message,
		ReadTimeout:       limits.Message,
		WriteTimeout:      limits.Message + limits.Write,
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    httpHeaders,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          limits.ConnectionRequests,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     MaxMessage + 1,
			WriteByteTimeout:              limits.Write,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if over, ok := c.(*tls.Conn); ok {
				c = over.NetConn()
			}
			if counted, ok := c.(*countedConn); ok {
				ctx = context.WithValue(ctx, memberKey{}, &counted.member)
			}
			return ctx
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // clients' handshake errors and the like
	}
	s.work.Add(1)
	return e
}

func (e *httpListener) drain(ctx context.Context) {
	if e.server.Shutdown(ctx) != nil {
		e.server.Close()
	}
	<-e.ended
}

func (e *httpListener) close() {
	e.conns.Close() // Serve may not have started yet
	e.server.Close()
}

// memberKey finds a connection's place in the table in a request's context.
type memberKey struct{}

// countedListener puts the connections that net/http serves into the table.
type countedListener struct {
	net.Listener
	server  *Server
	proxies bool // only Config.HTTPProxies may connect
}

func (l *countedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			l.server.log.Warn("accepting a connection failed", "address", l.Addr(), "error", err)
			l.server.table.shrink()
			time.Sleep(acceptPause)
			continue
		}
		set := l.server.settings.Load()
		count := &l.server.counters[event.HTTPS]
		remote := clientAddr(nc.RemoteAddr()).Addr()
		client := clientPrefix(remote)
		if l.proxies {
			if !contains(set.httpProxies, remote) {
				count.refused.Add(1)
				nc.Close()
				continue
			}
			client = netip.Prefix{} // many clients in one
		}
		c := &countedConn{Conn: nc, server: l.server}
		c.member.kill = func() { nc.Close() }
		l.server.table.add(&c.member, client, &set.limits, time.Now().UnixNano())
		count.opened.Add(1)
		count.open.Add(1)
		return c, nil
	}
}

type countedConn struct {
	net.Conn
	server *Server
	member member
	closed sync.Once
}

func (c *countedConn) Close() error {
	c.closed.Do(func() {
		c.server.table.remove(&c.member)
		c.server.counters[event.HTTPS].open.Add(-1)
	})
	return c.Conn.Close()
}

// dohHandler answers HTTP requests of every version.
type dohHandler struct {
	server      *Server
	altSvc      string
	behindProxy bool
}

func (h *dohHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := h.server
	set := s.settings.Load()
	count := &s.counters[event.HTTPS]
	if m, ok := r.Context().Value(memberKey{}).(*member); ok {
		m.active.Store(time.Now().UnixNano())
		s.table.asked(m)
	}
	defer s.requests.Add(-1)
	if s.requests.Add(1) > int64(set.limits.Requests) { // counted before the body is read
		count.refused.Add(1)
		http.Error(w, "too many requests at once; try again later", http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path != set.httpPath {
		count.refused.Add(1)
		http.NotFound(w, r)
		return
	}
	query, status := decodeDoH(r)
	if status != http.StatusOK {
		count.refused.Add(1)
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, HEAD, POST")
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	client := h.client(r, set)
	count.received.Add(1)
	reply, n := s.reply(r.Context(), query, &client, func() {
		// The times of newHTTP are for messages and writes, not for this wait. HTTP/3 has no such times.
		c, end := http.NewResponseController(w), time.Now().Add(set.limits.Later+set.limits.Write)
		_ = c.SetReadDeadline(end)
		_ = c.SetWriteDeadline(end)
	})
	switch {
	case n == Stream:
		http.Error(w, "zone transfers are not available over HTTPS", http.StatusNotImplemented)
		return
	case n <= 0:
		panic(http.ErrAbortHandler) // silence: the stream is reset
	}
	h.reply(w, reply)
	if r.Method != http.MethodHead {
		if _, err := w.Write(reply); err != nil {
			count.sendErrors.Add(1)
			return
		}
	}
	count.sent.Add(1)
}

func (h *dohHandler) reply(w http.ResponseWriter, reply []byte) {
	head := w.Header()
	head.Set("Content-Type", mediaType)
	head.Set("Content-Length", strconv.Itoa(len(reply)))
	// RFC 8484, Section 5.1: the freshness lifetime must not exceed the smallest TTL of the answer section.
	head.Set("Cache-Control", "max-age="+strconv.FormatUint(uint64(freshness(reply)), 10))
	if h.altSvc != "" {
		head.Set("Alt-Svc", h.altSvc)
	}
}

func (h *dohHandler) client(r *http.Request, set *settings) Client {
	c := Client{Transport: event.HTTPS, Arrived: time.Now().UnixNano()}
	if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.Remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		c.Local = clientAddr(local)
	}
	if r.TLS != nil {
		c.ServerName = r.TLS.ServerName
	}
	if h.behindProxy {
		if at, ok := forwardedFor(r.Header, set.httpProxies); ok {
			c.Remote = at
		}
	}
	return c
}
