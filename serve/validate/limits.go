package validate

import "anyu/dns/denial"

// Bounds on the work for one RRset or one zone. What is beyond them is not looked at.
const (
	// maxSignatures of an RRset (CVE-2023-50387, KeyTrap; SigJam: many signatures of one key). Unbound has 8.
	maxSignatures = 8
	// maxSameTag keys of a zone with one tag and algorithm are tried for a signature (KeyTrap; LockCram: many keys for one
	// signature). Tags of honest keys meet once in 65,536; PowerDNS tries 2.
	maxSameTag = 4
	// maxKeys of a DNSKEY RRset are kept (LockCram).
	maxKeys = 64
	// maxDS of a delegation or trust anchor are compared with keys (HashTrap: many DS records times many keys). PowerDNS has 8.
	maxDS = 8
	// maxAnySets of an answer to ANY are validated, the others left out (RFC 8482, Section 4.1 allows a subset). Unbound has 24.
	maxAnySets = 24
	// maxExtraSets of authority and of additional, each, are validated beside what the answer needs: a padded message makes no work.
	maxExtraSets = 8
	// maxSigners different signers of an RRset are looked for.
	maxSigners = 2
	// maxZones different zones' proofs in one message are tried.
	maxZones = 2
	// maxRetries of one DS or DNSKEY question, at other servers, after a bogus answer. Unbound's val-max-restart is 5.
	maxRetries = 3
	// maxText octets of an explanation (RFC 8914, Section 2: it shares the message with the answer).
	maxText = 240
	// maxSteps lines of a trace.
	maxSteps = 400
)

// Seconds that what is learned of a zone is kept at most.
const (
	maxKeySeconds   = 86400
	maxBogusSeconds = 60 // the owner repairs, and should not wait for us (RFC 4035, Section 4.7)
	maxFetchSeconds = 5  // a failure to fetch is the network's (RFC 9520, Section 3.2: at least 1 s)
)

// Limits are what one client query may cost, all sub-queries together (CVE-2026-50045: counters that a restart reset).
type Limits struct {
	// Signatures are checked at most, good ones included: a chain of 11 aliases through zones never seen needs about 90.
	Signatures int
	// Failures are signatures that do not verify (KeyTrap). BIND gives up after 1, PowerDNS counts 30 with the good ones.
	Failures int
	// Hashes of NSEC3 that are computed (CVE-2023-50868): at 50 iterations about a millisecond. PowerDNS has 600.
	Hashes int
	// Digests of keys that are compared with DS records (HashTrap).
	Digests int
	// Fetches of DS and DNSKEY.
	Fetches int
}

// DefaultLimits are those of a client query.
func DefaultLimits() Limits {
	return Limits{Signatures: 128, Failures: 16, Hashes: 256, Digests: 128, Fetches: 96}
}

// Budget is what is left of the limits of one client query. It is for one goroutine at a time.
type Budget struct {
	Signatures, Failures, Digests, Fetches int
	Hashes                                 denial.Hashes
	Trace                                  bool // collect Steps
}

// Whole tells whether nothing was taken from it.
func (b *Budget) Whole() bool {
	full := *DefaultLimits().Budget()
	full.Trace = b.Trace
	return *b == full
}

// Budget makes the budget of a new client query.
func (l Limits) Budget() *Budget {
	return &Budget{Signatures: l.Signatures, Failures: l.Failures, Digests: l.Digests, Fetches: l.Fetches, Hashes: denial.Hashes{Left: l.Hashes}}
}
