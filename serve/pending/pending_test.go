package pending_test

import (
	"net/netip"
	"testing"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/cache"
	"anyu/serve/nameserver"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

const second = int64(time.Second)

func name(text string) wire.Name {
	n, err := wire.ParseName(text)
	if err != nil {
		panic(err)
	}
	return n
}

func question(text string) message.Question {
	return message.Question{Name: name(text), Type: wire.TypeA, Class: wire.ClassIN}
}

// world is a table whose engine asks one forwarder.
type world struct {
	*pending.Table
	engine *resolve.Engine
	cache  *cache.Cache
}

func newWorld(c pending.Config) world {
	store := cache.New(cache.Config{Bytes: 8 << 20, Seed: 1})
	forward := resolve.Zone{Name: wire.Root(), Forward: true, Hosts: []resolve.Host{{Addresses: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53")}}}}
	n := uint64(0)
	e := resolve.New(&resolve.Config{IPv4: true, Zones: []resolve.Zone{forward}}, resolve.Shared{Cache: store, Servers: nameserver.New(nameserver.Config{})}, func() uint64 { n++; return n })
	return world{pending.New(c, e, store), e, store}
}

// reply answers all that is outstanding with an address.
func (w world) reply(now int64, ttl uint32) (n int) {
	for _, a := range w.engine.Asks() {
		n++
		q := a.Question
		m := &message.Message{Flags: wire.FlagQR | wire.FlagRA, Questions: 1, Question: q,
			Answer: []*message.RRset{{Name: q.Name, Type: q.Type, Class: q.Class, TTL: ttl, Data: [][]byte{{192, 0, 2, 1}}}}}
		w.engine.Outcome(now, a.ID, resolve.Outcome{Kind: resolve.Replied, Message: m})
	}
	return n
}

// client returns a client and a count of what it was told: answers and silences.
func client(addr string, trusted bool) (c pending.Client, answers, silences *int) {
	answers, silences = new(int), new(int)
	return pending.Client{Addr: netip.MustParseAddr(addr), Trusted: trusted, Done: func(a *resolve.Answer) {
		if a == nil {
			*silences++
		} else {
			*answers++
		}
	}}, answers, silences
}

// Equal questions are asked once (RFC 5452, Section 5: no birthday attack), in any letters; each client is answered.
func TestAsk_mergesEqualQuestions(t *testing.T) {
	w := newWorld(pending.Config{})
	c, answers, _ := client("192.0.2.1", false)
	for _, q := range []string{"www.example.", "WWW.example.", "www.EXAMPLE."} {
		if !w.Ask(0, question(q), false, c) {
			t.Fatal("refused")
		}
	}
	if n := w.reply(0, 60); n != 1 || *answers != 3 || w.Waiting() != 0 || w.Counts().Merged != 2 {
		t.Errorf("%d questions, %d answers, %d wait, %+v", n, *answers, w.Waiting(), w.Counts())
	}
}

// DNSBomb (CVE-2024-33655): replies for an address that is not proved are not gathered: few may wait, and late ones are not sent.
func TestAsk_doesNotGatherRepliesForOneAddress(t *testing.T) {
	w := newWorld(pending.Config{OfClient: 5})
	victim, answers, silences := client("192.0.2.1", false)
	taken := 0
	for i := range 20 {
		if w.Ask(0, question(string(rune('a'+i))+".example."), false, victim) {
			taken++
		}
	}
	proved, told, _ := client("192.0.2.1", true)
	if !w.Ask(0, question("x.example."), false, proved) {
		t.Error("a client with a cookie was refused")
	}
	w.reply(2*second, 60)
	if taken != 5 || *answers != 0 || *silences != 5 || *told != 1 {
		t.Errorf("%d taken, %d answers, %d silences, %d for who proved the address", taken, *answers, *silences, *told)
	}
}

// RFC 8767, Section 5: after 1.8 s clients get expired records; resolving goes on, and who asks later gets fresh ones.
func TestTick_answersWithExpiredRecords(t *testing.T) {
	w := newWorld(pending.Config{Stale: true, StaleAfter: 1800 * time.Millisecond})
	c, answers, _ := client("127.0.0.1", false)
	var last *resolve.Answer
	c.Done = func(a *resolve.Answer) { *answers++; last = a }
	w.Ask(0, question("www.example."), false, c)
	w.reply(0, 60)
	w.Ask(100*second, question("www.example."), false, c)
	at, ok := w.Deadline()
	if !ok || at != 100*second+1800*int64(time.Millisecond) {
		t.Fatalf("the timer is at %d, %v", at, ok)
	}
	w.Tick(at)
	if *answers != 2 || !last.Stale || last.Reason != 3 || last.Answer[0].TTL != 30 {
		t.Fatalf("%d answers, the last %+v", *answers, last)
	}
	w.reply(at, 60)
	w.Ask(at+second, question("www.example."), false, c)
	if *answers != 3 || last.Stale || last.Reason != event.NoReason {
		t.Errorf("%d answers, the last %+v", *answers, last)
	}
}

// Every wait ends, also where nobody ever hears of the question again.
func TestTick_endsEveryWait(t *testing.T) {
	w := newWorld(pending.Config{})
	c, answers, _ := client("127.0.0.1", false)
	w.Ask(0, question("www.example."), false, c)
	w.engine.Asks()
	for range 10 {
		if at, ok := w.Deadline(); ok {
			w.Tick(at)
		}
	}
	if *answers != 1 || w.Waiting() != 0 {
		t.Errorf("%d answers, %d wait", *answers, w.Waiting())
	}
}

// A renewal makes nobody wait, and one that has just failed is not tried again with each question.
func TestPrefetch_keepsOutOfTheWay(t *testing.T) {
	w := newWorld(pending.Config{Prefetch: true})
	c, answers, _ := client("127.0.0.1", false)
	w.Ask(0, question("www.example."), false, c)
	w.reply(0, 100)
	w.Prefetch(95*second, question("www.example."), false)
	w.Ask(96*second, question("www.example."), false, c)
	if *answers != 2 {
		t.Errorf("the client waits for a renewal")
	}
	for range 5 {
		for _, a := range w.engine.Asks() {
			w.engine.Outcome(96*second, a.ID, resolve.Outcome{Kind: resolve.TimedOut})
		}
	}
	w.Prefetch(97*second, question("www.example."), false)
	if n := len(w.engine.Asks()); n != 0 {
		t.Errorf("%d questions right after a failure", n)
	}
}
