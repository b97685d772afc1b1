package serve_test

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/resolve"
)

// oracle is a Resolver that knows one address for every name.
type oracle struct {
	finisher *serve.Worker
	asked    int
	answer   resolve.Answer
	fresh    bool // the answers are not said to come from the cache
}

func (o *oracle) Resolve(d *serve.Deferred) bool {
	o.asked++
	a := o.answer
	a.Question, a.Cached = d.Question, !o.fresh
	for i, s := range a.Answer {
		c := s.Copy()
		c.Name = d.Question.Name
		a.Answer[i] = c
	}
	o.finisher.Finish(time.Now().UnixNano(), d, &a, make([]byte, listen.MaxMessage))
	return true
}

func (o *oracle) Prefetch(message.Question, bool) {}

type memo struct{ msg []byte }

func (m *memo) Reply(msg []byte) { m.msg = append([]byte(nil), msg...) }

// newResolver returns a server that resolves for loopback with the oracle.
func newResolver(t testing.TB) (*serve.Server, *serve.Worker, *oracle) {
	t.Helper()
	o := &oracle{}
	o.answer = resolve.Answer{Reason: event.NoReason, Security: dnssec.Secure, Expires: time.Now().Unix() + 300, Renew: time.Now().Unix() + 270,
		Answer: []*message.RRset{{Type: wire.TypeA, Class: wire.ClassIN, TTL: 300, Data: [][]byte{{192, 0, 2, 1}}, Sigs: [][]byte{make([]byte, 60)}}}}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	c := &serve.Config{Payload: 1232, Clients: filter.Everybody(), Recursion: &serve.Recursion{Allow: filter.NewACL(loopback),
		Cache: cache.New(cache.Config{Bytes: 64 << 20, Seed: 1}), Resolver: o}}
	s := serve.New(c, event.NewNames(), nil, nil)
	o.finisher = s.NewWorker(nil, 0)
	return s, s.NewWorker(event.NewRing(1<<16), 1<<20), o
}

// askAs sends a message to a worker, and returns the reply, deferred or not.
func askAs(t testing.TB, w *serve.Worker, msg []byte, from string) *dns.Msg {
	t.Helper()
	m := &memo{}
	c := &listen.Client{Remote: netip.MustParseAddrPort(from), Local: netip.MustParseAddrPort("127.0.0.1:53"), Transport: event.UDP, Arrived: time.Now().UnixNano()}
	c.Later = func() listen.Replier { return m }
	out := make([]byte, listen.MaxMessage)
	if n := w.Answer(msg, c, out); n > 0 {
		m.msg = out[:n]
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(m.msg); err != nil {
		t.Fatalf("reply %x: %v", m.msg, err)
	}
	return reply
}

func aQuestion(t testing.TB, name string, edit func(*dns.Msg)) []byte {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	if edit != nil {
		edit(q)
	}
	b, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 6840, Section 5.7: AD is told to who asks for it by AD or DO; Section 5.9: CD is copied. RFC 4035, Section 3.2.1: signatures with DO only.
func TestFinish_tellsWhatTheClientAskedFor(t *testing.T) {
	_, w, _ := newResolver(t)
	for _, c := range []struct {
		name string
		edit func(*dns.Msg)
		ad   bool
		sigs int
	}{
		{"plain.", nil, false, 0},
		{"ad.", func(q *dns.Msg) { q.AuthenticatedData = true }, true, 0},
		{"do.", func(q *dns.Msg) { q.SetEdns0(1232, true) }, true, 1},
	} {
		for round := range 2 { // resolved, then from the cache
			r := askAs(t, w, aQuestion(t, c.name, c.edit), "127.0.0.1:999")
			if r.AuthenticatedData != c.ad || !r.RecursionAvailable || len(r.Answer) != 1+c.sigs {
				t.Errorf("%s round %d: %v", c.name, round, r)
			}
		}
	}
}

// RFC 5358: recursion is for those it is meant for; others are refused, and learn that it is not for them (no RA).
func TestRecursion_isForAllowedClientsOnly(t *testing.T) {
	_, w, o := newResolver(t)
	r := askAs(t, w, aQuestion(t, "www.example.", nil), "192.0.2.7:999")
	if r.Rcode != dns.RcodeRefused || r.RecursionAvailable || o.asked != 0 {
		t.Errorf("got %v, %d asked", r, o.asked)
	}
	askAs(t, w, aQuestion(t, "www.example.", nil), "127.0.0.1:999")
	if r = askAs(t, w, aQuestion(t, "www.example.", nil), "192.0.2.7:999"); r.Rcode != dns.RcodeRefused {
		t.Errorf("what is cached was told to a stranger: %v", r)
	}
	if r = askAs(t, w, aQuestion(t, "www.example.", func(q *dns.Msg) { q.RecursionDesired = false }), "127.0.0.1:999"); r.Rcode != dns.RcodeRefused {
		t.Errorf("the cache was searched for a client without RD: %v", r)
	}
}

// Zones that are always there (RFC 6303) give way to what is configured: a company forwards its reverse zones.
func TestRecursion_ofConfiguredNamesGoesBeforeLocalZones(t *testing.T) {
	s, w, o := newResolver(t)
	ptr := aQuestion(t, "1.2.3.10.in-addr.arpa.", nil)
	if askAs(t, w, ptr, "127.0.0.1:999"); o.asked != 0 {
		t.Fatal("a private address was looked up")
	}
	c := *s.Settings()
	r := *c.Recursion
	r.Open = []wire.Name{mustName(t, "10.in-addr.arpa.")}
	c.Recursion = &r
	s.Configure(&c)
	if askAs(t, w, ptr, "127.0.0.1:999"); o.asked != 1 {
		t.Error("the configured zone was not asked")
	}
}

// A question asked before is answered from the cache by the worker itself, in the letters it was asked in, with the TTL that is left.
func TestAnswer_fromTheCacheIsTheWorkersOwn(t *testing.T) {
	_, w, o := newResolver(t)
	for i := range 3 {
		name := []string{"www.Example.", "WWW.example.", "www.example."}[i]
		r := askAs(t, w, aQuestion(t, name, nil), "127.0.0.1:999")
		if o.asked != 1 || r.Question[0].Name != name || r.Answer[0].Header().Name != name || r.Answer[0].Header().Ttl < 298 {
			t.Errorf("%s: asked %d: %v", name, o.asked, r)
		}
	}
}

// Most names are asked for once: only who asks again makes a packet worth its memory.
func TestAnswer_keepsAPacketForWhoAsksAgain(t *testing.T) {
	_, w, o := newResolver(t)
	for i, c := range []struct {
		fresh bool
		asked int
	}{{true, 1}, {true, 2}, {false, 3}, {false, 3}, {true, 3}} {
		o.fresh = c.fresh
		askAs(t, w, aQuestion(t, "www.example.", nil), "127.0.0.1:999")
		if o.asked != c.asked {
			t.Fatalf("query %d: resolved %d times, want %d", i, o.asked, c.asked)
		}
	}
}

func TestAnswer_fromTheCacheAllocatesNothing(t *testing.T) {
	_, w, _ := newResolver(t)
	msg := aQuestion(t, "www.example.", func(q *dns.Msg) { q.SetEdns0(1232, true) })
	askAs(t, w, msg, "127.0.0.1:999")
	c := &listen.Client{Remote: netip.MustParseAddrPort("127.0.0.1:999"), Local: netip.MustParseAddrPort("127.0.0.1:53"), Arrived: time.Now().UnixNano()}
	out := make([]byte, listen.MaxMessage)
	if n := testing.AllocsPerRun(100, func() {
		if w.Answer(msg, c, out) <= 0 {
			t.Fatal("not from the cache")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAnswer_fromTheCache asks for 100,000 cached names in turn.
func BenchmarkAnswer_fromTheCache(b *testing.B) {
	_, w, _ := newResolver(b)
	const names = 100_000
	msgs := make([][]byte, names)
	for i := range msgs {
		msgs[i] = aQuestion(b, "host"+strconv.Itoa(i*7919%names)+".example.com.", func(q *dns.Msg) { q.SetEdns0(1232, false) })
		askAs(b, w, msgs[i], "127.0.0.1:999")
	}
	c := &listen.Client{Remote: netip.MustParseAddrPort("127.0.0.1:999"), Local: netip.MustParseAddrPort("127.0.0.1:53"), Arrived: time.Now().UnixNano()}
	out := make([]byte, listen.MaxMessage)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if w.Answer(msgs[i%names], c, out) <= 0 {
			b.Fatal("not from the cache")
		}
	}
}

// A client that asks more than its share: a forged address gets truncated replies now and then, with a cookie or over TCP it is told; answers from
// the cache count, those of our own zones do not.
func TestRecursion_boundsTheQueriesOfAClient(t *testing.T) {
	s, w, o := newResolver(t)
	c := *s.Settings()
	r := *c.Recursion
	r.Allow = filter.Everybody()
	r.Clients = filter.NewClients(filter.ClientsConfig{PerSecond: 1, Burst: 10, Slip: 2, Bits4: 32, Bits6: 56}, [2]uint64{0xd1342543de82ef95, 0x2545f4914f6cdd1d})
	c.Recursion = &r
	s.Configure(&c)
	// All at one time, so that no client earns another query; and at the begin of a second, since an answer whose TTL does not fit its end is not kept as a packet,
	// and the oracle says both.
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	now := time.Now().UnixNano()
	o.answer.Expires, o.answer.Renew = now/1e9+300, now/1e9+270
	send := func(name string, transport event.Transport) (n int, reply *dns.Msg) {
		m := &memo{}
		from := &listen.Client{Remote: netip.MustParseAddrPort("192.0.2.7:999"), Local: netip.MustParseAddrPort("127.0.0.1:53"), Transport: transport, Arrived: now}
		from.Later = func() listen.Replier { return m }
		out := make([]byte, listen.MaxMessage)
		if n = w.Answer(aQuestion(t, name, func(q *dns.Msg) { q.SetEdns0(1232, false) }), from, out); n > 0 {
			m.msg = out[:n]
		}
		if len(m.msg) == 0 {
			return n, nil
		}
		reply = new(dns.Msg)
		if err := reply.Unpack(m.msg); err != nil {
			t.Fatal(err)
		}
		return n, reply
	}
	answered, truncated, dropped := 0, 0, 0
	for range 50 {
		switch n, reply := send("popular.example.", event.UDP); {
		case reply == nil && n == listen.Drop:
			dropped++
		case reply.Truncated && len(reply.Answer) == 0 && reply.Rcode == dns.RcodeSuccess:
			truncated++
		case len(reply.Answer) == 1:
			answered++
		default:
			t.Fatalf("got %v", reply)
		}
	}
	if answered != 10 || truncated != 20 || dropped != 20 || o.asked != 1 {
		t.Errorf("%d answered, %d truncated, %d dropped; %d resolved", answered, truncated, dropped, o.asked)
	}
	if _, reply := send("localhost.", event.UDP); reply == nil || len(reply.Answer) != 1 {
		t.Errorf("a name of a zone that is here: %v", reply)
	}
	for i := range 20 {
		_, reply := send("popular.example.", event.TCP)
		switch {
		case i < 10 && len(reply.Answer) != 1:
			t.Errorf("over TCP, query %d: %v", i, reply)
		case i >= 10:
			ede, ok := reply.IsEdns0().Option[0].(*dns.EDNS0_EDE)
			if reply.Rcode != dns.RcodeRefused || !ok || ede.InfoCode != 0 || ede.ExtraText == "" {
				t.Errorf("over TCP and over the limit: %v", reply)
			}
		}
	}
	if over := r.Clients.Over(); over != (filter.Over{Dropped: 20, Truncated: 20, Refused: 10}) {
		t.Errorf("counted %+v", over)
	}
}

// A client that may not use recursion gets the referral where a zone of ours delegates (RFC 1034, Section 4.3.1: recursion is not available), RD or not, as
// from BIND; one that may gets what is behind it.
func TestRecursion_strangersGetTheReferral(t *testing.T) {
	s, w, o := newResolver(t)
	apex, _ := wire.ParseName("own.example.")
	cut, _ := wire.ParseName("cut.own.example.")
	ns, _ := wire.ParseName("ns.cut.own.example.")
	e := zone.NewEmpty(apex, wire.ClassIN)
	soa := append(append(append([]byte(nil), apex...), apex...), make([]byte, 20)...)
	for _, err := range []error{e.Add(apex, wire.TypeSOA, 300, soa), e.Add(apex, wire.TypeNS, 300, ns), e.Add(cut, wire.TypeNS, 300, ns), e.Add(ns, wire.TypeA, 300, []byte{192, 0, 2, 53})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	z, err := e.Done()
	if err != nil {
		t.Fatal(err)
	}
	s.Change(serve.Change{Put: []serve.Zone{{Name: apex, Zone: z}}})
	for round := range 2 { // made anew, then compiled
		r := askAs(t, w, aQuestion(t, "www.cut.own.example.", nil), "192.0.2.7:999")
		if r.Rcode != dns.RcodeSuccess || len(r.Answer) != 0 || len(r.Ns) != 1 || r.Authoritative || r.RecursionAvailable || o.asked != 0 {
			t.Errorf("a stranger, round %d: %v", round, r)
		}
		if r := askAs(t, w, aQuestion(t, "www.other.example.", nil), "192.0.2.7:999"); r.Rcode != dns.RcodeRefused {
			t.Errorf("a stranger, out of zone: %v", r)
		}
	}
	if r := askAs(t, w, aQuestion(t, "www.cut.own.example.", nil), "127.0.0.1:999"); len(r.Answer) != 1 || !r.RecursionAvailable || o.asked != 1 {
		t.Errorf("who may: %v", r)
	}
}
