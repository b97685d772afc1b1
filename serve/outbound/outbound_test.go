package outbound_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve"
	"anyu/serve/nameserver"
	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// The cases of servers.md 5.2 that need real sockets are here and in streams_test.go.

func to(f *fake) rigConfig { return rigConfig{hosts: []netip.AddrPort{f.at}} }

func (r *rig) wantFailure(t testing.TB, name string, within time.Duration) *resolve.Answer {
	t.Helper()
	begin := time.Now()
	a := r.ask(t, name)
	if a.Rcode != wire.ServFail {
		t.Fatalf("%s: %s, %v", name, a.Rcode, a.Answer)
	}
	if took := time.Since(begin); took > within {
		t.Errorf("%s: failed after %s", name, took)
	}
	return a
}

func TestUDP_answers(t *testing.T) {
	f := serveFake(t, goodUDP, nil)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.Example.com")
	if c := r.Counts(); c.Sent != 1 || c.Received != 1 || c.Waiting != 0 || c.SentStream != 0 {
		t.Errorf("%+v", c)
	}
	if s := r.servers.Look(f.at, nil, time.Now().UnixNano()); !s.Known || s.RTT <= 0 || s.Outstanding != 0 {
		t.Errorf("%+v", s)
	}
}

func TestUDP_overIPv6(t *testing.T) {
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skipf("SKIPPED: no IPv6 here: %v", err)
	}
	defer c.Close()
	f := new(fake)
	go f.serveUDP(c.(*net.UDPConn), goodUDP)
	r := newRig(t, rigConfig{hosts: []netip.AddrPort{c.LocalAddr().(*net.UDPAddr).AddrPort()}})
	r.wantAnswer(t, "www.example.com")
}

func TestUDP_leavesFromTheConfiguredAddress(t *testing.T) {
	f := serveFake(t, goodUDP, nil)
	c := to(f)
	c.source.V4 = netip.MustParseAddr("127.0.0.9")
	r := newRig(t, c)
	r.wantAnswer(t, "www.example.com")
	if udp, _ := f.queries(); udp[0].from.Addr() != c.source.V4 {
		t.Errorf("from %s", udp[0].from)
	}
}

// RFC 5452, Section 9.2; RFC 6056, Section 3.2; CVE-2026-50252: each query has a port of its own from the whole range, and nothing about one
// tells the next; so have IDs and the case of letters.
func TestUDP_takesPortsFromTheWholeRange(t *testing.T) {
	f := serveFake(t, goodUDP, nil)
	r := newRig(t, to(f))
	const n = 600
	for i := range n {
		r.wantAnswer(t, fmt.Sprintf("n%d.long-enough-name.example.com", i))
	}
	udp, _ := f.queries()
	ports, ids, cases := map[uint16]bool{}, map[uint16]bool{}, map[string]bool{}
	low, high, sum, close := uint16(65535), uint16(0), 0.0, 0
	for i, q := range udp {
		p := q.from.Port()
		ports[p], ids[binary.BigEndian.Uint16(q.query)] = true, true
		name := q.query[12 : questionEnd(q.query)-4]
		cases[string(name[len(name)-30:])] = true
		low, high, sum = min(low, p), max(high, p), sum+float64(p)
		if i > 0 && math.Abs(float64(p)-float64(udp[i-1].from.Port())) < 64 {
			close++
		}
	}
	// Out of 64,512 ports, 600 have about 3 pairs, their mean lies within 33,280 +- 4 x 760, and 1 or 2 follow another closely.
	if len(udp) != n || len(ports) < n-20 || len(ids) < n-20 || len(cases) < n-20 {
		t.Errorf("%d queries, %d ports, %d IDs, %d ways of writing", len(udp), len(ports), len(ids), len(cases))
	}
	if mean := sum / n; low < 1024 || low > 3000 || high < 63000 || math.Abs(mean-33280) > 3100 || close > 12 {
		t.Errorf("ports from %d to %d, mean %.0f, %d close to the one before", low, high, mean, close)
	}
}

// Mismatching ID, question, case of letters: ignored, then the right reply is taken.
func TestUDP_ignoresWhatDoesNotMatch(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		good := answerTo(q)
		forged := bytes.Clone(good)
		copy(forged[len(forged)-15:], []byte{6, 6, 6, 6}) // where the address is
		otherID := bytes.Clone(forged)
		otherID[0] ^= 0xFF
		send(otherID)
		otherName := bytes.Clone(forged)
		otherName[13] ^= 1
		send(otherName)
		send(good)
	}, nil)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.example.com")
	if c := r.Counts(); c.Foreign != 2 || c.SentStream != 0 {
		t.Errorf("%+v", c)
	}
}

// A reply from another port, or of another address, does not even arrive: the socket is connected.
func TestUDP_hearsTheServerOnly(t *testing.T) {
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var itself atomic.Pointer[fake]
	f := serveFake(t, func(q []byte, send func([]byte)) {
		udp, _ := itself.Load().queries()
		forged := answerTo(q)
		copy(forged[len(forged)-15:], []byte{6, 6, 6, 6})
		other.WriteTo(forged, net.UDPAddrFromAddrPort(udp[len(udp)-1].from))
		time.Sleep(10 * time.Millisecond)
		send(answerTo(q))
	}, nil)
	itself.Store(f)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.example.com")
	if c := r.Counts(); c.Foreign != 0 || c.Received != 1 {
		t.Errorf("%+v", c)
	}
}

// Many that do not match, and the right one among them too late: TCP decides.
func TestUDP_goesOverTCPWhenSomebodyGuesses(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		for i := range byte(20) {
			forged := answerTo(q)
			forged[1] ^= i + 1
			send(forged)
		}
	}, goodTCP)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.example.com")
	if c := r.Counts(); c.SentStream != 1 || c.Foreign != 3 {
		t.Errorf("%+v", c)
	}
}

func TestUDP_caseNotKeptGoesOverTCP(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		r := answerTo(q)
		copy(r[12:questionEnd(q)-4], bytes.ToLower(r[12:questionEnd(q)-4]))
		send(r)
	}, goodTCP)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.a-name-with-many-letters.example.com")
	if c := r.Counts(); c.SentStream != 1 {
		t.Errorf("%+v", c)
	}
}

func TestUDP_duplicateAndLateRepliesAreNothing(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		for range 5 {
			send(answerTo(q))
		}
		time.AfterFunc(20*time.Millisecond, func() { send(answerTo(q)) })
	}, nil)
	r := newRig(t, to(f))
	for i := range 50 {
		r.wantAnswer(t, fmt.Sprintf("n%d.example.com", i))
	}
	time.Sleep(50 * time.Millisecond)
	if c := r.Counts(); c.Received != 50 || c.Foreign != 0 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

// RFC 6891, Section 7.
func TestUDP_asksWithoutEDNSWhereItIsNotUnderstood(t *testing.T) {
	for name, refuse := range map[string]func(q []byte) []byte{
		"FORMERR":                  func(q []byte) []byte { return shortTo(q, 1, 0) },
		"FORMERR without question": func(q []byte) []byte { r := shortTo(q, 1, 0)[:12]; r[5] = 0; return r },
		"NOTIMP":                   func(q []byte) []byte { return shortTo(q, 4, 0) },
		"BADVERS": func(q []byte) []byte {
			r := append(shortTo(q, 0, 0), 0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0)
			r[11] = 1
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := serveFake(t, func(q []byte, send func([]byte)) {
				if hasOPT(q) {
					send(refuse(q))
					return
				}
				send(answerTo(q))
			}, nil)
			r := newRig(t, to(f))
			r.wantAnswer(t, "www.example.com")
			r.wantAnswer(t, "mail.example.com")
			if udp, _ := f.queries(); len(udp) != 3 {
				t.Errorf("%d queries: it was not remembered", len(udp))
			}
		})
	}
}

// Fragments get lost (RFC 9715): what is asked for fits one packet, so a server whose long replies never arrive is heard.
func TestUDP_asksForRepliesThatNeedNoFragments(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		m, err := message.Parse(q)
		if err != nil || m.EDNS.Payload > 1232 {
			return // lost
		}
		send(answerTo(q))
	}, nil)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.example.com")
}

func TestUDP_oversizedReplyGoesOverTCP(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) { send(append(answerTo(q), make([]byte, 60000)...)) }, goodTCP)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.example.com")
	if c := r.Counts(); c.SentStream != 1 {
		t.Errorf("%+v", c)
	}
}

func TestUDP_garbageIsIgnored(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		send(nil)
		send(q[:5])
		good := answerTo(q)
		send(good)
	}, nil)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.example.com")
}

// RFC 7873, Section 5.3: once with the new cookie, then over TCP.
func TestUDP_badCookieIsTriedOnceThenGoesOverTCP(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		m, _ := message.Parse(q)
		c, _ := m.EDNS.Option(wire.OptionCookie)
		r := append(shortTo(q, 7, 0), 0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 20, 0, 10, 0, 16)
		r[11] = 1
		send(append(append(r, c[:8]...), "serverhf"...))
	}, goodTCP)
	r := newRig(t, to(f))
	r.wantAnswer(t, "www.example.com")
	udp, tcp := f.queries()
	if len(udp) != 2 || len(tcp) != 1 || !bytes.Contains(udp[1].query, []byte("serverhf")) {
		t.Errorf("%d over UDP, %d over TCP", len(udp), len(tcp))
	}
}

// The port is closed: ICMP says so on a connected socket, and nobody waits.
func TestUDP_refusedIsKnownAtOnce(t *testing.T) {
	f := serveFake(t, nil, nil)
	r := newRig(t, to(f))
	r.wantFailure(t, "www.example.com", 200*time.Millisecond)
	if c := r.Counts(); c.Errors == 0 || c.TimedOut != 0 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
	if v4, _ := r.servers.Families(time.Now().UnixNano()); !v4 {
		t.Error("a closed port is held against the network")
	}
}

func TestUDP_unreachableIsKnownAtOnce(t *testing.T) {
	r := newRig(t, rigConfig{hosts: []netip.AddrPort{netip.MustParseAddrPort("255.255.255.255:53")}}) // EACCES, whatever the routes
	r.wantFailure(t, "www.example.com", 200*time.Millisecond)
	if c := r.Counts(); c.Errors == 0 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

func TestUDP_silenceTimesOut(t *testing.T) {
	f := serveFake(t, func([]byte, func([]byte)) {}, nil)
	r := newRig(t, to(f))
	r.wantFailure(t, "www.example.com", 10*time.Second)
	if c := r.Counts(); c.TimedOut == 0 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
	if s := r.servers.Look(f.at, nil, time.Now().UnixNano()); s.Timeouts == 0 || s.Outstanding != 0 {
		t.Errorf("%+v", s)
	}
}

// TC over UDP, and nobody listens on TCP.
func TestTCP_refusedAfterTruncationFails(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) { send(shortTo(q, 0, 2)) }, nil)
	r := newRig(t, to(f))
	r.wantFailure(t, "www.example.com", time.Second)
	if c := r.Counts(); c.SentStream == 0 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

// Many at a time: each is answered, and every descriptor comes back.
func TestLoop_carriesManyAtATime(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		time.AfterFunc(time.Duration(q[1])*50*time.Microsecond, func() { send(answerTo(q)) })
	}, nil)
	r := newRig(t, to(f))
	const n = 200 // more would not fit the fake server's receive buffer
	came := make([]chan *resolve.Answer, n)
	for i := range came {
		came[i] = r.begin(fmt.Sprintf("n%d.example.com", i))
	}
	for i, c := range came {
		if a := <-c; a == nil || a.Rcode != wire.NoError {
			t.Fatalf("question %d: %+v", i, a)
		}
	}
	if c := r.Counts(); c.Waiting != 0 || c.Received < n {
		t.Errorf("%+v", c)
	}
}

// A popular answer near its end is hit often; one renewal is enough.
func TestPrefetch_isDoneOnce(t *testing.T) {
	f := serveFake(t, goodUDP, nil)
	r := newRig(t, to(f))
	name := wireName("www.example.com")
	q := message.Question{Name: name, Type: wire.TypeA, Class: wire.ClassIN}
	for range 1000 {
		r.Prefetch(q, false)
	}
	copy(name, wireName("xxx.xxxxxxx.xxx")) // the caller's memory, as a worker's
	eventually(t, "it is renewed", func() bool { udp, _ := f.queries(); return len(udp) == 1 })
	time.Sleep(20 * time.Millisecond)
	udp, _ := f.queries()
	if got := udp[0].query[12 : questionEnd(udp[0].query)-4]; len(udp) != 1 || !wire.Name(got).Equal(wireName("www.example.com")) {
		t.Errorf("%d queries, the first for %q", len(udp), got)
	}
	allocs := testing.AllocsPerRun(100, func() {
		r.Prefetch(message.Question{Name: wireName("www.example.com"), Type: wire.TypeA, Class: wire.ClassIN}, false)
	})
	if allocs > 4 { // those of wireName
		t.Errorf("%v allocations for one that is done already", allocs)
	}
}

func TestLoop_takesNothingAfterItsEnd(t *testing.T) {
	servers := nameserver.New(nameserver.Config{})
	engine := resolve.New(&resolve.Config{}, resolve.Shared{Servers: servers}, generator())
	l, err := outbound.New(outbound.Config{Engine: engine, Table: pending.New(pending.Config{}, engine, nil), Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	var ran atomic.Bool
	if !l.Call(func(*resolve.Engine, *pending.Table) { ran.Store(true) }) || !ran.Load() {
		t.Error("Call did not run")
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Second):
		t.Fatal("Run goes on")
	}
	if l.Call(func(*resolve.Engine, *pending.Table) {}) || l.Resolve(new(serve.Deferred)) {
		t.Error("something was taken")
	}
	l.Prefetch(message.Question{Name: wireName("a.example"), Type: wire.TypeA, Class: wire.ClassIN}, false)
}

// BenchmarkLoop_cold is a question that costs one query to a server, without the server's side: its goroutine is counted as well, so compare.
func BenchmarkLoop_cold(b *testing.B) {
	f := serveFake(b, goodUDP, nil)
	r := newRig(b, to(f))
	b.ReportAllocs()
	const batch = 64
	came := make([]chan *resolve.Answer, batch)
	for i := 0; b.Loop(); i++ {
		for j := range came {
			came[j] = r.begin(fmt.Sprintf("n%d-%d.example.com", i, j))
		}
		for _, c := range came {
			<-c
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/question")
}
