package listen_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"anyu/event"
	"anyu/serve/listen"
)

// put is a message that was deferred.
type put struct {
	query  []byte
	remote netip.AddrPort
	listen.Replier
}

// deferring is an Answerer that defers every message whose ID is odd and echoes the others.
type deferring chan put

func (d deferring) answer(query []byte, from *listen.Client, out []byte) int {
	if query[1]&1 == 0 && query[3]&1 == 0 {
		return echo(query, from, out)
	}
	d <- put{bytes.Clone(query), from.Remote, from.Later()}
	return listen.Deferred
}

// take returns the next n deferred messages, by ID.
func (d deferring) take(t testing.TB, n int) map[uint16]put {
	t.Helper()
	all := make(map[uint16]put)
	for range n {
		select {
		case p := <-d:
			all[binary.BigEndian.Uint16(p.query)] = p
		case <-time.After(5 * time.Second):
			t.Fatalf("%d of %d messages were deferred", len(all), n)
		}
	}
	return all
}

// later makes a question that deferring defers although its ID is 0, as DoQ wants it.
func later(id uint16, size int) []byte {
	q := question(id, size)
	q[3] = 1
	return q
}

func nothingLeft(t testing.TB, s *listen.Server) {
	t.Helper()
	eventually(t, "nothing is counted as waiting any more", func() bool {
		now := s.Statistics()
		return now.Deferred == 0 && now.StreamBytes == 0 && now.Requests == 0
	})
}

func TestLater_overUDPRepliesComeInAnyOrderFromTheAddressAsked(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		t.Run(at, func(t *testing.T) {
			d := make(deferring, 16)
			s := start(t, listen.Config{Plain: []netip.AddrPort{netip.MustParseAddrPort(at)}, Workers: 2}, d.answer, nil)
			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), bound(t, s, "dns").Port()) // not what the system would choose
			switch at {
			case "127.0.0.1:0":
				to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
			case "[::1]:0", "[::]:0":
				to = netip.AddrPortFrom(netip.MustParseAddr("::1"), to.Port())
			}
			c := dial(t, "udp", to) // connected: replies from another address do not arrive
			for id := range uint16(6) {
				mustWrite(t, c, question(id, 40))
			}
			waiting := d.take(t, 3)
			go func() { // another goroutine, the last first
				for _, id := range []uint16{5, 3, 1} {
					waiting[id].Reply(replyTo(waiting[id].query))
				}
			}()
			var order []uint16
			b := make([]byte, 512)
			for range 6 {
				n, err := c.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				id := binary.BigEndian.Uint16(b)
				if !bytes.Equal(b[:n], replyTo(question(id, 40))) {
					t.Errorf("reply %x", b[:n])
				}
				if id&1 == 1 {
					order = append(order, id)
				}
			}
			if len(order) != 3 || order[0] != 5 || order[2] != 1 {
				t.Errorf("replies came in order %v", order)
			}
			nothingLeft(t, s)
		})
	}
}

func TestLater_overUDPBehindAProxyRepliesGoToTheProxy(t *testing.T) {
	d := make(deferring, 16)
	s := start(t, listen.Config{Plain: []netip.AddrPort{loopback4}, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, d.answer, nil)
	c := dial(t, "udp", bound(t, s, "dns"))
	mustWrite(t, c, append(proxyHeader(client4, server4, nil), question(7, 33)...))
	p := d.take(t, 1)[7]
	if p.remote != client4 {
		t.Errorf("the client is %s, want %s", p.remote, client4)
	}
	p.Reply(replyTo(p.query))
	b := make([]byte, 512)
	if n, err := c.Read(b); err != nil || !bytes.Equal(b[:n], replyTo(question(7, 33))) {
		t.Errorf("got %x, %v", b[:n], err)
	}
}

// RFC 7766, Section 6.2.1.1: later queries are read and answered while an earlier one waits; replies pass each other.
func TestLater_onAStreamHoldsNoOtherUp(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	config := secure(p)
	config.Plain = []netip.AddrPort{loopback4}
	d := make(deferring, 16)
	s := start(t, config, d.answer, nil)
	for service, connect := range map[string]func() net.Conn{
		"dns": func() net.Conn { return dial(t, "tcp", bound(t, s, "dns")) },
		"tls": func() net.Conn { return tls.Client(dial(t, "tcp", bound(t, s, "tls")), p.client("dot")) },
	} {
		t.Run(service, func(t *testing.T) {
			c := connect()
			mustWrite(t, c, frame(question(1, 40), question(3, 50), question(4, 60)))
			wantFrame(t, c, replyTo(question(4, 60)))
			waiting := d.take(t, 2)
			mustWrite(t, c, frame(question(6, 70)))
			wantFrame(t, c, replyTo(question(6, 70)))
			waiting[3].Reply(replyTo(waiting[3].query))
			wantFrame(t, c, replyTo(question(3, 50)))
			long := question(1, 60000)
			waiting[1].Reply(replyTo(long))
			wantFrame(t, c, replyTo(long))
			waiting[1].Reply(replyTo(long)) // a caller's mistake: nothing happens
			mustWrite(t, c, frame(question(8, 12)))
			wantFrame(t, c, replyTo(question(8, 12)))
			nothingLeft(t, s)
		})
	}
}

func TestLater_repliesFromManyGoroutinesArriveWhole(t *testing.T) {
	d := make(deferring, 1000)
	s := start(t, plain(listen.Limits{}), d.answer, nil)
	c := dial(t, "tcp", bound(t, s, "dns"))
	const n = 2000
	go func() {
		for p := range d {
			go func() {
				time.Sleep(time.Duration(p.query[1]) * 10 * time.Microsecond)
				p.Reply(replyTo(p.query))
			}()
		}
	}()
	go func() {
		for i := range uint16(n) {
			c.Write(frame(question(2*i+1, 12+int(i%900))))
		}
	}()
	seen := make(map[uint16]bool)
	for range n {
		msg, err := readFrame(c)
		if err != nil {
			t.Fatalf("after %d replies: %v", len(seen), err)
		}
		id := binary.BigEndian.Uint16(msg)
		if seen[id] || !bytes.Equal(msg, replyTo(question(id, 12+int(id/2%900)))) {
			t.Fatalf("reply %d is wrong or came twice", id)
		}
		seen[id] = true
	}
	nothingLeft(t, s)
}

// More than Limits.ConnectionRequests do not wait at a time: the rest stays unread, and is answered then.
func TestLater_onAStreamIsBounded(t *testing.T) {
	d := make(deferring, 100)
	s := start(t, plain(listen.Limits{ConnectionRequests: 4}), d.answer, nil)
	c := dial(t, "tcp", bound(t, s, "dns"))
	for i := range uint16(10) {
		mustWrite(t, c, frame(question(2*i+1, 40)))
	}
	first := d.take(t, 4)
	select {
	case p := <-d:
		t.Fatalf("a fifth message was deferred: %x", p.query)
	case <-time.After(50 * time.Millisecond):
	}
	for id, p := range first {
		p.Reply(replyTo(question(id, 40)))
	}
	for range 6 {
		for id, p := range d.take(t, 1) {
			p.Reply(replyTo(question(id, 40)))
		}
	}
	for range 10 {
		if _, err := readFrame(c); err != nil {
			t.Fatal(err)
		}
	}
}

// RFC 7766, Section 6.2.3: a connection that owes a reply is not idle.
func TestLater_keepsAConnectionOpen(t *testing.T) {
	d := make(deferring, 100)
	s := start(t, plain(listen.Limits{Idle: 800 * time.Millisecond}), d.answer, nil)
	c := dial(t, "tcp", bound(t, s, "dns"))
	mustWrite(t, c, frame(question(1, 40)))
	p := d.take(t, 1)[1]
	time.Sleep(2 * time.Second)
	begin := time.Now()
	p.Reply(replyTo(p.query))
	wantFrame(t, c, replyTo(question(1, 40)))
	wantClosed(t, c)
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("closed %s after the reply", took)
	}
	nothingLeft(t, s)
}

func TestLater_reachesAClientThatHasShutItsSide(t *testing.T) {
	d := make(deferring, 100)
	s := start(t, plain(listen.Limits{}), d.answer, nil)
	c := dial(t, "tcp", bound(t, s, "dns")).(*net.TCPConn)
	mustWrite(t, c, frame(question(1, 40), question(3, 40)))
	c.CloseWrite()
	waiting := d.take(t, 2)
	time.Sleep(20 * time.Millisecond)
	waiting[3].Reply(nil) // no reply to this one
	waiting[1].Reply(replyTo(waiting[1].query))
	wantFrame(t, c, replyTo(question(1, 40)))
	wantClosed(t, c)
	nothingLeft(t, s)
}

// A client that does not read costs whoever brings the replies no time, and its memory is bounded.
func TestLater_doesNotWaitForAClientThatDoesNotRead(t *testing.T) {
	d := make(deferring, 1000)
	s := start(t, plain(listen.Limits{StreamMemory: 1 << 20, Write: time.Minute}), d.answer, nil)
	c := dial(t, "tcp", bound(t, s, "dns")).(*net.TCPConn)
	c.SetReadBuffer(4096)
	go func() {
		for i := range uint16(1000) {
			if _, err := c.Write(frame(question(2*i+1, 40))); err != nil {
				return
			}
		}
	}()
	long := replyTo(question(1, 60000))
	slowest := time.Duration(0)
	for end := time.Now().Add(5 * time.Second); s.Statistics().Connections > 0 || s.Statistics().Transports[event.TCP].Refused == 0; {
		select {
		case p := <-d:
			begin := time.Now()
			p.Reply(long)
			slowest = max(slowest, time.Since(begin))
		case <-time.After(5 * time.Millisecond):
			if time.Now().After(end) {
				t.Fatal("the connection was not closed")
			}
		}
	}
	if slowest > time.Second {
		t.Errorf("a reply took %s", slowest)
	}
	for {
		select {
		case p := <-d:
			p.Reply(long)
			continue
		case <-time.After(50 * time.Millisecond):
		}
		break
	}
	nothingLeft(t, s)
}

func TestLater_afterTheClientHasGoneIsNothing(t *testing.T) {
	d := make(deferring, 100)
	s := start(t, plain(listen.Limits{}), d.answer, nil)
	c := dial(t, "tcp", bound(t, s, "dns")).(*net.TCPConn)
	mustWrite(t, c, frame(question(1, 40)))
	p := d.take(t, 1)[1]
	c.SetLinger(0)
	c.Close() // a reset
	eventually(t, "the connection is gone", func() bool { return s.Statistics().Connections == 0 })
	p.Reply(replyTo(p.query))
	nothingLeft(t, s)
}

func TestLater_overHTTPSTheRequestWaits(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	config := secure(p)
	config.Limits.Message, config.Limits.Write = 3*time.Second, 2*time.Second // shorter than the wait, long enough for four handshakes on a busy machine
	d := make(deferring, 16)
	s := start(t, config, d.answer, nil)
	for version, client := range webClients(t, p) {
		t.Run(version, func(t *testing.T) {
			var all sync.WaitGroup
			for i := range uint16(4) {
				q := question(2*i+1, 40)
				all.Go(func() {
					r, err := client.Do(request(t, "POST", "https://"+bound(t, s, "https").String()+"/dns-query", "application/dns-message", q))
					if err != nil {
						t.Error(err)
						return
					}
					defer r.Body.Close()
					if body, err := io.ReadAll(r.Body); err != nil || r.StatusCode != 200 || !bytes.Equal(body, replyTo(q)) {
						t.Errorf("%s: %d, %x, %v", version, r.StatusCode, body, err)
					}
				})
			}
			waiting := d.take(t, 4)
			time.Sleep(3500 * time.Millisecond)
			for _, p := range waiting {
				go p.Reply(replyTo(p.query))
			}
			all.Wait()
			nothingLeft(t, s)
		})
	}
}

func TestLater_overHTTPSARequestThatIsGivenUpIsReleased(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	d := make(deferring, 16)
	s := start(t, secure(p), d.answer, nil)
	for version, client := range webClients(t, p) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			r, err := client.Do(request(t, "POST", "https://"+bound(t, s, "https").String()+"/dns-query", "application/dns-message", question(1, 40)).WithContext(ctx))
			if err == nil {
				r.Body.Close()
			}
			ended <- err
		}()
		p := d.take(t, 1)[1]
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", version, err)
		}
		nothingLeft(t, s)
		p.Reply(replyTo(p.query))
	}
}

// An empty reply is silence: the stream is reset.
func TestLater_overHTTPSSilenceEndsTheRequest(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	d := make(deferring, 16)
	s := start(t, secure(p), d.answer, nil)
	client := webClients(t, p)["HTTP/2.0"]
	go func() { (<-d).Reply(nil) }()
	r, err := client.Do(request(t, "POST", "https://"+bound(t, s, "https").String()+"/dns-query", "application/dns-message", question(1, 40)))
	if err == nil {
		r.Body.Close()
		t.Errorf("status %d", r.StatusCode)
	}
	nothingLeft(t, s)
}

// RFC 9250, Section 4.2: each stream waits for its own reply.
func TestLater_overQUICTheStreamWaits(t *testing.T) {
	d := make(deferring, 16)
	s, at, p := doqServer(t, nil, d.answer, nil)
	c := dialQUIC(t, at, p)
	slow := ask(t, c, frame(later(0, 40)), true)
	waiting := d.take(t, 1)[0]
	quick := ask(t, c, frame(question(0, 50)), true)
	wantFrame(t, quick, replyTo(question(0, 50)))
	waiting.Reply(replyTo(waiting.query))
	wantFrame(t, slow, replyTo(later(0, 40)))
	gone := ask(t, c, frame(later(0, 60)), true)
	waiting = d.take(t, 1)[0]
	gone.CancelRead(0)
	nothingLeft(t, s)
	waiting.Reply(replyTo(waiting.query))
}

func TestLater_drainWaitsForReplies(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	config := secure(p)
	config.Plain = []netip.AddrPort{loopback4}
	d := make(deferring, 16)
	s := start(t, config, d.answer, nil)
	u, c := dial(t, "udp", bound(t, s, "dns")), dial(t, "tcp", bound(t, s, "dns"))
	mustWrite(t, u, question(1, 40))
	mustWrite(t, c, frame(question(3, 40)))
	st := ask(t, dialQUIC(t, bound(t, s, "quic"), p), frame(later(0, 40)), true)
	waiting := d.take(t, 3)
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		drained <- s.Drain(ctx)
	}()
	time.Sleep(300 * time.Millisecond)
	for _, p := range waiting {
		p.Reply(replyTo(p.query))
	}
	b := make([]byte, 512)
	if n, err := u.Read(b); err != nil || !bytes.Equal(b[:n], replyTo(question(1, 40))) {
		t.Errorf("udp: %x, %v", b[:n], err)
	}
	wantFrame(t, c, replyTo(question(3, 40)))
	wantFrame(t, st, replyTo(later(0, 40)))
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestLater_afterCloseIsNothing(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	config := secure(p)
	config.Plain = []netip.AddrPort{loopback4}
	d := make(deferring, 16)
	s := start(t, config, d.answer, nil)
	u, c := dial(t, "udp", bound(t, s, "dns")), dial(t, "tcp", bound(t, s, "dns"))
	mustWrite(t, u, question(1, 40))
	mustWrite(t, c, frame(question(3, 40)))
	ask(t, dialQUIC(t, bound(t, s, "quic"), p), frame(later(0, 40)), true)
	go func() {
		r, err := webClients(t, p)["HTTP/1.1"].Do(request(t, "POST", "https://"+bound(t, s, "https").String()+"/dns-query", "application/dns-message", question(5, 40)))
		if err == nil {
			r.Body.Close()
		}
	}()
	waiting := d.take(t, 4)
	begin := time.Now()
	s.Close()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Close took %s", took)
	}
	for _, p := range waiting {
		p.Reply(replyTo(p.query))
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := readFrame(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after Close: %v", err)
	}
	nothingLeft(t, s)
}

// A Replier that nobody ever uses holds nothing for longer than Limits.Later.
func TestLater_thatNeverComesIsGivenUp(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	config := secure(p)
	config.Limits = listen.Limits{Later: time.Second}
	d := make(deferring, 16)
	s := start(t, config, d.answer, nil)
	tcp := start(t, plain(listen.Limits{Later: time.Second, Idle: 700 * time.Millisecond, ConnectionRequests: 2}), d.answer, nil)
	idle, shut, full := dial(t, "tcp", bound(t, tcp, "dns")), dial(t, "tcp", bound(t, tcp, "dns")), dial(t, "tcp", bound(t, tcp, "dns"))
	mustWrite(t, idle, frame(question(1, 40)))
	mustWrite(t, shut, frame(question(1, 40)))
	shut.(*net.TCPConn).CloseWrite()
	mustWrite(t, full, frame(question(1, 40), question(3, 40), question(5, 40)))
	st := ask(t, dialQUIC(t, bound(t, s, "quic"), p), frame(later(0, 40)), true)
	go func() {
		r, err := webClients(t, p)["HTTP/2.0"].Do(request(t, "POST", "https://"+bound(t, s, "https").String()+"/dns-query", "application/dns-message", question(5, 40)))
		if err == nil {
			r.Body.Close()
			t.Errorf("status %d", r.StatusCode)
		}
	}()
	for range 6 {
		<-d // and forgotten
	}
	for _, c := range []io.Reader{idle, shut, full, st} {
		wantClosed(t, c)
	}
	eventually(t, "no request is left", func() bool { return s.Statistics().Requests == 0 })
}

// Drain's time is over before a reply comes: it is not waited for.
func TestLater_drainIsBounded(t *testing.T) {
	d := make(deferring, 16)
	s := start(t, plain(listen.Limits{}), d.answer, nil)
	u, c := dial(t, "udp", bound(t, s, "dns")), dial(t, "tcp", bound(t, s, "dns"))
	mustWrite(t, u, question(1, 40))
	mustWrite(t, c, frame(question(3, 40)))
	waiting := d.take(t, 2)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	s.Drain(ctx)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("Drain took %s", took)
	}
	for _, p := range waiting {
		p.Reply(replyTo(p.query))
	}
	nothingLeft(t, s)
}
