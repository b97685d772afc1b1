package dnssec_test

import (
	"cmp"
	"crypto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// signer signs with miekg/dns, whose canonical form is not ours.
type signer struct {
	key     *dns.DNSKEY
	private crypto.Signer
}

func newSigner(t testing.TB, zone string, algorithm uint8, flags uint16) *signer {
	t.Helper()
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: flags, Protocol: 3, Algorithm: algorithm}
	bits := map[uint8]int{dns.RSASHA256: 1024, dns.RSASHA1: 1024, dns.RSASHA512: 1024, dns.ECDSAP384SHA384: 384}[algorithm]
	private, err := k.Generate(cmp.Or(bits, 256))
	if err != nil {
		t.Fatal(err)
	}
	return &signer{k, private.(crypto.Signer)}
}

func (s *signer) sign(t testing.TB, set []dns.RR, inception, expiration uint32) *dns.RRSIG {
	t.Helper()
	h := set[0].Header()
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: h.Ttl}, KeyTag: s.key.KeyTag(),
		SignerName: s.key.Hdr.Name, Algorithm: s.key.Algorithm, Inception: inception, Expiration: expiration}
	if err := sig.Sign(s.private, set); err != nil {
		t.Fatal(err)
	}
	return sig
}

func rrs(t testing.TB, lines ...string) (list []dns.RR) {
	t.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, rr)
	}
	return list
}

// draft is a zone in the making: records that may be changed, then signed.
type draft struct {
	zone    string
	records []dns.RR
	signers []*signer
}

var (
	signedFrom  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	signedUntil = time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
	signedNow   = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
)

func newDraft(t testing.TB, zone, text string, signers ...*signer) *draft {
	t.Helper()
	d := &draft{zone: zone, signers: signers}
	p := dns.NewZoneParser(strings.NewReader(text), zone, "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		d.records = append(d.records, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range signers {
		d.records = append(d.records, s.key)
	}
	return d
}

// text signs every RRset but those that not names ("owner TYPE") with each signer, and writes the zone.
func (d *draft) text(t testing.TB, not ...string) string {
	t.Helper()
	var out strings.Builder
	sets := map[string][]dns.RR{}
	for _, rr := range d.records {
		out.WriteString(rr.String() + "\n")
		if rr.Header().Rrtype != dns.TypeRRSIG {
			name := strings.ToLower(rr.Header().Name) + " " + dns.TypeToString[rr.Header().Rrtype]
			sets[name] = append(sets[name], rr)
		}
	}
	for name, set := range sets {
		if slices.Contains(not, name) {
			continue
		}
		for _, s := range d.signers {
			out.WriteString(s.sign(t, set, uint32(signedFrom.Unix()), uint32(signedUntil.Unix())).String() + "\n")
		}
	}
	return out.String()
}

// replace changes the text of the one record that contains old.
func (d *draft) replace(t testing.TB, old, with string) {
	t.Helper()
	i := d.find(t, old)
	d.records[i] = rrs(t, strings.Replace(spaced(d.records[i]), old, with, 1))[0]
}

// drop removes the one record that contains text.
func (d *draft) drop(t testing.TB, text string) {
	t.Helper()
	i := d.find(t, text)
	d.records = slices.Delete(d.records, i, i+1)
}

func (d *draft) add(t testing.TB, lines ...string) {
	d.records = append(d.records, rrs(t, lines...)...)
}

func (d *draft) find(t testing.TB, text string) int {
	t.Helper()
	found := -1
	for i, rr := range d.records {
		if strings.Contains(spaced(rr), text) {
			if found >= 0 {
				t.Fatalf("%q is in several records", text)
			}
			found = i
		}
	}
	if found < 0 {
		t.Fatalf("%q is in no record", text)
	}
	return found
}

// spaced is a record with single spaces.
func spaced(rr dns.RR) string { return strings.Join(strings.Fields(rr.String()), " ") }
