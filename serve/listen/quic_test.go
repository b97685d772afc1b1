package listen_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"anyu/event"
	"anyu/serve/listen"
)

func dialQUIC(t testing.TB, at netip.AddrPort, p pair) *quic.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := quic.DialAddr(ctx, at.String(), p.client("doq"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseWithError(0, "") })
	return c
}

// ask opens a stream, writes octets and, unless told not to, FIN.
func ask(t testing.TB, c *quic.Conn, octets []byte, fin bool) *quic.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	st, err := c.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	st.SetDeadline(time.Now().Add(5 * time.Second))
	mustWrite(t, st, octets)
	if fin {
		st.Close()
	}
	return st
}

func doqServer(t testing.TB, change func(*listen.Config), a answer, s listen.Streamer) (*listen.Server, netip.AddrPort, pair) {
	t.Helper()
	p := newPair(t, t.TempDir(), 1)
	c := listen.Config{QUIC: []netip.AddrPort{loopback4}, Certificate: p.cert, Key: p.key}
	if change != nil {
		change(&c)
	}
	server := start(t, c, a, s)
	return server, bound(t, server, "quic"), p
}

// RFC 9250, Section 4.2: one query and its reply a stream, streams beside each other, FIN at the end.
func TestQUIC_answersEachStream(t *testing.T) {
	_, at, p := doqServer(t, nil, func(q []byte, from *listen.Client, out []byte) int {
		if from.Transport != event.QUIC || from.ServerName != "dns.example" || !from.Remote.Addr().IsLoopback() || !from.Local.Addr().IsLoopback() {
			return listen.Drop
		}
		return echo(q, from, out)
	}, nil)
	c := dialQUIC(t, at, p)
	stalled := ask(t, c, frame(question(0, 100))[:20], false) // holds nobody up
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			q := question(0, 12+i*i*18)
			st := ask(t, c, frame(q), true)
			got, err := io.ReadAll(st)
			if err != nil || !bytes.Equal(got, frame(replyTo(q))) {
				t.Errorf("stream %d: %d octets, %v", i, len(got), err)
			}
		})
	}
	all.Wait()
	mustWrite(t, stalled, frame(question(0, 100))[20:])
	stalled.Close()
	wantFrame(t, stalled, replyTo(question(0, 100)))
}

// RFC 9250, Section 4.3.3: these end the connection with DOQ_PROTOCOL_ERROR.
func TestQUIC_closesOnProtocolErrors(t *testing.T) {
	keepalive := append(question(0, 12), 0, 0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0)
	keepalive[11] = 1 // QDCOUNT 1 and OPT with edns-tcp-keepalive
	cases := map[string][]byte{
		"message ID":             frame(question(1, 40)),
		"two queries":            frame(question(0, 40), question(0, 40)),
		"FIN inside the message": frame(question(0, 40))[:30],
		"FIN before the length":  {0},
		"nothing":                {},
		"shorter than a header":  frame(make([]byte, 11)),
		"edns-tcp-keepalive":     frame(keepalive),
	}
	_, at, p := doqServer(t, nil, echo, nil)
	for name, octets := range cases {
		t.Run(name, func(t *testing.T) {
			c := dialQUIC(t, at, p)
			st := ask(t, c, octets, true)
			_, err := io.ReadAll(st)
			var closed *quic.ApplicationError
			if !errors.As(err, &closed) || closed.ErrorCode != 2 || !closed.Remote {
				t.Errorf("stream ends with %v", err)
			}
		})
	}
}

func TestQUIC_boundsStreams(t *testing.T) {
	s, at, p := doqServer(t, func(c *listen.Config) {
		c.Limits = listen.Limits{Requests: 3, ConnectionRequests: 10, Message: 300 * time.Millisecond}
	}, echo, nil)
	c := dialQUIC(t, at, p)
	for range 3 {
		ask(t, c, []byte{255}, false)
	}
	eventually(t, "three streams wait", func() bool { return s.Statistics().Requests == 3 })
	_, err := io.ReadAll(ask(t, c, frame(question(0, 40)), true))
	var reset *quic.StreamError
	if !errors.As(err, &reset) || reset.ErrorCode != 4 { // DOQ_EXCESSIVE_LOAD
		t.Errorf("stream over the limit ends with %v", err)
	}
	eventually(t, "the three are cut", func() bool { return s.Statistics().Requests == 0 })
	wantFrame(t, ask(t, c, frame(question(0, 40)), true), replyTo(question(0, 40)))
	if held := s.Statistics().StreamBytes; held != 0 {
		t.Errorf("%d octets held", held)
	}
}

func TestQUIC_transfersAndDrops(t *testing.T) {
	_, at, p := doqServer(t, nil, func(q []byte, from *listen.Client, out []byte) int {
		if len(q) == 13 {
			return listen.Drop
		}
		return transfers(q, from, out)
	}, streamer(func(q []byte, _ *listen.Client, send func([]byte) error) error {
		for i := range 30 {
			if err := send(question(0, 30000+i)); err != nil {
				return err
			}
		}
		return nil
	}))
	c := dialQUIC(t, at, p)
	st := ask(t, c, frame(question(0, 100)), true)
	for i := range 30 {
		wantFrame(t, st, question(0, 30000+i))
	}
	if _, err := readFrame(st); !errors.Is(err, io.EOF) {
		t.Errorf("transfer ends with %v", err)
	}
	var reset *quic.StreamError
	if _, err := io.ReadAll(ask(t, c, frame(question(0, 13)), true)); !errors.As(err, &reset) || reset.ErrorCode != 5 {
		t.Errorf("dropped query ends with %v", err)
	}
}

// Drain lets the streams at work end, then says goodbye without an error.
func TestQUIC_drains(t *testing.T) {
	s, at, p := doqServer(t, nil, func(q []byte, from *listen.Client, out []byte) int {
		time.Sleep(50 * time.Millisecond)
		return echo(q, from, out)
	}, nil)
	c := dialQUIC(t, at, p)
	var readers sync.WaitGroup
	for range 5 {
		st := ask(t, c, frame(question(0, 40)), true)
		readers.Go(func() {
			if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, frame(replyTo(question(0, 40)))) {
				t.Errorf("got %x, %v", got, err)
			}
		})
	}
	eventually(t, "streams are at work", func() bool { return s.Statistics().Requests == 5 })
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	<-c.Context().Done()
	var closed *quic.ApplicationError
	if err := context.Cause(c.Context()); !errors.As(err, &closed) || closed.ErrorCode != 0 {
		t.Errorf("connection ends with %v", err)
	}
}

func TestQUIC_closesTheIdlestWhenFull(t *testing.T) {
	s, at, p := doqServer(t, func(c *listen.Config) { c.Limits.ClientConnections = 3 }, echo, nil)
	first := dialQUIC(t, at, p)
	for range 5 {
		wantFrame(t, ask(t, dialQUIC(t, at, p), frame(question(0, 40)), true), replyTo(question(0, 40)))
	}
	<-first.Context().Done()
	eventually(t, "three are left", func() bool { return s.Statistics().Transports[event.QUIC].Open == 3 })
}
