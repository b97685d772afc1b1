package validate_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/validate"

	"github.com/miekg/dns"
)

// sameTag makes RSA keys that nobody can sign with, each with the tag wanted: two octets of the modulus are chosen to make it so.
func sameTag(t testing.TB, name string, tag uint16, n int) (keys []*dns.DNSKEY) {
	t.Helper()
	for seed := uint64(1); len(keys) < n; seed++ {
		r := rand.New(rand.NewPCG(seed, 7))
		material := []byte{3, 1, 0, 1}
		for range 128 {
			material = append(material, byte(r.Uint32()))
		}
		material[4] |= 0x80
		material[len(material)-1] |= 1
		k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: 1, Ttl: 3600}, Flags: 256, Protocol: 3, Algorithm: 8}
		for v := range 1 << 16 {
			binary.BigEndian.PutUint16(material[20:], uint16(v))
			rdata := append([]byte{1, 0, 3, 8}, material...)
			if dnssec.KeyTag(rdata) == tag {
				k.PublicKey = base64.StdEncoding.EncodeToString(material)
				keys = append(keys, k)
				break
			}
		}
	}
	return keys
}

// garbage makes signatures of a key that do not verify, each another.
func garbage(s *signer, set []dns.RR, tag uint16, algorithm uint8, n int) (list []dns.RR) {
	h := set[0].Header()
	for i := range n {
		octets := make([]byte, 128)
		binary.BigEndian.PutUint64(octets, uint64(i)+1)
		list = append(list, &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: 1, Ttl: 300}, TypeCovered: h.Rrtype, Algorithm: algorithm,
			Labels: uint8(dns.CountLabel(h.Name)), OrigTtl: 300, Expiration: uint32(s.to.Unix()), Inception: uint32(s.from.Unix()), KeyTag: tag, SignerName: s.name,
			Signature: base64.StdEncoding.EncodeToString(octets)})
	}
	return list
}

// spent is what a message has cost.
type spent struct{ signatures, failures, hashes, digests, fetches int }

func cost(b *validate.Budget) spent {
	l := validate.DefaultLimits()
	return spent{l.Signatures - b.Signatures, l.Failures - b.Failures, l.Hashes - b.Hashes.Left, l.Digests - b.Digests, l.Fetches - b.Fetches}
}

func within(t *testing.T, what string, got, limit spent) {
	t.Helper()
	t.Logf("%s: %+v", what, got)
	if got.signatures > limit.signatures || got.failures > limit.failures || got.hashes > limit.hashes || got.digests > limit.digests || got.fetches > limit.fetches {
		t.Errorf("%s: cost %+v, limit %+v", what, got, limit)
	}
}

// KeyTrap and its kin (CVE-2023-50387): the zone of an attacker, validly signed, makes as much work as it can. The bounds are counts of
// operations, for one client query.
func TestMessage_boundsWork(t *testing.T) {
	const host = "www.sub.example. 300 IN A 192.0.2.1"
	a := []dns.RR{parseRR(t, host)}
	limits := validate.DefaultLimits()
	const chainCost = 5 // good signatures: keys of three zones, two DS RRsets

	t.Run("KeyTrap: keys of one tag, many signatures", func(t *testing.T) {
		c := newChain(t)
		c.setKeys(t, sameTag(t, "sub.example.", 4242, 40))
		res, b := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, join(a, garbage(c.sub, a, 4242, 8, 200))))
		expect(t, "KeyTrap", res, dnssec.Bogus, validate.ReasonIndeterminate)
		within(t, "KeyTrap", cost(b), spent{chainCost + limits.Failures, limits.Failures, 0, 4, 5})
	})
	t.Run("SigJam: one key, many signatures", func(t *testing.T) {
		c := newChain(t)
		res, b := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, join(a, garbage(c.sub, a, c.sub.key.KeyTag(), c.sub.key.Algorithm, 300))))
		expect(t, "SigJam", res, dnssec.Bogus, validate.ReasonBogus)
		within(t, "SigJam", cost(b), spent{chainCost + 8, 8, 0, 4, 5})
	})
	t.Run("LockCram: many keys, one signature", func(t *testing.T) {
		c := newChain(t)
		c.setKeys(t, sameTag(t, "sub.example.", 4242, 60))
		res, b := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, join(a, garbage(c.sub, a, 4242, 8, 1))))
		expect(t, "LockCram", res, dnssec.Bogus, validate.ReasonBogus)
		within(t, "LockCram", cost(b), spent{chainCost + 4, 4, 0, 4, 5})
	})
	t.Run("HashTrap: many DS records times many keys", func(t *testing.T) {
		c := newChain(t)
		c.setKeys(t, sameTag(t, "sub.example.", 4242, 40))
		var ds []string
		for i := range 60 {
			ds = append(ds, fmt.Sprintf("sub.example. 300 IN DS 4242 8 2 %064x", i))
		}
		c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(ds...)))
		res, b := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set(host)))
		expect(t, "HashTrap", res, dnssec.Bogus, validate.ReasonNoKey)
		within(t, "HashTrap", cost(b), spent{chainCost, 0, 0, 8*4 + 2, 5})
	})
	t.Run("ANY with many RRsets", func(t *testing.T) {
		c := newChain(t)
		var all []dns.RR
		for i := range 100 {
			all = append(all, c.sub.set(fmt.Sprintf(`www.sub.example. 300 IN TYPE%d \# 1 00`, 65280+i))...)
		}
		res, b := c.check(t, response(t, "www.sub.example.", wire.TypeANY, 0, all))
		expect(t, "ANY", res, dnssec.Secure, validate.NoReason)
		within(t, "ANY", cost(b), spent{chainCost + 24, 0, 0, 4, 5})
		if len(res.Answer) != 24 {
			t.Errorf("%d RRsets", len(res.Answer))
		}
	})
	t.Run("a padded additional section", func(t *testing.T) {
		c := newChain(t)
		var extra []dns.RR
		for i := range 100 {
			extra = append(extra, c.sub.set(fmt.Sprintf("x%d.sub.example. 300 IN A 192.0.2.1", i))...)
		}
		res, b := c.check(t, response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set(host), nil, extra))
		expect(t, "padding", res, dnssec.Secure, validate.NoReason)
		within(t, "padding", cost(b), spent{chainCost + 1 + 8, 0, 0, 4, 5})
	})
	t.Run("what one query has used up stays used up", func(t *testing.T) { // CVE-2026-50045
		c := newChain(t)
		v, b := validate.New(c.config(t)), limits.Budget()
		bad := response(t, "www.sub.example.", wire.TypeA, 0, join(a, garbage(c.sub, a, c.sub.key.KeyTag(), c.sub.key.Algorithm, 8)))
		for range 50 {
			v.Message(nanos(testNow), bad, c, b)
		}
		within(t, "again and again", cost(b), spent{chainCost + limits.Failures, limits.Failures, 0, 4, 5})
		// What came of it was this query's own: another is answered.
		res := v.Message(nanos(testNow), response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set(host)), c, limits.Budget())
		expect(t, "another query", res, dnssec.Secure, validate.NoReason)
	})
}

// NSEC3 CPU (CVE-2023-50868): a name of 120 labels in a zone with 50 iterations; and a message padded with records.
func TestMessage_boundsHashes(t *testing.T) {
	c := newChain(t)
	s := c.sub
	long := strings.Repeat("a.", 120) + "sub.example."
	denial := join(s.soa(), s.nsec3("sub.example.", 50, 0, step(hash3(t, "sub.example.", 50), 1), "NS SOA"), s.cover3("a.sub.example.", 50, 0), s.cover3("*.sub.example.", 50, 0))
	res, b := c.check(t, response(t, long, wire.TypeA, 3, nil, denial))
	expect(t, "long name", res, dnssec.Secure, validate.NoReason)
	within(t, "long name", cost(b), spent{20, 0, 130, 4, 5})

	v, budget := validate.New(c.config(t)), validate.DefaultLimits().Budget()
	for i := range 10 {
		res = v.Message(nanos(testNow), response(t, fmt.Sprintf("b%d.", i)+long[2:], wire.TypeA, 3, nil, denial), c, budget)
	}
	expect(t, "many long names", res, dnssec.Bogus, validate.ReasonIndeterminate)
	within(t, "many long names", cost(budget), spent{80, 0, validate.DefaultLimits().Hashes, 4, 5})

	var padded []dns.RR
	for i := range 60 {
		padded = append(padded, s.cover3(fmt.Sprintf("x%d.sub.example.", i), 50, 0)...)
	}
	res, b = c.check(t, response(t, "q.sub.example.", wire.TypeA, 3, nil, join(s.soa(), padded)))
	expect(t, "padded", res, dnssec.Bogus, validate.ReasonBogus)
	within(t, "padded", cost(b), spent{5 + 8, 0, 10, 4, 5})
}

// A name of many labels in a signed zone that does not answer for DS: the walk ends with the fetches.
func TestMessage_boundsFetches(t *testing.T) {
	c := newChain(t)
	name := strings.Repeat("a.", 110) + "sub.example."
	src := &endless{c: c, t: t}
	b := validate.DefaultLimits().Budget()
	res := validate.New(c.config(t)).Message(nanos(testNow), response(t, name, wire.TypeA, 0, []dns.RR{parseRR(t, name+" 300 IN A 192.0.2.1")}), src, b)
	expect(t, "a long walk", res, dnssec.Bogus, validate.ReasonIndeterminate)
	if l := validate.DefaultLimits(); src.asked > l.Fetches {
		t.Errorf("%d fetches, at most %d", src.asked, l.Fetches)
	}
}

// endless proves of each name that it is there and no cut.
type endless struct {
	c     *chain
	t     testing.TB
	asked int
}

func (e *endless) Fetch(q message.Question) (*validate.Response, error) {
	e.asked++
	if r, err := e.c.Fetch(q); err == nil {
		return r, nil
	}
	return response(e.t, q.Name.String(), q.Type, 0, nil, join(e.c.sub.soa(), e.c.sub.set(q.Name.String()+" 300 IN NSEC zz.sub.example. A RRSIG NSEC"))), nil
}

// setKeys adds keys to the zone sub.example., signed with its own.
func (c *chain) setKeys(t testing.TB, more []*dns.DNSKEY) {
	t.Helper()
	set := []dns.RR{c.sub.key}
	for _, k := range more {
		set = append(set, k)
	}
	c.add(response(t, "sub.example.", wire.TypeDNSKEY, 0, append(set, c.sub.sign(set, -1))))
}

// A bogus key set is tried again after a minute at most (RFC 4035, Section 4.7), a failure to fetch sooner.
func TestMessage_forgetsBogusKeys(t *testing.T) {
	for _, test := range []struct {
		what   string
		spoil  func(c *chain)
		before time.Duration
		after  time.Duration
	}{
		{"bogus", func(c *chain) { c.add(response(t, "sub.example.", wire.TypeDNSKEY, 0, flip(c.sub.keySet()))) }, 59 * time.Second, 60 * time.Second},
		{"silent", func(c *chain) { delete(c.answers, "sub.example. dnskey") }, 4 * time.Second, 5 * time.Second},
	} {
		c := newChain(t)
		good := c.answers["sub.example. dnskey"]
		test.spoil(c)
		v := validate.New(c.config(t))
		r := response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set("www.sub.example. 300 IN A 192.0.2.1"))
		ask := func(after time.Duration) dnssec.Security {
			return v.Message(nanos(testNow.Add(after)), r, c, validate.DefaultLimits().Budget()).Security
		}
		first := ask(0)
		c.add(good)
		if before, after := ask(test.before), ask(test.after); first != dnssec.Bogus || before != dnssec.Bogus || after != dnssec.Secure {
			t.Errorf("%s: %v, %v, %v", test.what, first, before, after)
		}
	}
}
