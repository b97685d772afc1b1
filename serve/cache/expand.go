package cache

import (
	"bytes"

	"anyu/dns/denial"
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Expand answers a question from a wildcard held, where proofs held say that no closer name exists (RFC 8198, Section 5.3). The answer is
// Secure and carries the proof. Whether the question should be answered so is the caller's to know.
func (c *Cache) Expand(q message.Question, now int64) (*Answer, bool) {
	if q.Class != wire.ClassIN || q.Type == wire.TypeDS || q.Type == wire.TypeNS || q.Type == wire.TypeANY {
		return nil, false
	}
	at := seconds(now)
	var room [wire.MaxName]byte
	name := wire.Name(q.Name.AppendLower(room[:0]))
	for labels := name.Labels() - 1; labels >= 0; labels-- {
		source, ok := c.wildcard(denial.Ancestor(name, labels), q.Type, now)
		if !ok {
			continue
		}
		sets, ends := c.noCloser(name, labels, at)
		if sets == nil {
			return nil, false
		}
		set := source.Set.Copy()
		set.Name = bytes.Clone(q.Name)
		return &Answer{Question: q, Security: dnssec.Secure, Reason: noReason, Answer: []*message.RRset{set}, Authority: sets,
			Stored: int64(at), Expires: min(source.Expires, int64(ends))}, true
	}
	return nil, false
}

// noCloser gives the records held that prove that nothing below the ancestor with so many labels matches a name, and when the first of
// them ends; nil: there are none.
func (c *Cache) noCloser(name wire.Name, labels int, at uint32) ([]*message.RRset, uint32) {
	d := &c.denials
	d.mu.RLock()
	defer d.mu.RUnlock()
	p := d.closest(name)
	if p == nil || labels < p.zone.Labels() {
		return nil, 0
	}
	g := gathering{p: p, now: at, hashes: denial.Hashes{Left: denyHashes}}
	if !g.nsec(name) {
		g.sets, g.ends = nil, 0
		if key, ok := g.key(denial.Ancestor(name, labels+1)); ok { // RFC 5155, Section 8.8: the next closer name is covered
			g.before(key)
		}
	}
	if len(g.sets) == 0 || denial.NewProof(p.zone, g.sets, maxIterations, &g.hashes).NoCloser(name, labels) != denial.Proven {
		return nil, 0
	}
	return g.sets, g.ends
}

// wildcard is what is held of the wildcard below a name: the records of a type, or its CNAME.
func (c *Cache) wildcard(encloser wire.Name, t wire.Type, now int64) (Entry, bool) {
	owner, fits := denial.Wildcard(encloser)
	if !fits {
		return Entry{}, false
	}
	e, ok := c.RRset(owner, t, now)
	if !ok {
		e, ok = c.RRset(owner, wire.TypeCNAME, now)
	}
	return e, ok && e.Security == dnssec.Secure
}
