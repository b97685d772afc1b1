package cache_test

import (
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

// RFC 2181, Section 5.4.1; servers.md 5.2, case 37 (rrset_untrusted, rrset_updated, rrset_rettl) and case 15 (ghost domains).
func TestPutRRset_ranks(t *testing.T) {
	const (
		bogus = dnssec.Bogus
		plain = dnssec.Unchecked
	)
	type put struct {
		rtype wire.Type
		ttl   uint32
		data  string
		trust cache.Trust
		sec   dnssec.Security
	}
	for _, test := range []struct {
		name          string
		first, second put // the second 10 s after the first
		data          string
		left          uint32 // seconds after the second
		sec           dnssec.Security
	}{
		{"lower trust does not replace", put{wire.TypeA, 100, "good", cache.TrustAuthAnswer, plain}, put{wire.TypeA, 500, "glue", cache.TrustAdditional, plain}, "good", 90, plain},
		{"higher trust replaces", put{wire.TypeA, 100, "glue", cache.TrustAnswer, plain}, put{wire.TypeA, 500, "good", cache.TrustAuthAnswer, plain}, "good", 500, plain},
		{"an address lives no longer than its glue", put{wire.TypeA, 100, "glue", cache.TrustAdditional, plain}, put{wire.TypeA, 500, "good", cache.TrustAuthAnswer, plain}, "good", 90, plain},
		{"equal trust replaces", put{wire.TypeA, 100, "old!", cache.TrustAnswer, plain}, put{wire.TypeA, 500, "new!", cache.TrustAnswer, plain}, "new!", 500, plain},
		{"lower trust replaces what is over", put{wire.TypeA, 5, "good", cache.TrustSecure, dnssec.Secure}, put{wire.TypeA, 500, "glue", cache.TrustAdditional, plain}, "glue", 500, plain},
		{"what is bogus is replaced", put{wire.TypeA, 100, "bad!", cache.TrustAuthAnswer, bogus}, put{wire.TypeA, 500, "glue", cache.TrustAdditional, plain}, "glue", 500, plain},
		{"what is bogus is kept shortly", put{wire.TypeA, 5, "old!", cache.TrustAnswer, plain}, put{wire.TypeA, 500, "bad!", cache.TrustAuthAnswer, bogus}, "bad!", 60, bogus},
		{"bogus data does not replace secure", put{wire.TypeA, 100, "good", cache.TrustSecure, dnssec.Secure}, put{wire.TypeA, 500, "bad!", cache.TrustAuthAnswer, bogus}, "good", 90, dnssec.Secure},
		{"the same keeps its verdict", put{wire.TypeA, 100, "good", cache.TrustAuthAnswer, dnssec.Insecure}, put{wire.TypeA, 500, "good", cache.TrustAuthAnswer, plain}, "good", 500, dnssec.Insecure},
		{"the same NS lives no longer", put{wire.TypeNS, 100, "\x02ns\x00", cache.TrustAuthority, plain}, put{wire.TypeNS, 200, "\x02ns\x00", cache.TrustAuthority, plain}, "\x02ns\x00", 90, plain},
		{"another NS of the child lives no longer", put{wire.TypeNS, 100, "\x02ns\x00", cache.TrustReferral, plain}, put{wire.TypeNS, 9999, "\x02nx\x00", cache.TrustAuthority, plain}, "\x02nx\x00", 90, plain},
		{"a shorter NS life counts", put{wire.TypeNS, 100, "\x02ns\x00", cache.TrustReferral, plain}, put{wire.TypeNS, 20, "\x02ns\x00", cache.TrustAuthority, plain}, "\x02ns\x00", 20, plain},
		{"NS that is over starts anew", put{wire.TypeNS, 5, "\x02ns\x00", cache.TrustReferral, plain}, put{wire.TypeNS, 200, "\x02ns\x00", cache.TrustReferral, plain}, "\x02ns\x00", 200, plain},
		{"glue lives no longer by glue", put{wire.TypeA, 100, "glue", cache.TrustAdditional, plain}, put{wire.TypeA, 7200, "glue", cache.TrustAdditional, plain}, "glue", 90, plain},
		{"TTLs have a limit", put{wire.TypeA, 5, "old!", cache.TrustAnswer, plain}, put{wire.TypeA, 1 << 30, "new!", cache.TrustAnswer, plain}, "new!", 86400, plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cache.New(cache.Config{})
			at := int64(0)
			var got cache.Entry
			for _, p := range []put{test.first, test.second} {
				got = c.PutRRset(rrset(t, "x.example.", p.rtype, p.ttl, p.data), p.trust, p.sec, at)
				at += 10 * second
			}
			found, ok := c.RRset(name(t, "x.example."), test.first.rtype, 10*second)
			if !ok {
				t.Fatal("nothing is found")
			}
			for i, e := range []cache.Entry{got, found} {
				if string(e.Set.Data[0]) != test.data || e.Set.TTL != test.left || e.Security != test.sec {
					t.Errorf("%d: %q %d %v, want %q %d %v", i, e.Set.Data[0], e.Set.TTL, e.Security, test.data, test.left, test.sec)
				}
			}
		})
	}
}

func TestPutRRset_doesNotTouchWhatItIsGiven(t *testing.T) {
	c := cache.New(cache.Config{MaxTTL: 10})
	set := rrset(t, "x.example.", wire.TypeA, 100, "data")
	got := c.PutRRset(set, cache.TrustAnswer, dnssec.Unchecked, 0)
	if set.TTL != 100 || got.Set.TTL != 10 {
		t.Errorf("given %d, got %d", set.TTL, got.Set.TTL)
	}
}

func TestStaleRRset_endsAndIsNeverBogus(t *testing.T) {
	c := cache.New(cache.Config{Stale: 50})
	c.PutRRset(rrset(t, "x.example.", wire.TypeA, 10, "data"), cache.TrustAnswer, dnssec.Unchecked, 0)
	c.PutRRset(rrset(t, "bad.example.", wire.TypeA, 10, "data"), cache.TrustAnswer, dnssec.Bogus, 0)
	if _, ok := c.StaleRRset(name(t, "x.example."), wire.TypeA, 59*second); !ok {
		t.Error("not found stale")
	}
	if _, ok := c.StaleRRset(name(t, "x.example."), wire.TypeA, 60*second); ok {
		t.Error("found after the stale time")
	}
	if _, ok := c.StaleRRset(name(t, "bad.example."), wire.TypeA, 9*second); !ok {
		t.Error("bogus data is not found while fresh")
	}
	if _, ok := c.StaleRRset(name(t, "bad.example."), wire.TypeA, 10*second); ok {
		t.Error("bogus data is found stale")
	}
}

// RFC 2308, Section 5; RFC 9520, Section 3.2; RFC 8767, Section 4.
func TestPutAnswer_boundsTheTime(t *testing.T) {
	data := []*message.RRset{rrset(t, "x.example.", wire.TypeA, 1<<20, "data")}
	for _, test := range []struct {
		name string
		a    cache.Answer
		ttl  uint32
		want int64
	}{
		{"answer", cache.Answer{Answer: data}, 1 << 20, 86400},
		{"bogus", cache.Answer{Answer: data, Security: dnssec.Bogus}, 500, 60},
		{"no data", cache.Answer{}, 7200, 3600},
		{"no name", cache.Answer{Rcode: wire.NXDomain}, 7200, 3600},
		{"no name, proved", cache.Answer{Rcode: wire.NXDomain, Security: dnssec.Secure}, 7200, 3600},
		{"bogus denial", cache.Answer{Rcode: wire.NXDomain, Security: dnssec.Bogus}, 7200, 60},
		{"failure", cache.Answer{Rcode: wire.ServFail}, 0, 1},
		{"long failure", cache.Answer{Rcode: wire.ServFail}, 7200, 300},
	} {
		c := cache.New(cache.Config{})
		test.a.Question = question(t, "x.example.", wire.TypeA)
		c.PutAnswer(&test.a, 0, test.ttl, 0)
		got, ok := c.Answer(test.a.Question, 0, 0)
		if !ok || got.Expires != test.want || got.Rcode != test.a.Rcode {
			t.Errorf("%s: %+v, %v", test.name, got, ok)
		}
		if ok && len(got.Answer) > 0 && got.Answer[0].TTL > 86400 {
			t.Errorf("%s: a TTL of %d", test.name, got.Answer[0].TTL)
		}
	}
}

// RFC 2308, Section 5: NXDOMAIN is about the name; but only where it is proved.
func TestAnswer_knowsThatANameDoesNotExist(t *testing.T) {
	for _, sec := range []dnssec.Security{dnssec.Insecure, dnssec.Secure} {
		c := cache.New(cache.Config{})
		c.PutAnswer(&cache.Answer{Question: question(t, "x.example.", wire.TypeA), Rcode: wire.NXDomain, Security: sec}, 0, 100, 0)
		a, ok := c.Answer(question(t, "X.example.", wire.TypeMX), 0, 0)
		if ok != (sec == dnssec.Secure) || ok && (a.Rcode != wire.NXDomain || a.Question.Type != wire.TypeMX) {
			t.Errorf("%v: %+v, %v", sec, a, ok)
		}
		c.PutAnswer(&cache.Answer{
			Question: question(t, "x.example.", wire.TypeMX), Answer: []*message.RRset{rrset(t, "x.example.", wire.TypeMX, 9, "\x00\x05\x00")},
		}, 0, 100, 0)
		if a, ok := c.Answer(question(t, "x.example.", wire.TypeMX), 0, 0); !ok || a.Rcode != wire.NoError {
			t.Errorf("%v: the name exists now: %+v", sec, a)
		}
		if _, ok := c.Answer(question(t, "x.example.", wire.TypeTXT), 0, 0); ok {
			t.Errorf("%v: the name exists, and TXT is denied", sec)
		}
	}
}

// RFC 8767, Section 4 and RFC 9520, Section 3.2: a failure neither replaces what may be served stale, nor is it served stale. servers.md 5.2, case 77:
// an answer, also one with TTL 0, ends a failure.
func TestStaleAnswer_outlivesFailures(t *testing.T) {
	c := cache.New(cache.Config{})
	q := question(t, "x.example.", wire.TypeA)
	c.PutAnswer(&cache.Answer{Question: q, Answer: []*message.RRset{rrset(t, "x.example.", wire.TypeA, 10, "data")}}, 0, 10, 0)
	failure := &cache.Answer{Question: q, Rcode: wire.ServFail, Reason: 22, Text: "nobody answers"}
	c.PutAnswer(failure, 0, 5, 20*second)
	if a, ok := c.Answer(q, 0, 21*second); !ok || a.Rcode != wire.ServFail || a.Reason != 22 || a.Text != "nobody answers" {
		t.Errorf("got %+v, %v", a, ok)
	}
	a, ok := c.StaleAnswer(q, 0, 21*second)
	if !ok || a.Rcode != wire.NoError || !a.Stale || len(a.Answer) != 1 || a.Answer[0].TTL != 0 {
		t.Errorf("stale: %+v, %v", a, ok)
	}
	if _, ok := c.Answer(q, 0, 25*second); ok {
		t.Error("a failure that is over was found")
	}
	if f, ok := c.Failure(q, 0, 25*second); !ok || f.Expires-f.Stored != 5 {
		t.Errorf("for back-off: %+v, %v", f, ok)
	}
	c.PutAnswer(failure, 0, 5, 30*second)
	c.PutAnswer(&cache.Answer{Question: q, Answer: []*message.RRset{rrset(t, "x.example.", wire.TypeA, 0, "data")}}, 0, 0, 31*second)
	if a, ok := c.Answer(q, 0, 31*second); ok {
		t.Errorf("the failure is still there: %+v", a)
	}
	if _, ok := c.StaleAnswer(question(t, "y.example.", wire.TypeA), 0, 0); ok {
		t.Error("found what was never stored")
	}
}

func TestExpireAnswer_leavesItStaleAndFlushAnswerLeavesNothing(t *testing.T) {
	c := cache.New(cache.Config{})
	q := question(t, "x.example.", wire.TypeA)
	set := rrset(t, "x.example.", wire.TypeA, 100, "data")
	for _, variant := range []uint8{0, 3, 255} {
		c.PutAnswer(&cache.Answer{Question: q, Answer: []*message.RRset{set}}, variant, 100, 50*second)
		c.PutPacket(cache.AppendKey(nil, q, variant), addressPacket(1), 100, 50*second)
	}
	c.PutRRset(set, cache.TrustAnswer, dnssec.Unchecked, 50*second)
	if n := c.ExpireAnswer(q); n != 3 {
		t.Errorf("%d expired", n)
	}
	for _, variant := range []uint8{0, 3, 255} {
		if _, ok := c.Answer(q, variant, 50*second); ok {
			t.Error("fresh after it was expired")
		}
		if _, ok := c.StaleAnswer(q, variant, 50*second); !ok {
			t.Error("not stale after it was expired")
		}
		if _, ok := c.Packet(cache.AppendKey(nil, q, variant), 50*second); ok {
			t.Error("the packet is still there")
		}
	}
	if n := c.FlushAnswer(q); n != 3 {
		t.Errorf("%d flushed", n)
	}
	if _, ok := c.StaleAnswer(q, 0, 50*second); ok {
		t.Error("stale after a flush")
	}
	if _, ok := c.RRset(set.Name, wire.TypeA, 50*second); !ok {
		t.Error("the RRset went too")
	}
}

func TestFlush_takesNameOrSubtree(t *testing.T) {
	c := cache.New(cache.Config{Bytes: 64 << 20})
	put := func() {
		for _, n := range []string{"example.", "a.example.", "b.a.example.", "xa.example.", "org."} {
			set := rrset(t, n, wire.TypeA, 100, "data")
			c.PutRRset(set, cache.TrustAnswer, dnssec.Unchecked, 0)
			c.PutAnswer(&cache.Answer{Question: question(t, n, wire.TypeA), Answer: []*message.RRset{set}}, 0, 100, 0)
			c.PutPacket(cache.AppendKey(nil, question(t, n, wire.TypeA), 0), addressPacket(1), 100, 0)
		}
	}
	count := func() int { s := c.Stats(); return s.RRsets + s.Answers + s.Packets }
	put()
	if n := c.Flush(name(t, "A.example."), false); n != 2 || count() != 8 { // the packets all went, uncounted
		t.Errorf("name: %d, %d left", n, count())
	}
	put()
	if n := c.Flush(name(t, "a.EXAMPLE."), true); n != 4 || count() != 6 {
		t.Errorf("subtree: %d, %d left", n, count())
	}
	if _, ok := c.RRset(name(t, "xa.example."), wire.TypeA, 0); !ok {
		t.Error("a name that ends alike was flushed")
	}
	put()
	if n := c.Flush(name(t, "."), true); n != 10 || count() != 0 {
		t.Errorf("root: %d, %d left", n, count())
	}
	put()
	c.FlushAll()
	if count() != 0 || c.Stats().Live != 0 {
		t.Errorf("%d left", count())
	}
	put()
	if count() != 15 {
		t.Errorf("after FlushAll: %d", count())
	}
}
