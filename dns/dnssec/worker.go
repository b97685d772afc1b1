package dnssec

import (
	"errors"
	"fmt"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// worker looks at names, one batch after another.
type worker struct {
	c        *check
	problems []zone.Problem
	owner    wire.Name // of the name being looked at
	room     []byte

	verifier Verifier
	set      Set // being verified

	matched    [][]uint64 // beginnings of the hashes that were found, by chain
	signatures int
	expires    time.Time
}

func (c *check) worker() *worker {
	return &worker{c: c, matched: make([][]uint64, len(c.chains)), set: Set{Class: c.z.Class()}}
}

func (w *worker) run(jobs <-chan batch, done chan<- found) {
	for b := range jobs {
		w.problems = nil
		for _, it := range b.items {
			w.look(it)
		}
		done <- found{seq: b.seq, problems: w.problems}
	}
}

func (w *worker) report(s zone.Severity, code, format string, args ...any) {
	w.problems = append(w.problems, zone.Problem{Severity: s, Code: code, Owner: w.owner.String(), Text: fmt.Sprintf(format, args...)})
}

func (w *worker) look(it item) {
	if it.kind == empty {
		w.owner = wire.AppendNameOfKey(w.owner[:0], it.key, w.c.apex)
		w.hashes(it)
		return
	}
	w.owner = it.node.AppendOwner(w.owner[:0], w.c.apex)
	for s := range it.node.Sets() {
		switch {
		case s.Type() == wire.TypeRRSIG:
			w.stray(it, s)
		case it.kind.signs(s.Type()):
			w.signed(it.node, s)
		}
	}
	if it.kind == hashed {
		return
	}
	w.nsec(it)
	if it.kind != occluded && !it.bare {
		w.hashes(it)
	}
}

// signs tells whether an RRset at a name of this kind is authoritative and so to be signed (RFC 4035, Section 2.2).
func (k kind) signs(t wire.Type) bool {
	switch k {
	case occluded:
		return false
	case cut:
		return t == wire.TypeDS || t == wire.TypeNSEC
	}
	return true
}

// stray reports signatures over what must not be signed or is not there.
func (w *worker) stray(it item, sigs zone.RRset) {
	t := sigs.Covered()
	if t == wire.TypeRRSIG { // RFC 4035, Section 2.2
		w.report(zone.Error, "rrsig-signed", "a signature over RRSIG records")
		return
	}
	if _, ok := it.node.Set(t); !ok {
		w.report(zone.Error, "rrsig-orphan", "a signature over %v records that are not there", t)
		return
	}
	if !it.kind.signs(t) { // RFC 4035, Section 2.2: neither delegation NS nor glue is signed
		w.report(zone.Error, "rrsig-not-authoritative", "a signature over %v records, for which the zone is not authoritative", t)
	}
}

// load makes s the set that verify looks at.
func (w *worker) load(s zone.RRset) {
	w.set.Owner, w.set.Type, w.set.RData = w.owner, s.Type(), w.set.RData[:0]
	for it := s.Iter(); it.Next(); {
		w.set.RData = append(w.set.RData, it.RData())
	}
}

// signed checks the signatures over an authoritative RRset.
func (w *worker) signed(n zone.Node, s zone.RRset) {
	t := s.Type()
	sigs, ok := n.Sigs(t)
	if !ok {
		w.report(zone.Error, "rrsig-missing", "the %v records have no signature", t)
		return
	}
	w.load(s)
	var good [256]bool
	var faults []fault
	for it, i := sigs.Iter(), 0; it.Next(); i++ {
		if i == maxSignatures {
			w.report(zone.Error, "rrsig-many", "more than %d signatures over the %v records", maxSignatures, t)
			break
		}
		a, f := w.signature(s, it.RData())
		if f.code == "" {
			good[a] = true
			continue
		}
		faults = append(faults, f)
	}
	w.judge(t, &good, faults)
}

// fault is what is wrong with one signature.
type fault struct {
	algorithm Algorithm
	code      string
	text      string
}

// judge reports the faults: one that leaves the RRset without a signature of an algorithm is an error, another a warning,
// as a validator takes any signature that counts (RFC 4035, Section 5.3.3).
func (w *worker) judge(t wire.Type, good *[256]bool, faults []fault) {
	any := false
	for a := range good {
		any = any || good[a]
	}
	var faulty [256]bool
	for _, f := range faults {
		severity := zone.Error
		if good[f.algorithm] || any && !w.c.active[f.algorithm] {
			severity = zone.Warn
		}
		faulty[f.algorithm] = true
		w.report(severity, f.code, "%v records: %s", t, f.text)
	}
	for a := range w.c.active {
		if w.c.active[a] && !good[a] && !faulty[a] {
			w.report(zone.Error, "rrsig-algorithm", "the %v records have no signature of algorithm %v", t, Algorithm(a))
		}
	}
}

// signature checks one signature over the loaded set. The fault has no code where the signature counts, or may count as far
// as we can tell.
func (w *worker) signature(s zone.RRset, rdata []byte) (Algorithm, fault) {
	sig, err := ParseSignature(rdata)
	if err != nil {
		return 0, fault{0, "rrsig-malformed", err.Error()}
	}
	no := func(code, format string, args ...any) (Algorithm, fault) {
		return sig.Algorithm, fault{sig.Algorithm, code, fmt.Sprintf(format, args...)}
	}
	switch {
	case !sig.Signer.Equal(w.c.apex): // RFC 4035, Section 2.2
		return no("rrsig-signer", "a signature by %v: only the zone may sign", sig.Signer)
	case int(sig.Labels) != LabelsOf(w.owner): // RFC 4034, Section 3.1.3
		return no("rrsig-labels", "the signature is for an owner of %d labels", sig.Labels)
	}
	if s.TTL() != sig.OriginalTTL { // RFC 4035, Section 2.2; a lower one is what a cache shows, a higher one is cut down
		w.report(zone.Warn, "rrsig-ttl", "the %v records have TTL %d and were signed with %d", s.Type(), s.TTL(), sig.OriginalTTL)
	}
	if w.c.opaque[sig.Algorithm] {
		return sig.Algorithm, fault{}
	}
	if err := w.verify(&sig); errors.Is(err, ErrMismatch) {
		return no("rrsig-key", "key %d of algorithm %v is not in the zone, or may not sign", sig.Tag, sig.Algorithm)
	} else if err != nil {
		return no("rrsig-bogus", "the signature with key %d of algorithm %v does not verify", sig.Tag, sig.Algorithm)
	}
	if !w.c.opts.IgnoreTime {
		switch err := sig.ValidAt(w.c.now); {
		case errors.Is(err, ErrExpired):
			return no("rrsig-expired", "the signature with key %d expired at %s", sig.Tag, sig.Expires(w.c.now).Format(time.RFC3339))
		case err != nil:
			return no("rrsig-not-yet", "the signature with key %d is valid from %s only", sig.Tag, sig.Begins(w.c.now).Format(time.RFC3339))
		}
	}
	if e := sig.Expires(w.c.now); w.signatures == 0 || e.Before(w.expires) {
		w.expires = e
	}
	w.signatures++
	return sig.Algorithm, fault{}
}

// verify tries the keys that a signature names on the loaded set.
func (w *worker) verify(sig *Signature) error {
	result, tries := ErrMismatch, 0
	for _, k := range w.c.keys {
		if k.Tag != sig.Tag || k.Algorithm != sig.Algorithm || k.IsRevoked() && w.set.Type != wire.TypeDNSKEY {
			continue
		}
		if tries++; tries > maxTries {
			break
		}
		switch err := w.verifier.Verify(w.set, sig, k); {
		case err == nil:
			return nil
		case errors.Is(err, ErrBogus):
			result = err
		}
	}
	return result
}
