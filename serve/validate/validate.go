// Package validate tells of an answer whether it is what the owner of the zone has signed (RFC 4035, Section 5, as amended by RFC
// 4509, 5155, 6840, 9276, 9824 and 9905).
//
// It promises: Message gives each RRset of one answer its security; what is bogus or insecure for a cause has the code of RFC 8914
// and a text that names zone, key tag, algorithm and dates. It asks for the DS and DNSKEY RRsets that it needs, from the nearest
// trust anchor down; what it learns of zones is kept in a bounded table shared by all goroutines. All work is counted against the
// Budget of the client's query: signatures, hashes and fetches, failing and good ones (see limits.go).
//
// It refuses to resolve, to decide what a client is told, and to keep answers: those are the resolver's and the cache's. It starts no
// goroutine and reads no clock.
//
// Limits today: class IN only; an answer to the question RRSIG is never secure (RFC 4035, Section 2.2: nothing signs signatures);
// DSA and both GOST algorithms are unsupported.
package validate

import (
	"sync/atomic"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Source gets what the validator has to ask. Fetch resolves a question without validating the answer and blocks until it is there.
type Source interface {
	Fetch(q message.Question) (*Response, error)
}

// Retrier is what a Source may be as well: Retry fetches anew, from other servers than those that gave the bogus answer (servers.md
// 5.2, case 57).
type Retrier interface {
	Retry(q message.Question, why string) (*Response, error)
}

// Response is one link: the answer to its question without what a CNAME or DNAME leads to. Its RRsets are not changed.
type Response struct {
	Question                      message.Question
	Rcode                         wire.Rcode
	Answer, Authority, Additional []*message.RRset
}

// Checked is an RRset with what is known of it. The TTL of a secure one is no more than the signature allows (RFC 4035, Section
// 5.3.3).
type Checked struct {
	Set      *message.RRset
	Security dnssec.Security
	Wildcard wire.Name // the source of synthesis where a secure set is the expansion of a wildcard (RFC 4592, Section 3.3.1)
}

// Denial is proof for aggressive use (RFC 8198): secure NSEC and NSEC3 RRsets of one zone, and its SOA where the answer has it.
type Denial struct {
	Zone wire.Name
	SOA  *message.RRset
	Sets []*message.RRset
}

// Result is what Message tells.
type Result struct {
	Security dnssec.Security
	Rcode    wire.Rcode // of the response, but NoError where NXDOMAIN was claimed and only the absence of data is proved
	Reason   uint16     // INFO-CODE of RFC 8914, or NoReason
	Text     string     // for operators
	// The sections. Those of a secure result hold secure RRsets only (RFC 4035, Section 3.2.3); a CNAME made from a DNAME counts as
	// secure with it.
	Answer, Authority, Additional []Checked
	Denial                        Denial
	Chain                         bool     // the keys of a zone are at fault: another server's answer would not help
	Spent                         bool     // the Budget did not suffice: this says nothing about the data
	Steps                         []string // what was done, where Budget.Trace asks for it
}

// Validator validates. It is safe for concurrent use.
type Validator struct {
	settings atomic.Pointer[settings]
	keys     *keyTable
	verified verifiedTable
}

// New makes a validator. Anchors that cannot be read are left out; Anchor.Check tells which.
func New(c Config) *Validator {
	v := &Validator{keys: newKeyTable(c.KeyEntries)}
	v.settings.Store(newSettings(c))
	return v
}

// Configure changes the settings. What was learned of zones under the old ones is forgotten.
func (v *Validator) Configure(c Config) {
	v.settings.Store(newSettings(c))
	v.keys.flush(wire.Root(), true)
}

// Flush forgets what is known of the keys of a zone, and of those below it.
func (v *Validator) Flush(name wire.Name, subtree bool) int { return v.keys.flush(name, subtree) }

// Message validates a response at a time, in nanoseconds since 1970.
func (v *Validator) Message(now int64, r *Response, src Source, b *Budget) Result {
	c := newCall(v, now, src, b)
	c.step("validating the answer to %v, %v", r.Question, r.Rcode)
	res := c.message(r)
	if c.spent && res.Security != dnssec.Secure {
		res.Security, res.Reason = dnssec.Bogus, ReasonIndeterminate
		res.Text = c.spentText
		c.mark(&res, r, dnssec.Bogus)
		res.Spent = true
	}
	c.step("%v %s", res.Security, res.Text)
	res.Steps = c.steps
	return res
}

// message decides what kind of answer it is.
func (c *call) message(r *Response) Result {
	q := r.Question
	switch {
	case q.Class != wire.ClassIN || q.Type == wire.TypeRRSIG:
		return c.unchecked(r, "nothing signs answers of this kind")
	case r.Rcode == wire.YXDomain || r.Rcode == wire.NoError || r.Rcode == wire.NXDomain:
	default:
		bare := *r
		bare.Answer = nil
		return c.unchecked(&bare, "nothing signs an error")
	}
	if n := c.s.nearest(ownerSide(q.Name, q.Type), c.seconds); n.negative != nil {
		return c.whole(r, verdict{security: dnssec.Insecure, reason: NoReason, text: n.text()})
	}
	if dname := dnameAbove(r.Answer, q.Name); dname != nil {
		return c.alias(r, dname)
	}
	if q.Type == wire.TypeANY {
		if sets := setsAt(r.Answer, q.Name); len(sets) > 0 {
			return c.any(r, sets)
		}
		return c.negative(r)
	}
	set := message.Find(r.Answer, q.Name, q.Type)
	if set == nil {
		set = message.Find(r.Answer, q.Name, wire.TypeCNAME)
	}
	if set == nil {
		return c.negative(r)
	}
	return c.positive(r, set)
}

// unchecked passes on what cannot be secure.
func (c *call) unchecked(r *Response, text string) Result {
	return c.whole(r, verdict{security: dnssec.Indeterminate, reason: NoReason, text: text})
}

// whole gives all RRsets of a response the same security.
func (c *call) whole(r *Response, v verdict) Result {
	res := Result{Security: v.security, Rcode: r.Rcode, Reason: v.reason, Text: v.text, Chain: v.chain}
	c.mark(&res, r, v.security)
	return res
}

func (c *call) mark(res *Result, r *Response, s dnssec.Security) {
	all := func(sets []*message.RRset) (list []Checked) {
		for _, set := range sets {
			list = append(list, Checked{Set: set, Security: s})
		}
		return list
	}
	res.Answer, res.Authority, res.Additional, res.Denial = all(r.Answer), all(r.Authority), all(r.Additional), Denial{}
}
