package dnssec_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/wire"

	"github.com/miekg/dns"
)

// Key tags agree with miekg/dns for any octets (RFC 4034, Appendix B). For algorithm 1 it is the last but two octets of the
// modulus (Appendix B.1 as corrected by erratum 2681).
func TestKeyTag_asMiekg(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		rdata := make([]byte, 8+random.IntN(300))
		for i := range rdata {
			rdata[i] = byte(random.Uint32())
		}
		rdata[3] = []byte{3, 8, 13, 15}[i%4]
		rr := make([]byte, 0, len(rdata)+11)
		rr = append(rr, 0, 0, 48, 0, 1, 0, 0, 0, 0, byte(len(rdata)>>8), byte(len(rdata)))
		parsed, _, err := dns.UnpackRR(append(rr, rdata...), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := dnssec.KeyTag(rdata), parsed.(*dns.DNSKEY).KeyTag(); got != want {
			t.Fatalf("%x: %d, want %d", rdata, got, want)
		}
	}
	if got := dnssec.KeyTag([]byte{1, 0, 3, 1, 1, 3, 9, 9, 9, 0xAB, 0xCD, 0xEF}); got != 0xABCD {
		t.Errorf("algorithm 1: %#x", got)
	}
	if dnssec.KeyTag([]byte{1, 0, 3}) != 0 {
		t.Error("a stump has a tag")
	}
}

// Keys outside of the bounds are refused before anything is computed with them.
func TestParseKey_bounds(t *testing.T) {
	rsa := func(a byte, exponent []byte, bits int) []byte {
		modulus := bytes.Repeat([]byte{0xFF}, (bits+7)/8)
		return append(append([]byte{1, 0, 3, a, byte(len(exponent))}, exponent...), modulus...)
	}
	f4 := []byte{1, 0, 1}
	for _, c := range []struct {
		what  string
		rdata []byte
		want  error
	}{
		{"a usual key", rsa(8, f4, 2048), nil},
		{"the largest modulus", rsa(8, f4, 4096), nil},
		{"a larger modulus (CVE-2006-2940)", rsa(8, f4, 4104), dnssec.ErrKeyLimit},
		{"the smallest modulus", rsa(8, f4, 512), nil},
		{"a smaller modulus", rsa(8, f4, 504), dnssec.ErrKeyLimit},
		{"RSASHA512 below 1024 bits (RFC 5702, Section 2.2)", rsa(10, f4, 1016), dnssec.ErrKeyLimit},
		{"an exponent of 33 bits", rsa(5, []byte{1, 0, 0, 0, 1}, 1024), nil},
		{"an exponent of 36 bits (CVE-2006-2940)", rsa(8, []byte{8, 0, 0, 0, 1}, 1024), dnssec.ErrKeyLimit},
		{"an exponent as long as a modulus", rsa(8, bytes.Repeat([]byte{0xFF}, 200), 2048), dnssec.ErrKeyLimit},
		{"an even exponent", rsa(8, []byte{2}, 1024), dnssec.ErrKey},
		{"exponent 1", rsa(8, []byte{1}, 1024), dnssec.ErrKey},
		{"no exponent", []byte{1, 0, 3, 8, 0, 0, 0, 0xFF}, dnssec.ErrKey},
		{"a long exponent that is cut off", []byte{1, 0, 3, 8, 0, 1}, dnssec.ErrKey},
		{"no modulus", []byte{1, 0, 3, 8, 3, 1, 0, 1}, dnssec.ErrKey},
		{"nothing", []byte{1, 0, 3, 8}, dnssec.ErrKey},
		{"a stump", []byte{1, 0}, dnssec.ErrKey},
		{"another protocol (RFC 4034, Section 2.1.2)", append([]byte{1, 0, 2, 15}, make([]byte, 32)...), dnssec.ErrKey},
		{"a point off the curve", append([]byte{1, 0, 3, 13}, bytes.Repeat([]byte{7}, 64)...), dnssec.ErrKey},
		{"half a point", append([]byte{1, 0, 3, 13}, bytes.Repeat([]byte{7}, 32)...), dnssec.ErrKey},
		{"an SM2 point off the curve", append([]byte{1, 0, 3, 17}, bytes.Repeat([]byte{7}, 64)...), dnssec.ErrKey},
		{"Ed25519 of 31 octets", append([]byte{1, 0, 3, 15}, make([]byte, 31)...), dnssec.ErrKey},
		{"Ed448 of 56 octets", append([]byte{1, 0, 3, 16}, make([]byte, 56)...), dnssec.ErrKey},
		{"DSA", append([]byte{1, 0, 3, 3}, make([]byte, 200)...), dnssec.ErrAlgorithm},
		{"GOST", append([]byte{1, 0, 3, 12}, make([]byte, 64)...), dnssec.ErrAlgorithm},
	} {
		if _, err := dnssec.ParseKey(c.rdata); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

// RFC 4034, Section 3.1.5: times are serial numbers, and both ends count.
func TestSignature_validAt(t *testing.T) {
	at := func(inception, expiration uint32, now int64) error {
		s := dnssec.Signature{Inception: inception, Expiration: expiration}
		return s.ValidAt(time.Unix(now, 0))
	}
	for _, c := range []struct {
		inception, expiration uint32
		now                   int64
		want                  error
	}{
		{1000, 2000, 1500, nil}, {1000, 2000, 1000, nil}, {1000, 2000, 2000, nil},
		{1000, 2000, 2001, dnssec.ErrExpired}, {1000, 2000, 999, dnssec.ErrNotYet},
		{1<<32 - 100, 100, 1 << 32, nil}, // over the end of 32 bits, in 2106
		{1<<32 - 100, 100, 1<<32 + 101, dnssec.ErrExpired},
		{2000, 1000, 1500, dnssec.ErrExpired}, // ends before it begins
	} {
		if err := at(c.inception, c.expiration, c.now); !errors.Is(err, c.want) {
			t.Errorf("%d-%d at %d: %v, want %v", c.inception, c.expiration, c.now, err, c.want)
		}
	}
	s := dnssec.Signature{Expiration: 100}
	if got := s.Expires(time.Unix(1<<32, 0)).Unix(); got != 1<<32+100 {
		t.Errorf("expires %d", got)
	}
}

// A signature over a wildcard covers what is made from it (RFC 4035, Section 5.3.2), in any order and case of the records.
func TestVerify_wildcardAndOrder(t *testing.T) {
	k := newSigner(t, "example.", dns.ECDSAP256SHA256, 256)
	set := rrs(t, "*.W.example. 300 IN MX 10 B.example.", "*.w.example. 300 IN MX 10 a.Example.", "*.w.example. 300 IN MX 2 c.example.")
	sig := packed(t, k.sign(t, set, 1, 1<<31-1))
	parsed, err := dnssec.ParseSignature(sig.rdata)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dnssec.ParseKey(packed(t, k.key).rdata)
	if err != nil {
		t.Fatal(err)
	}
	var v dnssec.Verifier
	verify := func(owner string, order ...int) error {
		s := dnssec.Set{Owner: mustName(t, owner), Class: wire.ClassIN, Type: wire.TypeMX}
		for _, i := range order {
			s.RData = append(s.RData, packed(t, set[i]).rdata)
		}
		return v.Verify(s, &parsed, key)
	}
	for _, owner := range []string{"*.w.example.", "x.w.example.", "Y.x.W.EXAMPLE.", "*.x.w.example."} {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 1, 0, 2}} {
			if err := verify(owner, order...); err != nil {
				t.Errorf("%s %v: %v", owner, order, err)
			}
		}
	}
	if err := verify("x.w.example.", 0, 1); !errors.Is(err, dnssec.ErrBogus) {
		t.Errorf("a record less: %v", err)
	}
	if err := verify("x.v.example.", 0, 1, 2); !errors.Is(err, dnssec.ErrBogus) {
		t.Errorf("another wildcard: %v", err)
	}
	if err := verify("example.", 0, 1, 2); !errors.Is(err, dnssec.ErrMismatch) {
		t.Errorf("more labels than the owner: %v", err)
	}
}
