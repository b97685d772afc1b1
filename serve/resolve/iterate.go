package resolve

import (
	"fmt"
	"net/netip"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/validate"
)

// reply is what a server said, cleaned.
type reply struct {
	rcode      wire.Rcode
	aa         bool
	question   message.Question // what it was asked, which may be shorter than what we want to know
	answer     []*message.RRset
	authority  []*message.RRset
	additional []*message.RRset
	zone       wire.Name
	from       server
	cached     bool   // it was in the cache, unchecked
	stream     bool   // it came over one
	recursive  bool   // from a resolver
	dropped    int    // records left out because they do not fit their type
	epoch      uint64 // of the cache when it was asked for
}

// server is one address, asked as one of a zone's servers.
type server struct {
	Addr   netip.AddrPort
	via    *Upstream
	stream bool // over TCP only
}

// upstream is who sent a reply; the zero value where nobody was asked.
func (r *reply) upstream() Upstreamed {
	u := Upstreamed{Address: r.from.Addr, Forward: r.recursive}
	if r.stream {
		u.Over = event.TCP
	}
	if r.from.via != nil && r.from.via.Protocol != Plain {
		u.Over = [...]event.Transport{TLS: event.TLS, HTTPS: event.HTTPS, QUIC: event.QUIC}[r.from.via.Protocol]
	}
	return u
}

// iterate asks servers from the closest known zone downwards until one answers the question: RFC 1034, Section 5.3.3,
// steps 2 to 4. avoid names servers whose answer to it is not wanted again.
func (t *task) iterate(q message.Question, avoid []server) (*reply, *failed) {
	d, err := t.closest(q)
	if err != nil {
		return nil, err
	}
	m := minimiser{on: t.config.Minimise && !d.recursive, strict: t.config.Strict, q: q}
	sends := t.spent.sends
	var passed []*Zone // configured zones whose servers have failed
	for range MaxReferrals {
		if t.spent.sends-sends > MaxSendsOfLink {
			return nil, &failed{reason: reasonOther, text: fmt.Sprintf("%d questions did not lead to an answer", MaxSendsOfLink)}
		}
		ask := m.next(d.zone)
		t.note(Step{Kind: StepZone, Question: ask, Zone: d.zone})
		r, kind, err := t.askZone(d, ask, avoid)
		if err != nil && d.conf != nil && d.conf.First && t.exhausted() == nil { // the configured servers fail, or may not be asked now: as if there were none
			passed = append(passed, d.conf)
			if d, err = t.closest(q, passed...); err == nil {
				m = minimiser{on: t.config.Minimise && !d.recursive, strict: t.config.Strict, q: q}
				continue
			}
			return nil, err
		}
		if err != nil {
			if m.full() || m.strict || err.reason == reasonLimit {
				return nil, err
			}
			m.failed(err.reason == reasonUnreachable)
			continue
		}
		switch kind {
		case isReferral:
			d = t.follow(d, r, passed)
			m.descended()
		case isAnswer, isAlias:
			if m.full() {
				return r, nil
			}
			if end := m.heard(r, kind); end {
				return t.wholeOf(q, r), nil
			}
		}
	}
	return nil, &failed{reason: reasonOther, text: fmt.Sprintf("%d referrals did not lead to an answer", MaxReferrals)}
}

// wholeOf makes of the denial of a shorter name the answer for the whole one.
func (t *task) wholeOf(q message.Question, r *reply) *reply {
	w := *r
	w.question = q
	return &w
}

// links takes an answer apart into its links: the record asked for, or an alias and what the same servers said of its
// target (RFC 1034, Section 4.3.2, step 3a). Names the server has no say about are gone already (scrub.go).
//
// first keeps the first only: the names that follow are asked for themselves, as others do together with QNAME minimisation, since what a
// server adds to its answer is what a forger adds, too.
func (r *reply) links(q message.Question, first bool) []*validate.Response {
	var list []*validate.Response
	name := q.Name
	left := r.answer
	for range MaxChain {
		l := &validate.Response{Question: message.Question{Name: name, Type: q.Type, Class: q.Class}, Rcode: wire.NoError}
		list = append(list, l)
		next := wire.Name(nil)
		if q.Type == wire.TypeANY {
			l.Answer, left = left, nil
		} else if _, sets := takeAlias(left, name); q.Type == wire.TypeCNAME && hasDNAME(left, name) {
			l.Answer, left = sets, without(left, sets)
		} else if s := message.Find(left, name, q.Type); s != nil {
			l.Answer, left = []*message.RRset{s}, nil
		} else if n, sets := takeAlias(left, name); sets != nil && q.Type != wire.TypeCNAME {
			l.Answer, left, next = sets, without(left, sets), n
		}
		if next == nil || first || !r.covers(left, next) {
			r.end(l, next)
			return list
		}
		l.Authority = proofs(r.authority)
		name = next
	}
	return list
}

// covers tells whether the same answer goes on with a name.
func (r *reply) covers(left []*message.RRset, name wire.Name) bool {
	if !name.IsSubdomainOf(r.zone) {
		return false
	}
	for _, s := range left {
		if s.Name.Equal(name) || s.Type == wire.TypeDNAME && name.IsSubdomainOf(s.Name) {
			return true
		}
	}
	if len(left) > 0 {
		return false
	}
	soa := findType(r.authority, wire.TypeSOA) // or ends with its denial
	return soa != nil && name.IsSubdomainOf(soa.Name)
}

// end gives the last link what the message says as a whole.
func (r *reply) end(l *validate.Response, next wire.Name) {
	l.Authority, l.Additional = r.authority, r.additional
	if next != nil {
		if r.rcode == wire.YXDomain {
			l.Rcode = r.rcode
		}
		l.Authority, l.Additional = proofs(r.authority), nil // the rest is about the target, which is asked for anew
		return
	}
	l.Rcode = r.rcode
}

// takeAlias returns the CNAME at a name, with the DNAME that it comes from, and its target.
func takeAlias(section []*message.RRset, name wire.Name) (wire.Name, []*message.RRset) {
	c := message.Find(section, name, wire.TypeCNAME)
	for _, s := range section {
		if s.Type != wire.TypeDNAME || !name.IsSubdomainOf(s.Name) || name.Equal(s.Name) {
			continue
		}
		if made := synthesise(name, s); made != nil {
			if c != nil && !c.SameData(made) {
				return nil, nil // the CNAME beside it says something else: one of them is forged
			}
			return message.Target(made.Data[0]), []*message.RRset{s, made}
		}
		return nil, []*message.RRset{s} // YXDOMAIN
	}
	if c == nil || len(c.Data) == 0 {
		return nil, nil
	}
	return message.Target(c.Data[0]), []*message.RRset{c}
}

func without(list, sets []*message.RRset) []*message.RRset {
	var left []*message.RRset
	for _, s := range list {
		keep := true
		for _, x := range sets {
			keep = keep && !s.Is(x.Name, x.Type)
		}
		if keep {
			left = append(left, s)
		}
	}
	return left
}

func proofs(section []*message.RRset) []*message.RRset {
	var list []*message.RRset
	for _, s := range section {
		if s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 {
			list = append(list, s)
		}
	}
	return list
}

// synthesise makes the CNAME that a DNAME means for a name below it (RFC 6672, Section 3.1). nil: the result is too long.
func synthesise(name wire.Name, dname *message.RRset) *message.RRset {
	if len(dname.Data) == 0 {
		return nil
	}
	target := message.Target(dname.Data[0])
	prefix := name[:len(name)-len(dname.Name)]
	if len(prefix)+len(target) > wire.MaxName {
		return nil
	}
	made := append(append(make([]byte, 0, len(prefix)+len(target)), prefix...), target...)
	return &message.RRset{Name: name, Type: wire.TypeCNAME, Class: dname.Class, TTL: dname.TTL, Data: [][]byte{made}}
}
