package validate_test

import (
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/serve/validate"

	"github.com/miekg/dns"
)

// RFC 4035, Section 5.3: what one positive answer can be, with the INFO-CODE of RFC 8914 that says why.
func TestMessage_judgesAnswers(t *testing.T) {
	c := newChain(t)
	const host = "www.sub.example. 300 IN A 192.0.2.1"
	at := func(s *signer, from, to time.Duration) *signer {
		moved := *s
		moved.from, moved.to = testNow.Add(from), testNow.Add(to)
		return &moved
	}
	stranger := newSigner(t, "sub.example.")
	other := c.sub.set(host)
	other[1].(*dns.RRSIG).SignerName = "www.sub.example."
	labels := c.sub.set(host)
	labels[1].(*dns.RRSIG).Labels = 4
	above := c.sub.set(host)
	above[1].(*dns.RRSIG).Labels = 1
	changed := c.sub.set(host)
	changed[0] = parseRR(t, "www.sub.example. 300 IN A 192.0.2.2")
	for _, test := range []struct {
		what     string
		answer   []dns.RR
		security dnssec.Security
		reason   uint16
	}{
		{"signed", c.sub.set(host), dnssec.Secure, validate.NoReason},
		{"unsigned in a signed zone", []dns.RR{parseRR(t, host)}, dnssec.Bogus, validate.ReasonNoSignature},
		{"unsigned in an unsigned zone", []dns.RR{parseRR(t, "www.plain.example. 300 IN A 192.0.2.1")}, dnssec.Insecure, validate.NoReason},
		{"another signature", flip(c.sub.set(host)), dnssec.Bogus, validate.ReasonBogus},
		{"other data", changed, dnssec.Bogus, validate.ReasonBogus},
		{"expired", at(c.sub, -48*time.Hour, -time.Hour).set(host), dnssec.Bogus, validate.ReasonExpired},
		{"not yet valid", at(c.sub, time.Hour, 48*time.Hour).set(host), dnssec.Bogus, validate.ReasonNotYet},
		{"a key that is not the zone's", stranger.set(host), dnssec.Bogus, validate.ReasonNoKey},
		{"signed by what is no zone", other, dnssec.Bogus, validate.ReasonNoSignature},
		{"signed by the parent", c.example.set(host), dnssec.Secure, validate.NoReason},
		{"more labels signed than the owner has", labels, dnssec.Bogus, validate.ReasonBogus},
		// servers.md 3.2 (CVE-2026-44690): a wildcard above the zone.
		{"fewer labels signed than the signer has", above, dnssec.Bogus, validate.ReasonBogus},
		{"good beside bad signatures", join(flip(c.sub.set(host)), stranger.set(host)[1:], c.sub.set(host)[1:]), dnssec.Secure, validate.NoReason},
	} {
		name := test.answer[0].Header().Name
		res, _ := c.check(t, response(t, name, wire.TypeA, 0, test.answer))
		expect(t, test.what, res, test.security, test.reason)
	}
}

// RFC 4035, Section 5.2: what delegations and key sets can be. Each case changes one answer of the chain.
func TestMessage_followsTheChain(t *testing.T) {
	const host = "www.sub.example. 300 IN A 192.0.2.1"
	unzoned := newSigner(t, "sub.example.")
	unzoned.key.Flags = 1
	unknown := "sub.example. 300 IN DS 1 200 2 " + strings.Repeat("ab", 32)
	strange := "sub.example. 300 IN DS 1 13 200 " + strings.Repeat("ab", 32)
	none := "sub.example. 300 IN DS 1 13 2 " + strings.Repeat("ab", 32)
	for _, test := range []struct {
		what     string
		change   func(c *chain) *signer // returns who signs the answer
		security dnssec.Security
		reason   uint16
	}{
		{"untouched", func(c *chain) *signer { return c.sub }, dnssec.Secure, validate.NoReason},
		{"only an algorithm that is unknown", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(unknown)))
			return c.sub
		}, dnssec.Insecure, validate.ReasonKeyAlgorithm},
		{"only a digest that is unknown", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(strange)))
			return c.sub
		}, dnssec.Insecure, validate.ReasonDigest},
		{"unknown ones beside a good one", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(unknown, strange, c.sub.ds(dns.SHA256))))
			return c.sub
		}, dnssec.Secure, validate.NoReason},
		{"a DS record without its key", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(none)))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoKey},
		{"SHA-1 alone", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(c.sub.ds(dns.SHA1))))
			return c.sub
		}, dnssec.Secure, validate.NoReason},
		// RFC 4509, Section 3.
		{"SHA-1 is ignored beside SHA-256", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(c.sub.ds(dns.SHA1), none)))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoKey},
		{"a DS RRset that is not signed", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(c.sub.ds(dns.SHA256))[:1]))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoSignature},
		{"a DS RRset that the child signed", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.sub.set(c.sub.ds(dns.SHA256))))
			return c.sub
		}, dnssec.Bogus, validate.ReasonBogus},
		{"keys without signature", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDNSKEY, 0, c.sub.keySet()[:1]))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoSignature},
		{"no keys", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDNSKEY, 0, nil, c.sub.soa()))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoKey},
		{"keys that cannot be had", func(c *chain) *signer {
			delete(c.answers, "sub.example. dnskey")
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoKey},
		{"a key without the zone bit", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDNSKEY, 0, unzoned.keySet()))
			c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(unzoned.ds(dns.SHA256))))
			return unzoned
		}, dnssec.Bogus, validate.ReasonNoZoneKey},
		{"neither DS nor proof", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, nil, c.example.soa()))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoDenial},
		// servers.md 5.2, case 73: the child's own NSEC record says nothing of DS.
		{"the child's apex denies DS", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, nil, c.example.set("sub.example. 300 IN NSEC www.sub.example. NS SOA RRSIG NSEC DNSKEY")))
			return c.sub
		}, dnssec.Bogus, validate.ReasonBogus},
		// servers.md 5.2, case 52.
		{"a denial of DS where nothing is delegated", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, nil, c.example.set("sub.example. 300 IN NSEC x.example. A RRSIG NSEC")))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoSignature},
		{"delegated without DS", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, nil, c.example.set("sub.example. 300 IN NSEC x.example. NS RRSIG NSEC")))
			return c.sub
		}, dnssec.Insecure, validate.NoReason},
		{"opt-out", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, nil, join(c.example.cover3("sub.example.", 1, 1), c.example.nsec3("example.", 1, 1, "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "NS SOA"))))
			return c.sub
		}, dnssec.Insecure, validate.NoReason},
		// RFC 9276, Section 3.2.
		{"too many iterations", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, nil, c.example.nsec3("sub.example.", 51, 0, "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "NS")))
			return c.sub
		}, dnssec.Insecure, validate.ReasonNSEC3Iterations},
		{"too many iterations, and not signed", func(c *chain) *signer {
			c.add(response(t, "sub.example.", wire.TypeDS, 0, nil, c.example.nsec3("sub.example.", 51, 0, "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "NS")[:1]))
			return c.sub
		}, dnssec.Bogus, validate.ReasonNoSignature},
	} {
		c := newChain(t)
		by := test.change(c)
		res, _ := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, by.set(host)))
		expect(t, test.what, res, test.security, test.reason)
	}
}

// Denials with NSEC and NSEC3 (RFC 4035, Section 5.4; RFC 5155, Section 8), as a message. dns/denial has the proofs one by one.
func TestMessage_judgesDenials(t *testing.T) {
	c := newChain(t)
	s := c.sub
	apex := s.set("sub.example. 300 IN NSEC b.sub.example. NS SOA RRSIG NSEC DNSKEY")
	b := s.set("b.sub.example. 300 IN NSEC x.sub.example. A RRSIG NSEC")
	far := "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
	for _, test := range []struct {
		what      string
		name      string
		typ       wire.Type
		rcode     int
		authority []dns.RR
		security  dnssec.Security
		reason    uint16
		becomes   wire.Rcode
	}{
		{"no data", "b.sub.example.", wire.TypeMX, 0, join(s.soa(), b), dnssec.Secure, validate.NoReason, wire.NoError},
		{"no name", "c.sub.example.", wire.TypeMX, 3, join(s.soa(), b, apex), dnssec.Secure, validate.NoReason, wire.NXDomain},
		{"no name, and nothing about the wildcard", "c.sub.example.", wire.TypeMX, 3, join(s.soa(), b), dnssec.Bogus, validate.ReasonBogus, wire.NXDomain},
		{"no data, called no name", "b.sub.example.", wire.TypeMX, 3, join(s.soa(), b), dnssec.Secure, validate.NoReason, wire.NoError},
		{"a type that is there", "b.sub.example.", wire.TypeA, 0, join(s.soa(), b), dnssec.Bogus, validate.ReasonBogus, wire.NoError},
		{"no records of denial", "b.sub.example.", wire.TypeMX, 0, s.soa(), dnssec.Bogus, validate.ReasonNoDenial, wire.NoError},
		{"no signatures", "b.sub.example.", wire.TypeMX, 0, join(s.soa()[:1], b[:1]), dnssec.Bogus, validate.ReasonNoSignature, wire.NoError},
		{"the SOA record is not signed", "b.sub.example.", wire.TypeMX, 0, join(s.soa()[:1], b), dnssec.Bogus, validate.ReasonNoSignature, wire.NoError},
		{"unsigned zone", "b.plain.example.", wire.TypeMX, 0, nil, dnssec.Insecure, validate.NoReason, wire.NoError},
		// servers.md 5.2, case 62: an NSEC record that a wildcard answers with does not prove itself.
		{"an expanded NSEC record", "q.b.sub.example.", wire.TypeMX, 0, join(s.soa(), s.expanded(3, "q.b.sub.example. 300 IN NSEC x.sub.example. A")), dnssec.Bogus,
			validate.ReasonBogus, wire.NoError},
		// servers.md 3.2 (CVE-2026-13321).
		{"an overreaching NSEC record", "y.sub.example.", wire.TypeMX, 3, join(s.soa(), s.set("sub.example. 300 IN NSEC z.example. NS SOA RRSIG NSEC")), dnssec.Bogus,
			validate.ReasonNoDenial, wire.NXDomain},
		// RFC 9824, Section 2 and 3.5.
		{"compact denial", "q.sub.example.", wire.TypeA, 0, join(s.soa(), s.set(`q.sub.example. 300 IN NSEC \000.q.sub.example. RRSIG NSEC NXNAME`)), dnssec.Secure,
			validate.NoReason, wire.NoError},
		{"compact denial, as NXDOMAIN", "q.sub.example.", wire.TypeA, 3, join(s.soa(), s.set(`q.sub.example. 300 IN NSEC \000.q.sub.example. RRSIG NSEC NXNAME`)),
			dnssec.Secure, validate.NoReason, wire.NXDomain},
		{"NSEC3: no data", "b.sub.example.", wire.TypeMX, 0, join(s.soa(), s.nsec3("b.sub.example.", 5, 0, far, "A RRSIG")), dnssec.Secure, validate.NoReason, wire.NoError},
		{"NSEC3: no name", "c.sub.example.", wire.TypeMX, 3, join(s.soa(), s.nsec3("sub.example.", 5, 0, step(hash3(t, "sub.example.", 5), 1), "NS SOA"),
			s.cover3("c.sub.example.", 5, 0), s.cover3("*.sub.example.", 5, 0)), dnssec.Secure, validate.NoReason, wire.NXDomain},
		// RFC 5155, Section 9.2.
		{"NSEC3: no name, with opt-out", "c.sub.example.", wire.TypeMX, 3, join(s.soa(), s.nsec3("sub.example.", 5, 0, step(hash3(t, "sub.example.", 5), 1), "NS SOA"),
			s.cover3("c.sub.example.", 5, 1), s.cover3("*.sub.example.", 5, 0)), dnssec.Insecure, validate.NoReason, wire.NXDomain},
		{"NSEC3: no closest encloser", "c.sub.example.", wire.TypeMX, 3, join(s.soa(), s.cover3("c.sub.example.", 5, 0), s.cover3("*.sub.example.", 5, 0)), dnssec.Bogus,
			validate.ReasonBogus, wire.NXDomain},
		{"NSEC3: too many iterations", "b.sub.example.", wire.TypeMX, 0, join(s.soa(), s.nsec3("b.sub.example.", 51, 0, far, "A RRSIG")), dnssec.Insecure,
			validate.ReasonNSEC3Iterations, wire.NoError},
		{"DS at a name of the zone", "b.sub.example.", wire.TypeDS, 0, join(s.soa(), b), dnssec.Secure, validate.NoReason, wire.NoError},
		{"DS of the zone, denied by itself", "sub.example.", wire.TypeDS, 0, join(s.soa(), apex), dnssec.Bogus, validate.ReasonNoSignature, wire.NoError},
		{"data of the child, denied by the parent", "sub.example.", wire.TypeMX, 0, join(c.example.soa(), c.example.set("sub.example. 300 IN NSEC x.example. NS RRSIG NSEC")),
			dnssec.Bogus, validate.ReasonBogus, wire.NoError},
	} {
		res, _ := c.check(t, response(t, test.name, test.typ, test.rcode, nil, test.authority))
		expect(t, test.what, res, test.security, test.reason)
		if res.Rcode != test.becomes {
			t.Errorf("%s: %v, want %v", test.what, res.Rcode, test.becomes)
		}
		if res.Security == dnssec.Secure && (res.Denial.SOA == nil || !res.Denial.Zone.Equal(mustName(t, "sub.example.")) || len(res.Denial.Sets) == 0) {
			t.Errorf("%s: for aggressive use: %+v", test.what, res.Denial)
		}
	}
}

// RFC 4035, Section 5.3.4 and RFC 4592: what a wildcard answers needs the proof that nothing matches closer.
func TestMessage_wildcards(t *testing.T) {
	c := newChain(t)
	s := c.sub
	answer := func() []dns.RR { return s.expanded(2, "q.w.sub.example. 300 IN A 192.0.2.1") }
	for _, test := range []struct {
		what      string
		authority []dns.RR
		security  dnssec.Security
		reason    uint16
	}{
		{"proved", s.set("b.sub.example. 300 IN NSEC x.sub.example. A RRSIG NSEC"), dnssec.Secure, validate.NoReason},
		{"not proved", nil, dnssec.Bogus, validate.ReasonBogus}, // RFC 8914, Section 4.13: nothing is missing
		{"a closer name is there", s.set("a.w.sub.example. 300 IN NSEC x.sub.example. A RRSIG NSEC"), dnssec.Bogus, validate.ReasonBogus},
		{"the proof is not signed well", flip(s.set("b.sub.example. 300 IN NSEC x.sub.example. A RRSIG NSEC")), dnssec.Bogus, validate.ReasonBogus},
		{"NSEC3", s.cover3("w.sub.example.", 3, 0), dnssec.Secure, validate.NoReason},
		{"NSEC3 with opt-out", s.cover3("w.sub.example.", 3, 1), dnssec.Insecure, validate.NoReason},
		{"NSEC3 for another name", s.cover3("q.w.sub.example.", 3, 0), dnssec.Bogus, validate.ReasonBogus},
	} {
		res, _ := c.check(t, response(t, "q.w.sub.example.", wire.TypeA, 0, answer(), test.authority))
		expect(t, test.what, res, test.security, test.reason)
		if res.Security == dnssec.Secure && !res.Answer[0].Wildcard.Equal(mustName(t, "*.sub.example.")) {
			t.Errorf("%s: made from %v", test.what, res.Answer[0].Wildcard)
		}
	}
}

// RFC 6672, Section 5.3.1: nobody signs the CNAME made from a DNAME, so it has to be the right one.
func TestMessage_dname(t *testing.T) {
	c := newChain(t)
	s := c.sub
	long := strings.Repeat("a", 63)
	long = long + "." + long + "." + long + "."
	dname := s.set("d.sub.example. 300 IN DNAME other.example.")
	for _, test := range []struct {
		what, name string
		rcode      int
		answer     []dns.RR
		security   dnssec.Security
		want       string
	}{
		{"with its CNAME", "a.d.sub.example.", 0, join(dname, []dns.RR{parseRR(t, "a.d.sub.example. 300 IN CNAME a.other.example.")}), dnssec.Secure,
			"d.sub.example./DNAME a.d.sub.example./CNAME"},
		{"alone", "a.d.sub.example.", 0, dname, dnssec.Secure, "d.sub.example./DNAME"},
		{"with another CNAME", "a.d.sub.example.", 0, join(dname, []dns.RR{parseRR(t, "a.d.sub.example. 300 IN CNAME a.evil.example.")}), dnssec.Bogus, ""},
		{"not signed", "a.d.sub.example.", 0, dname[:1], dnssec.Bogus, ""},
		// RFC 6672, Section 2.2.
		{"too long", long + "d.sub.example.", 6, s.set("d.sub.example. 300 IN DNAME " + long), dnssec.Secure, "d.sub.example./DNAME"},
		{"said to be too long", "a.d.sub.example.", 6, dname, dnssec.Bogus, ""},
	} {
		res, _ := c.check(t, response(t, test.name, wire.TypeA, test.rcode, test.answer))
		if res.Security != test.security || test.want != "" && owners(res.Answer) != test.want {
			t.Errorf("%s: %v %s (%s)", test.what, res.Security, owners(res.Answer), res.Text)
		}
	}
}

// servers.md 5.2, cases 35 and 36: what is not signed, or signed badly or by others, is left out of a secure answer.
func TestMessage_cleansSections(t *testing.T) {
	c := newChain(t)
	s := c.sub
	spurious := parseRR(t, "sub.example. 300 IN NS evil.example.")
	r := response(t, "www.sub.example.", wire.TypeA, 0, join(s.set("www.sub.example. 300 IN A 192.0.2.1"), []dns.RR{parseRR(t, "other.sub.example. 300 IN A 192.0.2.1")}),
		[]dns.RR{spurious}, join(s.set("ns.sub.example. 300 IN A 192.0.2.2"), flip(s.set("bad.sub.example. 300 IN A 192.0.2.3")), c.example.set("x.example. 300 IN A 192.0.2.4"),
			[]dns.RR{parseRR(t, "evil.example. 300 IN A 192.0.2.5")}))
	res, _ := c.check(t, r)
	expect(t, "cleaned", res, dnssec.Secure, validate.NoReason)
	if owners(res.Answer) != "www.sub.example./A" || owners(res.Authority) != "" || owners(res.Additional) != "ns.sub.example./A" {
		t.Errorf("%s | %s | %s", owners(res.Answer), owners(res.Authority), owners(res.Additional))
	}
	signed := response(t, "www.sub.example.", wire.TypeA, 0, s.set("www.sub.example. 300 IN A 192.0.2.1"), s.set("sub.example. 300 IN NS ns.sub.example."))
	if res, _ := c.check(t, signed); owners(res.Authority) != "sub.example./NS" {
		t.Errorf("the signed NS RRset is gone: %s", owners(res.Authority))
	}
	config := c.config(t)
	config.Minimal = true
	b := validate.DefaultLimits().Budget()
	if res := validate.New(config).Message(nanos(testNow), signed, c, b); owners(res.Authority) != "" || res.Security != dnssec.Secure {
		t.Errorf("minimal: %v %s", res.Security, owners(res.Authority))
	}
}

// RFC 4035, Section 5.3.3: the TTL is no more than the original one and than what is left of the signature.
func TestMessage_lowersTTL(t *testing.T) {
	c := newChain(t)
	s := *c.sub
	s.to = testNow.Add(77 * time.Second)
	answer := c.sub.set("www.sub.example. 300 IN A 192.0.2.1")
	answer[0].Header().Ttl, answer[1].Header().Ttl = 9000, 9000
	res, _ := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, answer))
	short, _ := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, s.set("www.sub.example. 300 IN A 192.0.2.1")))
	if a, b := res.Answer[0].Set.TTL, short.Answer[0].Set.TTL; a != 300 || b != 77 {
		t.Errorf("%d and %d", a, b)
	}
}

// RFC 4035, Section 2.2: signatures are not signed; ANY has what is there, each part checked.
func TestMessage_rrsigAndAny(t *testing.T) {
	c := newChain(t)
	s := c.sub
	set := s.set("www.sub.example. 300 IN A 192.0.2.1")
	res, _ := c.check(t, response(t, "www.sub.example.", wire.TypeRRSIG, 0, set[1:]))
	if res.Security == dnssec.Secure || res.Security == dnssec.Bogus || len(res.Answer) != 1 {
		t.Errorf("RRSIG: %v with %d", res.Security, len(res.Answer))
	}
	any := response(t, "www.sub.example.", wire.TypeANY, 0, join(set, s.set("www.sub.example. 300 IN MX 1 mail.sub.example.")))
	res, _ = c.check(t, any)
	expect(t, "ANY", res, dnssec.Secure, validate.NoReason)
	res, _ = c.check(t, response(t, "www.sub.example.", wire.TypeANY, 0, join(set, flip(s.set("www.sub.example. 300 IN MX 1 mail.sub.example.")))))
	expect(t, "ANY with a bad part", res, dnssec.Bogus, validate.ReasonBogus)
}
