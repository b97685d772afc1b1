package listen_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"anyu/serve/listen"
)

// answer is an Answerer made of a function.
type answer func(query []byte, from *listen.Client, out []byte) int

func (a answer) Answer(query []byte, from *listen.Client, out []byte) int { return a(query, from, out) }

// echo answers with the query and QR set.
func echo(query []byte, _ *listen.Client, out []byte) int {
	n := copy(out, query)
	if n < 12 {
		return listen.Drop
	}
	out[2] |= 0x80
	return n
}

var (
	loopback4 = netip.MustParseAddrPort("127.0.0.1:0")
)

// start runs a server until the test ends.
func start(t testing.TB, c listen.Config, a answer, s listen.Streamer) *listen.Server {
	t.Helper()
	server, err := listen.New(c, func() listen.Answerer { return a }, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// bound is where a service of the server listens.
func bound(t testing.TB, s *listen.Server, service string) netip.AddrPort {
	t.Helper()
	for _, a := range s.Addresses() {
		if a.Service == service {
			return a.Bound
		}
	}
	t.Fatalf("no address for %s", service)
	return netip.AddrPort{}
}

// question is a message of a chosen size with an ID: a header, then filling.
func question(id uint16, size int) []byte {
	q := make([]byte, max(size, 12))
	binary.BigEndian.PutUint16(q, id)
	q[5] = 1
	for i := 12; i < len(q); i++ {
		q[i] = byte(i)
	}
	return q
}

func replyTo(q []byte) []byte {
	r := bytes.Clone(q)
	r[2] |= 0x80
	return r
}

func frame(msgs ...[]byte) []byte {
	var b []byte
	for _, m := range msgs {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m)))
		b = append(b, m...)
	}
	return b
}

func readFrame(r io.Reader) ([]byte, error) {
	var n [2]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(n[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// dial connects and closes at the end of the test. Everything must happen within the deadline.
func dial(t testing.TB, network string, at netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial(network, at.String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

func mustWrite(t testing.TB, w io.Writer, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

func wantFrame(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got, err := readFrame(r)
	if err != nil {
		t.Fatalf("reading a reply: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d octets %.20x, want %d octets %.20x", len(got), got, len(want), want)
	}
}

// wantClosed waits for the server to end the connection.
func wantClosed(t testing.TB, r io.Reader) {
	t.Helper()
	n, err := r.Read(make([]byte, 1))
	var ne net.Error
	if n != 0 || err == nil || errors.As(err, &ne) && ne.Timeout() {
		t.Fatalf("connection is not closed: read %d, %v", n, err)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not within 5 s: %s", what)
}
