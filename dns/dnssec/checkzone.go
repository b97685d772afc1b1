package dnssec

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// Options of CheckZone.
type Options struct {
	IgnoreTime bool // signatures count whenever they were or will be valid
	Workers    int  // how many goroutines verify; 0 is the number of CPUs
	// Progress, if set, is called now and then with how many owner names were handed to the workers, of how many. It runs in
	// the goroutine that called CheckZone.
	Progress func(done, total int)
}

// Bounds on a zone that is checked. A zone beyond them is refused or not looked at further.
const (
	// MaxIterations of NSEC3: each name is hashed so often (RFC 9276, Section 3.2; CVE-2023-50868).
	MaxIterations = 100
	// maxKeys of a zone, maxTries of keys with one tag for one signature, maxSignatures over one RRset: their product is
	// what one name can make us compute (CVE-2023-50387, KeyTrap).
	maxKeys       = 64
	maxTries      = 4
	maxSignatures = 32
	// maxChains of NSEC3: a zone has one, two while the salt changes.
	maxChains = 4
	// maxProblems bounds what is reported, so that a zone of a million bad names does not fill memory.
	maxProblems = 1000
	// batchSize is how many names a worker gets at a time.
	batchSize = 64
)

// Denial is how a zone proves that something does not exist.
type Denial string

const (
	DenialNone   Denial = "none"
	DenialNSEC   Denial = "NSEC"
	DenialNSEC3  Denial = "NSEC3"
	DenialOptOut Denial = "NSEC3 with opt-out"
)

// Report is what CheckZone learns of a zone.
type Report struct {
	Signed     bool // the zone has keys and signatures, right or wrong
	Denial     Denial
	Keys       []*Key      // those of the apex that could be read, in order of the RRset
	Algorithms []Algorithm // those that sign the DNSKEY RRset
	Signatures int         // that were verified and count
	Expires    time.Time   // when the first of these ends; zero without any
	Problems   []zone.Problem
}

// CheckZone verifies the signatures of a zone and follows its chains: every authoritative RRset is signed with every
// algorithm that signs the keys (RFC 4035, Section 2.2; RFC 6840, Section 5.11), signatures are valid at now, the chain of
// NSEC (RFC 4035, Section 2.3) or NSEC3 (RFC 5155, Section 7.1) is complete and closed and tells the truth. A zone without
// keys, signatures and chain is unsigned, and right. Problems come in canonical order of their owners, those of NSEC3 chains
// after the others. zone.Check finds what is wrong beside that.
func CheckZone(z *zone.Zone, now time.Time, opts Options) []zone.Problem {
	return Examine(z, now, opts).Problems
}

// Examine is CheckZone and what was learned on the way.
func Examine(z *zone.Zone, now time.Time, opts Options) Report {
	c := &check{z: z, now: now, opts: opts, apex: z.Apex(), report: Report{Denial: DenialNone}}
	if c.opts.Workers <= 0 {
		c.opts.Workers = runtime.GOMAXPROCS(0)
	}
	if c.setUp() {
		c.run()
	}
	return c.report
}

// check is one check; what stands here does not change while the workers run.
type check struct {
	z    *zone.Zone
	now  time.Time
	opts Options
	apex wire.Name

	keys   []*Key         // that may sign
	opaque [256]bool      // algorithms of zone keys that we cannot verify
	active [256]bool      // algorithms that sign the DNSKEY RRset
	nsec   bool           // the apex has NSEC
	chains []*chain       // of NSEC3
	tail   []zone.Problem // of the NSEC3 chains as such

	report Report
}

// setUp reads the apex. It is false where there is nothing more to look at.
func (c *check) setUp() bool {
	n := c.z.ApexNode()
	w := c.worker()
	w.owner = append(w.owner[:0], c.apex...)
	dnskey, hasKeys := n.Set(wire.TypeDNSKEY)
	_, c.nsec = n.Set(wire.TypeNSEC)
	signed := c.hasSigns()
	c.report.Signed = signed && hasKeys
	switch {
	case !hasKeys && signed:
		w.report(zone.Error, "dnskey-missing", "signatures or a chain of NSEC or NSEC3 records, and no DNSKEY records")
	case hasKeys && !signed:
		// Keys may be published before the zone is signed; without a DS record nobody minds.
		w.report(zone.Warn, "unsigned", "DNSKEY records in a zone without signatures")
	case hasKeys:
		c.readKeys(w, dnskey)
		c.findActive(w, dnskey)
		c.childKeys(w, n)
		c.readChains(w)
	}
	c.report.Problems = w.problems
	return c.report.Signed
}

// hasSigns tells whether somebody has signed the zone or tried to.
func (c *check) hasSigns() bool {
	for n := range c.z.All() {
		if n.IsNSEC3() {
			return true
		}
		for s := range n.Sets() {
			switch s.Type() {
			case wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3, wire.TypeNSEC3PARAM:
				return true
			}
		}
	}
	return false
}

// readKeys reads the zone keys of the apex.
func (c *check) readKeys(w *worker, set zone.RRset) {
	usable, unknown := 0, 0
	for it := set.Iter(); it.Next(); {
		r := it.RData()
		if len(c.report.Keys) == maxKeys {
			w.report(zone.Error, "dnskey-many", "more than %d DNSKEY records", maxKeys)
			break
		}
		if r[0]&(FlagZone>>8) == 0 {
			continue
		}
		a := Algorithm(r[3])
		if !a.Supported() {
			c.opaque[a] = true
			unknown++
			w.report(zone.Warn, "dnskey-unsupported", "key %d has algorithm %v, which cannot be verified", KeyTag(r), a)
			continue
		}
		k, err := ParseKey(r)
		if err != nil {
			w.report(zone.Error, "dnskey-malformed", "%v", err)
			continue
		}
		c.advise(w, k)
		usable++
		c.keys, c.report.Keys = append(c.keys, k), append(c.report.Keys, k)
	}
	if usable == 0 && unknown > 0 {
		w.report(zone.Error, "dnskey-unsupported", "no key has an algorithm that can be verified")
	}
	if usable == 0 && unknown == 0 {
		w.report(zone.Error, "dnskey-missing", "no DNSKEY record that may sign the zone")
	}
}

// weakRSABits: below, keys have been factored or soon will be (NIST SP 800-131A; RFC 8301 says the same for mail).
const weakRSABits = 1024

func (c *check) advise(w *worker, k *Key) {
	if s, ok := k.Algorithm.Status(); ok && s.UseSign == MustNot { // RFC 9905, Section 2
		w.report(zone.Warn, "algorithm-deprecated", "key %d has algorithm %v, which must not be used to sign", k.Tag, k.Algorithm)
	}
	if _, isRSA := k.public.(*rsaKey); isRSA && k.Bits() < weakRSABits {
		w.report(zone.Warn, "dnskey-weak", "key %d has %d bits: less than %d can be broken", k.Tag, k.Bits(), weakRSABits)
	}
}

// findActive finds the algorithms that sign the DNSKEY RRset. RFC 6840, Section 5.11: a zone is signed with each algorithm of
// its DNSKEY RRset. A key whose algorithm signs nothing yet, published in advance, is worth a warning only: no validator
// demands its signatures while no DS record names it.
func (c *check) findActive(w *worker, set zone.RRset) {
	sigs, _ := c.z.ApexNode().Sigs(wire.TypeDNSKEY)
	w.load(set)
	for it, i := sigs.Iter(), 0; it.Next() && i < maxSignatures; i++ {
		s, err := ParseSignature(it.RData())
		if err != nil {
			continue
		}
		if c.opaque[s.Algorithm] || w.verify(&s) == nil {
			c.active[s.Algorithm] = true
		}
	}
	for a := range c.active {
		if c.active[a] && !c.opaque[a] {
			c.report.Algorithms = append(c.report.Algorithms, Algorithm(a))
		}
	}
	seen := [256]bool{}
	for _, k := range c.keys {
		if !c.active[k.Algorithm] && !seen[k.Algorithm] && !k.IsRevoked() {
			seen[k.Algorithm] = true
			w.report(zone.Warn, "algorithm-unused", "no valid signature of algorithm %v over the DNSKEY records", k.Algorithm)
		}
	}
}

// run hands the names to the workers and puts together what they found.
func (c *check) run() {
	jobs := make(chan batch, c.opts.Workers)
	done := make(chan found, c.opts.Workers)
	workers := make([]*worker, c.opts.Workers)
	for i := range workers {
		workers[i] = c.worker()
		go workers[i].run(jobs, done)
	}
	all := collect(done, jobs, c.walk)
	for _, w := range workers {
		c.report.Signatures += w.signatures
		if w.signatures > 0 && (c.report.Expires.IsZero() || w.expires.Before(c.report.Expires)) {
			c.report.Expires = w.expires
		}
	}
	slices.SortFunc(all, func(a, b found) int { return a.seq - b.seq })
	problems := c.report.Problems
	complete := true
	for _, f := range all {
		problems = append(problems, f.problems...)
		complete = complete && !f.stopped
	}
	problems = append(problems, c.tail...)
	if complete {
		problems = append(problems, c.orphans(workers)...)
	}
	c.report.Problems = bounded(unique(problems))
}

// bounded keeps the first errors and some of the warnings, and says how much is left out.
func bounded(problems []zone.Problem) []zone.Problem {
	const maxWarnings = maxProblems / 10
	if len(problems) <= maxProblems {
		return problems
	}
	warnings, left := 0, 0
	kept := slices.DeleteFunc(problems, func(p zone.Problem) bool {
		if p.Severity == zone.Warn {
			warnings++
		}
		drop := p.Severity == zone.Warn && warnings > maxWarnings
		if drop {
			left++
		}
		return drop
	})
	if len(kept) > maxProblems {
		left += len(kept) - maxProblems
		kept = kept[:maxProblems]
	}
	return append(kept, zone.Problem{Severity: zone.Warn, Code: "more", Owner: problems[0].Owner,
		Text: fmt.Sprintf("%d more problems, and those that were not looked for", left)})
}

// unique removes repetitions: an empty non-terminal is looked at from several names.
func unique(problems []zone.Problem) []zone.Problem {
	seen := make(map[zone.Problem]bool, len(problems))
	return slices.DeleteFunc(problems, func(p zone.Problem) bool {
		if seen[p] {
			return true
		}
		seen[p] = true
		return false
	})
}
