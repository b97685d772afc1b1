package dnssec

import (
	"maps"
	"strconv"
)

// Algorithm is the number of a signature algorithm (IANA registry "DNS Security Algorithm Numbers").
type Algorithm uint8

// Algorithms that can be verified here.
const (
	RSASHA1          Algorithm = 5
	RSASHA1NSEC3SHA1 Algorithm = 7
	RSASHA256        Algorithm = 8
	RSASHA512        Algorithm = 10
	ECDSAP256SHA256  Algorithm = 13
	ECDSAP384SHA384  Algorithm = 14
	Ed25519          Algorithm = 15
	Ed448            Algorithm = 16
	SM2SM3           Algorithm = 17
)

// Algorithms known by name only.
const (
	RSAMD5       Algorithm = 1
	DSA          Algorithm = 3
	DSANSEC3SHA1 Algorithm = 6
	ECCGOST      Algorithm = 12
	ECCGOST12    Algorithm = 23
	PrivateDNS   Algorithm = 253
	PrivateOID   Algorithm = 254
)

// Advice is a word of RFC 2119 about an algorithm.
type Advice uint8

const (
	MustNot Advice = iota
	NotRecommended
	May
	Recommended
	Must
)

func (a Advice) String() string {
	return [...]string{"MUST NOT", "NOT RECOMMENDED", "MAY", "RECOMMENDED", "MUST"}[a]
}

// Status is what the registry says about an algorithm or a digest type (RFC 9904, Sections 3 and 4).
type Status struct {
	Name                string
	UseSign, UseVerify  Advice // for digests: to delegate, and to validate
	MakeSign, MakeCheck Advice // what an implementation should have
}

// registry as RFC 9904 fills it, changed by RFC 9905 (SHA-1) and RFC 9906 (GOST). RFC 9563 is informational: MAY.
var registry = map[Algorithm]Status{
	RSAMD5:           {"RSAMD5", MustNot, MustNot, MustNot, MustNot},
	DSA:              {"DSA", MustNot, MustNot, MustNot, MustNot},
	RSASHA1:          {"RSASHA1", MustNot, Recommended, NotRecommended, Must},
	DSANSEC3SHA1:     {"DSA-NSEC3-SHA1", MustNot, MustNot, MustNot, MustNot},
	RSASHA1NSEC3SHA1: {"RSASHA1-NSEC3-SHA1", MustNot, Recommended, NotRecommended, Must},
	RSASHA256:        {"RSASHA256", Recommended, Recommended, Must, Must},
	RSASHA512:        {"RSASHA512", NotRecommended, Recommended, NotRecommended, Must},
	ECCGOST:          {"ECC-GOST", MustNot, MustNot, MustNot, MustNot},
	ECDSAP256SHA256:  {"ECDSAP256SHA256", Recommended, Recommended, Must, Must},
	ECDSAP384SHA384:  {"ECDSAP384SHA384", May, Recommended, May, Recommended},
	Ed25519:          {"ED25519", Recommended, Recommended, Recommended, Recommended},
	Ed448:            {"ED448", May, Recommended, May, Recommended},
	SM2SM3:           {"SM2SM3", May, May, May, May},
	ECCGOST12:        {"ECC-GOST12", May, May, May, May},
	PrivateDNS:       {"PRIVATEDNS", May, May, May, May},
	PrivateOID:       {"PRIVATEOID", May, May, May, May},
}

// Registry returns a copy of what is known of each algorithm, for a caller to change: the registry moves faster than
// programs do, and RFC 9905 lets a validator treat algorithms 5 and 7 as insecure.
func Registry() map[Algorithm]Status { return maps.Clone(registry) }

// Status returns the entry of the registry; ok is false for numbers without one.
func (a Algorithm) Status() (s Status, ok bool) {
	s, ok = registry[a]
	return s, ok
}

// Supported tells whether ParseKey can make keys of it.
func (a Algorithm) Supported() bool {
	switch a {
	case RSASHA1, RSASHA1NSEC3SHA1, RSASHA256, RSASHA512, ECDSAP256SHA256, ECDSAP384SHA384, Ed25519, Ed448, SM2SM3:
		return true
	}
	return false
}

func (a Algorithm) String() string {
	if s, ok := registry[a]; ok {
		return s.Name
	}
	return strconv.Itoa(int(a))
}

// DigestType is the number of a DS digest (IANA registry "Digest Algorithms").
type DigestType uint8

const (
	DigestSHA1   DigestType = 1
	DigestSHA256 DigestType = 2
	DigestSHA384 DigestType = 4
	DigestSM3    DigestType = 6
)

// digests as RFC 9904 fills the registry, with RFC 9905 and RFC 9906.
var digests = map[DigestType]Status{
	0:            {"NULL", MustNot, MustNot, MustNot, MustNot}, // in CDS only (RFC 8078, Section 4)
	DigestSHA1:   {"SHA-1", MustNot, Recommended, MustNot, Must},
	DigestSHA256: {"SHA-256", Recommended, Recommended, Must, Must},
	3:            {"GOST R 34.11-94", MustNot, MustNot, MustNot, MustNot},
	DigestSHA384: {"SHA-384", May, Recommended, May, Recommended},
	5:            {"GOST R 34.11-2012", May, May, May, May},
	DigestSM3:    {"SM3", May, May, May, May},
}

// Digests returns a copy of what is known of each digest type.
func Digests() map[DigestType]Status { return maps.Clone(digests) }

// Supported tells whether AppendDigest can compute it.
func (d DigestType) Supported() bool { return d.size() > 0 }

func (d DigestType) String() string {
	if s, ok := digests[d]; ok {
		return s.Name
	}
	return strconv.Itoa(int(d))
}
