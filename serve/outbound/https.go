package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"anyu/serve/listen"
)

const (
	mediaType = "application/dns-message" // RFC 8484, Section 6
	// quietPing is after how much silence a connection with requests under way is asked whether it is still there.
	quietPing = 2 * time.Second
	// maxHeaders bounds the header fields of a response, octets.
	maxHeaders = 16 << 10
)

// web is a DNS over HTTPS server (RFC 8484): HTTP/2, or HTTP/1.1 where it knows no better. net/http keeps the connections and starts a
// goroutine for each request, whose number StreamConfig.Waiting bounds.
type web struct {
	streams   *Streams
	upstream  *upstream
	client    *http.Client
	transport *http.Transport
	url       string
	open      atomic.Int64
	active    atomic.Int64 // ns since 1970
}

func newWeb(s *Streams, u *upstream) *web {
	w := &web{streams: s, upstream: u}
	host := u.key.server.String()
	if u.key.name != "" {
		host = u.key.name
	}
	path := u.key.path
	if path == "" {
		path = listen.DefaultHTTPPath
	}
	path, query, _ := strings.Cut(strings.TrimSuffix(path, "{?dns}"), "?") // RFC 8484, Section 4.1: a template; POST expands it without the variable
	w.url = (&url.URL{Scheme: "https", Host: host, Path: path, RawQuery: query}).String()
	w.transport = &http.Transport{
		DialContext:            w.dial,
		TLSClientConfig:        s.tlsConfig(u.key.name),
		TLSHandshakeTimeout:    connectTime,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxConnsPerHost:        s.config.OfUpstream,
		MaxIdleConnsPerHost:    s.config.OfUpstream,
		IdleConnTimeout:        u.key.idle(&s.config),
		MaxResponseHeaderBytes: maxHeaders,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: quietPing, PingTimeout: connectTime / 2},
	}
	w.client = &http.Client{Transport: w.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

// dial connects to the configured address, whatever the URL's name says.
func (w *web) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	if !w.streams.admit(w.upstream) {
		return nil, errTooMany
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	server := w.upstream.key.server
	c, err := w.streams.dialer(server.Addr()).DialContext(ctx, network, server.String())
	if err != nil {
		w.streams.left(w.upstream)
		return nil, err
	}
	w.open.Add(1)
	return &webConn{Conn: c, web: w}, nil
}

// webConn counts itself out.
type webConn struct {
	net.Conn
	web    *web
	closed atomic.Bool
}

func (c *webConn) Close() error {
	if !c.closed.Swap(true) {
		c.web.open.Add(-1)
		c.web.streams.left(c.web.upstream)
	}
	return c.Conn.Close()
}

func (w *web) carry(q *asked) {
	w.active.Store(time.Now().UnixNano())
	w.streams.run.Go(func() {
		msg, err := w.ask(q)
		if err != nil {
			w.upstream.trouble(err)
		}
		q.finish(msg)
	})
}

func (w *web) ask(q *asked) ([]byte, error) {
	ctx, cancel := context.WithDeadline(w.streams.ctx, q.deadline)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if i.Reused {
			return
		}
		over, ok := i.Conn.(interface{ ConnectionState() tls.ConnectionState })
		w.upstream.connected(ok && over.ConnectionState().DidResume)
	}})
	// RFC 8484, Section 4.1: the ID should be 0; equal questions are then equal requests.
	binary.BigEndian.PutUint16(q.msg(), 0)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(q.msg()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("Accept", mediaType)
	// To ask twice does no harm: net/http may try again on a fresh connection when an idle one turns out to be closed. Nothing is sent of this.
	r.Header["Idempotency-Key"] = nil
	response, err := w.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	// RFC 8484, Section 4.2.1: only a successful status carries an answer.
	if response.StatusCode != http.StatusOK || !strings.EqualFold(strings.TrimSpace(kind), mediaType) {
		return nil, fmt.Errorf("HTTP status %s, content type %q", response.Status, kind)
	}
	msg, err := io.ReadAll(io.LimitReader(response.Body, listen.MaxMessage+1))
	switch {
	case err != nil:
		return nil, err
	case len(msg) > listen.MaxMessage || len(msg) < 12:
		return nil, fmt.Errorf("a reply of %d octets", len(msg))
	}
	return msg, nil
}

func (w *web) idlest() (since time.Time, shed func() bool) {
	if w.upstream.waiting.Load() > 0 || w.open.Load() == 0 {
		return time.Time{}, nil
	}
	return time.Unix(0, w.active.Load()), func() bool {
		w.transport.CloseIdleConnections()
		return true
	}
}

func (w *web) reconsider() {} // HTTP has its own way

func (w *web) close() { w.transport.CloseIdleConnections() }
