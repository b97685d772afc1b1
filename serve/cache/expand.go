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
	d := &c.denials
	d.mu.RLock()
	p := d.closest(name)
	if p == nil {
		d.mu.RUnlock()
		return nil, false
	}
	g := gathering{p: p, now: at, hashes: denial.Hashes{Left: denyHashes}}
	if !g.nsec(name) {
		g.nsec3(name)
	}
	zone := p.zone
	d.mu.RUnlock()
	if len(g.sets) == 0 {
		return nil, false
	}
	for labels := name.Labels() - 1; labels >= zone.Labels(); labels-- {
		source, ok := c.wildcard(denial.Ancestor(name, labels), q.Type, now)
		if !ok {
			continue
		}
		if denial.NewProof(zone, g.sets, maxIterations, &g.hashes).NoCloser(name, labels) != denial.Proven {
			return nil, false
		}
		set := source.Set.Copy()
		set.Name = bytes.Clone(q.Name)
		return &Answer{Question: q, Security: dnssec.Secure, Reason: noReason, Answer: []*message.RRset{set}, Authority: g.sets,
			Stored: int64(at), Expires: min(source.Expires, int64(g.ends))}, true
	}
	return nil, false
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
