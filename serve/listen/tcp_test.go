package listen_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anyu/event"
	"anyu/serve/listen"
)

func plain(l listen.Limits) listen.Config {
	return listen.Config{Plain: []netip.AddrPort{loopback4}, Limits: l}
}

// servers.md 5.1, case 65: length split over segments, pipelining, half-close. RFC 7766, Sections 6.2.1.1 and 8.
func TestTCP_answersPipelinedQueries(t *testing.T) {
	s := start(t, plain(listen.Limits{}), echo, nil)
	c := dial(t, "tcp", bound(t, s, "dns")).(*net.TCPConn)
	const n = 300
	var all []byte
	for i := range n {
		all = append(all, frame(question(uint16(i), 12+i*7))...)
	}
	go c.Write(all)
	for i := range n {
		wantFrame(t, c, replyTo(question(uint16(i), 12+i*7)))
	}
}

func TestTCP_takesAMessageInAnySegments(t *testing.T) {
	s := start(t, plain(listen.Limits{}), echo, nil)
	c := dial(t, "tcp", bound(t, s, "dns")).(*net.TCPConn)
	c.SetNoDelay(true)
	two := frame(question(1, 30), question(2, 700))
	for i := range two {
		mustWrite(t, c, two[i:i+1])
		if i < 40 {
			time.Sleep(time.Millisecond)
		}
	}
	wantFrame(t, c, replyTo(question(1, 30)))
	wantFrame(t, c, replyTo(question(2, 700)))
}

func TestTCP_takesTheLongestMessage(t *testing.T) {
	s := start(t, plain(listen.Limits{}), echo, nil)
	c := dial(t, "tcp", bound(t, s, "dns"))
	longest := question(3, listen.MaxMessage)
	go c.Write(frame(longest, question(4, 12), longest))
	wantFrame(t, c, replyTo(longest))
	wantFrame(t, c, replyTo(question(4, 12)))
	wantFrame(t, c, replyTo(longest))
	eventually(t, "memory of the long messages is given back", func() bool { return s.Statistics().StreamBytes == 0 })
}

// A client that has asked everything and shuts its side down still gets all answers.
func TestTCP_answersAfterHalfClose(t *testing.T) {
	s := start(t, plain(listen.Limits{}), echo, nil)
	c := dial(t, "tcp", bound(t, s, "dns")).(*net.TCPConn)
	mustWrite(t, c, frame(question(1, 20), question(2, 20), question(3, 20)))
	c.CloseWrite()
	for id := range uint16(3) {
		wantFrame(t, c, replyTo(question(id+1, 20)))
	}
	wantClosed(t, c)
}

func TestTCP_closesWhatIsNotDNS(t *testing.T) {
	s := start(t, plain(listen.Limits{Message: 100 * time.Millisecond, Idle: 200 * time.Millisecond}), echo, nil)
	for name, octets := range map[string][]byte{
		"length 0":                       {0, 0},
		"shorter than a header":          frame(make([]byte, 11)),
		"half a length":                  {0},
		"half a message":                 frame(question(1, 100))[:50],
		"65,535 octets announced, none":  {255, 255},
		"HTTP":                           []byte("GET / HTTP/1.1\r\n\r\n"),
		"PROXYv2 from an untrusted peer": []byte("\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x35\x00\x35"),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, "tcp", bound(t, s, "dns"))
			mustWrite(t, c, octets)
			wantClosed(t, c)
		})
	}
	c := dial(t, "tcp", bound(t, s, "dns"))
	wantClosed(t, c) // idle
	if closed := s.Statistics().Transports[event.TCP].IdleClosed; closed < 4 {
		t.Errorf("%d connections closed for silence, want at least 4", closed)
	}
}

// Octets that trickle in do not move the deadline of the message they belong to.
func TestTCP_cutsSlowloris(t *testing.T) {
	s := start(t, plain(listen.Limits{Message: 150 * time.Millisecond}), echo, nil)
	c := dial(t, "tcp", bound(t, s, "dns"))
	began := time.Now()
	for _, octet := range frame(question(1, 100)) {
		if _, err := c.Write([]byte{octet}); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("held for %v", took)
	}
}

func TestTCP_boundsQueriesOfAConnection(t *testing.T) {
	s := start(t, plain(listen.Limits{Queries: 5}), echo, nil)
	c := dial(t, "tcp", bound(t, s, "dns"))
	for id := range uint16(9) {
		mustWrite(t, c, frame(question(id, 20)))
	}
	for id := range uint16(5) {
		wantFrame(t, c, replyTo(question(id, 20)))
	}
	wantClosed(t, c)
}

// A full table closes the idlest connection, not the newest.
func TestTCP_closesTheIdlestWhenFull(t *testing.T) {
	s := start(t, plain(listen.Limits{Connections: 16, ClientConnections: 100}), echo, nil)
	at := bound(t, s, "dns")
	var conns []net.Conn
	for i := range 16 {
		c := dial(t, "tcp", at)
		mustWrite(t, c, frame(question(uint16(i), 20)))
		wantFrame(t, c, replyTo(question(uint16(i), 20)))
		conns = append(conns, c)
	}
	mustWrite(t, conns[0], frame(question(9, 20))) // now the second is the idlest
	wantFrame(t, conns[0], replyTo(question(9, 20)))
	late := dial(t, "tcp", at)
	mustWrite(t, late, frame(question(1, 20)))
	wantFrame(t, late, replyTo(question(1, 20)))
	wantClosed(t, conns[1])
	mustWrite(t, conns[0], frame(question(8, 20)))
	wantFrame(t, conns[0], replyTo(question(8, 20)))
}

// A flood of connections that ask nothing takes half of the table at most; clients that have asked keep theirs.
func TestTCP_keepsAskingClientsUnderAFloodOfSilentOnes(t *testing.T) {
	s := start(t, plain(listen.Limits{Connections: 40, ClientConnections: 1000}), echo, nil)
	at := bound(t, s, "dns")
	var good []net.Conn
	for range 15 {
		c := dial(t, "tcp", at)
		mustWrite(t, c, frame(question(1, 20)))
		wantFrame(t, c, replyTo(question(1, 20)))
		good = append(good, c)
	}
	for range 200 {
		dial(t, "tcp", at)
	}
	eventually(t, "200 connections came", func() bool { return s.Statistics().Transports[event.TCP].Opened == 215 })
	for _, c := range good {
		mustWrite(t, c, frame(question(2, 20)))
		wantFrame(t, c, replyTo(question(2, 20)))
	}
	if open := s.Statistics().Connections; open > 40 {
		t.Errorf("%d connections open", open)
	}
}

func TestTCP_boundsConnectionsOfAClient(t *testing.T) {
	s := start(t, listen.Config{Plain: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:0")}, Limits: listen.Limits{ClientConnections: 3}}, echo, nil)
	port := bound(t, s, "dns").Port()
	other := dialFrom(t, "127.0.0.9", port)
	mustWrite(t, other, frame(question(1, 20)))
	wantFrame(t, other, replyTo(question(1, 20)))
	first := dialFrom(t, "127.0.0.8", port)
	for range 10 {
		c := dialFrom(t, "127.0.0.8", port)
		mustWrite(t, c, frame(question(1, 20)))
		wantFrame(t, c, replyTo(question(1, 20)))
	}
	wantClosed(t, first)
	mustWrite(t, other, frame(question(1, 20)))
	wantFrame(t, other, replyTo(question(1, 20)))
	if open := s.Statistics().Connections; open != 4 {
		t.Errorf("%d connections open, want 3 and 1", open)
	}
}

func dialFrom(t testing.TB, local string, port uint16) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	c, err := d.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// Thousands of connections that hold on, half of them in the middle of a message, do not keep anybody else from being served.
func TestTCP_servesOthersBesideThousandsOfIdleConnections(t *testing.T) {
	const idle = 5000
	s := start(t, plain(listen.Limits{Connections: idle + 100, ClientConnections: idle + 100, Idle: time.Minute, Message: time.Minute}), echo, nil)
	at := bound(t, s, "dns")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	conns := make([]net.Conn, idle)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	for i := range conns {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("after %d connections: %v (raise the limit of open files)", i, err)
			}
			t.Skipf("SKIPPED after %d connections: %v (raise the limit of open files)", i, err)
		}
		conns[i] = c
		if i%2 == 0 {
			c.Write([]byte{255, 255, 1}) // a long message begins
		}
	}
	eventually(t, "all are open", func() bool { return s.Statistics().Transports[event.TCP].Open == idle })
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapInuse + after.StackInuse - before.HeapInuse - before.StackInuse) / idle
	t.Logf("%d octets a connection, both ends", each)
	if each > 16<<10 {
		t.Errorf("a silent connection holds %d octets", each)
	}
	began := time.Now()
	udp, tcp := dial(t, "udp", at), dial(t, "tcp", at)
	for id := range uint16(100) {
		q := question(id, 40)
		if got := askUDP(t, udp, q); !bytes.Equal(got, replyTo(q)) {
			t.Fatalf("got %x", got)
		}
		mustWrite(t, tcp, frame(q))
		wantFrame(t, tcp, replyTo(q))
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("200 answers took %v", took)
	}
}

// Clients that ask for much and read nothing hold their connections until Limits.Write at most, and no lane.
func TestTCP_servesOthersBesideClientsThatDoNotRead(t *testing.T) {
	big := func(q []byte, from *listen.Client, out []byte) int {
		if len(q) == 20 {
			copy(out, q)
			return 60000
		}
		return echo(q, from, out)
	}
	s := start(t, plain(listen.Limits{Write: time.Second, StreamMemory: 4 << 20}), big, nil)
	at := bound(t, s, "dns")
	greedy := bytes.Repeat(frame(question(1, 20)), 1000) // 60 MB of replies
	for range 100 {
		c := dial(t, "tcp", at)
		go c.Write(greedy)
	}
	eventually(t, "replies pile up", func() bool { return s.Statistics().StreamBytes > 0 })
	c := dial(t, "tcp", at)
	began := time.Now()
	for id := range uint16(20) {
		mustWrite(t, c, frame(question(id, 40)))
		wantFrame(t, c, replyTo(question(id, 40)))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20 answers took %v", took)
	}
	if held := s.Statistics().StreamBytes; held > 4<<20 {
		t.Errorf("%d octets held", held)
	}
	eventually(t, "those who do not read are cut", func() bool { return s.Statistics().Transports[event.TCP].Open == 1 })
}

// transfers answers every message of 100 octets with a stream.
func transfers(q []byte, from *listen.Client, out []byte) int {
	if len(q) == 100 {
		return listen.Stream
	}
	return echo(q, from, out)
}

type streamer func(query []byte, from *listen.Client, send func([]byte) error) error

func (s streamer) Stream(q []byte, from *listen.Client, send func([]byte) error) error {
	return s(q, from, send)
}

// RFC 7766, Section 6.2.1.1: answers pass a transfer that takes long on the same connection; its own messages stay in order.
func TestTCP_answersPassATransfer(t *testing.T) {
	passed := make(chan struct{})
	s := start(t, plain(listen.Limits{}), transfers, streamer(func(q []byte, _ *listen.Client, send func([]byte) error) error {
		send(question(1000, 50))
		<-passed
		for i := range uint16(50) {
			if err := send(question(1001+i, listen.MaxMessage)); err != nil {
				return err
			}
		}
		return nil
	}))
	c := dial(t, "tcp", bound(t, s, "dns")).(*net.TCPConn)
	mustWrite(t, c, frame(question(1, 100)))
	wantFrame(t, c, question(1000, 50))
	mustWrite(t, c, frame(question(2, 30)))
	wantFrame(t, c, replyTo(question(2, 30)))
	c.CloseWrite() // the transfer goes on after the client's half-close
	close(passed)
	for i := range uint16(50) {
		wantFrame(t, c, question(1001+i, listen.MaxMessage))
	}
	wantClosed(t, c)
}

func TestTCP_cutsATransferThatFails(t *testing.T) {
	s := start(t, plain(listen.Limits{}), transfers, streamer(func(_ []byte, _ *listen.Client, send func([]byte) error) error {
		send(question(1, 50))
		return errors.New("zone is gone")
	}))
	c := dial(t, "tcp", bound(t, s, "dns"))
	mustWrite(t, c, frame(question(1, 100)))
	wantFrame(t, c, question(1, 50))
	wantClosed(t, c)
}

func TestTCP_boundsTransfers(t *testing.T) {
	release := make(chan struct{})
	var running, most atomic.Int64
	s := start(t, plain(listen.Limits{Transfers: 3, ConnectionTransfers: 2}), transfers, streamer(func([]byte, *listen.Client, func([]byte) error) error {
		for n := running.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		defer running.Add(-1)
		<-release
		return nil
	}))
	at := bound(t, s, "dns")
	one, two, three := dial(t, "tcp", at), dial(t, "tcp", at), dial(t, "tcp", at)
	mustWrite(t, one, frame(question(1, 100), question(2, 100), question(3, 100), question(4, 30)))
	eventually(t, "two transfers of one connection", func() bool { return running.Load() == 2 })
	mustWrite(t, two, frame(question(1, 100)))
	eventually(t, "one of another", func() bool { return running.Load() == 3 })
	mustWrite(t, three, frame(question(1, 100)))
	wantClosed(t, three) // the fourth of all
	close(release)
	wantFrame(t, one, replyTo(question(4, 30)))
	if most.Load() != 3 {
		t.Errorf("%d transfers ran at once, want 3", most.Load())
	}
}

// Nothing is lost when the configuration is reloaded over and over, with addresses coming and going, while clients ask.
func TestReload_losesNoQuery(t *testing.T) {
	const queries = 20_000
	c := plain(listen.Limits{})
	c.Workers = 2
	s := start(t, c, echo, nil)
	at := bound(t, s, "dns")
	stop := make(chan struct{})
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			next := c
			next.Limits.Queries = 1_000_000 + n
			if n%2 == 0 {
				next.Plain = append([]netip.AddrPort{netip.MustParseAddrPort("[::1]:0")}, c.Plain...)
			}
			if err := s.Reload(next); err != nil {
				t.Errorf("reload: %v", err)
				return
			}
		}
	})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { askMany(t, "tcp", at, queries/8) })
		clients.Go(func() { askMany(t, "udp", at, queries/8) })
	}
	clients.Wait()
	close(stop)
	reloads.Wait()
	got := s.Statistics().Transports
	if sum := got[event.UDP].Sent + got[event.TCP].Sent; sum != queries {
		t.Errorf("%d replies counted, want %d", sum, queries)
	}
}

// askMany keeps 50 queries in flight.
func askMany(t *testing.T, network string, at netip.AddrPort, n int) {
	c, err := net.Dial(network, at.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(15 * time.Second))
	tokens := make(chan struct{}, 50)
	go func() {
		for i := range n {
			tokens <- struct{}{}
			q := question(uint16(i), 40)
			if network == "tcp" {
				q = frame(q)
			}
			if _, err := c.Write(q); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	seen := make(map[uint16]bool)
	b := make([]byte, 512)
	for range n {
		var msg []byte
		if network == "tcp" {
			msg, err = readFrame(c)
		} else {
			var k int
			k, err = c.Read(b)
			msg = b[:k]
		}
		if err != nil {
			t.Errorf("%s: after %d of %d replies: %v", network, len(seen), n, err)
			return
		}
		seen[binary.BigEndian.Uint16(msg)] = true
		<-tokens
	}
	if len(seen) != n {
		t.Errorf("%s: %d of %d queries answered", network, len(seen), n)
	}
}

// What was received is answered, idle connections are closed, and the port is free afterwards.
func TestDrain_answersWhatWasReceived(t *testing.T) {
	slow := func(q []byte, from *listen.Client, out []byte) int {
		time.Sleep(time.Millisecond)
		return echo(q, from, out)
	}
	s := start(t, plain(listen.Limits{Idle: time.Minute}), slow, nil)
	at := bound(t, s, "dns")
	idle, busy, udp := dial(t, "tcp", at), dial(t, "tcp", at), dial(t, "udp", at)
	const n = 100
	for id := range uint16(n) {
		mustWrite(t, busy, frame(question(id, 40)))
		mustWrite(t, udp, question(id, 40))
	}
	eventually(t, "both connections are accepted", func() bool { return s.Statistics().Transports[event.TCP].Opened == 2 })
	began := time.Now()
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("drained in %v", time.Since(began))
	for id := range uint16(n) {
		wantFrame(t, busy, replyTo(question(id, 40)))
	}
	b := make([]byte, 512)
	for range n {
		if _, err := udp.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readFrame(busy); !errors.Is(err, io.EOF) {
		t.Errorf("busy connection ends with %v", err)
	}
	wantClosed(t, idle)
	again := listen.Config{Plain: []netip.AddrPort{at}}
	start(t, again, echo, nil)
	if err := s.Reload(again); !errors.Is(err, listen.ErrStopped) {
		t.Errorf("reload after drain: %v", err)
	}
}

// Addresses are added and removed while running; a configuration that cannot be is refused whole.
func TestReload_movesAddresses(t *testing.T) {
	s := start(t, plain(listen.Limits{}), echo, nil)
	at := bound(t, s, "dns")
	specific := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), at.Port())
	wildcard := netip.AddrPortFrom(netip.MustParseAddr("0.0.0.0"), at.Port())
	bad := listen.Config{Plain: []netip.AddrPort{specific, netip.MustParseAddrPort("192.0.2.1:5353")}}
	if err := s.Reload(bad); err == nil {
		t.Fatal("took an address that the machine does not have")
	}
	for _, to := range []netip.AddrPort{wildcard, specific, wildcard} {
		if err := s.Reload(listen.Config{Plain: []netip.AddrPort{to}}); err != nil {
			t.Fatal(err)
		}
		ask := netip.AddrPortFrom(specific.Addr(), at.Port())
		for _, network := range []string{"udp", "tcp"} {
			c := dial(t, network, ask)
			if network == "udp" {
				if got := askUDP(t, c, question(1, 40)); !bytes.Equal(got, replyTo(question(1, 40))) {
					t.Errorf("%v: got %x", to, got)
				}
			} else {
				mustWrite(t, c, frame(question(1, 40)))
				wantFrame(t, c, replyTo(question(1, 40)))
			}
		}
	}
}
