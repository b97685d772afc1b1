package transfer_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/tsig"
	"anyu/serve/transfer"
)

// forger is a primary whose messages are changed on their way.
func forger(t *testing.T, s *site, change func(i int, msg []byte) [][]byte) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var head [2]byte
				if _, err := io.ReadFull(c, head[:]); err != nil {
					return
				}
				msg := make([]byte, binary.BigEndian.Uint16(head[:]))
				if _, err := io.ReadFull(c, msg); err != nil {
					return
				}
				i := 0
				s.Stream(msg, client(), func(b []byte) error {
					for _, m := range change(i, append([]byte(nil), b...)) {
						if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)); err != nil {
							return err
						}
					}
					i++
					return nil
				})
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// What somebody on the way does to a signed transfer is found out, and nothing of it is served (RFC 8945, Section 5.3.1).
func TestSecondary_forgedStream(t *testing.T) {
	k := &tsig.Key{Name: mustName(t, "k."), Secret: []byte("secret")}
	z := loadText(t, 2000)
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, []*tsig.Key{k}, z)
	req, _ := axfr(apex).Pack()
	messages := 0
	s.Stream(tsig.NewChain(k).Sign(req, time.Now()), client(), func([]byte) error { messages++; return nil })
	if messages < 4 {
		t.Fatalf("%d messages are too few for this test", messages)
	}
	unsigned := func(m []byte) []byte {
		at, _ := tsig.Find(m)
		r, err := tsig.Read(m, at)
		if err != nil {
			t.Error(err)
		}
		return tsig.Strip(m, at, &r)
	}
	var held []byte
	for _, c := range []struct {
		name   string
		change func(i int, m []byte) [][]byte
		want   string
	}{
		{"untouched", func(_ int, m []byte) [][]byte { return [][]byte{m} }, ""},
		{"the last is unsigned", func(i int, m []byte) [][]byte {
			if i == messages-1 {
				m = unsigned(m)
			}
			return [][]byte{m}
		}, "not signed"},
		{"the first is unsigned", func(i int, m []byte) [][]byte {
			if i == 0 {
				m = unsigned(m)
			}
			return [][]byte{m}
		}, "not signed"},
		{"one is missing", func(i int, m []byte) [][]byte {
			if i == 2 {
				return nil
			}
			return [][]byte{m}
		}, "BADSIG"},
		{"two change places", func(i int, m []byte) [][]byte {
			switch i {
			case 1:
				held = m
				return nil
			case 2:
				return [][]byte{m, held}
			}
			return [][]byte{m}
		}, "BADSIG"},
		{"one octet differs", func(i int, m []byte) [][]byte {
			if i == 1 {
				m[60] ^= 1
			}
			return [][]byte{m}
		}, "BADSIG"},
		{"another ID", func(i int, m []byte) [][]byte {
			if i == 1 {
				m[0] ^= 1
			}
			return [][]byte{m}
		}, "no answer to our question"},
		{"cut", func(i int, m []byte) [][]byte {
			if i >= 2 {
				return nil
			}
			return [][]byte{m}
		}, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := forger(t, s, c.change)
			to := newSite(t, transfer.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			to.Configure([]transfer.Zone{{Name: z.Apex(), Primaries: []transfer.Remote{{Address: at, Key: k}}}}, []*tsig.Key{k})
			to.Start(ctx)
			if c.want == "" {
				eventually(t, "the zone", func() bool { return to.zone(apex) != nil })
				sameZone(t, to.zone(apex), z)
			} else {
				eventually(t, "a finding", func() bool { return to.findings.has("zone-transfer", apex) })
				if text := to.findings.fact("zone-transfer", apex, "error"); !strings.Contains(text, c.want) || to.zone(apex) != nil {
					t.Errorf("finding: %s", text)
				}
			}
			cancel()
			to.Wait()
		})
	}
}

// soaServer answers SOA queries over UDP with several datagrams, and counts those over TCP.
func soaServer(t *testing.T, udp func(q *dns.Msg) []*dns.Msg, tcpSerial uint32) (at netip.AddrPort, overTCP *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	overTCP = new(atomic.Int32)
	one := &dns.Server{PacketConn: u, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		for _, r := range udp(q) {
			w.WriteMsg(r)
		}
	})}
	two := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		overTCP.Add(1)
		w.WriteMsg(soaReply(q, tcpSerial))
	})}
	go one.ActivateAndServe()
	go two.ActivateAndServe()
	t.Cleanup(func() { one.Shutdown(); two.Shutdown() })
	return netip.MustParseAddrPort(l.Addr().String()), overTCP
}

func soaReply(q *dns.Msg, serial uint32) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(q)
	r.Authoritative = true
	rr, _ := dns.NewRR(soa(serial))
	r.Answer = []dns.RR{rr}
	return r
}

// The serial comes from the answer to our own question, whoever sends what else; over TCP where UDP says so or is silent.
func TestAsk_takesTheRightAnswer(t *testing.T) {
	change := func(f func(*dns.Msg)) func(*dns.Msg) []*dns.Msg {
		return func(q *dns.Msg) []*dns.Msg {
			forged := soaReply(q, 99)
			f(forged)
			return []*dns.Msg{forged, soaReply(q, 5)}
		}
	}
	for _, c := range []struct {
		name string
		udp  func(*dns.Msg) []*dns.Msg
		want uint32
		tcp  bool
		fail string
	}{
		{"plain", func(q *dns.Msg) []*dns.Msg { return []*dns.Msg{soaReply(q, 5)} }, 5, false, ""},
		{"another ID first", change(func(m *dns.Msg) { m.Id++ }), 5, false, ""},
		{"another question first", change(func(m *dns.Msg) { m.Question[0].Name = "example.net." }), 5, false, ""},
		{"a query first", change(func(m *dns.Msg) { m.Response = false }), 5, false, ""},
		{"truncated", func(q *dns.Msg) []*dns.Msg { r := soaReply(q, 99); r.Truncated = true; return []*dns.Msg{r} }, 6, true, ""},
		{"silent", func(*dns.Msg) []*dns.Msg { return nil }, 6, true, ""},
		{"not authoritative", func(q *dns.Msg) []*dns.Msg { r := soaReply(q, 99); r.Authoritative = false; return []*dns.Msg{r} }, 6, true, ""},
		{"refused", func(q *dns.Msg) []*dns.Msg { r := new(dns.Msg); r.SetRcode(q, dns.RcodeRefused); return []*dns.Msg{r} }, 0, false, "REFUSED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at, overTCP := soaServer(t, c.udp, 6)
			dir := t.TempDir()
			seed(t, dir, at)
			to := newSite(t, transfer.Options{Dir: dir})
			ctx, cancel := context.WithCancel(t.Context())
			defer func() { cancel(); to.Wait() }()
			to.Configure([]transfer.Zone{{Name: mustName(t, apex), Primaries: []transfer.Remote{{Address: at}}}}, nil)
			to.Start(ctx)
			answer(to, notifyOf(t, 1000), at)
			if c.fail != "" {
				eventually(t, "a finding", func() bool {
					return strings.Contains(to.findings.fact("zone-transfer", apex, "error"), c.fail)
				})
				return
			}
			eventually(t, "the serial", func() bool { return to.state(apex).PrimarySerial == c.want })
			if (overTCP.Load() > 0) != c.tcp && c.want == 5 {
				t.Errorf("%d questions over TCP", overTCP.Load())
			}
		})
	}
}

// seed puts a copy of a version on disk, as a run before left it.
func seed(t *testing.T, dir string, at netip.AddrPort) {
	t.Helper()
	z := version(t, 5, "a")
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
	n := &network{sites: map[string]*site{at.String(): s}}
	to := newSite(t, transfer.Options{Dir: dir, Dial: n.dial})
	ctx, cancel := context.WithCancel(t.Context())
	to.Configure([]transfer.Zone{{Name: z.Apex(), Primaries: []transfer.Remote{{Address: at}}}}, nil)
	to.Start(ctx)
	eventually(t, "the copy", func() bool { return to.zone(apex) != nil && !to.state(apex).Refreshed.IsZero() })
	cancel()
	to.Wait()
}
