package resolve_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
	"anyu/serve/nameserver"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

const second = int64(time.Second)

// world answers for all servers. nil is silence.
type world func(server string, q dns.Question) *dns.Msg

// engine makes an engine with the root server 10.0.0.1, and no validation.
func engine(edit func(*resolve.Config)) *resolve.Engine {
	c := &resolve.Config{IPv4: true, Hints: []resolve.Host{{Name: name("ns.root."), Addresses: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53")}}}}
	if edit != nil {
		edit(c)
	}
	n := uint64(0)
	random := func() uint64 { n += 0x9e3779b97f4a7c15; return n >> 7 }
	return resolve.New(c, resolve.Shared{Cache: cache.New(cache.Config{Bytes: 8 << 20, Seed: 1}), Servers: nameserver.New(nameserver.Config{Seed: 1}),
		Validator: validate.New(validate.Config{})}, random)
}

func name(text string) wire.Name {
	n, err := wire.ParseName(text)
	if err != nil {
		panic(err)
	}
	return n
}

// walk lets an engine resolve a name in a world; it returns the answer and what was asked, one "server name type" a line.
func walk(t testing.TB, e *resolve.Engine, qname string, qtype wire.Type, w world) (*resolve.Answer, []string) {
	t.Helper()
	var got *resolve.Answer
	var sent []string
	now := int64(0)
	e.Resolve(now, message.Question{Name: name(qname), Type: qtype, Class: wire.ClassIN}, resolve.Options{}, func(a *resolve.Answer) {
		if got != nil {
			t.Fatal("answered twice")
		}
		got = a
	})
	for range 10_000 {
		asks := e.Asks()
		if len(asks) == 0 {
			break
		}
		for _, a := range asks {
			q := dns.Question{Name: a.Question.Name.String(), Qtype: uint16(a.Question.Type), Qclass: dns.ClassINET}
			sent = append(sent, fmt.Sprintf("%s %s %s", a.Server.Addr(), a.Question.Name, a.Question.Type))
			now += second / 100
			m := w(a.Server.Addr().String(), q)
			if m == nil {
				now += int64(a.Timeout)
				e.Outcome(now, a.ID, resolve.Outcome{Kind: resolve.TimedOut})
				continue
			}
			m.Response, m.Question = true, []dns.Question{q}
			b, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := message.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			e.Outcome(now, a.ID, resolve.Outcome{Kind: resolve.Replied, Message: parsed, RTT: 10 * time.Millisecond})
		}
	}
	if got == nil {
		t.Fatalf("no answer after %d questions", len(sent))
	}
	if e.Tasks() != 0 {
		t.Errorf("%d resolutions are left", e.Tasks())
	}
	return got, sent
}

func records(t testing.TB, lines ...string) (list []dns.RR) {
	t.Helper()
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, rr)
	}
	return list
}

// referral from the root to a zone whose server is 10.0.0.2.
func referral(t testing.TB, zone string) *dns.Msg {
	return &dns.Msg{Ns: records(t, zone+" 3600 NS ns."+zone), Extra: records(t, "ns."+zone+" 3600 A 10.0.0.2")}
}

// NXNSAttack (CVE-2020-12662): a referral with many name servers that have no address costs a bounded number of questions.
func TestResolve_boundsReferralsWithoutAddresses(t *testing.T) {
	a, sent := walk(t, engine(nil), "www.victim.example.", wire.TypeA, func(server string, q dns.Question) *dns.Msg {
		m := &dns.Msg{}
		if dns.IsSubDomain("victim.example.", q.Name) {
			for i := range 100 {
				m.Ns = append(m.Ns, records(t, fmt.Sprintf("victim.example. 3600 NS ns%d.other%d.example.", i, i))...)
			}
			return m
		}
		m.Rcode = dns.RcodeNameError
		return m
	})
	if a.Rcode != wire.ServFail || len(sent) > 2*resolve.MaxTargetsFailed+4 {
		t.Errorf("%v after %d questions", a.Rcode, len(sent))
	}
}

// CAMP (USENIX Security 2024), NRDelegation: whatever the fan-out, one question of a client costs at most MaxSends.
func TestResolve_boundsEverything(t *testing.T) {
	n := 0
	fan := func(server string, q dns.Question) *dns.Msg {
		n++
		m := &dns.Msg{}
		switch n % 4 {
		case 0:
			return nil
		case 1:
			m.Answer = records(t, fmt.Sprintf("%s 0 CNAME c%d.x%d.example.", q.Name, n, n))
			m.Authoritative = true
			return m
		}
		labels := dns.SplitDomainName(q.Name)
		zone := dns.Fqdn(strings.Join(labels[max(0, len(labels)-1-n%3):], "."))
		for i := range 20 {
			m.Ns = append(m.Ns, records(t, fmt.Sprintf("%s 0 NS n%d.z%d.example.", zone, i, n))...)
		}
		return m
	}
	e := engine(func(c *resolve.Config) { c.Minimise = true })
	a, sent := walk(t, e, "a.b.c.d.example.", wire.TypeA, fan)
	if a.Rcode != wire.ServFail || len(sent) > resolve.MaxSends {
		t.Errorf("%v after %d questions", a.Rcode, len(sent))
	}
}

// TsuNAME (2021): two zones whose name servers are named in each other cost a few questions, and the failure is remembered (RFC 9520).
func TestResolve_endsCircles(t *testing.T) {
	circle := func(server string, q dns.Question) *dns.Msg {
		zone, other := "one.example.", "two.example."
		if dns.IsSubDomain(other, q.Name) {
			zone, other = other, zone
		}
		return &dns.Msg{Ns: records(t, zone+" 3600 NS ns."+other)}
	}
	e := engine(nil)
	a, sent := walk(t, e, "www.one.example.", wire.TypeA, circle)
	if a.Rcode != wire.ServFail || len(sent) > 8 || !strings.Contains(fmt.Sprint(a.Trace), "circle") {
		t.Errorf("%v after %d questions: %v", a.Rcode, len(sent), a.Trace)
	}
	if _, again := walk(t, e, "www.one.example.", wire.TypeA, circle); len(again) != 0 {
		t.Errorf("asked again at once: %v", again)
	}
}

// A chain of fresh aliases ends after MaxChain.
func TestResolve_boundsChains(t *testing.T) {
	n := 0
	a, sent := walk(t, engine(nil), "c0.example.", wire.TypeA, func(server string, q dns.Question) *dns.Msg {
		n++
		return &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Answer: records(t, fmt.Sprintf("%s 60 CNAME c%d.example.", q.Name, n))}
	})
	if a.Rcode != wire.ServFail || len(sent) != resolve.MaxChain+1 {
		t.Errorf("%v after %d questions", a.Rcode, len(sent))
	}
}

// Kaminsky (2008), RFC 5452, Section 6: what a server says of other zones is not believed.
func TestResolve_believesAServerAboutItsZoneOnly(t *testing.T) {
	e := engine(nil)
	w := func(server string, q dns.Question) *dns.Msg {
		if server == "10.0.0.1" {
			if dns.IsSubDomain("bank.test1.", q.Name) {
				return &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Answer: records(t, q.Name+" 60 A 192.0.2.1")}
			}
			return referral(t, "evil.test2.")
		}
		return &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Answer: records(t, q.Name+" 60 A 203.0.113.9", "www.bank.test1. 60 A 203.0.113.9"),
			Ns: records(t, "bank.test1. 60 NS ns.evil.test2.", "test1. 60 NS ns.evil.test2."), Extra: records(t, "ns.evil.test2. 60 A 10.0.0.2", "www.bank.test1. 60 A 203.0.113.9")}
	}
	walk(t, e, "x.evil.test2.", wire.TypeA, w)
	a, _ := walk(t, e, "www.bank.test1.", wire.TypeA, w)
	if len(a.Answer) != 1 || netip.AddrFrom4([4]byte(a.Answer[0].Data[0])).String() != "192.0.2.1" {
		t.Errorf("poisoned: %v", a.Answer)
	}
}

// RFC 9156: the servers above a name are told no more of it than they need.
func TestResolve_minimises(t *testing.T) {
	e := engine(func(c *resolve.Config) { c.Minimise = true })
	_, sent := walk(t, e, "secret.www.shop.example.", wire.TypeA, func(server string, q dns.Question) *dns.Msg {
		if server == "10.0.0.1" {
			return referral(t, "example.")
		}
		if q.Name == "secret.www.shop.example." {
			return &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Answer: records(t, q.Name+" 60 A 192.0.2.1")}
		}
		return &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Ns: records(t, "example. 60 SOA a. b. 1 2 3 4 5")}
	})
	want := "10.0.0.1 example. A|10.0.0.2 shop.example. A|10.0.0.2 www.shop.example. A|10.0.0.2 secret.www.shop.example. A"
	if got := strings.Join(sent, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// CVE-2026-50251: an address that leads to ourselves is not asked, whoever names it.
func TestResolve_neverAsksForbiddenAddresses(t *testing.T) {
	e := engine(func(c *resolve.Config) {
		c.Forbidden = func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }
	})
	a, sent := walk(t, e, "www.self.example.", wire.TypeA, func(server string, q dns.Question) *dns.Msg {
		return &dns.Msg{Ns: records(t, "self.example. 60 NS ns.self.example."), Extra: records(t, "ns.self.example. 60 A 127.0.0.1", "ns.self.example. 60 A 0.0.0.0")}
	})
	if a.Rcode != wire.ServFail || strings.Contains(fmt.Sprint(sent), "127.0.0.1") || strings.Contains(fmt.Sprint(sent), "0.0.0.0") || len(sent) > 6 {
		t.Errorf("%v after %v", a.Rcode, sent)
	}
}

// Two clients that ask for an alias and for its target at once wait for each other's work, and that is no circle: who has stopped
// waiting does not count as waiting.
func TestResolve_waitingForEachOtherInTurnIsNoCircle(t *testing.T) {
	e := engine(nil)
	world := func(q message.Question) *dns.Msg {
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}}
		switch {
		case q.Name.String() == "alias.vic." && q.Type == wire.TypeA:
			m.Answer = records(t, "alias.vic. 60 CNAME www.vic.")
		case q.Name.String() == "www.vic." && q.Type == wire.TypeA:
			m.Answer = records(t, "www.vic. 60 A 192.0.2.1")
		default:
			m.Ns = records(t, ". 60 SOA a. b. 1 2 3 4 5")
		}
		return m
	}
	for round := range 50 {
		var got []*resolve.Answer
		for _, n := range []string{"alias.vic.", "www.vic."} {
			e.Resolve(int64(round)*100*second, message.Question{Name: name(n), Type: wire.TypeA, Class: wire.ClassIN}, resolve.Options{}, func(a *resolve.Answer) { got = append(got, a) })
		}
		for asks := e.Asks(); len(asks) > 0; asks = e.Asks() {
			for i := range asks { // in either order
				a := asks[(i+round)%len(asks)]
				m := world(a.Question)
				m.Response, m.Question = true, []dns.Question{{Name: a.Question.Name.String(), Qtype: uint16(a.Question.Type), Qclass: 1}}
				b, _ := m.Pack()
				parsed, _ := message.Parse(b)
				e.Outcome(int64(round)*100*second, a.ID, resolve.Outcome{Kind: resolve.Replied, Message: parsed, RTT: time.Millisecond})
			}
		}
		for _, a := range got {
			if a.Rcode != wire.NoError || len(got) != 2 {
				t.Fatalf("round %d: %d answers, %v %s", round, len(got), a.Rcode, a.Text)
			}
		}
	}
}

// FuzzEngine: whatever servers say, a resolution ends, within its budget.
func FuzzEngine(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x10\x20\x30"))
	f.Add(make([]byte, 400))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := engine(func(c *resolve.Config) { c.Minimise = len(data)%2 == 0; c.BelowNX, c.Aggressive = true, true })
		done, sends, now := false, 0, int64(0)
		e.Resolve(0, message.Question{Name: name("a.b.example."), Type: wire.TypeA, Class: wire.ClassIN}, resolve.Options{}, func(*resolve.Answer) { done = true })
		for asks := e.Asks(); len(asks) > 0; asks = e.Asks() {
			for _, a := range asks {
				sends++
				now += second / 10
				e.Outcome(now, a.ID, outcome(&data, a))
			}
		}
		if !done || sends > 4*resolve.MaxSends || e.Tasks() != 0 {
			t.Fatalf("done %v after %d questions, %d left", done, sends, e.Tasks())
		}
	})
}

// outcome makes an outcome from octets: none, or a message with the right question and whatever they say behind it.
func outcome(data *[]byte, a resolve.Ask) resolve.Outcome {
	take := func(n int) []byte {
		n = min(n, len(*data))
		b := (*data)[:n]
		*data = (*data)[n:]
		return b
	}
	head := append(append([]byte{}, take(6)...), 0, 0, 0, 0, 0, 0)[:6]
	switch head[0] % 8 {
	case 0:
		return resolve.Outcome{Kind: resolve.TimedOut}
	case 1:
		return resolve.Outcome{Kind: resolve.Unreachable}
	}
	msg := binary.BigEndian.AppendUint16(nil, 1)
	msg = append(msg, 0x80|head[1]&0x07, head[2], 0, 1, 0, head[3]%4, 0, head[4]%4, 0, head[5]%4)
	msg = append(msg, a.Question.Name...)
	msg = binary.BigEndian.AppendUint16(msg, uint16(a.Question.Type))
	msg = append(msg, 0, 1)
	for range int(head[3]%4) + int(head[4]%4) + int(head[5]%4) {
		b := append(append([]byte{}, take(4)...), 0, 0, 0, 0)[:4]
		types := []wire.Type{wire.TypeA, wire.TypeNS, wire.TypeCNAME, wire.TypeDNAME, wire.TypeSOA, wire.TypeNSEC}
		msg = append(msg, 0xc0, 12) // the owner is the question's name, or an ancestor
		msg[len(msg)-1] += b[0] % 2 * 2
		msg = binary.BigEndian.AppendUint16(msg, uint16(types[int(b[1])%len(types)]))
		msg = append(msg, 0, 1, 0, 0, 0, b[2])
		rdata := append([]byte{1, b[3], 0xc0, 12}, make([]byte, int(b[2])%24)...)
		msg = binary.BigEndian.AppendUint16(msg, uint16(len(rdata)))
		msg = append(msg, rdata...)
	}
	m, err := message.Parse(msg)
	if err != nil {
		return resolve.Outcome{Kind: resolve.TimedOut}
	}
	return resolve.Outcome{Kind: resolve.Replied, Message: m, RTT: time.Millisecond}
}
