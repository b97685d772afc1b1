package live

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

var quiet = slog.New(slog.DiscardHandler)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

// message is a DNS message with a question and nothing else.
func message(t *testing.T, id uint16, name string, reply bool) []byte {
	t.Helper()
	n, err := wire.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	if reply {
		b[2] |= 0x80
	}
	return append(append(b, n...), 0, 1, 0, 1)
}

func seen(s *Source) (list []event.Query) {
	for s.ring.Drain(100, func(q *event.Query) { c := *q; c.Name = append([]byte(nil), q.Name...); list = append(list, c) }) > 0 {
	}
	return list
}

// A question told on one connection finds its answer on another; what the server asked others is no observation; a broken frame is counted and the
// stream goes on; what waits when the source is closed comes out as what it is.
func TestSource_takesWhatWritersTell(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := ListenUnix(path, Settings{Name: "edge", ID: 7}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s.Run()
	open := func() *framestream.Writer {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		w := framestream.NewWriter(c, c, framestream.ContentType)
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		return w
	}
	send := func(w *framestream.Writer, b []byte) {
		if err := errors.Join(w.Frame(b), w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	a, b := open(), open()
	tell := func(w *framestream.Writer, typ dnstap.Type, id uint16, name string) {
		m := dnstap.Message{Identity: []byte("there"), Type: typ}
		if typ.IsResponse() {
			m.Response = message(t, id, name, true)
		} else {
			m.Query = message(t, id, name, false)
		}
		send(w, m.Append(nil))
	}
	tell(a, dnstap.ClientQuery, 1, "one.example")
	tell(b, dnstap.ClientResponse, 1, "one.example")
	tell(a, dnstap.ResolverQuery, 2, "one.example")
	tell(a, dnstap.ResolverResponse, 2, "one.example")
	send(b, []byte{0xFF, 0xFF})
	tell(b, dnstap.ClientQuery, 3, "lost.example")
	eventually(t, "five messages", func() bool { return s.Status().Messages == 5 })
	st := s.Status()
	if st.Matched != 2 || st.Outgoing != 1 || st.Broken != 1 || st.Waiting != 1 || st.Connections != 2 || st.Identity != "there" || st.Last.IsZero() || st.Lag != nil {
		t.Errorf("%+v", st)
	}
	if err := a.Stop(); err != nil { // answered by FINISH
		t.Error(err)
	}
	s.Close()
	list := seen(s)
	if len(list) != 2 || list[0].Source != 7 || list[0].Has&(event.HasQuery|event.HasReply) != event.HasQuery|event.HasReply || list[0].Has&event.HasLatency != 0 ||
		wire.Name(list[1].Name).String() != "lost.example." || list[1].Has&event.HasReply != 0 {
		t.Errorf("%+v", list)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// A socket that a killed process left is taken; one that somebody uses is not.
func TestListenUnix_takesOnlyWhatIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path, Settings{}, quiet); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("a socket in use: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	s, err := ListenUnix(path, Settings{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("%v, %v", info, err)
	}
	s.Close()
	write := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(write, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(write, Settings{}, quiet); err == nil {
		t.Error("a file was taken for a socket")
	}
}

// Who is not among the clients is refused and counted, and so is who speaks something else.
func TestSource_refusesStrangers(t *testing.T) {
	s, err := ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), Settings{Name: "edge", Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s.Run()
	defer s.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(5 * time.Second))
		return c
	}
	if _, err := io.ReadAll(dial()); err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a stranger: %v", err)
	}
	eventually(t, "a refusal", func() bool { return s.Status().Refused == 1 })
	s.Configure(Settings{Name: "edge", Clients: loopback})
	c := dial()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	io.ReadAll(c)
	eventually(t, "the reason", func() bool { return strings.Contains(s.Status().Problem, "no Frame Streams") })
}

// Packets between our own sockets are captured once, with a time, and put together.
func TestOpenInterface_capturesLoopback(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	port := server.LocalAddr().(*net.UDPAddr).Port
	s, err := OpenInterface("lo", []uint16{uint16(port), 1, 2}, Settings{Name: "wire", ID: 3}, quiet)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: %v", err)
	}
	s.Run()
	client, err := net.Dial("udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	buf := make([]byte, 512)
	for id := range uint16(100) {
		client.Write(message(t, id, "a.example", false))
		_, from, err := server.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		server.WriteTo(message(t, id, "a.example", true), from)
		client.Read(buf)
	}
	eventually(t, "200 messages", func() bool { return s.Status().Messages >= 200 })
	st := s.Status()
	s.Close()
	list := seen(s)
	if st.Messages != 200 || st.Matched != 100 || st.Lost != 0 || len(list) != 100 {
		t.Errorf("%d observations, %+v", len(list), st)
	}
	for _, q := range list {
		if q.Has&event.HasLatency == 0 || q.Latency <= 0 || q.Clock != event.ClockPaired || q.ServerPort != uint16(port) || q.ServerAddr() != netip.MustParseAddr("127.0.0.1") {
			t.Fatalf("%+v", q)
		}
	}
	if _, err := OpenInterface("nothere0", nil, Settings{}, quiet); err == nil {
		t.Error("an interface that is not there was opened")
	}
}
