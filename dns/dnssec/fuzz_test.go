package dnssec_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/dns/zone"

	"github.com/miekg/dns"
)

// FuzzVerify: any octets as key, signature and data are refused or used, without a panic and in bounded time.
func FuzzVerify(f *testing.F) {
	for _, a := range []uint8{dns.RSASHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519} {
		s := newSigner(f, "example.", a, 257)
		set := rrs(f, "a.example. 60 IN TXT x")
		f.Add(packed(f, s.key).rdata, packed(f, s.sign(f, set, 1, 2)).rdata, []byte("\x01a\x07example\x00"), []byte("\x01x"))
	}
	f.Add(append([]byte{1, 0, 3, 16}, make([]byte, 57)...), make([]byte, 140), []byte{0}, []byte{1, 'x'})
	f.Add(append([]byte{1, 0, 3, 17}, make([]byte, 64)...), make([]byte, 90), []byte{0}, []byte{1, 'x'})
	f.Fuzz(func(t *testing.T, key, signature, owner, rdata []byte) {
		dnssec.KeyTag(key)
		k, err := dnssec.ParseKey(key)
		if err != nil {
			return
		}
		if k.Bits() < 256 || k.Bits() > 4096 {
			t.Errorf("a key of %d bits", k.Bits())
		}
		s, err := dnssec.ParseSignature(signature)
		if err != nil || wire.ValidName(owner) != nil {
			return
		}
		// Make the fields fit, so that the mathematics is reached.
		s.Algorithm, s.Tag = k.Algorithm, k.Tag
		set := dnssec.Set{Owner: owner, Class: wire.ClassIN, Type: s.Covered, RData: [][]byte{rdata, rdata}}
		if wire.CheckRData(s.Covered, rdata) != nil {
			return
		}
		var v dnssec.Verifier
		first := v.Verify(set, &s, k)
		if second := v.Verify(set, &s, k); (first == nil) != (second == nil) {
			t.Errorf("%v, and then %v", first, second)
		}
	})
}

// FuzzCheckZone: a signed zone with anything changed is checked without a panic, with the same result however many workers
// look.
func FuzzCheckZone(f *testing.F) {
	key := newSigner(f, "example.", dns.ED25519, 257)
	f.Add(newDraft(f, "example.", nsecZone, key).text(f, notSigned...))
	d := newDraft(f, "example.", nsec3Base, key)
	d.add(f, chainOf(nsec3Names, 1, "AB")...)
	d.add(f, chainOf(nsec3Names, 0, "-")...)
	f.Add(d.text(f, nsec3NotSigned...))
	f.Fuzz(func(t *testing.T, text string) {
		z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: wire.Name("\x07example\x00"), File: "fuzz", Workers: 1,
			Open: func(name string) (io.ReadCloser, error) {
				if name != "fuzz" {
					return nil, io.ErrUnexpectedEOF
				}
				return io.NopCloser(strings.NewReader(text)), nil
			}})
		if err != nil {
			return
		}
		one := dnssec.CheckZone(z, signedNow, dnssec.Options{Workers: 1})
		two := dnssec.CheckZone(z, signedNow, dnssec.Options{Workers: 2})
		if len(one) != len(two) {
			t.Errorf("one worker finds %v, two find %v", one, two)
		}
	})
}
