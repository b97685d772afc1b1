package resolve

import (
	"net/netip"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
	"anyu/serve/validate"
)

// scrub keeps of a message what its sender may be believed: the chain from the question on, as far as it stays in the zone that
// the server was asked as one of; the records of authority that belong to it; and addresses that kept records name. RFC 2181, Section 5.4.1; RFC 5452,
// Section 6; CVE-2021-25220 (MaginotDNS): a forwarder's zone is what is forwarded to it, and no more.
func (t *task) scrub(m *message.Message, q message.Question, d *zoneCut) *reply {
	r := &reply{rcode: m.Rcode, aa: m.Has(wire.FlagAA), question: q, zone: d.zone, recursive: d.recursive, dropped: m.Dropped}
	r.answer = t.chain(m.Answer, q, d.zone)
	r.authority = t.authority(m, r)
	r.additional = t.additional(m.Additional, r)
	return r
}

// bound keeps times to live within bounds (RFC 8767, Section 4: 7 days at most; RFC 2308, Section 5), and the name servers of a zone to
// those that are looked at (NXNSAttack). The message is the engine's own.
func (t *task) bound(m *message.Message) {
	for _, section := range m.Sections() {
		for _, s := range section {
			s.TTL = min(max(s.TTL, t.config.MinTTL), t.config.maxTTL())
			if n := t.config.nameServers(); s.Type == wire.TypeNS && len(s.Data) > n {
				s.Data = s.Data[:n]
			}
		}
	}
}

// chain returns the records that answer the question, and the aliases on the way to them.
func (t *task) chain(section []*message.RRset, q message.Question, zone wire.Name) (chain []*message.RRset) {
	name := q.Name
	for range MaxChain {
		if zoned := within(section, zone, q.Class); (q.Type == wire.TypeCNAME || q.Type == wire.TypeANY) && hasDNAME(zoned, name) {
			// RFC 6672, Section 3.1: a CNAME below a DNAME is made from it, has no signature, and stands only with it.
			_, sets := takeAlias(zoned, name)
			return merge(chain, sets)
		}
		if q.Type == wire.TypeANY {
			for _, s := range section {
				if s.Name.Equal(name) && s.Class == q.Class {
					chain = t.append(chain, s)
				}
			}
			return chain
		}
		if s := in(section, name, q.Type, q.Class); s != nil {
			if s.Type == wire.TypeNSEC && overreaches(s, zone) {
				return chain
			}
			return t.append(chain, s)
		}
		if q.Type == wire.TypeRRSIG && !hasDNAME(section, name) {
			return append(chain, signaturesAt(section, name)...)
		}
		if q.Type == wire.TypeCNAME {
			return chain
		}
		target, sets := takeAlias(within(section, zone, q.Class), name)
		if sets == nil {
			return chain
		}
		chain = merge(chain, sets)
		if target == nil || !target.IsSubdomainOf(zone) {
			return chain
		}
		name = target
	}
	return chain
}

func in(section []*message.RRset, name wire.Name, t wire.Type, c wire.Class) *message.RRset {
	if s := message.Find(section, name, t); s != nil && s.Class == c {
		return s
	}
	return nil
}

func hasDNAME(section []*message.RRset, name wire.Name) bool {
	for _, s := range section {
		if s.Type == wire.TypeDNAME && name.IsSubdomainOf(s.Name) && !name.Equal(s.Name) {
			return true
		}
	}
	return false
}

// signaturesAt collects the RRSIGs of a name, for a question for them.
func signaturesAt(section []*message.RRset, name wire.Name) []*message.RRset {
	var made *message.RRset
	for _, s := range section {
		if s.Name.Equal(name) && len(s.Sigs) > 0 {
			if made == nil {
				made = &message.RRset{Name: s.Name, Type: wire.TypeRRSIG, Class: s.Class, TTL: s.TTL}
			}
			made.Data = append(made.Data, s.Sigs...)
		}
	}
	if made == nil {
		return nil
	}
	return []*message.RRset{made}
}

// within keeps the records at or below a zone's apex.
func within(section []*message.RRset, zone wire.Name, c wire.Class) []*message.RRset {
	var list []*message.RRset
	for _, s := range section {
		if s.Class == c && s.Name.IsSubdomainOf(zone) {
			list = append(list, s)
		}
	}
	return list
}

// append adds an RRset without the addresses that may not be in it.
func (t *task) append(list []*message.RRset, s *message.RRset) []*message.RRset {
	if s = t.withoutPrivate(s); s == nil {
		return list
	}
	return append(list, s)
}

// authority keeps what belongs to the answer: the SOA and the proofs of its zone, and name servers where they are a referral.
func (t *task) authority(m *message.Message, r *reply) (list []*message.RRset) {
	last := lastName(r)
	denial, ns := false, false
	for _, s := range m.Authority {
		if s.Class != wire.ClassIN || !s.Name.IsSubdomainOf(r.zone) {
			if s.Type == wire.TypeNS && s.Class == wire.ClassIN && len(r.answer) == 0 && r.rcode == wire.NoError && (r.zone.IsSubdomainOf(s.Name) || !r.aa) {
				list = append(list, s) // a referral upwards or aside, which tells that the server is lame (RFC 2308, Section 2.2: no denial)
			}
			continue
		}
		switch s.Type {
		case wire.TypeSOA:
			if denial || !last.IsSubdomainOf(s.Name) {
				continue
			}
			denial = true
		case wire.TypeNS:
			if ns || !last.IsSubdomainOf(s.Name) {
				continue
			}
			ns = true
		case wire.TypeNSEC:
			if len(s.Data) != 1 || overreaches(s, r.zone) {
				continue
			}
		case wire.TypeNSEC3, wire.TypeDS:
		default:
			continue
		}
		list = append(list, s)
	}
	if t.config.KeepPromiscuous && !denial && r.rcode != wire.NXDomain || isReferralShaped(r, list) {
		return list
	}
	return dropNS(list)
}

// isReferralShaped: name servers stand for a referral only in a message without answer, denial and error (CVE-2025-11411).
func isReferralShaped(r *reply, authority []*message.RRset) bool {
	return r.rcode == wire.NoError && len(r.answer) == 0 && findType(authority, wire.TypeSOA) == nil
}

func dropNS(list []*message.RRset) []*message.RRset {
	kept := list[:0]
	for _, s := range list {
		if s.Type != wire.TypeNS {
			kept = append(kept, s)
		}
	}
	return kept
}

// overreaches tells whether an NSEC claims names outside its zone (CVE-2026-13321).
func overreaches(s *message.RRset, zone wire.Name) bool {
	next := false
	wire.RDataNames(wire.TypeNSEC, s.Data[0], func(start, end int) {
		next = next || !wire.Name(s.Data[0][start:end]).IsSubdomainOf(zone)
	})
	return next
}

// lastName is where the chain of aliases ends.
func lastName(r *reply) wire.Name {
	name := r.question.Name
	for range MaxChain + 1 {
		s := message.Find(r.answer, name, wire.TypeCNAME)
		if s == nil || len(s.Data) == 0 || r.question.Type == wire.TypeCNAME {
			return name
		}
		name = message.Target(s.Data[0])
	}
	return name
}

// additional keeps addresses of names that kept records lead to, in the zone.
func (t *task) additional(section []*message.RRset, r *reply) (list []*message.RRset) {
	for _, s := range section {
		if s.Type != wire.TypeA && s.Type != wire.TypeAAAA || s.Class != wire.ClassIN || !s.Name.IsSubdomainOf(r.zone) {
			continue
		}
		if named(r.answer, s.Name) || named(r.authority, s.Name) {
			if len(s.Data) > MaxAddresses {
				s = s.Copy()
				s.Data = s.Data[:MaxAddresses]
			}
			list = t.append(list, s)
		}
	}
	return list
}

// named tells whether a record that leads to hosts has a name in its RDATA.
func named(section []*message.RRset, name wire.Name) (is bool) {
	for _, s := range section {
		switch s.Type {
		case wire.TypeNS, wire.TypeMX, wire.TypeSRV, wire.TypeSVCB, wire.TypeHTTPS:
		default:
			continue
		}
		for _, d := range s.Data {
			if s.Type == wire.TypeNS {
				if message.Target(d).Equal(name) {
					return true
				}
				continue
			}
			wire.RDataNames(s.Type, d, func(start, end int) { is = is || wire.Name(d[start:end]).Equal(name) })
			if is {
				return true
			}
		}
	}
	return false
}

// withoutPrivate removes private addresses, by which a stranger's name would lead into our networks (DNS rebinding). nil: nothing is left.
func (t *task) withoutPrivate(s *message.RRset) *message.RRset {
	if len(t.config.Private) == 0 || s.Type != wire.TypeA && s.Type != wire.TypeAAAA {
		return s
	}
	for _, n := range t.config.PrivateNames {
		if s.Name.IsSubdomainOf(n) {
			return s
		}
	}
	var kept [][]byte
	for _, d := range s.Data {
		if a, ok := netip.AddrFromSlice(d); !ok || !t.isPrivate(a) {
			kept = append(kept, d)
		}
	}
	switch len(kept) {
	case len(s.Data):
		return s
	case 0:
		return nil
	}
	c := s.Copy()
	c.Data, c.Sigs = kept, nil
	return c
}

// isPrivate tells whether a, or the IPv4 address that is mapped into it (RFC 4291, Section 2.5.5.2), is private.
func (t *task) isPrivate(a netip.Addr) bool {
	plain := a.Unmap()
	return (covers(t.config.Private, plain) || covers(t.config.Private, a)) && !covers(t.config.Exempt, plain)
}

func covers(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forged returns the DNAME above the question whose CNAME beside it says something else (RFC 6672, Section 3.1), or nil: one of them is
// not what the owner wrote, and nothing signs the CNAME.
func forged(section []*message.RRset, q message.Question, zone wire.Name) *message.RRset {
	c := in(section, q.Name, wire.TypeCNAME, q.Class)
	if c == nil || len(c.Data) == 0 {
		return nil
	}
	for _, s := range section {
		if s.Type == wire.TypeDNAME && q.Name.IsSubdomainOf(s.Name) && !q.Name.Equal(s.Name) && s.Name.IsSubdomainOf(zone) {
			made := synthesise(q.Name, s)
			switch {
			case made == nil:
			case !message.Target(c.Data[0]).Equal(message.Target(made.Data[0])) || len(c.Data) > 1:
				return s
			default:
				c.Data[0] = made.Data[0] // the server's has the random letters that it was asked in
			}
		}
	}
	return nil
}

// learn keeps a DNAME that is signed, whatever came with it.
func (t *task) learn(s *message.RRset, epoch uint64) {
	if t.e.Validator == nil || t.opts.CD || len(s.Sigs) == 0 {
		return
	}
	q := message.Question{Name: s.Name, Type: s.Type, Class: s.Class}
	if a, _ := t.check(&validate.Response{Question: q, Answer: []*message.RRset{s}}, 0, epoch); a.Security == dnssec.Secure {
		t.e.Cache.Since(epoch).PutRRset(s, cache.TrustSecure, dnssec.Secure, t.e.now)
	}
}
