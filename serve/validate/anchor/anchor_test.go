package anchor_test

import (
	"crypto"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyu/dns/message"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"

	"github.com/miekg/dns"
)

const day = 86400

// ksk is a key of the test zone, with its private half.
type ksk struct {
	rr   *dns.DNSKEY
	priv crypto.Signer
}

func newKey(t testing.TB, flags uint16) *ksk {
	t.Helper()
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: "example.com.", Rrtype: dns.TypeDNSKEY, Class: 1, Ttl: 10800}, Flags: flags, Protocol: 3,
		Algorithm: dns.ECDSAP256SHA256}
	priv, err := k.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	return &ksk{k, priv.(crypto.Signer)}
}

// revoked is the same key with the REVOKE bit.
func (k *ksk) revoked() *ksk {
	c := *k.rr
	c.Flags |= dns.REVOKE
	return &ksk{&c, k.priv}
}

// probe is the DNSKEY RRset of some keys, signed by some, at a time.
func probe(t testing.TB, at int64, keys, signers []*ksk) *message.RRset {
	t.Helper()
	var set []dns.RR
	for _, k := range keys {
		set = append(set, k.rr)
	}
	m := new(dns.Msg)
	m.SetQuestion("example.com.", dns.TypeDNSKEY)
	m.Answer = set
	for _, k := range signers {
		sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: "example.com.", Rrtype: dns.TypeRRSIG, Class: 1, Ttl: 10800}, Algorithm: k.rr.Algorithm,
			KeyTag: k.rr.KeyTag(), SignerName: "example.com.", Inception: uint32(at - day), Expiration: uint32(at + 20*day), OrigTtl: 10800}
		if err := sig.Sign(k.priv, set); err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, sig)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := message.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Answer[0]
}

// states is what a point holds, as "tag STATE seen" in order of the tags' names in names.
func states(p *anchor.Point, names map[uint16]string) string {
	var parts []string
	for _, k := range p.Keys {
		parts = append(parts, fmt.Sprintf("%s %v %d", names[tagOf(k.Data)], k.State, k.Seen))
	}
	return strings.Join(parts, ", ")
}

func tagOf(d []byte) uint16 {
	var sum uint32
	for i, b := range d {
		if i&1 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16)
}

// RFC 5011, Section 4.1: each row is a probe; the states are those after it, read back from the file that was written.
func TestPoint_followsTheTable(t *testing.T) {
	a, b, z := newKey(t, 257), newKey(t, 257), newKey(t, 256)
	ra := a.revoked()
	names := map[uint16]string{a.rr.KeyTag(): "a", b.rr.KeyTag(): "b", z.rr.KeyTag(): "zsk", ra.rr.KeyTag(): "a-revoked"}
	type row struct {
		days          int64
		keys, signers []*ksk
		want          string
		next          int64 // seconds to the next probe
	}
	both := []*ksk{a, b}
	for name, rows := range map[string][]row{
		"a new key waits for 30 days": {
			{0, []*ksk{a, z}, []*ksk{a}, "a VALID 0", 5400},
			{1, []*ksk{a, b, z}, []*ksk{a}, "a VALID 0, b ADDPEND 1", 5400},
			{10, both, []*ksk{a}, "a VALID 0, b ADDPEND 2", 5400},
			{30, both, []*ksk{a}, "a VALID 0, b ADDPEND 3", 5400},
			{31, both, []*ksk{a}, "a VALID 0, b VALID 0", 5400},
		},
		"seen once and long ago is not enough": {
			{0, []*ksk{a}, []*ksk{a}, "a VALID 0", 5400},
			{1, both, []*ksk{a}, "a VALID 0, b ADDPEND 1", 5400},
			{40, both, []*ksk{a}, "a VALID 0, b VALID 0", 5400},
		},
		"a new key that goes starts anew": {
			{0, []*ksk{a}, []*ksk{a}, "a VALID 0", 5400},
			{1, both, []*ksk{a}, "a VALID 0, b ADDPEND 1", 5400},
			{20, []*ksk{a}, []*ksk{a}, "a VALID 0", 5400},
			{32, both, []*ksk{a}, "a VALID 0, b ADDPEND 1", 5400},
		},
		"a new key cannot sign": {
			{0, []*ksk{a}, []*ksk{a}, "a VALID 0", 5400},
			{1, both, []*ksk{a}, "a VALID 0, b ADDPEND 1", 5400},
			{10, both, []*ksk{b}, "a VALID 0, b ADDPEND 1", 3600},
		},
		"a new key that has waited may sign alone": {
			{0, []*ksk{a}, []*ksk{a}, "a VALID 0", 5400},
			{1, both, []*ksk{a}, "a VALID 0, b ADDPEND 1", 5400},
			{10, both, []*ksk{a}, "a VALID 0, b ADDPEND 2", 5400},
			{31, []*ksk{b}, []*ksk{b}, "a MISSING 0, b VALID 0", 5400},
		},
		"a key that is gone is missing, and forgotten after a year": {
			{0, both, []*ksk{a}, "a VALID 0, b VALID 0", 5400},
			{1, []*ksk{b}, []*ksk{b}, "a MISSING 0, b VALID 0", 5400},
			{2, both, []*ksk{a}, "a VALID 0, b VALID 0", 5400},
			{3, []*ksk{b}, []*ksk{b}, "a MISSING 0, b VALID 0", 5400},
			{368, []*ksk{b}, []*ksk{b}, "a MISSING 0, b VALID 0", 5400},
			{370, []*ksk{b}, []*ksk{b}, "b VALID 0", 5400},
		},
		"a revoked key is given up, and forgotten after 30 days": {
			{0, both, both, "a VALID 0, b VALID 0", 5400},
			{1, []*ksk{ra, b}, []*ksk{ra, b}, "a-revoked REVOKED 0, b VALID 0", 5400},
			{30, []*ksk{ra, b}, []*ksk{ra, b}, "a-revoked REVOKED 0, b VALID 0", 5400},
			{31, []*ksk{b}, []*ksk{b}, "b VALID 0", 5400},
		},
		"a revocation that the key has not signed is none": {
			{0, both, both, "a VALID 0, b VALID 0", 5400},
			{1, []*ksk{ra, b}, []*ksk{b}, "a MISSING 0, b VALID 0", 5400},
		},
		"the last key revoked ends it": {
			{0, []*ksk{a}, []*ksk{a}, "a VALID 0", 5400},
			{1, []*ksk{ra}, []*ksk{ra}, "a-revoked REVOKED 0", -1},
			{50, []*ksk{b}, []*ksk{b}, "a-revoked REVOKED 0", -1},
		},
		"no answer": {
			{0, []*ksk{a}, []*ksk{a}, "a VALID 0", 5400},
			{1, nil, nil, "a VALID 0", 3600},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := validate.New(validate.Config{})
			p, err := anchor.Parse(a.rr.String() + "\n")
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range rows {
				at := 1251100000 + r.days*day
				var set *message.RRset
				if r.keys != nil {
					set = probe(t, at, r.keys, r.signers)
				}
				p.Observe(at*int64(time.Second), set, v)
				if p, err = anchor.Parse(p.Text()); err != nil {
					t.Fatalf("probe %d: %v", i, err)
				}
				if got := states(p, names); got != r.want {
					t.Fatalf("probe %d: %s, want %s", i, got, r.want)
				}
				if next := p.NextProbe - at; next != r.next && (r.next >= 0 || p.NextProbe != 0) {
					t.Errorf("probe %d: the next is in %d s, want %d", i, next, r.next)
				}
			}
		})
	}
}

// RFC 5011, Section 2.4.1 with DS records and a zone-signing key as what an operator wrote down.
func TestPoint_startsFromDSAndZSK(t *testing.T) {
	a, z := newKey(t, 257), newKey(t, 256)
	signed := z.rr.String() + "\nexample.com. 10800 IN RRSIG DNSKEY 13 2 10800 20300101000000 20200101000000 1 example.com. AAAA"
	for name, text := range map[string]string{"DS": a.rr.ToDS(dns.SHA256).String(), "ZSK": z.rr.String(), "with a signature": signed} {
		p, err := anchor.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := p.Observe(1251100000e9, probe(t, 1251100000, []*ksk{a, z}, []*ksk{a, z}), validate.New(validate.Config{}))
		if list := p.Anchors(); !changed || err != nil || len(p.Keys) != 1 || p.Keys[0].State != anchor.Valid || len(list) != 1 || tagOf(list[0].Data) != a.rr.KeyTag() {
			t.Errorf("%s: %v, %v, %+v", name, changed, err, p.Keys)
		}
	}
}

// A file of Unbound's is read with its states.
func TestParse_readsStates(t *testing.T) {
	a := newKey(t, 257)
	line := strings.Join(strings.Fields(a.rr.String()), " ")
	p, err := anchor.Parse("; a comment\n;;id: example.com. 1\n;;last_queried: 1258962400 ;;Mon Nov 23 08:46:40 2009\n;;query_failed: 2\n" +
		line + " ;{id = 1 (ksk), size = 256b} ;;state=3 [ MISSING ] ;;count=0 ;;lastchange=1258962400 ;;Mon Nov 23 08:46:40 2009\n")
	if err != nil || len(p.Keys) != 1 || p.Keys[0].State != anchor.Missing || p.Keys[0].Changed != 1258962400 || p.LastQueried != 1258962400 || p.Failed != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, text := range []string{"", "example.com. A 192.0.2.1", line + " ;;state=9", line + "\nexample.net." + strings.TrimPrefix(line, "example.com."), "nonsense"} {
		if _, err := anchor.Parse(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

// FuzzParse: what is read can be written and read again with the same states.
func FuzzParse(f *testing.F) {
	f.Add(newKey(f, 257).rr.String() + " ;;state=2 [  VALID  ] ;;count=0 ;;lastchange=7")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := anchor.Parse(text)
		if err != nil {
			return
		}
		q, err := anchor.Parse(p.Text())
		if err != nil || q.Text() != p.Text() {
			t.Errorf("%v\n%s", err, p.Text())
		}
	})
}
