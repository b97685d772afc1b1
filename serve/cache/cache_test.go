package cache_test

import (
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

const second = int64(1e9)

func name(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rrset(t testing.TB, owner string, rtype wire.Type, ttl uint32, data ...string) *message.RRset {
	s := &message.RRset{Name: name(t, owner), Type: rtype, Class: wire.ClassIN, TTL: ttl}
	for _, d := range data {
		s.Data = append(s.Data, []byte(d))
	}
	return s
}

func question(t testing.TB, owner string, rtype wire.Type) message.Question {
	return message.Question{Name: name(t, owner), Type: rtype, Class: wire.ClassIN}
}

func TestRRset_isFoundInAnyCaseUntilItExpires(t *testing.T) {
	c := cache.New(cache.Config{})
	set := rrset(t, "WWW.example.", wire.TypeA, 300, "\x01\x02\x03\x04", "\x01\x02\x03\x05")
	set.Sigs = [][]byte{[]byte("a signature")}
	c.PutRRset(set, cache.TrustAuthAnswer, dnssec.Insecure, 0)
	e, ok := c.RRset(name(t, "www.EXAMPLE."), wire.TypeA, 100*second)
	if !ok || e.Set.TTL != 200 || e.Trust != cache.TrustAuthAnswer || e.Security != dnssec.Insecure || e.Expires != 300 {
		t.Fatalf("got %+v, %v", e, ok)
	}
	if string(e.Set.Name) != string(set.Name) || !e.Set.SameData(set) || len(e.Set.Sigs) != 1 || string(e.Set.Sigs[0]) != "a signature" {
		t.Errorf("got %v %q %q", e.Set, e.Set.Data, e.Set.Sigs)
	}
	if _, ok := c.RRset(name(t, "www.example."), wire.TypeAAAA, 100*second); ok {
		t.Error("another type was found")
	}
	if _, ok := c.RRset(name(t, "www.example."), wire.TypeA, 300*second); ok {
		t.Error("found after its TTL")
	}
	if e, ok := c.StaleRRset(name(t, "www.example."), wire.TypeA, 300*second); !ok || e.Set.TTL != 0 || !e.Stale(300*second) {
		t.Errorf("stale: %+v, %v", e, ok)
	}
}

func TestAnswer_keepsItsSectionsAndReason(t *testing.T) {
	c := cache.New(cache.Config{})
	q := question(t, "www.example.", wire.TypeA)
	a := &cache.Answer{
		Question: q, AA: true, Security: dnssec.Secure, Reason: 3, Text: "why",
		Answer:    []*message.RRset{rrset(t, "www.example.", wire.TypeA, 300, "\x01\x02\x03\x04")},
		Authority: []*message.RRset{rrset(t, "example.", wire.TypeNS, 400, "\x02ns\x07example\x00")},
	}
	c.PutAnswer(a, 1, 300, 0)
	if _, ok := c.Answer(q, 0, 0); ok {
		t.Error("found under another variant")
	}
	got, ok := c.Answer(q, 1, 10*second)
	if !ok || !got.AA || got.Security != dnssec.Secure || got.Reason != 3 || got.Text != "why" || got.Stale || got.Expires != 300 {
		t.Fatalf("got %+v, %v", got, ok)
	}
	if len(got.Answer) != 1 || got.Answer[0].TTL != 290 || len(got.Authority) != 1 || got.Authority[0].TTL != 390 || len(got.Additional) != 0 {
		t.Errorf("got %v %v %v", got.Answer, got.Authority, got.Additional)
	}
	if !got.Authority[0].Name.Equal(name(t, "example.")) || !got.Authority[0].SameData(a.Authority[0]) {
		t.Errorf("got %v", got.Authority[0])
	}
}

// RFC 1034, Section 4.2.2: a delegation has no answer section, and is no denial: it holds as long as its NS records, not as long as denials may
// (RFC 2308, Section 5).
func TestAnswer_ofADelegationIsNoDenial(t *testing.T) {
	c := cache.New(cache.Config{})
	ns := question(t, "example.", wire.TypeNS)
	c.PutAnswer(&cache.Answer{Question: ns, Authority: []*message.RRset{rrset(t, "example.", wire.TypeNS, 86400, "\x02ns\x00")}}, 2, 86400, 0)
	none := question(t, "example.", wire.TypeMX)
	c.PutAnswer(&cache.Answer{Question: none, Authority: []*message.RRset{rrset(t, "example.", wire.TypeSOA, 86400, "soa")}}, 0, 86400, 0)
	at := int64(cache.DefaultMaxNegativeTTL) * second
	if a, ok := c.Answer(ns, 2, at); !ok || a.Authority[0].TTL != 86400-cache.DefaultMaxNegativeTTL {
		t.Errorf("the delegation: %+v, %v", a, ok)
	}
	if a, ok := c.Answer(none, 0, at); ok {
		t.Errorf("the denial: %+v", a)
	}
}
