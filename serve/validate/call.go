package validate

import (
	"fmt"
	"time"

	"anyu/dns/denial"
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// call is one Message at work.
type call struct {
	v        *Validator
	s        *settings
	under    *settings // which the validator had when the call began: what is learned counts under these
	epoch    uint64    // of the table of keys, then
	src      Source
	b        *Budget
	seconds  int64     // now
	date     time.Time // at which signatures are judged
	verifier dnssec.Verifier
	room     []byte  // for sums
	seen     []*zone // of this call: what has TTL 0 is good for as long
	retries  int
	// spent tells that the budget ended and spentText which part: what is said then is not kept for others.
	spent     bool
	spentText string
	steps     []string
}

func newCall(v *Validator, now int64, src Source, b *Budget) *call {
	epoch := v.keys.epoch.Load()
	s := v.settings.Load()
	c := &call{v: v, s: s, under: s, epoch: epoch, src: src, b: b, seconds: now / int64(time.Second), retries: maxRetries}
	c.date = time.Unix(c.seconds, 0)
	if c.s.Date > 0 {
		c.date = time.Unix(c.s.Date, 0)
	}
	return c
}

func (c *call) step(format string, args ...any) {
	if c.b.Trace && len(c.steps) < maxSteps {
		c.steps = append(c.steps, fmt.Sprintf(format, args...))
	}
}

// exhausted notes that a part of the budget is used up.
func (c *call) exhausted(what string) verdict {
	c.spent = true
	if c.spentText == "" {
		c.spentText = "validation stopped: the query has used up its " + what
	}
	return verdict{security: dnssec.Bogus, reason: ReasonIndeterminate, text: c.spentText}
}

// iterations is the highest count of NSEC3 iterations that is computed for a zone.
func (c *call) iterations(z *zone) int {
	for _, l := range c.s.Iterations {
		if z.bits <= l.KeyBits {
			return l.Iterations
		}
	}
	if n := len(c.s.Iterations); n > 0 {
		return c.s.Iterations[n-1].Iterations
	}
	return denial.DefaultIterations
}

// ownerSide is the name whose zone has a type: a DS RRset is the parent's (RFC 4035, Section 3.1.4.1).
func ownerSide(name wire.Name, t wire.Type) wire.Name {
	if t == wire.TypeDS {
		return name.Parent()
	}
	return name
}

// dnameAbove finds a DNAME above a name.
func dnameAbove(sets []*message.RRset, name wire.Name) *message.RRset {
	for _, s := range sets {
		if s.Type == wire.TypeDNAME && len(s.Name) < len(name) && name.IsSubdomainOf(s.Name) {
			return s
		}
	}
	return nil
}

// setsAt are the RRsets of a name, signatures left out.
func setsAt(sets []*message.RRset, name wire.Name) (list []*message.RRset) {
	for _, s := range sets {
		if s.Type != wire.TypeRRSIG && s.Name.Equal(name) {
			list = append(list, s)
		}
	}
	return list
}
