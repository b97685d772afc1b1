package cache

import (
	"anyu/dns/denial"
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Deny answers a question from proofs held: the name does not exist, or has no such data (RFC 8198, Sections 5.1 to 5.3). The answer is Secure and
// carries the SOA and the records that prove it. Answers are not made from wildcards (Section 5.4), nor from spans with opt-out, where
// an unsigned delegation may be.
//
// Whether the question should be answered so (a stub or forward zone below, CD set) is the caller's to know.
func (c *Cache) Deny(q message.Question, now int64) (*Answer, bool) {
	if q.Class != wire.ClassIN {
		return nil, false
	}
	at := seconds(now)
	var room [wire.MaxName]byte
	name := wire.Name(q.Name.AppendLower(room[:0]))
	zone := name
	if q.Type == wire.TypeDS {
		// RFC 4035, Section 3.1.4.1: DS is the parent's data.
		zone = name.Parent()
	}
	d := &c.denials
	d.mu.RLock()
	p := d.closest(zone)
	if p == nil || p.soaEnds <= at {
		d.mu.RUnlock()
		return nil, false
	}
	soa, ok := readProof(p.soa, p.zone)
	g := gathering{p: p, now: at, hashes: denial.Hashes{Left: denyHashes}}
	if ok && len(soa.Data) == 1 {
		g.life = min(soa.TTL, message.SOAMinimum(soa.Data[0]), c.config.Load().MaxNegativeTTL)
	}
	if !g.nsec(name) {
		g.nsec3(name)
	}
	soaEnds, owner := p.soaEnds, p.zone
	d.mu.RUnlock()
	if !ok || len(g.sets) == 0 {
		return nil, false
	}
	proof := denial.NewProof(owner, g.sets, maxIterations, &g.hashes)
	a := &Answer{Question: q, Security: dnssec.Secure, Reason: noReason, Stored: int64(at), Expires: int64(min(g.ends, soaEnds))}
	switch {
	case proof.NoName(name) == denial.Proven:
		a.Rcode = wire.NXDomain
	case proof.NoData(name, q.Type) == denial.Proven:
	default:
		return nil, false
	}
	// RFC 8198, Section 5.4: the answer lives as long as the shortest of what it is made from.
	soa.TTL = uint32(a.Expires - a.Stored)
	a.Authority = append(a.Authority, soa)
	a.Authority = append(a.Authority, g.sets...)
	return a, true
}

func readProof(data []byte, zone wire.Name) (*message.RRset, bool) {
	r := reader{b: append([]byte(nil), data...)}
	set := r.set(zone)
	return set, !r.bad
}

// gathering collects the records that may prove something about one name; whether they do is for package denial to say.
type gathering struct {
	p      *proofs
	now    uint32
	life   uint32 // that the zone's records were kept for at most; 0: not known
	hashes denial.Hashes
	sets   []*message.RRset
	ends   uint32
}

// before takes the record at a key or the last one before it. RFC 4034, Section 2.1: the chain is a ring, but no name of a zone is before its apex; of NSEC3
// the last one covers what is before the first.
func (g *gathering) before(key []byte) *message.RRset {
	i, held := g.p.search(key)
	if !held {
		i--
	}
	if i < 0 || !g.chained(i, key[0]) {
		if key[0] != chainNSEC3 || len(g.p.refs) == 0 || !g.chained(len(g.p.refs)-1, chainNSEC3) {
			return nil
		}
		i = len(g.p.refs) - 1
	}
	return g.take(i)
}

func (g *gathering) chained(i int, chain byte) bool {
	k, _, _ := g.p.at(g.p.refs[i])
	return k[0] == chain
}

// take adds a record once.
func (g *gathering) take(i int) *message.RRset {
	_, data, expires := g.p.at(g.p.refs[i])
	if expires <= g.now {
		return nil
	}
	set, ok := readProof(data, g.p.zone)
	if !ok {
		return nil
	}
	for _, s := range g.sets {
		if s.Name.Equal(set.Name) {
			return s
		}
	}
	if len(g.sets) == 0 || expires < g.ends {
		g.ends = expires
	}
	// RFC 1034, Section 3.6: what is handed on has aged here.
	if kept, left := min(set.TTL, g.life), expires-g.now; kept > left {
		set.TTL -= kept - left
	}
	g.sets = append(g.sets, set)
	return set
}

// nsec gathers the record at or before a name and, if that covers it, the one of the wildcard (RFC 4035, Section 3.1.3.2).
func (g *gathering) nsec(name wire.Name) bool {
	var room [2*wire.MaxName + 1]byte
	set := g.before(wire.AppendKey(append(room[:0], chainNSEC), name, g.p.zone))
	if set == nil {
		return false
	}
	n, ok := denial.ReadNSEC(set, g.p.zone)
	switch {
	case !ok:
		return false
	case n.Matches(name):
		return true
	case !n.NoName(name):
		return n.NoType(name, wire.TypeNULL) // an empty non-terminal
	}
	if w, fits := denial.Wildcard(denial.Ancestor(name, max(n.Encloser(name), g.p.zone.Labels()))); fits {
		g.before(wire.AppendKey(append(room[:0], chainNSEC), w, g.p.zone))
	}
	return true
}

// nsec3 gathers the record of the name, or those of its closest encloser, of the name one label longer, and of the wildcard
// (RFC 5155, Section 7.2.1).
func (g *gathering) nsec3(name wire.Name) {
	g.sets, g.ends = nil, 0
	if len(g.p.refs) == 0 || !g.chained(len(g.p.refs)-1, chainNSEC3) {
		return
	}
	next := name
	for encloser := name; ; encloser = encloser.Parent() {
		key, ok := g.key(encloser)
		if !ok {
			g.sets = nil
			return
		}
		i, held := g.p.search(key)
		if !held {
			if len(encloser) <= len(g.p.zone) {
				return
			}
			next = encloser
			continue
		}
		if g.take(i) == nil || len(encloser) == len(name) {
			return
		}
		if key, ok = g.key(next); ok {
			g.before(key)
		}
		if w, fits := denial.Wildcard(encloser); fits {
			if key, ok = g.key(w); ok {
				g.before(key)
			}
		}
		return
	}
}

func (g *gathering) key(name wire.Name) ([]byte, bool) {
	if g.hashes.Left <= denyHashes/2 { // the proof needs as many again
		return nil, false
	}
	g.hashes.Left--
	h := dnssec.NSEC3Hash(name, g.p.salt, g.p.rounds)
	return append([]byte{chainNSEC3}, h[:]...), true
}
