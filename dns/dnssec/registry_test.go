package dnssec_test

import (
	"fmt"
	"testing"

	"anyu/dns/dnssec"
)

// Source: RFC 9904, Table 2 (read here as its last draft, draft-ietf-dnsop-rfc8624-bis-11, from the working group's repository
// ietf-wg-dnsop/draft-ietf-dnsop-algorithm-update), with what changed it since. RFC 9905: `set the "Use for DNSSEC Signing" column ... to MUST NOT
// for the RSASHA1 (5) and RSASHA1-NSEC3-SHA1 (7) algorithms. All other columns should remain`. RFC 9906 sets all four columns of ECC-GOST to MUST NOT.
// Columns: use for signing, use for validation, implement for signing, implement for validation.
var algorithms9904 = map[dnssec.Algorithm]string{
	1:   "MUST NOT, MUST NOT, MUST NOT, MUST NOT",
	3:   "MUST NOT, MUST NOT, MUST NOT, MUST NOT",
	5:   "MUST NOT, RECOMMENDED, NOT RECOMMENDED, MUST",
	6:   "MUST NOT, MUST NOT, MUST NOT, MUST NOT",
	7:   "MUST NOT, RECOMMENDED, NOT RECOMMENDED, MUST",
	8:   "RECOMMENDED, RECOMMENDED, MUST, MUST",
	10:  "NOT RECOMMENDED, RECOMMENDED, NOT RECOMMENDED, MUST",
	12:  "MUST NOT, MUST NOT, MUST NOT, MUST NOT",
	13:  "RECOMMENDED, RECOMMENDED, MUST, MUST",
	14:  "MAY, RECOMMENDED, MAY, RECOMMENDED",
	15:  "RECOMMENDED, RECOMMENDED, RECOMMENDED, RECOMMENDED",
	16:  "MAY, RECOMMENDED, MAY, RECOMMENDED",
	17:  "MAY, MAY, MAY, MAY",
	23:  "MAY, MAY, MAY, MAY",
	253: "MAY, MAY, MAY, MAY",
	254: "MAY, MAY, MAY, MAY",
}

// Source: RFC 9904, Table 3, as above; RFC 9905 sets `the "Use for DNSSEC Delegation" field ... for SHA-1 (1) to MUST NOT`, which it is; RFC 9906 sets all
// columns of GOST R 34.11-94 to MUST NOT. Columns: use for delegation, use for validation, implement for delegation, implement for validation.
var digests9904 = map[dnssec.DigestType]string{
	0: "MUST NOT, MUST NOT, MUST NOT, MUST NOT",
	1: "MUST NOT, RECOMMENDED, MUST NOT, MUST",
	2: "RECOMMENDED, RECOMMENDED, MUST, MUST",
	3: "MUST NOT, MUST NOT, MUST NOT, MUST NOT",
	4: "MAY, RECOMMENDED, MAY, RECOMMENDED",
	5: "MAY, MAY, MAY, MAY",
	6: "MAY, MAY, MAY, MAY",
}

func columns(s dnssec.Status) string {
	return fmt.Sprintf("%s, %s, %s, %s", s.UseSign, s.UseVerify, s.MakeSign, s.MakeCheck)
}

// RFC 9904, Section 3: the registry has these numbers and no others, and each has what the registry says.
func TestRegistry_isThatOfRFC9904(t *testing.T) {
	registry := dnssec.Registry()
	for n := range 256 {
		a := dnssec.Algorithm(n)
		s, known := registry[a]
		want, listed := algorithms9904[a]
		if known != listed || known && columns(s) != want {
			t.Errorf("algorithm %d: %q, RFC 9904 has %q", n, columns(s), want)
		}
		// What a validator must be able to check, it can. What it must not use, it cannot.
		if s.MakeCheck >= dnssec.Recommended && !a.Supported() || known && s.UseVerify == dnssec.MustNot && a.Supported() {
			t.Errorf("algorithm %d: %s to implement, %s to use, and supported is %v", n, s.MakeCheck, s.UseVerify, a.Supported())
		}
		// RFC 9904, Section 2.2: MUST is no value of the columns about use.
		if s.UseSign == dnssec.Must || s.UseVerify == dnssec.Must {
			t.Errorf("algorithm %d: nobody must use it", n)
		}
	}
}

// RFC 9904, Section 4.
func TestDigests_areThoseOfRFC9904(t *testing.T) {
	digests := dnssec.Digests()
	for n := range 256 {
		d := dnssec.DigestType(n)
		s, known := digests[d]
		want, listed := digests9904[d]
		if known != listed || known && columns(s) != want {
			t.Errorf("digest type %d: %q, RFC 9904 has %q", n, columns(s), want)
		}
		if s.MakeCheck >= dnssec.Recommended && !d.Supported() || known && s.UseVerify == dnssec.MustNot && d.Supported() {
			t.Errorf("digest type %d: %s to implement, %s to use, and supported is %v", n, s.MakeCheck, s.UseVerify, d.Supported())
		}
	}
}
