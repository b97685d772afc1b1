package validate_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/serve/validate"

	"github.com/miekg/dns"
)

// testNow is a day in the validity of what signer signs.
var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// signer is a zone that can sign. What it makes is signed by a library that is not ours.
type signer struct {
	t    testing.TB
	name string
	key  *dns.DNSKEY
	priv crypto.Signer
	from time.Time
	to   time.Time
}

func newSigner(t testing.TB, name string) *signer {
	t.Helper()
	return newSignerOf(t, name, dns.ECDSAP256SHA256, 256)
}

func newSignerOf(t testing.TB, name string, algorithm uint8, bits int) *signer {
	t.Helper()
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: 1, Ttl: 3600}, Flags: 257, Protocol: 3, Algorithm: algorithm}
	priv, err := k.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t, name, k, priv.(crypto.Signer), testNow.Add(-24 * time.Hour), testNow.Add(24 * time.Hour)}
}

// fixedSigner has the same key in each run: the processes of a fuzzer must agree on it.
func fixedSigner(t testing.TB, name string) *signer {
	seed := sha256.Sum256([]byte(name))
	priv := ed25519.NewKeyFromSeed(seed[:])
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: 1, Ttl: 3600}, Flags: 257, Protocol: 3, Algorithm: dns.ED25519,
		PublicKey: base64.StdEncoding.EncodeToString(priv.Public().(ed25519.PublicKey))}
	return &signer{t, name, k, priv, testNow.Add(-24 * time.Hour), testNow.Add(24 * time.Hour)}
}

// set reads records, one a line, and signs them as one RRset.
func (s *signer) set(lines ...string) []dns.RR {
	s.t.Helper()
	var set []dns.RR
	for _, line := range lines {
		set = append(set, parseRR(s.t, line))
	}
	return append(set, s.sign(set, -1))
}

// sign signs an RRset; labels, if not negative, says the Labels field, as the expansion of a wildcard has it.
func (s *signer) sign(set []dns.RR, labels int) *dns.RRSIG {
	s.t.Helper()
	h := set[0].Header()
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: 1, Ttl: h.Ttl}, Algorithm: s.key.Algorithm,
		KeyTag: s.key.KeyTag(), SignerName: s.name, Inception: uint32(s.from.Unix()), Expiration: uint32(s.to.Unix()), OrigTtl: h.Ttl}
	if labels >= 0 {
		// The signature is that of the wildcard, under the name it was made for.
		made := make([]dns.RR, len(set))
		for i, rr := range set {
			made[i] = dns.Copy(rr)
			made[i].Header().Name = wildcardName(h.Name, labels)
		}
		set = made
	}
	if err := sig.Sign(s.priv, set); err != nil {
		s.t.Fatal(err)
	}
	sig.Hdr.Name = h.Name
	return sig
}

func wildcardName(name string, labels int) string {
	parts := dns.SplitDomainName(name)
	return dns.Fqdn("*." + strings.Join(parts[len(parts)-labels:], "."))
}

// expanded signs records as made from a wildcard of so many labels.
func (s *signer) expanded(labels int, lines ...string) []dns.RR {
	s.t.Helper()
	var set []dns.RR
	for _, line := range lines {
		set = append(set, parseRR(s.t, line))
	}
	return append(set, s.sign(set, labels))
}

func (s *signer) keySet() []dns.RR { return append([]dns.RR{s.key}, s.sign([]dns.RR{s.key}, -1)) }

func (s *signer) ds(digest uint8) string { return s.key.ToDS(digest).String() }

func (s *signer) soa() []dns.RR {
	return s.set(s.name + " 300 IN SOA ns. host. 1 2 3 4 60")
}

// nsec3 makes a signed NSEC3 record whose owner is the hash of name; it covers up to just before the hash of name, or one hash behind
// where short.
func (s *signer) nsec3(name string, iterations, flags int, next string, types string) []dns.RR {
	s.t.Helper()
	return s.set(fmt.Sprintf("%s.%s 300 IN NSEC3 1 %d %d aabb %s %s", hash3(s.t, name, iterations), strings.TrimPrefix(s.name, "."), flags, iterations, next, types))
}

// hash3 hashes a name anew, not with the code under test.
func hash3(t testing.TB, name string, iterations int) string {
	t.Helper()
	salt, _ := hex.DecodeString("aabb")
	b := mustName(t, strings.ToLower(name))
	sum := sha1.Sum(append(append([]byte{}, b...), salt...))
	for range iterations {
		sum = sha1.Sum(append(sum[:], salt...))
	}
	return strings.ToLower(base32.HexEncoding.EncodeToString(sum[:]))
}

// cover3 is the owner and the next hash of a span around the hash of a name.
func (s *signer) cover3(name string, iterations, flags int) []dns.RR {
	s.t.Helper()
	h := hash3(s.t, name, iterations)
	return s.set(fmt.Sprintf("%s.%s 300 IN NSEC3 1 %d %d aabb %s A RRSIG", step(h, -1), strings.TrimPrefix(s.name, "."), flags, iterations, step(h, 1)))
}

// step is the hash just before or behind.
func step(h string, by int) string {
	b, _ := base32.HexEncoding.DecodeString(strings.ToUpper(h))
	for i := len(b) - 1; i >= 0; i-- {
		b[i] += byte(by)
		if by > 0 && b[i] != 0 || by < 0 && b[i] != 0xFF {
			break
		}
	}
	return strings.ToLower(base32.HexEncoding.EncodeToString(b))
}

// chain is a world of three zones: the root, example., sub.example., each signed, and the unsigned plain.example.
type chain struct {
	world
	root, example, sub *signer
}

func newChain(t testing.TB) *chain {
	t.Helper()
	c := &chain{root: fixedSigner(t, "."), example: fixedSigner(t, "example."), sub: fixedSigner(t, "sub.example.")}
	c.add(response(t, ".", wire.TypeDNSKEY, 0, c.root.keySet()))
	c.add(response(t, "example.", wire.TypeDNSKEY, 0, c.example.keySet()))
	c.add(response(t, "sub.example.", wire.TypeDNSKEY, 0, c.sub.keySet()))
	c.add(response(t, "example.", wire.TypeDS, 0, c.root.set(c.example.ds(dns.SHA256))))
	c.add(response(t, "sub.example.", wire.TypeDS, 0, c.example.set(c.sub.ds(dns.SHA256))))
	c.add(response(t, "plain.example.", wire.TypeDS, 0, nil, join(c.example.soa(), c.example.set("plain.example. 300 IN NSEC sub.example. NS RRSIG NSEC"))))
	for _, name := range []string{"www.sub.example.", "b.sub.example."} {
		c.add(response(t, name, wire.TypeDS, 0, nil, join(c.sub.soa(), c.sub.set(name+" 300 IN NSEC x.sub.example. A RRSIG NSEC"))))
	}
	return c
}

func join(sets ...[]dns.RR) (list []dns.RR) {
	for _, s := range sets {
		list = append(list, s...)
	}
	return list
}

func (c *chain) config(t testing.TB) validate.Config {
	return validate.Config{Anchors: anchors(t, c.root.ds(dns.SHA256))}
}

// check validates with a new validator, and gives the result and what is left of the budget.
func (c *chain) check(t testing.TB, r *validate.Response) (validate.Result, *validate.Budget) {
	t.Helper()
	b := validate.DefaultLimits().Budget()
	return validate.New(c.config(t)).Message(nanos(testNow), r, c, b), b
}

// expect compares security and reason.
func expect(t testing.TB, what string, res validate.Result, security dnssec.Security, reason uint16) {
	t.Helper()
	if res.Security != security || res.Reason != reason {
		t.Errorf("%s: %v %d (%s), want %v %d", what, res.Security, res.Reason, res.Text, security, reason)
	}
	if res.Security == dnssec.Secure {
		for _, list := range [][]validate.Checked{res.Answer, res.Authority, res.Additional} {
			for _, ch := range list {
				if ch.Security != dnssec.Secure {
					t.Errorf("%s: %v in a secure answer is %v", what, ch.Set, ch.Security)
				}
			}
		}
	} else if res.Text == "" {
		t.Errorf("%s: no explanation", what)
	}
}

func owners(list []validate.Checked) string {
	var parts []string
	for _, ch := range list {
		parts = append(parts, fmt.Sprintf("%v/%v", ch.Set.Name, ch.Set.Type))
	}
	return strings.Join(parts, " ")
}

// flip changes one octet of the last signature of a list.
func flip(rrs []dns.RR) []dns.RR {
	for i, rr := range rrs {
		if sig, ok := rr.(*dns.RRSIG); ok {
			bad := *sig
			b := []byte(bad.Signature)
			at := rand.IntN(len(b)-8) + 2
			if b[at] == 'A' {
				b[at] = 'B'
			} else {
				b[at] = 'A'
			}
			bad.Signature = string(b)
			rrs[i] = &bad
		}
	}
	return rrs
}
