// Package authority answers one question from one zone: the algorithm of RFC 1034, Section 4.3.2, as amended by RFC 2308,
// RFC 4592, RFC 6672 and RFC 8020, with the proofs of RFC 4035, Section 3.1, and RFC 5155, Section 7.2.
//
// The package promises: the zone is only read, nothing is allocated, the work is bounded by the length of the name times
// the length of a chain. It refuses to leave the zone: a chain that points elsewhere ends there (servers.md 5.1, case 18).
// It leaves EDNS, cookies and limits to others.
//
// Limits today: additional data is looked up for NS, MX, SRV, SVCB and HTTPS.
package authority

import (
	"anyu/dns/wire"
	"anyu/dns/zone"
)

const (
	// maxChain bounds CNAME and DNAME steps in one answer; it ends loops (cases 19, 24). Others: BIND 17, NSD 18.
	maxChain = 17
	// maxAdditional bounds the names whose addresses are looked up for one answer.
	maxAdditional = 64
	// maxProofs bounds NSEC and NSEC3 records remembered so that none is sent twice.
	maxProofs = 3*maxChain + 8

	keyRoom = 2*wire.MaxName + 2
)

// Result is the verdict beside the records.
type Result struct {
	Rcode wire.Rcode
	AA    bool
	TC    bool // a record set that must be there did not fit
	Whole bool // nothing was left out for want of room: the same bytes serve every client with as much room
	Named bool // the name asked for exists in the zone, so answers like this are bounded by the zone's size
	// From is the cut, the DNAME or the closest encloser that answered for the name asked for: endlessly many names
	// have this answer. It points into that name; nil where the name itself answered.
	From wire.Name
}

// Responder holds the scratch room of one worker. The zero Responder is ready.
type Responder struct {
	z    *zone.Zone
	apex wire.Name
	b    *wire.Builder
	do   bool
	tcp  bool

	first wire.Name // as asked
	qname wire.Name // where the chain has come to
	qtype wire.Type
	res   Result

	key      [keyRoom]byte
	chain    [maxChain + 1][wire.MaxName]byte // names the chain went through
	chainLen [maxChain + 1]int
	wild     [maxChain + 1]expansion // wildcard steps whose proofs go into the authority section
	wilds    int
	targets  [maxAdditional]target // names whose addresses may be added
	wanted   int
	proofs   [maxProofs]proof
	proved   int
	owner    [wire.MaxName + 1]byte
	other    [keyRoom]byte
}

// expansion is one use of a wildcard: the name it was used for, and the length of the key of its closest encloser.
type expansion struct {
	qname    wire.Name
	encloser int
}

// target is a name in RDATA; must says that a referral is useless without its addresses.
type target struct {
	name wire.Name
	must bool
}

// Respond writes the answer to (qname, qtype), at or below the apex of z, to b, which holds the question already.
// stream says that the client came over a stream, where ANY is answered in full (RFC 8482, Section 4.4).
func (r *Responder) Respond(z *zone.Zone, qname wire.Name, qtype wire.Type, do, stream bool, b *wire.Builder) Result {
	r.z, r.apex, r.b, r.do, r.tcp = z, z.Apex(), b, do && z.Signed(), stream
	r.first, r.qname, r.qtype = qname, qname, qtype
	r.wilds, r.wanted, r.proved = 0, 0, 0
	r.res = Result{AA: true, Whole: true}
	for step := 0; step < maxChain; step++ {
		if !r.step(step) {
			break
		}
	}
	r.proveExpansions()
	r.addAdditional()
	return r.res
}

// step is RFC 1034, Section 4.3.2, steps 3 and 4, for the current name. It returns true when the chain goes on inside the zone.
func (r *Responder) step(n int) bool {
	key := wire.AppendKey(r.key[:0], r.qname, r.apex)
	m := r.search(key)
	switch m.kind {
	case cut:
		r.from(n, key, m)
		r.refer(key, m, n == 0)
		return false
	case dname:
		r.res.Named = false
		r.from(n, key, m)
		return r.substitute(n, key, m)
	case exact:
		r.res.Named = n == 0 || r.res.Named
		return r.data(n, key, m, r.qname)
	case empty:
		r.nodata(key, m)
		return false
	}
	r.res.Named = false
	r.from(n, key, m)
	return r.wildcard(n, key, m)
}

// from notes what answers for the name asked for.
func (r *Responder) from(n int, key []byte, m match) {
	if n == 0 {
		r.res.From = suffix(r.first, key, m.end)
	}
}

// kind says what a name met in the zone.
type kind uint8

const (
	none  kind = iota // no such name
	exact             // a node
	empty             // an empty non-terminal (RFC 8020; RFC 4592, Section 2.2.2)
	cut               // a zone cut at or above the name
	dname             // a DNAME above the name
)

// match is what search found. end is the length of the key of node (exact, cut, dname) or of the closest encloser (none).
type match struct {
	kind kind
	node zone.Node
	end  int
}

// search walks down from the apex, label by label (RFC 1034, Section 4.3.2, step 3). Names below a cut or a DNAME are not
// looked at even where the file has them (cases 26, 29).
func (r *Responder) search(key []byte) match {
	node, _ := r.z.Find(nil)
	if len(key) == 0 {
		return match{kind: exact, node: node}
	}
	if node.HasDNAME() {
		return match{kind: dname, node: node}
	}
	encloser := 0
	for end := nextLabel(key, 0); ; end = nextLabel(key, end) {
		last := end == len(key)
		node, ok := r.z.Find(key[:end])
		switch {
		case ok && node.IsCut() && !(last && r.qtype == wire.TypeDS):
			return match{cut, node, end}
		case ok && last:
			return match{exact, node, end}
		case ok && node.HasDNAME():
			return match{dname, node, end}
		case !ok && !r.z.HasBelow(key[:end]):
			return match{kind: none, end: encloser}
		case last:
			return match{kind: empty, end: end}
		}
		encloser = end
	}
}

// nextLabel is the end of the label of a key that starts at off.
func nextLabel(key []byte, off int) int {
	for key[off] != 0 {
		off++
	}
	return off + 1
}

// suffix is the ancestor of name whose key has the first end octets of key: it drops one label for each one in key[end:].
func suffix(name wire.Name, key []byte, end int) wire.Name {
	for ; end < len(key); end = nextLabel(key, end) {
		name = name.Parent()
	}
	return name
}

// data answers from a node (RFC 1034, Section 4.3.2, step 3a). owner is the name the records are given.
func (r *Responder) data(n int, key []byte, m match, owner wire.Name) bool {
	switch {
	case r.qtype == wire.TypeANY:
		r.any(key, m, owner)
		return false
	case r.qtype == wire.TypeRRSIG:
		r.signatures(key, m, owner)
		return false
	}
	if set, ok := m.node.Set(r.qtype); ok {
		if r.answer(m.node, set, owner) {
			r.want(set, owner, nil)
		}
		return false
	}
	// RFC 1034, Section 3.6.2: an alias is followed for every type but its own. (case 14)
	if set, ok := m.node.Set(wire.TypeCNAME); ok && r.follows() {
		return r.answer(m.node, set, owner) && r.follow(n, set)
	}
	r.nodata(key, m)
	return false
}

// follows tells whether a question goes on to the target of an alias. Not for NSEC: it stands beside the CNAME, so the question is about
// the alias itself (RFC 4035, Section 2.5; RFC 2181, Section 10.1). RRSIG is answered before. Knot and BIND do the same.
func (r *Responder) follows() bool { return r.qtype != wire.TypeNSEC }

// follow makes the target of an alias the current name, if it is in the zone.
func (r *Responder) follow(n int, set zone.RRset) bool {
	return r.goOn(n, wire.Name(set.First()))
}

// goOn makes to the name of step n+1. A name that was asked before closes a loop: its records are in the answer already
// (case 19).
func (r *Responder) goOn(n int, to wire.Name) bool {
	if !to.IsSubdomainOf(r.apex) || to.Equal(r.first) {
		return false
	}
	for i := range n {
		if to.Equal(r.chain[i][:r.chainLen[i]]) {
			return false
		}
	}
	r.chainLen[n] = copy(r.chain[n][:], to)
	r.qname = wire.Name(r.chain[n][:r.chainLen[n]])
	return true
}

// answer adds a set to the answer section, or sets TC.
func (r *Responder) answer(node zone.Node, set zone.RRset, owner wire.Name) bool {
	return r.must(r.set(wire.Answers, owner, node, set, set.TTL()))
}

func (r *Responder) must(ok bool) bool {
	if !ok {
		r.res.TC, r.res.Whole = true, false
	}
	return ok
}

// set adds a record set with its signatures, whole or not at all (RFC 2181, Section 9; case 61). The signatures have the TTL
// of the set (RFC 4034, Section 3; case 41).
func (r *Responder) set(s wire.Section, owner wire.Name, node zone.Node, set zone.RRset, ttl uint32) bool {
	m := r.b.Mark()
	for it := set.Iter(); it.Next(); {
		if !r.b.RR(s, owner, set.Type(), r.z.Class(), ttl, it.RData()) {
			r.b.Back(m)
			return false
		}
	}
	if !r.do {
		return true
	}
	sigs, ok := node.Sigs(set.Type())
	if !ok {
		return true
	}
	for it := sigs.Iter(); it.Next(); {
		if !r.b.RR(s, owner, wire.TypeRRSIG, r.z.Class(), ttl, it.RData()) {
			r.b.Back(m)
			return false
		}
	}
	return true
}
