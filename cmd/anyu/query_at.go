package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"anyu/dns/message"
	"anyu/dns/wire"
)

const (
	queryPayload = 1232 // octets we take over UDP: no fragments
	udpTries     = 2
	optionEDE    = 15 // RFC 8914, Section 2
)

// server is where --at sends a question.
type server struct {
	scheme string // dns, tls, https or quic
	host   string // name or address
	at     string // host:port
	url    string // with https
}

func parseServer(text string) (server, error) {
	if !strings.Contains(text, "://") {
		if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			return server{scheme: "dns", host: a.String(), at: netip.AddrPortFrom(a, 53).String()}, nil
		}
		if _, err := netip.ParseAddrPort(text); err != nil {
			return server{}, fmt.Errorf("--at %s: write an address, with or without port, or a URL that begins with tls://, https:// or quic://", text)
		}
		return server{scheme: "dns", at: text}, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return server{}, fmt.Errorf("--at %s: this is no URL with a host", text)
	}
	port := u.Port()
	switch u.Scheme {
	case "tls", "quic":
		if port == "" {
			port = "853"
		}
	case "https":
		if port == "" {
			port = "443"
		}
		if u.Path == "" {
			u.Path = "/dns-query"
		}
	default:
		return server{}, fmt.Errorf("--at %s: there are tls://, https:// and quic://", text)
	}
	return server{scheme: u.Scheme, host: u.Hostname(), at: net.JoinHostPort(u.Hostname(), port), url: u.String()}, nil
}

// askServer asks one server and takes its word.
func (f *queryFlags) askServer(ctx context.Context, q message.Question) (*result, error) {
	s, err := parseServer(f.at)
	if err != nil {
		return nil, err
	}
	query, err := f.message(q)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	reply, way, err := f.exchange(ctx, s, query)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", f.at, err)
	}
	m, err := message.Parse(reply)
	if err != nil {
		return nil, fmt.Errorf("the reply of %s: %w", f.at, err)
	}
	r := &result{question: q, rcode: m.Rcode, by: f.at + way, took: time.Since(start), size: len(reply), sections: m.Sections()}
	for _, flag := range []struct {
		bit  uint16
		name string
	}{{wire.FlagQR, "qr"}, {wire.FlagAA, "aa"}, {wire.FlagTC, "tc"}, {wire.FlagRD, "rd"}, {wire.FlagRA, "ra"}, {wire.FlagAD, "ad"}, {wire.FlagCD, "cd"}} {
		if m.Has(flag.bit) {
			r.flags = append(r.flags, flag.name)
		}
	}
	for _, o := range m.EDNS.Options {
		if o.Code == optionEDE && len(o.Data) >= 2 {
			r.reasons = append(r.reasons, newReason(binary.BigEndian.Uint16(o.Data), printable(strings.TrimRight(string(o.Data[2:]), "\x00"))))
		}
	}
	return r, nil
}

// message makes the query: RD and AD set, EDNS with DO where signatures are wanted.
func (f *queryFlags) message(q message.Question) ([]byte, error) {
	var b wire.Builder
	b.Reset(make([]byte, 512))
	b.Question(q.Name, q.Type, q.Class)
	opt := []byte{0, 0, 41, queryPayload >> 8, queryPayload & 0xFF, 0, 0, 0, 0, 0, 0}
	if f.dnssec {
		opt[7] = 0x80 // DO (RFC 3225)
	}
	b.Raw(wire.Additionals, 1, opt)
	flags := uint16(wire.FlagRD | wire.FlagAD)
	if f.cd {
		flags |= wire.FlagCD
	}
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	return b.Finish(binary.BigEndian.Uint16(id[:]), flags), nil
}

func (f *queryFlags) exchange(ctx context.Context, s server, query []byte) (reply []byte, way string, err error) {
	secure := &tls.Config{ServerName: s.host, InsecureSkipVerify: f.anyCertificate}
	switch s.scheme {
	case "tls":
		secure.NextProtos = []string{"dot"}
		reply, err = f.stream(ctx, func(ctx context.Context) (net.Conn, error) {
			return (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", s.at)
		}, query)
		return reply, "", err
	case "https":
		reply, err = f.https(ctx, s, secure, query)
		return reply, "", err
	case "quic":
		secure.NextProtos = []string{"doq"}
		reply, err = f.quic(ctx, s, secure, query)
		return reply, "", err
	}
	if !f.tcp {
		reply, err = f.udp(ctx, s, query)
		if err != nil || reply[2]&(wire.FlagTC>>8) == 0 {
			return reply, " over UDP", err
		}
	}
	reply, err = f.stream(ctx, func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", s.at) }, query)
	return reply, " over TCP", err
}

// fits tells whether a message answers a query.
func fits(query, reply []byte) bool {
	return len(reply) >= wire.HeaderSize && bytes.Equal(reply[:2], query[:2]) && reply[2]&0x80 != 0
}

func (f *queryFlags) udp(ctx context.Context, s server, query []byte) ([]byte, error) {
	c, err := new(net.Dialer).DialContext(ctx, "udp", s.at)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	room := make([]byte, 65535)
	for range udpTries {
		if _, err = c.Write(query); err != nil {
			return nil, err
		}
		c.SetReadDeadline(time.Now().Add(f.timeout))
		for {
			var n int
			if n, err = c.Read(room); err != nil {
				break
			}
			if fits(query, room[:n]) {
				return room[:n], nil
			}
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no reply within %v, asked %d times", f.timeout, udpTries)
}

func (f *queryFlags) stream(ctx context.Context, dial func(context.Context) (net.Conn, error), query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	c, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	return framed(c, query)
}

// framed sends a query with its length before it and reads the reply (RFC 1035, Section 4.2.2).
func framed(c io.ReadWriter, query []byte) ([]byte, error) {
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return nil, err
		}
		reply := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, reply); err != nil {
			return nil, err
		}
		if fits(query, reply) {
			return reply, nil
		}
	}
}

// https asks by POST (RFC 8484, Section 4.1).
func (f *queryFlags) https(ctx context.Context, s server, secure *tls.Config, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	query[0], query[1] = 0, 0 // RFC 8484, Section 4.1: for caches on the way
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/dns-message")
	r.Header.Set("Accept", "application/dns-message")
	client := http.Client{Transport: &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true}}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server says %s", answer.Status)
	}
	reply, err := io.ReadAll(io.LimitReader(answer.Body, 65536))
	if err == nil && !fits(query, reply) {
		err = errors.New("what came is no reply to the question")
	}
	return reply, err
}

// quic asks on a stream of its own (RFC 9250, Section 4.2).
func (f *queryFlags) quic(ctx context.Context, s server, secure *tls.Config, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	query[0], query[1] = 0, 0 // RFC 9250, Section 4.2.1
	c, err := quic.DialAddr(ctx, s.at, secure, nil)
	if err != nil {
		return nil, err
	}
	defer c.CloseWithError(0, "")
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		stream.SetDeadline(deadline)
	}
	return framed(closing{stream}, query)
}

// closing ends our side of a stream with the query, as RFC 9250 asks.
type closing struct{ *quic.Stream }

func (c closing) Write(b []byte) (int, error) {
	n, err := c.Stream.Write(b)
	if err == nil {
		err = c.Stream.Close()
	}
	return n, err
}
